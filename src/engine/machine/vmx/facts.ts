/**
 * What a .vmx says that a debugger wants to know, typed. Nothing here is checked against a running machine.
 *
 * Known (VMware's manuals and KB articles, open-vm-tools, public .vmx files and logs):
 *   memsize                       MiB
 *   pciHole.start, .dynStart      MiB: where guest-physical memory has its hole; the smaller of the two, in steps of 4
 *   mainMem.useNamedFile          FALSE: memory has no file on Windows; mainMem.backing "swap" or "unnamed": none on Linux
 *   workingDir                    where the .vmem is, if not beside the .vmx
 *   uuid.location                 names it: “56 4d eb d5 e8 72 83 5f-07 36 3b 58 1e a6 25 c9” makes
 *                                 564debd5-e872-835f-0736-3b581ea625c9.vmem (so say the logs of the machines)
 *   vmx.encryptionType "partial"  with encryption.keySafe, .data: what a virtual TPM brings; the rest stays readable
 *   encryption.keySafe alone      the whole configuration is in encryption.data
 *   firmware "efi", uefi.secureBoot.enabled, vtpm.present, debugStub.listen.guest64 and .guest32, numvcpus
 * Assumed: without pciHole the hole begins at 3 GiB (seen by LeechCore and Volatility on hardware of these years; other
 * values exist in the program); older machines name the .vmem after uuid.bios or the .vmx.
 */

import path from 'node:path';
import type { HostSystem } from '../host';
import type { Dictionary } from './dictionary';
import { serialPorts, type SerialPort } from './serialPorts';

export interface VmxFacts {
  /** What the GUI calls it; undefined: it calls it as the file is called. */
  readonly displayName: string | undefined;
  readonly guestOS: string | undefined;
  readonly hardwareVersion: number | undefined;
  /** Undefined: the file does not say, or says nonsense. */
  readonly memoryBytes: number | undefined;
  /** Where the hole below 4 GiB begins, bytes. */
  readonly holeStart: number;
  /** The file says so; else it is what most machines have. */
  readonly holeIsConfigured: boolean;
  readonly processors: number;
  readonly firmware: 'bios' | 'efi';
  readonly secureBoot: boolean;
  readonly virtualTpm: boolean;
  readonly encryption: 'none' | 'partial' | 'full';
  readonly debugStub: DebugStub | undefined;
  readonly readOnly: boolean;
  /** Whether memory has a file with a name while the machine runs. */
  readonly namedMemory: boolean;
  /** File names or paths that the .vmem may have, the likeliest first. */
  readonly vmemNames: readonly string[];
  readonly serialPorts: readonly SerialPort[];
}

/** VMware's own GDB server. */
export interface DebugStub {
  readonly bits: 32 | 64;
  readonly port: number;
  /** It listens for other computers too. */
  readonly remote: boolean;
}

const mebibyte = 1 << 20;
const usualHole = 3072 * mebibyte;
/** More than any VMware product gives a guest. */
const mostMemory = 2 ** 45;

export function vmxFacts(vmx: Dictionary, vmxPath: string, platform: HostSystem): VmxFacts {
  const hole = holeOf(vmx);
  return {
    displayName: nonEmpty(vmx.text('displayName')),
    guestOS: nonEmpty(vmx.text('guestOS')),
    hardwareVersion: vmx.number('virtualHW.version'),
    memoryBytes: memoryOf(vmx),
    holeStart: hole ?? usualHole,
    holeIsConfigured: hole !== undefined,
    processors: Math.min(Math.max(vmx.number('numvcpus') ?? 1, 1), 1024),
    firmware: vmx.text('firmware')?.toLowerCase() === 'efi' ? 'efi' : 'bios',
    secureBoot: vmx.flag('uefi.secureBoot.enabled') ?? false,
    virtualTpm: vmx.flag('vtpm.present') ?? false,
    encryption: encryptionOf(vmx),
    debugStub: debugStubOf(vmx, 64) ?? debugStubOf(vmx, 32),
    readOnly: vmx.flag('config.readonly') ?? false,
    namedMemory: isMemoryNamed(vmx, platform),
    vmemNames: vmemNames(vmx, vmxPath, platform),
    serialPorts: serialPorts(vmx),
  };
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

function memoryOf(vmx: Dictionary): number | undefined {
  const bytes = (vmx.number('memsize') ?? 0) * mebibyte;
  return bytes > 0 && bytes <= mostMemory ? bytes : undefined;
}

function holeOf(vmx: Dictionary): number | undefined {
  const starts = [vmx.number('pciHole.start'), vmx.number('pciHole.dynStart')].filter(
    (start) => start !== undefined,
  );
  const start = Math.min(...starts.filter((one) => one > 0));
  // What does not fit below 4 GiB the program itself does not take.
  return start >= 4 && start <= 4064 ? Math.floor(start / 4) * 4 * mebibyte : undefined;
}

function encryptionOf(vmx: Dictionary): VmxFacts['encryption'] {
  const encrypted = vmx.text('encryption.keySafe') !== undefined || vmx.text('encryption.data') !== undefined;
  if (!encrypted) return 'none';
  // What stays readable shows how much is encrypted, also where the type is not named.
  const readable =
    vmx.text('vmx.encryptionType')?.toLowerCase() === 'partial' || vmx.text('memsize') !== undefined;
  return readable ? 'partial' : 'full';
}

function debugStubOf(vmx: Dictionary, bits: 32 | 64): DebugStub | undefined {
  const remote = vmx.flag(`debugStub.listen.guest${bits}.remote`) ?? false;
  if (!remote && vmx.flag(`debugStub.listen.guest${bits}`) !== true) return undefined;
  return { bits, port: vmx.number(`debugStub.port.guest${bits}`) ?? (bits === 64 ? 8864 : 8832), remote };
}

function isMemoryNamed(vmx: Dictionary, platform: HostSystem): boolean {
  const backing = vmx.text('mainMem.backing')?.toLowerCase();
  if (platform !== 'win32' && backing !== undefined) return backing === 'named';
  return vmx.flag('mainMem.useNamedFile') ?? true;
}

function vmemNames(vmx: Dictionary, vmxPath: string, platform: HostSystem): string[] {
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const beside = paths.dirname(vmxPath);
  const folder = paths.resolve(beside, nonEmpty(vmx.text('workingDir')) ?? '.');
  const stems = [
    uuidName(vmx.text('uuid.location')),
    uuidName(vmx.text('uuid.bios')),
    paths.basename(vmxPath, paths.extname(vmxPath)),
  ];
  const names = stems.filter((stem) => stem !== undefined).map((stem) => paths.join(folder, `${stem}.vmem`));
  return [...new Set(names)];
}

/** “56 4d eb d5 e8 72 83 5f-07 36 3b 58 1e a6 25 c9” in the usual groups of digits. */
function uuidName(uuid: string | undefined): string | undefined {
  const digits = (uuid ?? '').replace(/[ -]/g, '').toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(digits)) return undefined;
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => digits.slice(from, to))
    .join('-');
}
