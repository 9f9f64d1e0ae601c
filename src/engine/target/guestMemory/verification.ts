/**
 * Whether what the host sees as guest RAM is the memory of the kernel that KD talks to, now. Everything that could be wrong
 * about it is compared with what KD says itself, while the kernel stands still:
 *
 *   the kernel's own count of its memory        the layout, and that all of it is here
 *   page tables, entry by entry, both ways      the address space, and where its tables lie
 *   headers of the kernel, its list of modules  that it is this kernel, of this boot
 *   its clock, its stack                        that it is now: an old copy has all the rest
 *   pages of each part of the layout            that the hole is where it is said to be
 *
 * Invariant: nothing is proven by bytes that are zero on both sides.
 */

import { formatAddress, physicalAddress, plus, type VirtualAddress } from '../../core/addresses';
import { equalBytes } from '../../core/bytes';
import { VmkdError } from '../../core/errors';
import type { StoppedState } from '../../kd/clientState';
import type { MachineType } from '../../kd/machineType';
import { AddressSpace } from '../../memory/addressSpace';
import { pageOf, TablePages } from '../../memory/pageTables';
import { inSpace, pagingOf, type Paging, type PagingRegisters } from '../../memory/paging';
import type { SoftwareEntries } from '../../memory/softwareEntries';
import type { GuestRam } from '../../machine/ram/guestRam';
import { endOfRam } from '../../machine/ram/layout';
import { readDebuggerData, type DebuggerData } from '../debuggerData';
import type { KdMemory } from '../kdMemory';
import { readRam, whyDifferent } from './evidence';
import { KernelPlaces, sharedData, timesAt, timesSize } from './kernelPlaces';
import { checkRuns, readPhysicalRuns, type PhysicalRun } from './layoutCheck';
import { physicalMemoryOf } from './ramMemory';

/** What is known of a kernel whose memory is guest RAM. */
export interface Proof {
  /** Of the address space that every process shares in its upper half; lasts as long as the kernel. */
  readonly system: Paging;
  /** Of the stopped processor. */
  readonly root: Paging;
  /** False: `system` is that of the process which was there, and may end. */
  readonly lasts: boolean;
  readonly software: SoftwareEntries;
  readonly places: KernelPlaces | undefined;
  /** What a processor saves of itself is found in RAM, so that a later stop is known without asking KD. */
  readonly savesItself: boolean;
  /** The kernel's header, which never changes. */
  readonly header: Uint8Array;
  readonly kernelBase: VirtualAddress;
  readonly machine: MachineType;
}

export interface VerificationTarget {
  readonly kd: KdMemory;
  /** Of the stopped processor. */
  registers(): Promise<StopRegisters>;
}

export interface StopRegisters extends PagingRegisters {
  /** Stack pointer. */
  readonly stack: VirtualAddress;
}

const headerSize = 0x200;
const stackSize = 0x100;
const listHeadSize = 0x10;

/** @throws ram-*, for whatever is wrong with it; what the target throws */
export async function verify(ram: GuestRam, target: VerificationTarget, stop: StoppedState): Promise<Proof> {
  const { kd } = target;
  const { machine, kernelBase, loadedModuleList } = stop.version;
  // First what a kernel that has just begun does not have: it stops for each of its modules.
  const times = await kd.readPartial(plus(sharedData[machine], timesAt), timesSize);
  if (times.length < timesSize || times.every((byte) => byte === 0))
    throw unproven('The kernel’s clock does not run yet');
  const registers = await target.registers();
  const paging = pagingOf(registers, machine === 'x64');
  if (paging === undefined) throw unproven('The processor does not translate addresses yet');
  const data = await readDebuggerData(kd, stop.version);
  const runs = data && (await readPhysicalRuns(kd, data.physicalMemoryBlock));
  if (runs !== undefined) checkRuns(ram.layout, runs);

  const tables = new TablePages(physicalMemoryOf(ram));
  const software = { highBit: data?.l1tfHighBit ?? 0, swizzleBit: data?.l1tfSwizzleBit ?? 0 };
  const space = new AddressSpace(tables, paging, { software });
  const compare = new Comparison(ram, kd, space);
  const header = await compare.bytes(kernelBase, headerSize, 'the kernel’s header');
  await compare.bytes(loadedModuleList, listHeadSize, 'the list of modules');
  const { stack } = registers;
  const clock = await compare.fresh(plus(sharedData[machine], timesAt), times, 'the kernel’s clock');
  await compare.fresh(stack, await kd.readPartial(stack, stackSize), 'the stack of the stopped processor');
  if (!clock) throw unproven('The kernel’s clock cannot be read');
  await checkParts(ram, kd, runs);
  return { ...kernelOf(space, data, stop), root: paging, software, header, kernelBase, machine };
}

/** Whether guest RAM shows the clock that KD shows. @throws what the target throws */
export async function showsTheSameTime(
  kd: KdMemory,
  space: AddressSpace,
  machine: MachineType,
): Promise<boolean> {
  const at = plus(sharedData[machine], timesAt);
  const times = await kd.readPartial(at, timesSize);
  const ours = new Uint8Array(timesSize);
  return times.length === timesSize && space.read(at, ours) === timesSize && equalBytes(times, ours);
}

function kernelOf(
  space: AddressSpace,
  data: DebuggerData | undefined,
  { change, version }: StoppedState,
): Pick<Proof, 'places' | 'system' | 'lasts' | 'savesItself'> {
  const { paging } = space;
  const places = data && new KernelPlaces(data);
  const saved = places?.saved(space, change.processor);
  const savesItself =
    saved !== undefined &&
    saved.rip === change.programCounter &&
    saved.thread === change.thread &&
    inSpace(paging, saved.cr3).root === paging.root;
  const root = places?.systemRoot(space);
  const system = root === undefined ? undefined : inSpace(paging, root);
  // It must see the same kernel.
  const page = pageOf(version.kernelBase);
  const lasts =
    system !== undefined &&
    space.sibling(system).tables.frameOf(page) === space.tables.frameOf(page) &&
    system.root !== 0;
  return { places, savesItself, system: lasts ? system : paging, lasts };
}

/** Compares one thing after the other; entries of page tables on the way to it, each once. */
class Comparison {
  readonly #seen = new Set<number>();

  constructor(
    private readonly ram: GuestRam,
    private readonly kd: KdMemory,
    private readonly space: AddressSpace,
  ) {}

  /** @throws ram-* if they are not the same, ram-unproven if KD has none */
  async bytes(address: VirtualAddress, length: number, what: string): Promise<Uint8Array> {
    const theirs = await this.kd.readPartial(address, length);
    if (theirs.length < length) throw unproven(`KD cannot read ${what} yet`);
    await this.#entries(address);
    if (!(await this.#agree(address, theirs))) throw this.#different(address, theirs);
    return theirs;
  }

  /** Of what changes all the time. @returns false if KD has none */
  async fresh(address: VirtualAddress, theirs: Uint8Array, what: string): Promise<boolean> {
    if (theirs.length === 0) return false;
    await this.#entries(address);
    if (await this.#agree(address, theirs)) return true;
    throw new VmkdError('ram-stale', `The ${this.ram.way} has an older state of ${what} than the kernel`);
  }

  async #entries(address: VirtualAddress): Promise<void> {
    const { tables } = this.space;
    tables.trail = [];
    tables.frameOf(pageOf(address));
    const { trail } = tables;
    tables.trail = undefined;
    for (const { address: at, size, low, high } of trail) {
      if (this.#seen.has(at)) continue;
      this.#seen.add(at);
      const theirs = await this.kd.readPhysicalPartial(physicalAddress(BigInt(at)), size);
      if (theirs.length < size) throw unproven(`KD cannot read the page tables of ${formatAddress(address)}`);
      const view = new DataView(theirs.buffer, theirs.byteOffset, size);
      const isSame = view.getUint32(0, true) === low && (size === 4 || view.getUint32(4, true) === high);
      if (!isSame) throw whyDifferent(this.ram, at, theirs);
    }
    // The walk ended at a table that is not here.
    if (trail.length === 0) throw this.#noRoot();
  }

  async #agree(address: VirtualAddress, theirs: Uint8Array): Promise<boolean> {
    const ours = new Uint8Array(theirs.length);
    return this.space.read(address, ours) === theirs.length && equalBytes(ours, theirs);
  }

  #different(address: VirtualAddress, theirs: Uint8Array): VmkdError {
    const frame = this.space.tables.frameOf(pageOf(address));
    if (frame < 0) {
      const message = `The kernel has ${formatAddress(address)} in memory that is not here`;
      return new VmkdError('ram-partial', message);
    }
    return whyDifferent(this.ram, frame * 4096 + Number(address & 0xfffn), theirs);
  }

  #noRoot(): VmkdError {
    const root = BigInt(this.space.paging.root);
    return new VmkdError(
      'ram-partial',
      `The kernel’s page tables, at physical ${formatAddress(root)}, are not here`,
    );
  }
}

const twoGiB = 2 ** 31;
const fourGiB = 2 ** 32;
/** Pages that are looked at in each part, in search of one that is not empty. */
const mostTried = 256;
/** Pages that are compared in each part. */
const mostCompared = 3;
const sampleSize = 64;

/**
 * The parts of memory whose place in the file hangs on the hole: one page of each that is not empty says more than any number.
 * @throws ram-layout and others if one differs; ram-unproven if nothing can tell
 */
async function checkParts(
  ram: GuestRam,
  kd: KdMemory,
  runs: readonly PhysicalRun[] | undefined,
): Promise<void> {
  const parts = [
    { begin: twoGiB, end: ram.layout.lowBytes },
    { begin: fourGiB, end: endOfRam(ram.layout) },
  ];
  for (const part of parts) {
    const inside = runs?.flatMap((run) => {
      const both = { begin: Math.max(run.begin, part.begin), end: Math.min(run.end, part.end) };
      return both.begin < both.end ? [both] : [];
    });
    if (part.begin >= part.end) continue;
    if (inside === undefined) throw unproven('The kernel does not say yet which memory it has');
    let compared = 0;
    for (const { begin, end } of inside) {
      for (const at of samples(ram, begin, end)) {
        if (compared++ >= mostCompared) break;
        const theirs = await kd.readPhysicalPartial(physicalAddress(BigInt(at)), sampleSize);
        if (theirs.length < sampleSize) continue;
        const ours = readRam(ram, at, sampleSize);
        if (ours === undefined || !equalBytes(ours, theirs)) throw whyDifferent(ram, at, theirs);
      }
    }
  }
}

/** Addresses in a part of RAM where something is, by guest RAM itself. */
function* samples(ram: GuestRam, begin: number, end: number): Iterable<number> {
  const pages = Math.floor((end - begin) / 4096);
  const step = Math.max(1, Math.floor(pages / mostTried));
  for (let page = 0; page < pages; page += step) {
    const start = begin + page * 4096;
    const bytes = readRam(ram, start, 4096);
    const something = bytes?.findIndex((byte) => byte !== 0) ?? -1;
    if (something >= 0) yield start + something - (something % sampleSize);
  }
}

const unproven = (message: string): VmkdError => new VmkdError('ram-unproven', message);
