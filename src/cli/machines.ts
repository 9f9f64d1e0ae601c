/** `vmkd machines`: the virtual machines of this computer, and what stands between them and a debugger. */

import { VmkdError } from '../engine/core/errors';
import { findMachine, findMachines } from '../engine/machine/find';
import type { Machine } from '../engine/machine/machine';
import type { PhysicalLayout } from '../engine/machine/ram/layout';
import type { RamLocation } from '../engine/machine/ram/location';
import { parseCommandLine, type Command } from './command';
import { toJson } from './json';

export const machines: Command = {
  name: 'machines',
  usage: 'machines [MACHINE] [--json]',
  summary:
    'Lists the virtual machines of this computer, where their kernels can be debugged, and what is in the way.',
  details: `  MACHINE            only this one: its name, the path of its .vmx, its link, or a part of these
  --json             the same as one JSON object

  VMware's machines come from the libraries of Workstation, Player and Fusion, from what runs, and from vmrun; VMKD_VMRUN
  says where vmrun is. QEMU's are found while they run (Linux), by their command lines and QMP sockets.
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, { json: { type: 'boolean', default: false } });
    const [wanted] = positionals;
    if (positionals.length > 1) throw new VmkdError('usage', 'vmkd machines wants one machine at most');
    const found =
      wanted === undefined ? await findMachines() : { machines: [await findMachine(wanted)], problems: [] };
    if (values.json) {
      terminal.out(toJson({ machines: found.machines.map(asData), problems: found.problems }));
      return;
    }
    terminal.rows(found.machines.flatMap((machine) => [...describe(machine), '']));
    if (found.machines.length === 0) terminal.rows(['No virtual machine was found.']);
    for (const problem of found.problems) terminal.rows(problemLines(problem, ''));
  },
};

const asData = (machine: Machine): object => {
  const { name, where, state, pid, facts, links, problems } = machine;
  return { name, where, state, pid, links, ram: machine.ramLocation(), facts, problems };
};

function describe(machine: Machine): string[] {
  const { name, where, state, links, problems } = machine;
  return [
    `${name}: ${state}`,
    `    ${describeKind(machine)}, ${where}`,
    ...links.map(({ port, link }) => `    COM${port} of the guest: ${link}`),
    `    memory: ${describeRam(machine.ramLocation(), machine.facts.layout)}`,
    ...problems.flatMap((problem) => problemLines(problem, '    ')),
  ];
}

function describeKind({ facts }: Machine): string {
  if (facts.kind === 'qemu') return `QEMU ${facts.commandLine.machineType ?? 'pc'}`;
  const { vmx } = facts;
  if (vmx === undefined) return 'VMware';
  const { guestOS, firmware, secureBoot, virtualTpm, encryption, debugStub } = vmx;
  const said = [
    guestOS ?? 'VMware',
    firmware === 'efi' ? (secureBoot ? 'EFI with Secure Boot' : 'EFI') : 'BIOS',
    virtualTpm ? 'virtual TPM' : undefined,
    encryption === 'none' ? undefined : `${encryption} encryption`,
    debugStub && `debugStub at port ${debugStub.port}`,
  ];
  return said.filter((one) => one !== undefined).join(', ');
}

function describeRam(ram: RamLocation, layout: PhysicalLayout | undefined): string {
  const size =
    layout === undefined ? '' : `${sizeText(layout.totalBytes)}, ${sizeText(layout.lowBytes)} of it low, `;
  switch (ram.kind) {
    case 'file':
      return `${size}in the file ${ram.path}`;
    case 'process':
      return `${size}in the process ${ram.pid}${ram.vmem === undefined ? '' : `, as ${ram.vmem}`}`;
    case 'none':
      return `${size}not to be seen from here`;
  }
}

const sizeText = (bytes: number): string =>
  bytes % 2 ** 30 === 0 ? `${bytes / 2 ** 30} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;

/** A next step may be lines to copy. */
const problemLines = ({ code, message, nextStep }: VmkdError, indent: string): string[] => [
  `${indent}! ${message} [${code}]`,
  ...nextStep.split('\n').map((line) => `${indent}  ${line}`),
];
