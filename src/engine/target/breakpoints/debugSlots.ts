/**
 * The four debug registers, shared by all who need one: watchpoints and hardware breakpoints of the user, and guards that
 * watch a place while its int3 is out (execution/passing.ts).
 *
 *   slot   0   1   2   3        the user's come from the left, guards from the right; the user's wish goes before a guard's
 *
 * Addresses lie in each processor's Dr0–Dr3 and are written when they change; which of them count is Dr7's business, which
 * goes to all processors with every continue, at no cost. So a guard that is off leaves its address where it is.
 *
 * Invariant: Dr7 is ours alone: what an earlier session enabled is off from the first continue on.
 */

import type { VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { withSlot, type WatchKind } from '../../cpu/debugRegisters';
import type { TargetProcessor } from '../target';

export interface SlotUse {
  readonly address: VirtualAddress;
  readonly kind: WatchKind;
  /** Bytes: 1, 2, 4, 8; 1 for execute. */
  readonly size: number;
  readonly owner: object;
  /** Set for guards: they may lose their slot to the user, and when they stand idle to each other. */
  readonly guarded?: Guarded;
}

/** What a guard watches in the stead of an int3. */
export interface Guarded {
  readonly address: VirtualAddress;
  /** Threads on their way past it. */
  readonly suspended: number;
  /** A debug register does what its int3 would. */
  isGuarded: boolean;
}

export const slotCount = 4;
/** No slot enabled; bit 10 is always 1. */
export const restingDr7 = 0x400n;

export class DebugSlots {
  readonly #uses: (SlotUse | undefined)[] = new Array<SlotUse | undefined>(slotCount).fill(undefined);
  /** What the processors have in Dr0 to Dr3; undefined: not known. */
  #written: (VirtualAddress | undefined)[] = [];
  /** What they have in Dr7, once they run. */
  #writtenDr7: bigint | undefined;
  #processors = 0;
  #wasUsed = false;

  /** A register has watched something in this kernel. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  use(slot: number): SlotUse | undefined {
    return this.#uses[slot];
  }

  /** Whose registers watch the execution of an address. */
  executing(address: VirtualAddress): SlotUse[] {
    return this.#uses.filter((use) => use?.kind === 'execute' && use.address === address) as SlotUse[];
  }

  executes(address: VirtualAddress): boolean {
    return this.executing(address).length > 0;
  }

  /** An access that a register would report. */
  watches(address: VirtualAddress, length: number, writes: boolean): boolean {
    return this.#uses.some(
      (use) =>
        use !== undefined &&
        (use.kind === 'access' || (use.kind === 'write' && writes)) &&
        address < use.address + BigInt(use.size) &&
        use.address < address + BigInt(length),
    );
  }

  /** Some register watches data. */
  get watchesData(): boolean {
    return this.#uses.some((use) => use !== undefined && use.kind !== 'execute');
  }

  slotOf(owner: object): number | undefined {
    const slot = this.#uses.findIndex((use) => use?.owner === owner);
    return slot < 0 ? undefined : slot;
  }

  /** Slots that the user may have. */
  get free(): number {
    return this.#uses.filter((use) => use === undefined || use.guarded).length;
  }

  /** @returns The slot. @throws value-out-of-range if the user has all four */
  claim(use: SlotUse): number {
    const free = this.#uses.indexOf(undefined);
    const idle = this.#uses.findIndex((other) => other?.guarded?.suspended === 0);
    const slot = [free, idle, this.#uses.findIndex((other) => other?.guarded)].find((one) => one >= 0);
    if (slot === undefined) {
      throw new VmkdError('value-out-of-range', 'All four debug registers are in use', {
        nextStep: 'Remove a data or hardware breakpoint first.',
      });
    }
    this.#evict(slot);
    this.#uses[slot] = use;
    this.#wasUsed = true;
    return slot;
  }

  /** Puts a guard in the place of an int3: it stays until it is released or somebody needs its slot. @returns Whether one is free. */
  guard(guarded: Guarded): boolean {
    if (guarded.isGuarded) return true;
    const { address } = guarded;
    const slots = this.#uses.flatMap((use, slot) =>
      use === undefined || use.guarded?.suspended === 0 ? [slot] : [],
    );
    const slot =
      slots.find((one) => this.#written[one] === address) ??
      slots.findLast((one) => this.#written[one] === undefined) ??
      slots.findLast((one) => this.#uses[one] === undefined) ??
      slots.at(-1);
    if (slot === undefined) return false;
    this.#evict(slot);
    this.#uses[slot] = { address, kind: 'execute', size: 1, owner: guarded, guarded };
    guarded.isGuarded = true;
    this.#wasUsed = true;
    return true;
  }

  #evict(slot: number): void {
    const guarded = this.#uses[slot]?.guarded;
    if (guarded !== undefined) guarded.isGuarded = false;
    this.#uses[slot] = undefined;
  }

  release(owner: object): void {
    this.#uses.forEach((use, slot) => {
      if (use?.owner === owner) this.#evict(slot);
    });
  }

  get isIdle(): boolean {
    return this.dr7 === restingDr7;
  }

  /** For the next continue. */
  get dr7(): bigint {
    return this.#uses.reduce(
      (dr7, use, slot) => (use === undefined ? dr7 : withSlot(dr7, slot, use.kind, use.size)),
      restingDr7,
    );
  }

  /**
   * Brings addresses to the processors. To be called when the target is about to run.
   * @param alone The continue that follows takes no Dr7 along. @throws target and link errors
   */
  async sync(processors: readonly TargetProcessor[], alone = false): Promise<void> {
    if (processors.length !== this.#processors) {
      this.#written = [];
      this.#writtenDr7 = undefined;
      this.#processors = processors.length;
    }
    const { dr7 } = this;
    const changes: Record<string, VirtualAddress | bigint> = alone && dr7 !== this.#writtenDr7 ? { dr7 } : {};
    this.#writtenDr7 = dr7;
    this.#uses.forEach((use, slot) => {
      if (use !== undefined && this.#written[slot] !== use.address) changes[`dr${slot}`] = use.address;
    });
    if (Object.keys(changes).length === 0) return;
    for (const processor of processors) await processor.setSpecial(changes);
    this.#uses.forEach((use, slot) => {
      if (use !== undefined) this.#written[slot] = use.address;
    });
  }

  /** Nobody wants any. */
  clear(): void {
    for (let slot = 0; slot < slotCount; slot++) this.#evict(slot);
  }

  /** Others write the registers from now on. Guards stand down; the user's wishes stay. */
  lapse(): void {
    this.#uses.forEach((use, slot) => {
      if (use?.guarded) this.#evict(slot);
    });
    this.#written = [];
    this.#writtenDr7 = undefined;
  }

  /** The target is another one, or was rebooted. */
  forget(): void {
    this.clear();
    this.#written = [];
    this.#writtenDr7 = undefined;
    this.#wasUsed = false;
  }
}
