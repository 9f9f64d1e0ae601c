/**
 * The four debug registers, shared by all who need one: watchpoints and hardware breakpoints of the user, and guards that
 * watch a place while its int3 is out (execution/passing.ts).
 *
 *   slot   0   1   2   3        the user's come from the left, guards from the right; the user's wish goes before a guard
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
  /** It may lose its slot to the user. */
  readonly isGuard: boolean;
}

export const slotCount = 4;
/** No slot enabled; bit 10 is always 1. */
const restingDr7 = 0x400n;

export class DebugSlots {
  readonly #uses: (SlotUse | undefined)[] = new Array<SlotUse | undefined>(slotCount).fill(undefined);
  /** What the processors have in Dr0 to Dr3; undefined: not known. */
  #written: (VirtualAddress | undefined)[] = [];
  #processors = 0;

  use(slot: number): SlotUse | undefined {
    return this.#uses[slot];
  }

  /** A register watches the execution of an address. */
  executes(address: VirtualAddress): boolean {
    return this.#uses.some((use) => use?.kind === 'execute' && use.address === address);
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
    return this.#uses.filter((use) => use === undefined || use.isGuard).length;
  }

  /** @returns The slot. @throws value-out-of-range if the user has all four */
  claim(use: SlotUse): number {
    let slot = this.#uses.indexOf(undefined);
    if (slot < 0) slot = this.#uses.findIndex((other) => other?.isGuard);
    if (slot < 0) {
      throw new VmkdError('value-out-of-range', 'All four debug registers are in use', {
        nextStep: 'Remove a data or hardware breakpoint first.',
      });
    }
    this.#uses[slot] = use;
    return slot;
  }

  /** A slot for a guard at an address: best the one that has it already. @returns Whether there is one. */
  guard(address: VirtualAddress, owner: object): boolean {
    const free = this.#uses.flatMap((use, slot) => (use === undefined ? [slot] : []));
    const slot =
      free.find((one) => this.#written[one] === address) ??
      free.findLast((one) => this.#written[one] === undefined) ??
      free.at(-1);
    if (slot === undefined) return false;
    this.#uses[slot] = { address, kind: 'execute', size: 1, owner, isGuard: true };
    return true;
  }

  release(owner: object): void {
    this.#uses.forEach((use, slot) => {
      if (use?.owner === owner) this.#uses[slot] = undefined;
    });
  }

  /** For the next continue. */
  get dr7(): bigint {
    return this.#uses.reduce(
      (dr7, use, slot) => (use === undefined ? dr7 : withSlot(dr7, slot, use.kind, use.size)),
      restingDr7,
    );
  }

  /** Brings addresses to the processors. To be called when the target is about to run. @throws target and link errors */
  async sync(processors: readonly TargetProcessor[]): Promise<void> {
    if (processors.length !== this.#processors) {
      this.#written = [];
      this.#processors = processors.length;
    }
    const changes: Record<string, VirtualAddress> = {};
    this.#uses.forEach((use, slot) => {
      if (use !== undefined && this.#written[slot] !== use.address) changes[`dr${slot}`] = use.address;
    });
    if (Object.keys(changes).length === 0) return;
    for (const processor of processors) await processor.setSpecial(changes);
    this.#uses.forEach((use, slot) => {
      if (use !== undefined) this.#written[slot] = use.address;
    });
  }

  /** The target is another one, or was rebooted. */
  forget(): void {
    this.#uses.fill(undefined);
    this.#written = [];
  }
}
