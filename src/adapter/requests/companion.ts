/** Handing the kernel over to WinDbg, and taking it back. */

import { VmkdError } from '../../engine/core/errors';
import type { SessionCompanion } from '../companion';
import type { Family } from '../protocol';
import type { Session } from '../session';

export const companion: Family = {
  requests: {
    handOver: (session, { to }) => handOver(session, to),
  },
};

/** @throws target-unsupported, companion-absent, target-did-not-stop, request-bad */
export async function handOver(session: Session, to: string): Promise<void> {
  const pipe = companionOf(session);
  if (to === 'windbg') await session.turn.run(() => pipe.give());
  else if (to === 'session') await session.turn.run(() => pipe.take());
  else throw new VmkdError('request-bad', `There is nobody called “${to}” to hand the kernel over to`);
}

/** @throws target-unsupported */
export function companionOf({ companion: pipe }: Session): SessionCompanion {
  if (pipe !== undefined) return pipe;
  throw new VmkdError('target-unsupported', 'This session has no companion pipe', {
    nextStep: 'Set “companion” in launch.json to the name of a pipe, and start again.',
  });
}
