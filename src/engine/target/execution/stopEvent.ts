/**
 * What a stop is, in the light of what we have put into the target: whose place was hit, whose step has ended, or nothing of
 * ours at all.
 *
 *   80000003   at a place of ours         somebody is there            places
 *              at an int3 of the code     a break-in, a bugcheck, …    code-breakpoint
 *              else                       our int3, but taken out since then: the instruction is still to be run: stale
 *   80000004   Dr6 has a slot's bit       its owner                    places
 *              the thread owes a trap     it has run one instruction   places, trapped
 *              at a place of ours         its guard                    places
 *              else                       a register's, but freed since then: stale
 *
 * Two processors may run into something at the same time. The second reports when the first was continued, which has
 * changed breakpoints and zeroed the Dr6 of both: so a place is known by its address first, and what Dr6 said of data is
 * saved before (`heldDr6`).
 */

import type { VirtualAddress } from '../../core/addresses';
import { slotsHit } from '../../cpu/debugRegisters';
import type { StoppedState } from '../../kd/clientState';
import { NtStatus } from '../../kd/ntstatus';
import { readControlReport, type ExceptionChange, type LoadSymbolsChange } from '../../kd/stateChange';
import type { CodeSite, CodeSites } from '../breakpoints/codeSites';
import type { DebugSlots } from '../breakpoints/debugSlots';
import type { Passing } from './passing';

export type StopEvent =
  /** @property trapped The thread has run an instruction that it was let run alone. */
  | { readonly kind: 'places'; readonly owners: readonly object[]; readonly trapped: boolean }
  /** A thread was let past a place, and still stands there. */
  | { readonly kind: 'again'; readonly site: CodeSite }
  | { readonly kind: 'stale' }
  | { readonly kind: 'code-breakpoint' }
  | { readonly kind: 'exception'; readonly change: ExceptionChange }
  | { readonly kind: 'module'; readonly change: LoadSymbolsChange }
  | { readonly kind: 'gone' }
  | { readonly kind: 'command' };

export interface Ours {
  readonly sites: CodeSites;
  readonly slots: DebugSlots;
  readonly passing: Passing;
}

/** Made by debuggers only: the guest shall never see it. */
export const isDebuggerTrap = (code: number): boolean =>
  code === NtStatus.Breakpoint || code === NtStatus.SingleStep || code === NtStatus.WakeSystemDebugger;

const int3 = 0xcc;
const singleStepped = 0x4000n;

/** @param heldDr6 What Dr6 of this processor was when the target last ran on. */
export function eventOf(stop: StoppedState, ours: Ours, heldDr6: bigint): StopEvent {
  const { change, version } = stop;
  switch (change.kind) {
    case 'loadSymbols':
      return { kind: 'module', change };
    case 'targetGone':
      return { kind: 'gone' };
    case 'commandString':
      return { kind: 'command' };
    case 'exception':
      break;
  }
  const { programCounter, thread, code } = change;
  const report = readControlReport(change, version.machine);
  if (code === NtStatus.Breakpoint) {
    const site = ours.sites.at(programCounter);
    if (site !== undefined && !site.isOwn)
      return { kind: 'places', owners: [...site.owners], trapped: false };
    const first = report.instructionStream.slice(0, Math.min(1, report.instructionCount));
    ours.sites.cover(programCounter, first);
    return { kind: first[0] === int3 ? 'code-breakpoint' : 'stale' };
  }
  if (code === NtStatus.SingleStep) return trapEvent(programCounter, thread, report.dr6 | heldDr6, ours);
  return { kind: 'exception', change };
}

function trapEvent(at: VirtualAddress, thread: VirtualAddress, dr6: bigint, ours: Ours): StopEvent {
  const { sites, slots, passing } = ours;
  const site = sites.at(at);
  const stands = passing.placeOf(thread, at);
  const hit = slotsHit(dr6).flatMap((slot) => slots.use(slot) ?? []);
  const stepped = (dr6 & singleStepped) !== 0n;
  // Dr6 may have been zeroed since: then a thread that owes a trap has trapped, unless it still stands there.
  const trapped =
    passing.owes(thread) && (stepped || (hit.length === 0 && (stands === undefined || !slots.executes(at))));
  if (stands !== undefined && (!trapped || passing.repeats(thread, at)))
    return { kind: 'again', site: stands };
  // Whoever arrives at a place, however, has hit it: it will be let past without a further trap.
  const owners = new Set(
    [...hit.filter(({ kind }) => kind !== 'execute'), ...slots.executing(at)]
      .filter(({ guarded }) => guarded === undefined)
      .map(({ owner }) => owner),
  );
  for (const owner of site?.owners ?? []) owners.add(owner);
  if (owners.size === 0 && !trapped) return { kind: 'stale' };
  return { kind: 'places', owners: [...owners], trapped };
}
