/**
 * The kernel's own half of memory out of guest RAM, as it is at this moment, whether it stands or runs: nothing is kept
 * from one look to the next.
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import { equalBytes } from '../../core/bytes';
import { AddressSpace } from '../../memory/addressSpace';
import { TablePages } from '../../memory/pageTables';
import type { Proven } from './guestMemory';
import { interruptTime, sharedData } from './kernelPlaces';
import { physicalMemoryOf } from './ramMemory';

/** KUSER_SHARED_DATA: NtSystemRoot. */
const systemRootAt = 0x30;

export class LiveSpace {
  readonly #tables: TablePages;
  readonly #space: AddressSpace;

  /** @param proven Of a kernel whose address space lasts (`Proof.lasts`). */
  constructor(
    readonly proven: Proven,
    cover?: (address: VirtualAddress, bytes: Uint8Array) => void,
  ) {
    const { software, system } = proven.proof;
    this.#tables = new TablePages(physicalMemoryOf(proven.ram));
    this.#space = new AddressSpace(this.#tables, system, { software, ...(cover && { cover }) });
  }

  /** What is read from now on is of this moment. */
  forget(): void {
    this.#tables.forget();
    this.#space.forget();
  }

  /** Fills `into` from its start, as far as it is there. @returns bytes @throws ram-* */
  read(address: VirtualAddress, into: Uint8Array): number {
    return this.#space.read(address, into);
  }

  /** The kernel's clock, in 100 ns; undefined: it is not there, or is being set. @throws ram-* */
  get time(): bigint | undefined {
    return interruptTime(this.#space, this.proven.proof.machine);
  }

  /** Whether the kernel's header is where it was. @throws ram-* */
  get hasKernel(): boolean {
    const { header, kernelBase } = this.proven.proof;
    const now = new Uint8Array(header.length);
    return this.read(kernelBase, now) === now.length && equalBytes(now, header);
  }

  /**
   * Whether the page of the kernel's clock is one: beside it is the name of the system's folder, which may change while the
   * kernel boots, and is there as long as it is. A machine that starts again has zeros there. @throws ram-*
   */
  get hasClock(): boolean {
    const name = new Uint8Array(2);
    const place = plus(sharedData[this.proven.proof.machine], systemRootAt);
    return this.read(place, name) === name.length && name.some((byte) => byte !== 0);
  }
}
