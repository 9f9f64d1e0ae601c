/**
 * Time as a dependency. Every time limit and retransmission of the engine runs on a Clock, so that tests of lossy
 * links run in virtual time: fast, deterministic, and repeatable from a seed.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds from an arbitrary start; never goes back. */
  now(): number;
  /** Calls `action` once, not earlier than `milliseconds` from now. */
  after(milliseconds: number, action: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, action) {
    const handle = setTimeout(action, milliseconds);
    return { cancel: () => clearTimeout(handle) };
  },
};
