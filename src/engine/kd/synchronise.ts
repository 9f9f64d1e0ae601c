/**
 * Getting into step with a target of which nothing is known: it may run, be stopped, boot, or not be there.
 *
 * A running target hears only 'b'; a stopped one hears RESET, answers it, and repeats its stop. So both are sent, again and
 * again. A stop that comes before the RESET's answer is real, but packet ids are only certain after it.
 */

import { VmkdError } from '../core/errors';
import type { Clock } from '../core/clock';
import { Waiters } from '../core/waiters';
import type { ChannelStatistics } from './channel';

export interface AttachOptions {
  /** True: stop the target. False: listen, and take it as running unless it says that it is stopped. */
  readonly breakIn: boolean;
  /** Milliseconds for the whole synchronisation, after the channel is open. */
  readonly milliseconds: number;
  readonly signal?: AbortSignal;
}

/** What happened on the channel that matters here. */
export class Synchroniser {
  sawStop = false;
  /** The stop came before the RESET was answered: the break-in made it. Else the target was stopped already. */
  stoppedByUs = false;
  sawReset = false;
  /** The stop and who answers are both known. */
  sawVersion = false;
  readonly #events: Waiters<undefined>;
  #failure: VmkdError | undefined;

  constructor(private readonly clock: Clock) {
    this.#events = new Waiters(clock);
  }

  /** To be called after each change of the above. */
  changed(): void {
    this.#events.succeed(undefined);
  }

  /** Ends the synchronisation with an error. */
  fail(error: VmkdError): void {
    this.#failure = error;
    this.#events.fail(error);
  }

  /**
   * @param call Sends what may wake the target: with a break-in or without.
   * @param interval Milliseconds between two calls.
   * @param learn Called when ids are certain and the target has not repeated its stop: what it said before must do.
   * @returns 'stopped' once `sawVersion`; 'running' if nothing came and no break-in was wanted; 'silent' after the limit.
   */
  async run(
    options: AttachOptions,
    interval: number,
    call: (breakIn: boolean) => void,
    learn: () => void,
  ): Promise<'stopped' | 'running' | 'silent'> {
    const deadline = this.clock.now() + options.milliseconds;
    for (let attempt = 1; ; attempt++) {
      call(options.breakIn && !this.sawStop);
      await this.#until(() => this.#inStep, Math.min(interval, deadline - this.clock.now()), options.signal);
      if (this.#inStep) break;
      if (!options.breakIn && !this.sawStop && attempt >= 2) return 'running';
      if (this.clock.now() >= deadline) return 'silent';
    }
    await this.#until(() => this.sawVersion, interval, options.signal);
    if (!this.sawVersion) learn();
    await this.#until(
      () => this.sawVersion,
      Math.max(deadline - this.clock.now(), 4 * interval),
      options.signal,
    );
    return this.sawVersion ? 'stopped' : 'silent';
  }

  get #inStep(): boolean {
    return this.sawStop && this.sawReset;
  }

  async #until(reached: () => boolean, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    const deadline = this.clock.now() + milliseconds;
    while (!reached() && this.clock.now() < deadline) {
      if (this.#failure) throw this.#failure;
      const limit = new VmkdError('target-silent', 'Nothing came');
      await this.#events
        .wait(deadline - this.clock.now(), () => limit, signal)
        .catch((thrown: unknown) => {
          if (thrown !== limit) throw thrown;
        });
    }
  }
}

/** Why nobody answered, from what has come so far. */
export function whyNoAnswer(
  name: string,
  milliseconds: number,
  statistics: ChannelStatistics,
  foreignReplies: number,
): VmkdError {
  const { bytesReceived, packetsReceived, controlReceived, garbageBytes } = statistics;
  if (bytesReceived === 0) {
    return new VmkdError(
      'target-silent',
      `${name} is open, but the guest sent nothing for ${milliseconds} ms`,
    );
  }
  if (foreignReplies > 0) {
    return new VmkdError(
      'target-second-debugger',
      `${name} carries answers to requests that we did not make`,
    );
  }
  if (packetsReceived === 0 && controlReceived === 0) {
    const message = `${name}: ${bytesReceived} bytes came, ${garbageBytes} of them no part of any packet`;
    return new VmkdError('target-garbage', message);
  }
  return new VmkdError(
    'target-not-acknowledging',
    `${name}: the guest sends packets, but does not answer ours`,
  );
}
