/**
 * When a tree of what a stopped kernel has is read again: a pure function of how its session stood, and stands. On a slow line a
 * list of processes takes as long as a step: who steps on must not wait for it.
 *
 *   another session, another kernel ─▶ at once, and nothing of before is shown      the first stop ─▶ at once
 *   another stop ─▶ once it lasts      it runs ─▶ not at all: what was read stays, and is said to be old
 */

import type { SessionState } from '../session/sessionState';

export type Moment = Pick<SessionState, 'phase' | 'epoch' | 'boot'> & {
  /** Of the session. */
  readonly id: string;
};

/** Milliseconds that a stop must last. */
export const settleTime = 1000;

/** @param before, now undefined: no session is shown. @param isRead Whether anything of this kernel was read. */
export function whenToRead(
  before: Moment | undefined,
  now: Moment | undefined,
  isRead: boolean,
): 'afresh' | 'at once' | 'soon' | 'not' {
  if (before?.id !== now?.id || before?.boot !== now?.boot) return 'afresh';
  if (now?.phase !== 'stopped') return 'not';
  if (!isRead) return 'at once';
  return before?.phase === 'stopped' && before.epoch === now.epoch ? 'not' : 'soon';
}

export const isSame = (a: Moment | undefined, b: Moment | undefined): boolean =>
  a?.id === b?.id && a?.phase === b?.phase && a?.epoch === b?.epoch && a?.boot === b?.boot;
