/**
 * Breakpoints as KD itself offers them: int3s in the target's table of 32, and the four debug registers, which the target
 * keeps for every processor. Which mechanism a user's breakpoint gets, and its life across stops, is for a later layer.
 */

import { formatAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { withSlot, withoutSlot, type WatchKind } from '../cpu/debugRegisters';
import type { KdClient } from '../kd/client';
import { breakpointSlots, restoreBreakPoint, writeBreakPoint } from '../kd/manipulate/breakpoint';
import { formatStatus, isError } from '../kd/ntstatus';
import type { KdRegisters } from './kdRegisters';

declare const handleBrand: unique symbol;
/** 1 to 32. Dead after the first stop within reach of its address. */
export type BreakpointHandle = number & { readonly [handleBrand]: true };

export class KdBreakpoints {
  /** Dr7 as it shall be when the target runs on; undefined while we have not changed it. */
  #dr7: bigint | undefined;

  constructor(
    private readonly client: KdClient,
    private readonly registers: KdRegisters,
  ) {}

  get dr7(): bigint | undefined {
    return this.#dr7;
  }

  /** The target is another one, or was rebooted: its debug registers are its own again. */
  forget(): void {
    this.#dr7 = undefined;
  }

  /** @throws target-refused if the table is full or has the address already. */
  async set(address: VirtualAddress): Promise<BreakpointHandle> {
    const { status, fields } = await this.client.request(writeBreakPoint, { address });
    if (isError(status)) {
      throw new VmkdError(
        'target-refused',
        `No breakpoint at ${formatAddress(address)}: ${formatStatus(status)}`,
        {
          nextStep: `Is there one already, or are all ${breakpointSlots} in use? Remove some, or use a hardware breakpoint.`,
        },
      );
    }
    return fields.handle as BreakpointHandle;
  }

  /** @returns false if the handle was dead already: NT forgets breakpoints near a stop. */
  async remove(handle: BreakpointHandle): Promise<boolean> {
    return !isError((await this.client.request(restoreBreakPoint, { handle })).status);
  }

  /** Empties the target's table: what a dead session left is gone afterwards. @returns How many there were. */
  async removeAll(): Promise<number> {
    let removed = 0;
    for (let handle = 1; handle <= breakpointSlots; handle++) {
      if (await this.remove(handle as BreakpointHandle)) removed++;
    }
    return removed;
  }

  /**
   * Sets a debug register on every processor; it takes effect when the target runs on.
   * @param slot 0 to 3. @param size Bytes watched: 1, 2, 4, 8. @throws value-out-of-range
   */
  async watch(
    slot: number,
    address: VirtualAddress,
    kind: WatchKind,
    size: number,
    processors: number,
  ): Promise<void> {
    const dr7 = withSlot(await this.#currentDr7(), slot, kind, size);
    if (address % BigInt(size) !== 0n) {
      throw new VmkdError('value-out-of-range', `${formatAddress(address)} is not aligned to ${size} bytes`);
    }
    await this.#writeAll(processors, { [`dr${slot}`]: address, dr7 });
  }

  /** Frees a debug register on every processor; it takes effect when the target runs on. @param slot 0 to 3. */
  async unwatch(slot: number, processors: number): Promise<void> {
    const dr7 = withoutSlot(await this.#currentDr7(), slot);
    await this.#writeAll(processors, { [`dr${slot}`]: 0n, dr7 });
  }

  async #currentDr7(): Promise<bigint> {
    return this.#dr7 ?? (await this.registers.special()).dr7;
  }

  async #writeAll(processors: number, changes: Record<string, bigint> & { dr7: bigint }): Promise<void> {
    for (let processor = 0; processor < processors; processor++)
      await this.registers.setSpecial(changes, processor);
    this.#dr7 = changes.dr7;
  }
}
