/**
 * Waiting with a limit that may be infinite. A timer of Node that is asked for more than 2^31-1 ms fires at once, so
 * that “for ever” and “a month” need care in one place.
 */

import type { Clock } from './clock';

const longestTimer = 2 ** 31 - 1;

/** Calls `action` after that time, never if it is Infinity or beyond 24 days. Returns what stops it. */
export function after(clock: Clock, milliseconds: number, action: () => void): () => void {
  if (milliseconds > longestTimer) return () => {};
  const timer = clock.after(Math.max(0, milliseconds), action);
  return () => timer.cancel();
}
