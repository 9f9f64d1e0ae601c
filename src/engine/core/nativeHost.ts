/**
 * native/host, the part that is C: what it offers, and how it is found. It is optional. Whoever asks gets it, or the reason
 * why it is not there, and goes another way.
 *
 *   nearest folder with a package.json, from this file upwards
 *     prebuilds/linux-x64/vmkd-host.napi.node
 *     prebuilds/win32-x64/vmkd-host.napi.node
 *
 * Invariants: no other folder's code is ever loaded; an error that comes out of it has one of `NativeFault`'s codes, and is
 * translated into one of vmkd's before anybody else sees it.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VmkdError, type ErrorCode } from './errors';

declare const ram: unique symbol;
declare const window: unique symbol;
declare const watch: unique symbol;
/** A file, or a process of which a mapping was chosen. */
export interface NativeRam {
  readonly [ram]: never;
}
export interface NativeWindow {
  readonly [window]: never;
}
export interface NativeWatch {
  readonly [watch]: never;
}

export interface NativeMapping {
  readonly address: bigint;
  readonly size: bigint;
  /** The file, as Windows names it: `\Device\HarddiskVolume3\machine\x.vmem`. */
  readonly name: string;
}

/** native/host/addon.c. Whatever is out of range, or of a type that it does not expect, is refused. */
export interface NativeHost {
  /** Windows only: from now on only this user, and the system, may open the pipe, whose first instance this process serves. */
  keepPrivate(pipe: string): void;
  openFile(path: string): NativeRam;
  openProcess(pid: number): NativeRam;
  /** Windows only: what the process maps of files and may write. */
  mappings(process: NativeRam): readonly NativeMapping[];
  useMapping(process: NativeRam, address: bigint, size: bigint): void;
  size(ram: NativeRam): number;
  check(ram: NativeRam): void;
  /** The first `count` ranges, one behind the other. */
  copy(ram: NativeRam, offsets: Float64Array, lengths: Uint32Array, count: number, into: Uint8Array): void;
  openWindow(ram: NativeRam, offsets: Float64Array): NativeWindow;
  readWindow(window: NativeWindow, offset: number, into: Uint8Array): void;
  writeWindow(window: NativeWindow, offset: number, bytes: Uint8Array): void;
  loadWord(window: NativeWindow, offset: number): number;
  storeWord(window: NativeWindow, offset: number, value: number): void;
  awaitWord(window: NativeWindow, offset: number, old: number, microseconds: number): number;
  /** @param plan Microseconds: spin, yield, shortest sleep, longest sleep. */
  watch(
    window: NativeWindow,
    offsets: Uint32Array,
    plan: Uint32Array,
    changed: (error: unknown) => void,
  ): NativeWatch;
  hurry(watch: NativeWatch): void;
  close(handle: NativeRam | NativeWindow | NativeWatch): void;
}

export type NativePart =
  | { readonly kind: 'loaded'; readonly host: NativeHost }
  | { readonly kind: 'absent'; readonly reason: VmkdError };

let found: NativePart | undefined;

/** Looked for once. */
export function nativePart(): NativePart {
  found ??= loadNativePart(packageFolder());
  return found;
}

/** @param folder The one that holds `prebuilds`. */
export function loadNativePart(folder: string): NativePart {
  const file = join(folder, 'prebuilds', `${process.platform}-${process.arch}`, 'vmkd-host.napi.node');
  if (!existsSync(file)) {
    const system = `${process.platform} on ${process.arch}`;
    return absent('native-absent', `There is no native part of vmkd for ${system}: ${file} does not exist`);
  }
  try {
    const host = createRequire(import.meta.url)(file) as Partial<NativeHost>;
    // Where the program offers too little of Node-API, there is nothing in it.
    if (host.openFile === undefined)
      return absent('native-refused', `${process.execPath} does not offer what ${file} needs`);
    return { kind: 'loaded', host: host as NativeHost };
  } catch (error) {
    return absent('native-refused', `${file} cannot be loaded: ${(error as Error).message}`, error);
  }
}

const absent = (code: ErrorCode, message: string, cause?: unknown): NativePart => ({
  kind: 'absent',
  reason: new VmkdError(code, message, { cause }),
});

/** Where this code belongs to: dist/ is one folder below, a test's bundle many. */
function packageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json'))) return folder;
  return here;
}

/** What went wrong there: native/host/failure.h. */
const faults = ['argument', 'range', 'lost', 'denied', 'absent', 'unsupported', 'system'] as const;
export type NativeFault = (typeof faults)[number];

/** The code of what native code threw; undefined if something else did. */
export function nativeFault(thrown: unknown): NativeFault | undefined {
  if (!(thrown instanceof Error) || thrown instanceof VmkdError || !('code' in thrown)) return undefined;
  return faults.find((fault) => fault === thrown.code);
}
