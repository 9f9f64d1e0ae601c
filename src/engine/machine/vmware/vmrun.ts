/**
 * vmrun, the command that comes with VMware Workstation, Player and Fusion: what to say to it, and what it says.
 *
 *   vmrun -T ws [-vp PASSWORD] COMMAND VMX [more]
 *
 *   list                 Total running VMs: 1            paused ones among them, and nothing tells them apart
 *                        /vms/a/a.vmx
 *   listSnapshots VMX    Total snapshots: 2              with showTree, children are indented by tabs
 *                        first
 *   readVariable VMX guestVar NAME                       the value; an empty line if there is none
 *   anything             Error: The virtual machine is not powered on: /vms/a/a.vmx        on its standard output
 *
 * Known, from public scripts and logs: the above; that errors come with exit code 255 (-1), but also with 0; these sentences:
 * “Cannot open VM: VMX, The virtual machine cannot be found”, “…, A password is required for this operation”, “…, Incorrect
 * password”, “…, Cannot read the virtual machine configuration file”, “Unable to connect to host.”
 * Assumed: how it refuses to pause a paused machine, and its like.
 * Not tried: vmrun itself. No VMware is at hand where this is built.
 */

import { decodeAnsi } from '../../core/text';
import { VmkdError, type ErrorCode } from '../../core/errors';
import type { VmrunHostType } from './places';

export interface VmrunLogin {
  readonly hostType: VmrunHostType;
  /** Of the machine's encryption. It stands on vmrun's command line, where other processes of this computer may see it. */
  readonly password?: string;
}

export const vmrunArguments = ({ hostType, password }: VmrunLogin, command: readonly string[]): string[] => [
  ...['-T', hostType],
  ...(password === undefined ? [] : ['-vp', password]),
  ...command,
];

/** How a run ended. */
export interface VmrunResult {
  /** Null: it was killed. */
  readonly code: number | null;
  readonly output: string;
}

/** What it prints is UTF-8, or in the code page of Windows. */
export function decodeOutput(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return decodeAnsi(bytes);
  }
}

const meanings: readonly (readonly [RegExp, ErrorCode])[] = [
  [/password/i, 'machine-password-needed'],
  [/not powered on|is not running/i, 'machine-off'],
  [/cannot be found|Cannot read the virtual machine configuration/i, 'machine-config-unreadable'],
  [/Unable to connect to host/i, 'machine-no-control'],
];

/** The machine is already as it was to become. */
const done = /already (?:paused|suspended|powered on|running)|is not paused|not currently paused/i;

/** Why a run failed; undefined if it did not. @param command For the sentence: “pause”. */
export function vmrunFailure({ code, output }: VmrunResult, command: string): VmkdError | undefined {
  const lines = output.split(/\r?\n/).map((line) => line.trim());
  const complaints = lines.filter((line) => /^Error: |^Unable to connect to host/i.test(line));
  if (complaints.length === 0 && code === 0) return undefined;
  const words = (complaints.length > 0 ? complaints : lines.filter((line) => line !== ''))
    .join(' ')
    .slice(0, 1000);
  if (done.test(words)) return undefined;
  const errorCode = meanings.find(([pattern]) => pattern.test(words))?.[1] ?? 'machine-control-refused';
  const said = words === '' ? `ended with code ${code ?? 'none'}` : `says: ${words}`;
  const nextStep = errorCode === 'machine-no-control' ? { nextStep: wrongHostType } : {};
  return new VmkdError(errorCode, `vmrun ${command} ${said}`, nextStep);
}

const wrongHostType =
  'Is the VMware product that runs the machine the one of this vmrun? Say which it is with VMKD_VMRUN_TYPE (ws, player or fusion).';

const mostLines = 4096;

/** Paths of the machines that run, from the answer to `list`. */
export const runningPaths = (output: string): string[] =>
  linesAfter(output, /^Total running VMs:/i).map((line) => line.trim());

/** Names from the answer to `listSnapshots`. */
export const snapshotNames = (output: string): string[] =>
  linesAfter(output, /^Total snapshots:/i).map((line) => line.replace(/^\t+/, ''));

function linesAfter(output: string, head: RegExp): string[] {
  const lines = output.split(/\r?\n/).slice(0, mostLines);
  const at = lines.findIndex((line) => head.test(line));
  return at < 0 ? [] : lines.slice(at + 1).filter((line) => line.trim() !== '');
}
