/** Machines as they are offered to be chosen: their state, and the way that a debugger would get to them. */

import type { Machine } from '../../engine/machine/machine';

export interface OfferedMachine {
  readonly name: string;
  /** What `vm` in a launch configuration must be. */
  readonly where: string;
  readonly state: string;
  /** The transport that can be expected, or what is in the way. */
  readonly way: string;
}

/** Those that can be debugged come first, running ones before others. */
export function offeredMachines(machines: readonly Machine[]): OfferedMachine[] {
  const offered = machines.map((machine) => ({
    name: machine.name,
    where: machine.where,
    state: machine.state,
    way: wayOf(machine),
    rank: (machine.links.length > 0 ? 0 : 2) + (machine.state === 'running' ? 0 : 1),
  }));
  return offered.sort((a, b) => a.rank - b.rank).map(({ rank: _, ...machine }) => machine);
}

function wayOf(machine: Machine): string {
  const [link] = machine.links;
  if (link === undefined) return machine.problems[0]?.message ?? 'It has no serial port for a debugger';
  // What there is of memory is proven only when a kernel answers.
  const transport = machine.ramLocation().kind === 'none' ? 'serial' : 'hybrid or mailbox';
  return `${transport}, COM${link.port} at ${link.link}`;
}
