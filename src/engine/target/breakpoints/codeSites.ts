/**
 * Places in code that shall stop whoever comes there, and the int3s that make it so. Wishes are collected while the target is
 * stopped; what has to change is changed when it is about to run, and no more than that.
 *
 *   wanted, not there        ──sync──▶  kd-table   NT's own table of 32; NT writes the int3, and owes it to an absent page
 *                                  └─▶  int3       written by us when the table is full; noted in the journal before
 *   there, not wanted        ──sync──▶  gone
 *   kd-table, near a stop    ─────────▶ gone: NT deletes what lies in the 16 bytes that it reports
 *
 * Invariants: the byte under an int3 is known before it is written (unless its page is absent); a place is planted once,
 * whoever wants it; what this file believes of NT's table is what NT does.
 */

import { formatAddress, plus, type VirtualAddress } from '../../core/addresses';
import { VmkdError, asVmkdError } from '../../core/errors';
import { breakpointSlots } from '../../kd/manipulate/breakpoint';
import type { VirtualMemory } from '../../memory/virtualMemory';
import type { BreakpointHandle, KdBreakpoints } from '../kdBreakpoints';
import type { KdMemory } from '../kdMemory';
import type { CodeOverlay } from '../stopMemory';
import type { PatchJournal } from './journal';

const int3 = 0xcc;

type Planted =
  | { readonly kind: 'none' }
  | { readonly kind: 'table'; readonly handle: BreakpointHandle }
  | { readonly kind: 'byte' };

const none: Planted = { kind: 'none' };

export class CodeSite {
  readonly owners = new Set<object>();
  planted: Planted = none;
  /** Threads that are on their way past it: until then it must not stand there. */
  suspended = 0;
  /** A debug register watches in its stead. */
  isGuarded = false;
  /** The last thread was let past it with no guard in its stead. */
  isUnguarded = false;
  /** Why it cannot be planted. */
  problem: VmkdError | undefined;

  constructor(
    readonly address: VirtualAddress,
    public mechanism: 'kd-table' | 'int3',
    /** The target's own byte; undefined: its page was absent. */
    public original: number | undefined,
  ) {}

  /** The code has an int3 of its own there. */
  get isOwn(): boolean {
    return this.original === int3;
  }

  get wanted(): boolean {
    return this.owners.size > 0 && this.suspended === 0 && !this.isGuarded && !this.isOwn;
  }
}

/** With our int3s covered. */
export interface SiteMemory extends VirtualMemory {
  /** Whether the target itself can reach an address. */
  isPresent(address: VirtualAddress): Promise<boolean>;
}

export interface SiteTarget {
  readonly table: Pick<KdBreakpoints, 'set' | 'remove' | 'removeAll'>;
  readonly raw: Pick<KdMemory, 'readPartial' | 'write'>;
  readonly journal: PatchJournal;
}

export class CodeSites implements CodeOverlay {
  readonly #sites = new Map<VirtualAddress, CodeSite>();
  /** Where own bytes are read: with our int3s covered. */
  memory: SiteMemory | undefined;
  #wasUsed = false;

  constructor(private readonly target: SiteTarget) {}

  /** Wanted, or still standing there. */
  at(address: VirtualAddress): CodeSite | undefined {
    return this.#sites.get(address);
  }

  get all(): Iterable<CodeSite> {
    return this.#sites.values();
  }

  /** Something of ours stands in this kernel's code, or has stood there. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** How many are in NT's table, or shall come into it. */
  get inTable(): number {
    let count = 0;
    for (const { mechanism, owners, isOwn } of this.#sites.values())
      if (mechanism === 'kd-table' && owners.size > 0 && !isOwn) count++;
    return count;
  }

  /** Wants a place for somebody. Its byte is read now; nothing is written before `sync`. */
  async claim(address: VirtualAddress, owner: object): Promise<CodeSite> {
    let site = this.#sites.get(address);
    if (site === undefined) {
      // A page that has to be brought in may be another one then.
      const present = await this.memory!.isPresent(address);
      const [original] = present ? await this.memory!.readPartial(address, 1) : [];
      site = new CodeSite(address, this.inTable < breakpointSlots ? 'kd-table' : 'int3', original);
      this.#sites.set(address, site);
    }
    site.owners.add(owner);
    return site;
  }

  release(address: VirtualAddress, owner: object): void {
    this.#sites.get(address)?.owners.delete(owner);
  }

  /** The target has stopped: NT has deleted what lies in the bytes that it reports. @param reported As they are now. */
  sawStop(programCounter: VirtualAddress, reported: Uint8Array): void {
    reported.forEach((byte, i) => {
      const site = this.#sites.get(plus(programCounter, i));
      if (site?.planted.kind !== 'table') return;
      site.planted = none;
      site.original ??= byte;
    });
  }

  /** Looks whether pages have come in that breakpoints are owed to. */
  async learnOwed(): Promise<void> {
    for (const site of this.#sites.values()) {
      if (site.original !== undefined || site.owners.size === 0) continue;
      if ((await this.target.raw.readPartial(site.address, 1)).length === 0) continue;
      // By now NT may have put its int3 there, and knows alone what was under it.
      if (site.planted.kind !== 'none') await this.#unplant(site);
      [site.original] = await this.target.raw.readPartial(site.address, 1);
    }
  }

  /** Makes the target's memory what is wanted. To be called when it is about to run. @throws target and link errors */
  async sync(): Promise<void> {
    // First what goes: it makes room in the table.
    for (const site of [...this.#sites.values()]) {
      if (!site.wanted && site.planted.kind !== 'none') await this.#unplant(site);
      if (site.owners.size === 0 && site.suspended === 0) this.#sites.delete(site.address);
    }
    for (const site of this.#sites.values())
      if (site.wanted && site.planted.kind === 'none') await this.#plant(site);
  }

  /** Takes everything out, for as long as another debugger drives: `sync` puts it back. */
  async lift(): Promise<void> {
    for (const site of this.#sites.values()) if (site.planted.kind !== 'none') await this.#unplant(site);
  }

  /** Takes everything out, and forgets who wanted it. */
  async removeAll(): Promise<void> {
    for (const site of [...this.#sites.values()]) {
      site.owners.clear();
      if (site.planted.kind !== 'none') await this.#unplant(site);
    }
    this.#sites.clear();
  }

  /** Takes out what stands in a module that is about to go. */
  async removeRange(base: VirtualAddress, size: number): Promise<void> {
    for (const site of [...this.#sites.values()]) {
      if (!isWithin(site.address, base, size)) continue;
      site.owners.clear();
      if (site.planted.kind !== 'none') await this.#unplant(site);
      this.#sites.delete(site.address);
    }
  }

  /** The target is another one, or was rebooted: nothing of ours is there. */
  forget(): void {
    this.#sites.clear();
    this.#wasUsed = false;
  }

  cover(address: VirtualAddress, bytes: Uint8Array): void {
    for (const site of this.#sites.values()) {
      if (site.planted.kind === 'none' || site.original === undefined) continue;
      if (!isWithin(site.address, address, bytes.length)) continue;
      const at = Number(site.address - address);
      // Else somebody has changed the code meanwhile.
      if (bytes[at] === int3) bytes[at] = site.original;
    }
  }

  async clear(address: VirtualAddress, length: number): Promise<void> {
    for (const site of [...this.#sites.values()]) {
      if (!isWithin(site.address, address, length)) continue;
      if (site.planted.kind !== 'none') await this.#unplant(site);
      site.original = undefined;
    }
  }

  async #plant(site: CodeSite): Promise<void> {
    site.problem = undefined;
    this.#wasUsed = true;
    try {
      if (site.original === undefined) {
        [site.original] = await this.target.raw.readPartial(site.address, 1);
        if (site.isOwn) return;
      }
      if (site.mechanism === 'kd-table' && (await this.#plantInTable(site))) return;
      await this.#plantByte(site);
    } catch (thrown) {
      site.problem = asVmkdError(thrown);
      if (site.problem.code !== 'target-refused' && site.problem.code !== 'memory-unreadable') throw thrown;
    }
  }

  async #plantInTable(site: CodeSite): Promise<boolean> {
    try {
      site.planted = { kind: 'table', handle: await this.target.table.set(site.address) };
      return true;
    } catch (thrown) {
      if (!(thrown instanceof VmkdError) || thrown.code !== 'target-refused') throw thrown;
      // Somebody else has filled the table.
      site.mechanism = 'int3';
      return false;
    }
  }

  async #plantByte(site: CodeSite): Promise<void> {
    if (site.original === undefined) {
      throw new VmkdError(
        'memory-unreadable',
        `The page of ${formatAddress(site.address)} is absent, and KD's table, which could wait for it, is full`,
      );
    }
    await this.target.journal.add(site.address, site.original);
    await this.target.raw.write(site.address, Uint8Array.of(int3));
    site.planted = { kind: 'byte' };
  }

  async #unplant(site: CodeSite): Promise<void> {
    const { planted } = site;
    if (planted.kind === 'table') await this.target.table.remove(planted.handle);
    if (planted.kind === 'byte') {
      await this.target.raw.write(site.address, Uint8Array.of(site.original!));
      await this.target.journal.remove(site.address);
    }
    site.planted = none;
  }
}

const isWithin = (address: VirtualAddress, start: VirtualAddress, length: number): boolean =>
  address >= start && address - start < BigInt(length);
