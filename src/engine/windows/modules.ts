/**
 * The kernel's list of loaded modules: PsLoadedModuleList, a circular list of KLDR_DATA_TABLE_ENTRY.
 *
 *   x64:  0 InLoadOrderLinks   30 DllBase  38 EntryPoint  40 u32 SizeOfImage  48 FullDllName  58 BaseDllName
 *         68 u32 Flags         78 CheckSum in older builds
 *   x86:  0 InLoadOrderLinks   18 DllBase  1c EntryPoint  20 u32 SizeOfImage  24 FullDllName  2c BaseDllName
 *   UNICODE_STRING: 0 u16 Length (bytes)  2 u16 MaximumLength  8 (x86: 4) Buffer
 *
 * The list is hostile: its walk is bounded, and ends at the first entry seen before.
 * Source: layouts stable from Windows XP to 11, as KD itself publishes them through public symbols.
 */

import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { layout, u16, u32, va, type FieldType } from '../core/layout';
import { decodeUtf16z, visibleText } from '../core/text';
import { readMemory, readPointer, type VirtualMemory } from '../memory/virtualMemory';

export interface LoadedModule {
  /** File name as the loader knows it, e.g. `ntoskrnl.exe`. Hostile text. */
  readonly name: string;
  readonly path: string;
  readonly base: VirtualAddress;
  /** Bytes in memory. */
  readonly size: number;
  readonly entryPoint: VirtualAddress;
  /** KLDR_DATA_TABLE_ENTRY. */
  readonly entry: VirtualAddress;
}

const mostModules = 4096;
const longestPath = 1024;

/** A pointer of a 32-bit target. */
const va32: FieldType<VirtualAddress> = {
  size: 4,
  notation: 'address',
  read: (view, at) => signExtend32(view.getUint32(at, true)),
  write: (view, at, value) => view.setUint32(at, Number(BigInt.asUintN(32, value)), true),
};

const entries = {
  8: layout(0x68, {
    flink: [0x00, va],
    dllBase: [0x30, va],
    entryPoint: [0x38, va],
    sizeOfImage: [0x40, u32],
    fullLength: [0x48, u16],
    fullBuffer: [0x50, va],
    baseLength: [0x58, u16],
    baseBuffer: [0x60, va],
  }),
  4: layout(0x34, {
    flink: [0x00, va32],
    dllBase: [0x18, va32],
    entryPoint: [0x1c, va32],
    sizeOfImage: [0x20, u32],
    fullLength: [0x24, u16],
    fullBuffer: [0x28, va32],
    baseLength: [0x2c, u16],
    baseBuffer: [0x30, va32],
  }),
} as const;

/**
 * @param list Address of PsLoadedModuleList. @param pointerSize 8 for x64, 4 for x86.
 * @returns In load order; the first is the kernel.
 * @throws memory-unreadable if the list itself cannot be read; an entry that cannot ends the walk with an error too.
 */
export async function readLoadedModules(
  memory: VirtualMemory,
  list: VirtualAddress,
  pointerSize: 4 | 8,
): Promise<LoadedModule[]> {
  const modules: LoadedModule[] = [];
  const seen = new Set<bigint>([list]);
  let at = await readPointer(memory, list, pointerSize);
  while (!seen.has(at)) {
    if (modules.length === mostModules) {
      throw new VmkdError('protocol-violation', `The module list has more than ${mostModules} entries`);
    }
    seen.add(at);
    const { module, next } = await readEntry(memory, at, pointerSize);
    modules.push(module);
    at = next;
  }
  return modules;
}

/** The first and the last entry of the list: if both are as before, hardly anything has come or gone. @throws as above */
export async function readListEnds(
  memory: VirtualMemory,
  list: VirtualAddress,
  pointerSize: 4 | 8,
): Promise<{ readonly first: VirtualAddress; readonly last: VirtualAddress }> {
  return {
    first: await readPointer(memory, list, pointerSize),
    last: await readPointer(memory, plus(list, pointerSize), pointerSize),
  };
}

/** One entry of the list. @throws memory-unreadable */
export async function readLoadedModule(
  memory: VirtualMemory,
  entry: VirtualAddress,
  pointerSize: 4 | 8,
): Promise<LoadedModule> {
  return (await readEntry(memory, entry, pointerSize)).module;
}

async function readEntry(
  memory: VirtualMemory,
  at: VirtualAddress,
  pointerSize: 4 | 8,
): Promise<{ readonly module: LoadedModule; readonly next: VirtualAddress }> {
  const structure = entries[pointerSize];
  const entry = structure.read(await readMemory(memory, at, structure.size));
  const module = {
    name: await readString(memory, entry.baseBuffer, entry.baseLength),
    path: await readString(memory, entry.fullBuffer, entry.fullLength),
    base: entry.dllBase,
    size: entry.sizeOfImage,
    entryPoint: entry.entryPoint,
    entry: at,
  };
  return { module, next: entry.flink };
}

/** A name that is paged out is shown as such, not as a failure of the list. Whoever prints it prints text, whatever the guest says. */
async function readString(memory: VirtualMemory, buffer: VirtualAddress, length: number): Promise<string> {
  const wanted = Math.min(length, longestPath);
  if (wanted === 0) return '';
  const bytes = await memory.readPartial(buffer, wanted);
  return bytes.length === wanted ? visibleText(decodeUtf16z(bytes)) : '<paged out>';
}
