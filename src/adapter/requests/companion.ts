/** The pipe for WinDbg: opening and closing it, handing the kernel over and taking it back. */

import { VmkdError } from '../../engine/core/errors';
import type { CompanionPipe } from '../companionPipe';
import type { Family } from '../protocol';
import type { Session } from '../session';

export const companion: Family = {
  requests: {
    handOver: (session, { to }) => handOver(session, to),

    async 'vmkd/startCompanion'(session, { place }) {
      return { pipe: await session.turn.run(() => companionOf(session).start(place)) };
    },

    async 'vmkd/stopCompanion'(session) {
      await session.turn.run(() => companionOf(session).stop());
    },
  },
};

/** @throws companion-none, companion-absent, target-did-not-stop, request-bad */
export async function handOver(session: Session, to: string): Promise<void> {
  const pipe = companionOf(session).mustBe();
  if (to === 'windbg') await session.turn.run(() => pipe.give());
  else if (to === 'session') await session.turn.run(() => pipe.take());
  else throw new VmkdError('request-bad', `There is nobody called “${to}” to hand the kernel over to`);
}

/** @throws target-not-attached */
export function companionOf({ companion: pipe }: Session): CompanionPipe {
  if (pipe === undefined) throw new VmkdError('target-not-attached', 'There is no kernel yet');
  return pipe;
}
