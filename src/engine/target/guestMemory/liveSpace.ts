/**
 * The kernel's own half of memory out of guest RAM, as it is at this moment, whether it stands or runs: nothing is kept
 * from one look to the next.
 */

import type { VirtualAddress } from '../../core/addresses';
import { equalBytes } from '../../core/bytes';
import { AddressSpace } from '../../memory/addressSpace';
import { TablePages } from '../../memory/pageTables';
import type { Proven } from './guestMemory';
import { interruptTime } from './kernelPlaces';
import { physicalMemoryOf } from './ramMemory';

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
}
