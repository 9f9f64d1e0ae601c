/**
 * One manipulate exchange, from request to answer, over a channel that may lose, repeat and restart. A small state
 * machine of its own: the session feeds it what arrives, it says how it ended.
 *
 * When nothing comes, it asks the channel for a reset. A target that still waits for a request then answers, and repeats
 * its stop, which proves that the request was lost; it is sent again if that is harmless. An answer that comes late is as
 * good as one in time.
 *
 * Continue and its like are only acknowledged, after which the target runs and listens to nothing but break-ins. They are
 * sent once; if neither acknowledgement nor repeated stop comes, the target runs.
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
  #resolve!: (result: ExchangeResult) => void;
  #reject!: (error: VmkdError) => void;
  #ended = false;
  readonly #deadline: number;
  #resetAnswered = false;
  #restarted = false;

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
    this.#end({ kind: 'reply', payload });
  }

  /** The target has answered a RESET: what it says next about its stop, it says again. */
  onPeerReset(): void {
    this.#resetAnswered = true;
  }

  /** The target says that it has started anew. A damaged header says so, too: the next stop tells. */
  onPeerRestart(): void {
    this.#resetAnswered = this.#restarted = true;
  }

  onStateChange(change: StateChange, payload: Uint8Array): Reading {
    const { api, currentStop } = this.setting;
    const isSame = equalBytes(payload, currentStop);
    const repeated = this.#resetAnswered && isSame;
    if (api.answer === 'reply') {
      if (this.#restarted && !isSame) {
        this.fail(new VmkdError('target-running', `The target has started anew during ${api.name}`));
        return 'news';
      }
      // The target waits for a request: it never saw ours, or has started anew and knows nothing of it.
      if (api.repeatable) this.#send();
      else this.fail(new VmkdError('request-unsure', `The link was reset during ${api.name}`));
      return isSame ? 'repetition' : 'news';
    }
    if (repeated) {
      this.#send();
      return 'repetition';
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
    this.#resetAnswered = false;
    this.#await(() => new VmkdError('target-no-reply', `${api.name} was not answered`));
    // A target that runs does not listen: repeating Continue would only feed its break-in poll with noise.
    const once = api.answer === 'acknowledgement';
    channel.send({ type: PacketType.StateManipulate, payload }, { once }).then(
      (delivery) => {
        if (delivery === 'acknowledged' && once) this.#end({ kind: 'acknowledged' });
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
    const { alarm, clock, patience } = this.setting;
    alarm.set(Math.max(0, Math.min(patience, this.#deadline - clock.now())), () => this.#resync(reason));
  }

  #resync(reason: () => VmkdError): void {
    if (this.#ended) return;
    const { api, channel, clock } = this.setting;
    if (clock.now() >= this.#deadline) {
      if (api.answer === 'acknowledgement') this.#end({ kind: 'acknowledged' });
      else this.fail(reason());
      return;
    }
    this.#await(reason);
    channel.requestReset();
  }
}
