/** A session in one line, for the bar at the bottom; and what stands behind it, for the hover. */

import type { SessionState } from './sessionState';

/** @param threadId DAP's number of the thread that is looked at; else it is the processor that stopped. */
export function statusText(state: SessionState, threadId = state.threadId): string {
  const { phase, transport, threads, reason, parking, companion } = state;
  const parts = [
    transport?.tier,
    processorsOf(threads),
    phase === 'stopped' ? (reason ?? 'stopped') : phase,
    phase === 'stopped' ? processOf(state, threadId) : undefined,
    parking === 'parked' ? 'parked' : undefined,
    companion?.driver === 'windbg' ? 'WinDbg drives' : undefined,
  ];
  return `$(${icons[phase]}) ${parts
    .filter((part) => part !== undefined)
    .map(plain)
    .join(' · ')}`;
}

const icons = {
  attaching: 'sync~spin',
  running: 'play-circle',
  stopped: 'debug-pause',
  ended: 'debug-disconnect',
} as const;

/** Threads that sleep may be among them. */
function processorsOf(threads: SessionState['threads']): string | undefined {
  const count = [...threads.values()].filter((name) => /^CPU \d/.test(name)).length;
  return count === 0 ? undefined : `${count} CPU${count === 1 ? '' : 's'}`;
}

/** What a thread is in: what its name says behind the number. */
function processOf({ threads }: SessionState, threadId: number | undefined): string | undefined {
  const name = threadId === undefined ? undefined : threads.get(threadId);
  return name === undefined ? undefined : /: ([^,]*)/.exec(name)?.[1];
}

/** VS Code draws icons where a text has `$(name)`: a process may be called so. */
const plain = (text: string): string => text.replaceAll('$(', '$ (');

/** Lines, without any marks. */
export function statusDetails({ transport, parking, companion, threads, failure }: SessionState): string[] {
  const lines = [...threads.values()];
  if (transport !== undefined) {
    lines.unshift(
      `Transport: ${transport.tier}${transport.memory === undefined ? '' : `, memory by ${transport.memory}`}`,
    );
    if (transport.why !== undefined)
      lines.push(`Why not better: ${transport.why.message}. ${transport.why.nextStep}`);
  }
  if (parking !== undefined) lines.push(`Parking: ${parking}`);
  if (companion !== undefined)
    lines.push(`WinDbg ${companion.windbg === 'attached' ? 'is attached' : 'may attach'}: ${companion.pipe}`);
  if (failure !== undefined) lines.push(failure);
  return lines;
}
