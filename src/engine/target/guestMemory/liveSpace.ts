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

/** KUSER_SHARED_DATA: NtSystemRoot, 260 characters. */
const systemRootAt = 0x30;
const systemRootSize = 0x208;

export class LiveSpace {
  #systemRoot: Uint8Array | undefined;
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
    return this.#has(kernelBase, header);
  }

  /** Whether what never changes beside the kernel's clock is there; a machine that starts again has zeros there. @throws ram-* */
  get hasClock(): boolean {
    const place = plus(sharedData[this.proven.proof.machine], systemRootAt);
    if (this.#systemRoot !== undefined) return this.#has(place, this.#systemRoot);
    const now = new Uint8Array(systemRootSize);
    if (this.read(place, now) < now.length || now.every((byte) => byte === 0)) return false;
    this.#systemRoot = now;
    return true;
  }

  #has(address: VirtualAddress, bytes: Uint8Array): boolean {
    const now = new Uint8Array(bytes.length);
    return this.read(address, now) === now.length && equalBytes(now, bytes);
  }
}
