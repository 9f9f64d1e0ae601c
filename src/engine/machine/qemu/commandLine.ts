/**
 * What the command line of a QEMU says about its machine: name, memory, serial ports, monitors.
 *
 * Not looked at: -readconfig files, options that a -set changes later, and the defaults of a QEMU that was built otherwise.
 *
 * Source of truth: QEMU's docs/system/invocation (-name, -machine, -m, -object, -serial, -chardev, -mon, -qmp, -S).
 */

import path from 'node:path';
import { monitorsOf, serialsOf, type QemuSerial } from './characterDevices';
import { isOn, parseOptionList, parseSize } from './optionList';
import type { QmpAddress } from './qmp';

export interface QemuCommandLine {
  /** -name's; undefined: it has none. */
  readonly name: string | undefined;
  /** What it boots from or for, as a name for want of a better one. */
  readonly image: string | undefined;
  /** `pc`, `q35`, `pc-i440fx-7.2`… as given; undefined: QEMU's default. */
  readonly machineType: string | undefined;
  /** Bytes; 128 MiB unless given. */
  readonly memoryBytes: number;
  /** -machine max-ram-below-4g, bytes. */
  readonly mostLowMemory: number | undefined;
  readonly memory: QemuMemory;
  /** In the order of the guest's COM ports. */
  readonly serials: readonly QemuSerial[];
  /** QMP monitors that QEMU listens on, on this machine. */
  readonly monitors: readonly QmpAddress[];
  /** There is a QMP monitor that listens to nobody new: QEMU has connected it, or it is a terminal. */
  readonly otherMonitors: boolean;
}

export type QemuMemory =
  | { readonly kind: 'file'; readonly id: string; readonly path: string }
  /** Why nobody else sees it. */
  | { readonly kind: 'private'; readonly why: string };

const usualMemory = 128 * 2 ** 20;

/** Options that take a value; what a QEMU has besides takes none, or takes one that does not look like an option. */
const withValue = new Set(
  (
    'name machine M m object mem-path serial chardev mon qmp qmp-pretty monitor drive hda hdb cdrom kernel initrd append ' +
    'device blockdev netdev nic net cpu smp accel bios pflash uuid rtc boot smbios display vga spice vnc pidfile D d global ' +
    'set readconfig numa sandbox msg overcommit k audiodev parallel debugcon virtfs fsdev icount loadvm incoming runas L'
  ).split(' '),
);

/** One option of the command line. */
export interface QemuArgument {
  /** Without dashes. */
  readonly option: string;
  readonly value: string;
}

/** @param args Without the program. @param folder The process' working folder; undefined if it is not known. */
export function parseQemuCommandLine(args: readonly string[], folder: string | undefined): QemuCommandLine {
  const given = splitArguments(args);
  const all = (...options: string[]): string[] =>
    given.filter(({ option }) => options.includes(option)).map(({ value }) => value);
  const at = (file: string): string => (folder === undefined ? file : path.posix.resolve(folder, file));

  const machine = new Map(all('machine', 'M').flatMap((value) => [...parseOptionList(value, 'type')]));
  const size = parseOptionList(all('m').at(-1) ?? '', 'size').get('size') ?? '';
  const monitors = monitorsOf(given, at);
  const names = parseOptionList(all('name').at(-1) ?? '', 'guest').get('guest');
  return {
    name: names === '' ? undefined : names,
    image: imageOf(given),
    machineType: machine.get('type'),
    memoryBytes: parseSize(size, 'm') ?? usualMemory,
    mostLowMemory: parseSize(machine.get('max-ram-below-4g') ?? '', ''),
    memory: memoryOf(given, machine.get('memory-backend'), at),
    serials: serialsOf(given, at),
    monitors: monitors.filter((address) => address !== undefined),
    otherMonitors: monitors.includes(undefined),
  };
}

function splitArguments(args: readonly string[]): QemuArgument[] {
  const given: QemuArgument[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (!/^--?[a-z]/i.test(arg)) {
      given.push({ option: 'hda', value: arg });
      continue;
    }
    const option = arg.replace(/^--?/, '');
    const next = args[i + 1];
    const takesNext = next !== undefined && (withValue.has(option) || !next.startsWith('-'));
    given.push({ option, value: takesNext ? next : '' });
    if (takesNext) i++;
  }
  return given;
}

function imageOf(given: readonly QemuArgument[]): string | undefined {
  for (const { option, value } of given) {
    const file =
      option === 'drive' || option === 'blockdev'
        ? (parseOptionList(value, 'file').get('file') ?? parseOptionList(value, 'driver').get('filename'))
        : ['hda', 'cdrom', 'kernel'].includes(option)
          ? value
          : undefined;
    if (file !== undefined && file !== '') return path.posix.basename(file);
  }
  return undefined;
}

// --- memory

function memoryOf(
  given: readonly QemuArgument[],
  backend: string | undefined,
  at: (file: string) => string,
): QemuMemory {
  if (given.some(({ option, value }) => option === 'numa' && /\bmem(?:dev)?=/.test(value)))
    return { kind: 'private', why: 'its memory is in several parts (-numa)' };
  if (backend === undefined) {
    const why = given.some(({ option }) => option === 'mem-path')
      ? 'the file of -mem-path has no name any more'
      : 'it has no memory backend';
    return { kind: 'private', why };
  }
  const object = given
    .filter(({ option }) => option === 'object')
    .map(({ value }) => parseOptionList(value, 'qom-type'))
    .find((options) => options.get('id') === backend);
  const type = object?.get('qom-type');
  if (object === undefined || type !== 'memory-backend-file')
    return { kind: 'private', why: `its memory backend is ${type ?? 'not there'}, not a file` };
  const file = object.get('mem-path');
  if (file === undefined) return { kind: 'private', why: 'its memory backend names no file' };
  // Without it QEMU sees its own copy, and the file stays as it was.
  if (!isOn(object, 'share')) return { kind: 'private', why: 'its memory file is not shared (share=on)' };
  return { kind: 'file', id: backend, path: at(file) };
}
