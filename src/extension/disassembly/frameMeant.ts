/**
 * Which frame VS Code means by what it hands to commands in the menu of the call stack: it names frames and threads by texts of its
 * own.
 *
 *   stackframe:thread:SESSION:3:12:work.c      frame 12 of DAP's thread 3
 */

interface FrameContext {
  readonly sessionId?: unknown;
  readonly threadId?: unknown;
  readonly frameId?: unknown;
}

export interface FrameMeant {
  readonly sessionId: string;
  /** DAP's. */
  readonly threadId: number;
  /** In its stack. */
  readonly index: number;
}

/** @param given By VS Code, all of it. @returns undefined: it is no frame */
export function frameMeant(given: readonly unknown[]): FrameMeant | undefined {
  for (const one of given) {
    const { sessionId, threadId, frameId } = (one ?? {}) as FrameContext;
    if (typeof sessionId !== 'string' || typeof threadId !== 'string' || typeof frameId !== 'string')
      continue;
    const prefix = `stackframe:${threadId}:`;
    const [thread] = /\d+$/.exec(threadId) ?? [];
    const [index] = (frameId.startsWith(prefix) && /^\d+/.exec(frameId.slice(prefix.length))) || [];
    if (thread !== undefined && index !== undefined)
      return { sessionId, threadId: Number(thread), index: Number(index) };
  }
  return undefined;
}
