/**
 * One manipulate exchange, from request to answer, over a channel that may lose, repeat and restart. A small state
 * machine of its own: the client feeds it what arrives, it says how it ended.
 *
 * When nothing comes, it asks the channel for a reset: a target that still waits for a request then repeats its state
 * change, which proves that the request was lost; it is sent again if that is harmless. An answer that comes late is
 * as good as one in time.
 *
 * Invariant: ends exactly once, within `(1 + resyncs) × patience` milliseconds.
 */

import { VmkdError } from '../core/errors';
import type { Clock, Timer } from '../core/clock';
import type { PacketChannel } from './channel';
import { PacketType } from './framing';
import type { ManipulateApi } from './manipulate/message';
import type { StateChange } from './stateChange';

export type ExchangeResult =
  | { readonly kind: 'reply'; readonly payload: Uint8Array }
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'stateChange'; readonly change: StateChange; readonly payload: Uint8Array };

export interface ExchangeSetting {
  readonly api: ManipulateApi;
  readonly payload: Uint8Array;
  readonly channel: PacketChannel;
  readonly clock: Clock;
  /** Milliseconds without an answer until a resync. */
  readonly patience: number;
  /** The stop that the target is in, as sent: a repetition of it is no news. */
  readonly currentStop: Uint8Array;
}

const resyncs = 3;
const mostTries = 20;

export class Exchange {
  readonly done: Promise<ExchangeResult>;
  #resolve!: (result: ExchangeResult) => void;
  #reject!: (error: VmkdError) => void;
  #ended = false;
  #timer: Timer | undefined;
  #resyncsLeft = resyncs;
  #triesLeft = mostTries;
  #resyncing = false;

  constructor(readonly setting: ExchangeSetting) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#try();
  }

  onReply(payload: Uint8Array): void {
    this.#end({ kind: 'reply', payload });
  }

  /** @returns true if the state change was taken as part of this exchange; false if it is news for the client. */
  onStateChange(change: StateChange, payload: Uint8Array): boolean {
    const { api, currentStop } = this.setting;
    const repeated = equal(payload, currentStop);
    if (api.answer === 'stateChange' && !(repeated && this.#resyncing)) {
      this.#end({ kind: 'stateChange', change, payload });
      return true;
    }
    if (api.answer === 'acknowledgement' && !repeated) {
      // The target has run and stopped again: it has had our request, though its acknowledgement was lost.
      this.#end({ kind: 'acknowledged' });
      return false;
    }
    if (api.answer === 'acknowledgement' && !this.#resyncing) {
      this.#end({ kind: 'acknowledged' });
      return false;
    }
    // The same stop once more: the target never saw the request, or it has started anew and knows nothing of it.
    const unseen = api.answer === 'acknowledgement' || api.repeatable;
    if (unseen) this.#try();
    else this.fail(new VmkdError('request-unsure', `The link was reset during ${api.name}`));
    return repeated;
  }

  fail(error: VmkdError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#reject(error);
  }

  #end(result: ExchangeResult): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#resolve(result);
  }

  #try(): void {
    if (this.#ended) return;
    const { api, channel, payload } = this.setting;
    if (this.#triesLeft-- === 0) {
      this.fail(new VmkdError('target-no-reply', `${api.name} was sent ${mostTries} times in vain`));
      return;
    }
    this.#resyncing = false;
    this.#await();
    // A target that has run on does not listen: repeating Continue would only feed its break-in poll with noise.
    const options = api.answer === 'acknowledgement' ? { attempts: 1 } : {};
    channel.send({ type: PacketType.StateManipulate, payload }, options).then(
      (delivery) => {
        if (delivery === 'acknowledged' && api.answer === 'acknowledgement')
          this.#end({ kind: 'acknowledged' });
      },
      (thrown: unknown) => this.#onSendFailed(thrown as VmkdError),
    );
  }

  #onSendFailed(error: VmkdError): void {
    if (error.code === 'target-not-acknowledging') this.#resync(error);
    else this.fail(error);
  }

  #await(): void {
    this.#timer?.cancel();
    this.#timer = this.setting.clock.after(this.setting.patience, () => {
      this.#resync(new VmkdError('target-no-reply', `${this.setting.api.name} was not answered`));
    });
  }

  #resync(reason: VmkdError): void {
    if (this.#ended) return;
    if (this.#resyncsLeft-- === 0) {
      // A target that acknowledges nothing and repeats no stop is running.
      if (this.setting.api.answer === 'acknowledgement') this.#end({ kind: 'acknowledged' });
      else this.fail(reason);
      return;
    }
    this.#resyncing = true;
    this.#await();
    this.setting.channel.requestReset();
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
