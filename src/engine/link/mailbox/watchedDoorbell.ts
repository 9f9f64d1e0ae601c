/**
 * A doorbell that a thread rings too. While answers come at once the event loop looks, as ever, which nobody beats. Later it
 * looks only now and then; the thread sees sooner what the guest says unasked, such as that it has stopped.
 */

import type { Clock } from '../../core/clock';
import { PollingDoorbell, type Doorbell, type Look } from './doorbell';
import { guestLine, guestOffset } from './layout';
import type { MailboxWindow, WordWatching } from './ram';

/** Those by which the guest says something. Its beat changes all the time. */
const words = (['state', 'epoch', 'posted', 'taken', 'pong', 'leftEpoch'] as const).map(
  (name) => guestOffset + guestLine.fields[name][0],
);
/** Microseconds. The thread leaves the first milliseconds to the event loop, and never takes it a processor. */
const plan = { spin: 0, yielding: 0, shortestSleep: 1000, longestSleep: 4000 };

export const doorbellOf = ({ waiting }: MailboxWindow, clock: Clock): Doorbell =>
  waiting === undefined
    ? new PollingDoorbell(clock)
    : new WatchedDoorbell(new PollingDoorbell(clock), waiting);

class WatchedDoorbell implements Doorbell {
  #watch: { stop(): void } | undefined;

  constructor(
    private readonly polling: PollingDoorbell,
    private readonly waiting: WordWatching,
  ) {}

  start(look: Look): void {
    // A window that is lost is found out by the look.
    this.#watch = this.waiting.watch(words, () => this.polling.glance(), plan);
    this.polling.start(look);
  }

  expect(): void {
    this.polling.expect();
  }

  stop(): void {
    this.#watch?.stop();
    this.#watch = undefined;
    this.polling.stop();
  }
}
