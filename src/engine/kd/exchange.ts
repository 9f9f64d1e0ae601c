/**
 * One manipulate exchange, from request to answer, over a channel that may lose, repeat and restart. A small state
 * machine of its own: the session feeds it what arrives, it says how it ended.
 *
 * When nothing comes, it asks the channel for a reset. A target that still waits for a request then answers, and repeats
 * its stop, which proves that the request was lost; it is sent again if that is harmless. An answer that comes late is as
 * good as one in time.
 *
 * Continue and its like are only acknowledged, after which the target runs and listens to nothing but break-ins. Their limit
 * is short, and no reset is asked for: a target that is slow would obey, stop again at the same place, and answer the reset
 * by saying that second stop twice; nobody could tell what the first of them was. The channel sends them again as they are,
 * which a target that has had them drops by their id. If no acknowledgement comes, the target runs.
 *
 * What was asked of a kernel never reaches the next one, after a reset of the machine: registers and addresses of the old would
 * be poison to it.
 *
 * Invariant: ends exactly once, at the latest `(1 + resyncs) × patience` milliseconds after it began.
 */

import { equalBytes } from '../core/bytes';
import { VmkdError } from '../core/errors';
import type { Alarm } from '../core/alarm';
import type { Clock } from '../core/clock';
import type { PacketChannel } from './channel';
import { PacketType } from './framing';
import type { ManipulateApi } from './manipulate/message';
import type { StateChange } from './stateChange';

export type ExchangeResult =
  | { readonly kind: 'reply'; readonly payload: Uint8Array }
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'stateChange'; readonly change: StateChange };

export interface ExchangeSetting {
  readonly api: Pick<ManipulateApi, 'name' | 'number' | 'answer' | 'repeatable'>;
  readonly payload: Uint8Array;
  readonly channel: PacketChannel;
  readonly clock: Clock;
  /** Its own while it lasts; lifted when it ends. */
  readonly alarm: Alarm;
  /** Milliseconds without an answer until a resync. */
  readonly patience: number;
  /** The stop that the target is in, as sent: a repetition of it is no news. */
  readonly currentStop: Uint8Array;
}

/** How a state change that came during an exchange is to be read. */
export type Reading = 'news' | 'repetition';

const resyncs = 3;

export class Exchange {
  readonly done: Promise<ExchangeResult>;
  /** It has been sent so often: the target may have had each, and answer each. */
  sent = 0;
  #resolve!: (result: ExchangeResult) => void;
  #reject!: (error: VmkdError) => void;
  #ended = false;
  readonly #deadline: number;
  /** A RESET came after it was sent: the target has forgotten it, unless it has obeyed. */
  #isLost = false;
  #restarted = false;
  /** RESETs that were asked for, and not answered. */
  #resets = 0;
  /** The reply, which came all the same: it counts when the ids are certain again. */
  #reply: Uint8Array | undefined;

  constructor(readonly setting: ExchangeSetting) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { clock, patience } = setting;
    this.#deadline = clock.now() + (1 + resyncs) * patience;
    this.#send();
  }

  /** A reply that the session has found to be for this exchange. */
  onReply(payload: Uint8Array): void {
    if (this.#resets === 0) this.#end({ kind: 'reply', payload });
    else {
      this.#reply = payload;
      this.#await(() => new VmkdError('internal', 'There is a reply'));
    }
  }

  /** @param restarted The target says that it has started anew. A damaged header says so, too: the next stop tells. */
  onPeerReset(restarted: boolean): void {
    this.#isLost = true;
    if (restarted) this.#restarted = true;
    if (this.#resets > 0) this.#resets--;
    if (this.#resets === 0 && this.#reply !== undefined) this.#end({ kind: 'reply', payload: this.#reply });
  }

  /** After a RESET the target has said again what it had said before: it waits for a request. */
  onRepetition(): void {
    if (!this.#isLost || this.#reply !== undefined) return;
    const { answer, repeatable } = this.setting.api;
    if (answer !== 'reply' || repeatable) this.#send();
    else this.fail(new VmkdError('request-unsure', `The link was reset during ${this.setting.api.name}`));
  }

  /** @param afterReset It is what the target says first after a RESET: a stop that is the same is the same one. */
  onStateChange(change: StateChange, payload: Uint8Array, afterReset: boolean): Reading {
    const { api, currentStop } = this.setting;
    const isSame = equalBytes(payload, currentStop);
    if (afterReset && isSame) {
      this.onRepetition();
      return 'repetition';
    }
    if (api.answer === 'reply') {
      if (this.#restarted && !isSame) {
        this.fail(new VmkdError('target-running', `The target has started anew during ${api.name}`));
        return 'news';
      }
      // The target waits for a request: it never saw ours, or has started anew and knows nothing of it.
      if (this.#reply !== undefined) this.#end({ kind: 'reply', payload: this.#reply });
      else if (api.repeatable) this.#send();
      else this.fail(new VmkdError('request-unsure', `The link was reset during ${api.name}`));
      return isSame ? 'repetition' : 'news';
    }
    // It has run and stopped again, so it has had our order, though the acknowledgement was lost.
    this.#end(api.answer === 'stateChange' ? { kind: 'stateChange', change } : { kind: 'acknowledged' });
    return 'news';
  }

  fail(error: VmkdError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.setting.alarm.lift();
    this.#reject(error);
  }

  #end(result: ExchangeResult): void {
    if (this.#ended) return;
    this.#ended = true;
    this.setting.alarm.lift();
    this.#resolve(result);
  }

  #send(): void {
    if (this.#ended) return;
    const { api, channel, payload } = this.setting;
    this.#isLost = false;
    this.sent++;
    this.#await(() => new VmkdError('target-no-reply', `${api.name} was not answered`));
    const order = api.answer === 'acknowledgement';
    channel.send({ type: PacketType.StateManipulate, payload }, { order }).then(
      (delivery) => {
        if (delivery === 'acknowledged' && order) this.#end({ kind: 'acknowledged' });
      },
      (thrown: unknown) => {
        const error = thrown as VmkdError;
        if (error.code === 'target-not-acknowledging') this.#resync(() => error);
        else this.fail(error);
      },
    );
  }

  /** @param reason Made only if it comes to that: an error takes the stack down, and this is done for every request. */
  #await(reason: () => VmkdError): void {
    const { api, alarm, clock, patience } = this.setting;
    const left = this.#deadline - clock.now();
    const wait = api.answer === 'acknowledgement' ? left : Math.min(patience, left);
    alarm.set(Math.max(0, wait), () => this.#resync(reason));
  }

  #resync(reason: () => VmkdError): void {
    if (this.#ended) return;
    const { api, channel, clock } = this.setting;
    if (this.#reply !== undefined) {
      this.#end({ kind: 'reply', payload: this.#reply });
      return;
    }
    if (clock.now() >= this.#deadline) {
      if (api.answer === 'acknowledgement') this.#end({ kind: 'acknowledged' });
      else this.fail(reason());
      return;
    }
    this.#await(reason);
    this.#resets++;
    channel.requestReset();
  }
}
