/**
 * Guest RAM in the service of a live target: the fast way to its memory, for as long as it is proven to be that.
 *
 *            locate ─▶ none ─ stays
 *                └──▶ unproven ──verify, at each stop──▶ verified ──differs, lost──▶ refused
 *                        ▲                                   │ each stop: is it still this kernel, now?
 *                        └────── reset, new attach ──────────┴──────────────────────────┘
 *
 * Invariants: nothing is read from a target that is not stopped, nor in a stop that was not entered here; what was read is
 * forgotten at the next request to KD, whatever it was; an error of the RAM never reaches a reader: KD answers instead.
 */

import {
  signExtend32,
  virtualAddress,
  type PhysicalAddress,
  type VirtualAddress,
} from '../../core/addresses';
import { equalBytes } from '../../core/bytes';
import { asVmkdError, VmkdError, type ErrorCode } from '../../core/errors';
import { layout, u32 } from '../../core/layout';
import { Listeners } from '../../core/listeners';
import type { KdRegisters } from '../kdRegisters';
import { generalX64 } from '../../cpu/contextX64';
import type { KdClient } from '../../kd/client';
import type { StoppedState } from '../../kd/clientState';
import { readControlSpace, specialRegistersBaseX86 } from '../../kd/manipulate/context';
import { AddressSpace } from '../../memory/addressSpace';
import { TablePages } from '../../memory/pageTables';
import { inSpace, type Paging, type PagingRegisters } from '../../memory/paging';
import type { GuestRam } from '../../machine/ram/guestRam';
import type { RamLocation } from '../../machine/ram/location';
import { openGuestRam } from '../../machine/ram/openGuestRam';
import type { KdMemory } from '../kdMemory';
import type { FastMemory } from '../stopMemory';
import { interruptTime } from './kernelPlaces';
import { physicalMemoryOf } from './ramMemory';
import { showsTheSameTime, verify, type Proof, type StopRegisters } from './verification';

export type GuestMemoryState =
  /** There is none, or nobody wants it. */
  | { readonly kind: 'none'; readonly reason: VmkdError }
  /** It is not proven for this kernel. */
  | { readonly kind: 'unproven'; readonly reason: VmkdError }
  /** @see GuestRam.way */
  | { readonly kind: 'verified'; readonly way: string }
  /** It is not the memory of this kernel, or not any more. */
  | { readonly kind: 'refused'; readonly reason: VmkdError };

export interface GuestMemoryParts {
  readonly client: KdClient;
  readonly kd: KdMemory;
  readonly registers: KdRegisters;
  readonly location: RamLocation;
  /** Puts the target's own bytes where ours are. */
  cover(address: VirtualAddress, bytes: Uint8Array): void;
}

/** RAM that was proven, and what is kept of it. */
export interface Proven {
  readonly ram: GuestRam;
  readonly proof: Proof;
  readonly tables: TablePages;
  readonly system: AddressSpace;
}

/** The last stop in which it was found to be the kernel's memory, now. */
interface Sighting {
  readonly time: bigint;
  /** What the stopped processor had saved of itself. */
  readonly context: Uint8Array | undefined;
}

const neverTried = new VmkdError(
  'ram-unproven',
  'The machine’s memory was not compared with the kernel’s yet',
);

export class GuestMemory implements FastMemory {
  /** Told after each change. */
  readonly onState = new Listeners<GuestMemoryState>();
  #state: GuestMemoryState;
  #proven: Proven | undefined;
  #last: Sighting | undefined;
  /** The address space of the stop that was entered. */
  #space: AddressSpace | undefined;
  /** Those of other processors, as far as somebody has asked. */
  readonly #others = new Map<number, AddressSpace>();
  #entered: StoppedState | undefined;
  #exchanges = 0;
  /** Counts kernels: what was found out of one says nothing of the next. */
  #kernel = 0;

  constructor(private readonly parts: GuestMemoryParts) {
    const { location } = parts;
    this.#state = location.kind === 'none' ? { kind: 'none', reason: location.reason } : unprovenYet;
  }

  get state(): GuestMemoryState {
    return this.#state;
  }

  /** What was proven in the last stop; undefined if it does not hold any more. */
  get proven(): Proven | undefined {
    return this.#proven;
  }

  /** The kernel may be another one, or lie elsewhere; or it was let go. */
  restarted(): void {
    this.#kernel++;
    this.#close();
    if (this.#state.kind !== 'none') this.#become(unprovenYet);
  }

  /** A new stop: finds out whether its memory may be read here. To be called before anything is. @throws link and target errors */
  async enter(stop: StoppedState): Promise<void> {
    this.#entered = this.#space = undefined;
    if (this.#state.kind === 'none' || this.#state.kind === 'refused') return;
    const kernel = this.#kernel;
    try {
      const root = (await this.#stillThere(stop)) ?? (await this.#prove(stop));
      if (kernel === this.#kernel) this.#begin(stop, root);
    } catch (thrown) {
      // The machine was reset meanwhile: it is no wonder that its memory is not the kernel's any more.
      if (kernel === this.#kernel || !asVmkdError(thrown).code.startsWith('ram-')) this.#refuse(thrown);
    }
  }

  get isUsable(): boolean {
    return this.#current() !== undefined;
  }

  /** A reader of what was proven has met an error: if it is the RAM’s, nobody reads it any more. */
  fails(thrown: unknown): void {
    const { code } = asVmkdError(thrown);
    if (code === 'ram-lost') this.#refuse(thrown);
  }

  /** Fills `into` from its start, as far as guest RAM has it and may be read now. @returns bytes */
  read(address: VirtualAddress, into: Uint8Array): number {
    const space = this.#current();
    if (space === undefined) return 0;
    try {
      return space.read(address, into);
    } catch (thrown) {
      this.#refuse(thrown);
      return 0;
    }
  }

  /** All of a physical range; undefined if it is not all RAM, or may not be read now. */
  readPhysical(address: PhysicalAddress, length: number): Uint8Array | undefined {
    if (this.#current() === undefined || this.#proven === undefined) return undefined;
    const into = new Uint8Array(length);
    try {
      if (length > 0) this.#proven.ram.read([{ address, length }], into);
      return into;
    } catch (thrown) {
      if (!(thrown instanceof VmkdError) || thrown.code !== 'ram-out-of-range') this.#refuse(thrown);
      return undefined;
    }
  }

  /** Whether a processor is known to be in another address space than the one that stopped. */
  isElsewhere(processor: number): boolean {
    const space = this.#spaceOf(processor);
    return space !== undefined && space !== this.#space;
  }

  /** As `read`, in the address space of a processor. */
  readAs(processor: number, address: VirtualAddress, into: Uint8Array): number {
    try {
      return this.#spaceOf(processor)?.read(address, into) ?? 0;
    } catch (thrown) {
      this.#refuse(thrown);
      return 0;
    }
  }

  /** Whether the target itself finds a page at an address without a fault. Undefined: nobody here can tell. */
  isPresent(address: VirtualAddress): boolean | undefined {
    const space = this.#current();
    if (space === undefined) return undefined;
    try {
      return space.isPresent(address);
    } catch (thrown) {
      this.#refuse(thrown);
      return undefined;
    }
  }

  /** Whether the page at which the last read ended is nobody's: KD has none, either. */
  get endedAtNothing(): boolean {
    return this.#current()?.endedAtNothing ?? false;
  }

  /** The target's memory has changed. */
  forget(): void {
    this.#proven?.tables.forget();
    this.#proven?.system.forget();
    this.#space?.forget();
    this.#others.clear();
  }

  #spaceOf(processor: number): AddressSpace | undefined {
    const current = this.#current();
    if (current === undefined || processor === this.#entered?.change.processor) return current;
    const known = this.#others.get(processor);
    if (known !== undefined) return known;
    const { system, proof } = this.#proven!;
    const saved = proof.savesItself ? proof.places?.saved(system, processor) : undefined;
    if (saved === undefined) return undefined;
    const paging = inSpace(system.paging, saved.cr3);
    const space = [current, system].find((one) => one.paging.root === paging.root) ?? system.sibling(paging);
    this.#others.set(processor, space);
    return space;
  }

  #current(): AddressSpace | undefined {
    const { client } = this.parts;
    if (this.#entered === undefined || client.state !== this.#entered) return undefined;
    if (client.exchanges !== this.#exchanges) {
      this.forget();
      this.#exchanges = client.exchanges;
    }
    return this.#space;
  }

  /** The address space of a stop of the kernel that was proven; undefined if it has to be proven anew. */
  async #stillThere(stop: StoppedState): Promise<Paging | undefined> {
    if (this.#proven === undefined) return undefined;
    const { ram, proof, system } = this.#proven;
    const { change, version } = stop;
    if (version.kernelBase !== proof.kernelBase) return undefined;
    ram.check();
    this.forget();
    const time = interruptTime(system, proof.machine);
    if (time === undefined || this.#last === undefined) return undefined;
    const saved = proof.savesItself ? proof.places?.saved(system, change.processor) : undefined;
    if (saved?.rip === change.programCounter && saved.thread === change.thread) {
      // The very same registers within the same tick may be an old copy.
      const { context } = this.#last;
      const moved = time > this.#last.time || context === undefined || !equalBytes(saved.context, context);
      return moved || (await this.#showsTime(system)) ? inSpace(proof.system, saved.cr3) : undefined;
    }
    if (!(await this.#showsTime(system))) return undefined;
    return inSpace(proof.system, (await this.#controlRegisters(stop)).cr3);
  }

  #showsTime(space: AddressSpace): Promise<boolean> {
    return showsTheSameTime(this.parts.kd, space, this.#proven!.proof.machine);
  }

  async #prove(stop: StoppedState): Promise<Paging> {
    this.#close();
    const kernel = this.#kernel;
    const ram = openGuestRam(this.parts.location);
    try {
      const { kd } = this.parts;
      const proof = await verify(ram, { kd, registers: () => this.#registers(stop) }, stop);
      if (kernel !== this.#kernel) throw neverTried;
      const tables = new TablePages(physicalMemoryOf(ram));
      const { software, system: paging } = proof;
      const cover = (address: VirtualAddress, bytes: Uint8Array): void => this.parts.cover(address, bytes);
      const system = new AddressSpace(tables, paging, { software, cover });
      this.#proven = { ram, proof, tables, system };
      this.#become({ kind: 'verified', way: ram.way });
      return proof.root;
    } catch (thrown) {
      if (this.#proven?.ram !== ram) ram.close();
      throw thrown;
    }
  }

  #begin(stop: StoppedState, paging: Paging): void {
    const { system, proof } = this.#proven!;
    const context = proof.places?.saved(system, stop.change.processor)?.context;
    this.#last = { time: interruptTime(system, proof.machine) ?? 0n, context };
    this.#space = paging.root === system.paging.root ? system : system.sibling(paging);
    this.#entered = stop;
    this.#exchanges = this.parts.client.exchanges;
  }

  async #registers(stop: StoppedState): Promise<StopRegisters> {
    const { registers } = this.parts;
    const { processor } = stop.change;
    const control = await this.#controlRegisters(stop);
    if (stop.version.machine !== 'x64')
      return { ...control, stack: signExtend32((await registers.contextX86(processor)).esp) };
    const { rsp } = generalX64.read(await registers.contextImage(processor, false));
    return { ...control, stack: virtualAddress(rsp) };
  }

  async #controlRegisters({ version, change: { processor } }: StoppedState): Promise<PagingRegisters> {
    const { client, registers } = this.parts;
    if (version.machine === 'x64') return registers.special(processor);
    const { data } = await client.demand(
      readControlSpace,
      { base: specialRegistersBaseX86, count: specialX86.size },
      { processor },
    );
    const { cr0, cr3, cr4 } = specialX86.read(data);
    return { cr0: BigInt(cr0), cr3: BigInt(cr3), cr4: BigInt(cr4) };
  }

  /** @throws what is not for the RAM to answer for */
  #refuse(thrown: unknown): void {
    const reason = asVmkdError(thrown);
    if (reason.code === 'ram-unproven' || notNow.has(reason.code)) {
      this.#close();
      this.#become({ kind: 'unproven', reason });
    } else if (reason.code.startsWith('ram-')) {
      this.#close();
      this.#become({ kind: 'refused', reason });
    } else throw thrown;
  }

  #close(): void {
    this.#proven?.ram.close();
    this.#proven = this.#last = this.#space = this.#entered = undefined;
  }

  #become(state: GuestMemoryState): void {
    const before = this.#state;
    this.#state = state;
    if (before.kind === 'verified' && state.kind === 'verified' && before.way === state.way) return;
    this.onState.tell(state);
  }
}

const unprovenYet: GuestMemoryState = { kind: 'unproven', reason: neverTried };

/** KSPECIAL_REGISTERS of x86, its start. */
const specialX86 = layout(0x10, { cr0: [0, u32], cr2: [4, u32], cr3: [8, u32], cr4: [12, u32] });

/** What a kernel may say that has just begun: it is asked again at the next stop. */
const notNow: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'target-refused',
  'memory-unreadable',
  'protocol-violation',
]);
