/**
 * Tells the client which way bytes come, and why not a better one: an event for its views, a line for people. The event is
 * none of DAP's: `vmkd/transport`, { tier, memory?, why?: { code, message, nextStep } }.
 */

import type { Transport, TransportState } from '../engine/target/transport';
import type { OwnEvents } from '../protocol/ownRequests';
import type { Session } from './session';

export function followTransport(session: Session, transport: Transport): void {
  let shown: TransportState['tier'] | undefined;
  let whyShown: string | undefined;
  const tell = (state: TransportState): void => {
    const { tier, memory, why } = state;
    // On the way out everything is let go.
    if (session.phase === 'ended') return;
    session.events.send('vmkd/transport', {
      tier,
      ...(memory !== undefined && { memory }),
      ...(why !== undefined && { why: why.toJSON() }),
    } satisfies OwnEvents['vmkd/transport']);
    // What is not proven yet may be so a moment later; it is news only if it stays.
    if (why?.code === 'ram-unproven' || (tier === shown && why?.code === whyShown)) return;
    [shown, whyShown] = [tier, why?.code];
    session.output.line('console', describe(state));
  };
  tell(transport.state);
  transport.onChange.add(tell);
}

function describe({ tier, memory, why }: TransportState): string {
  const way = {
    serial: 'Everything comes over the debug port.',
    hybrid: `Memory is read in the machine’s RAM (${memory ?? ''}), all else comes over the debug port.`,
    mailbox:
      memory === undefined
        ? 'Packets go through the machine’s RAM; memory is asked for by KD.'
        : `Packets and memory go through the machine’s RAM (${memory}).`,
  }[tier];
  return why === undefined
    ? `Transport: ${tier}. ${way}`
    : `Transport: ${tier}. ${way} Why not better: ${why.message}. ${why.nextStep}`;
}
