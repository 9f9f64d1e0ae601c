/**
 * The parts of a loaded image that never change — headers, exports, .pdata, .xdata — read from the target as they are
 * touched, and kept: an image is far too large to copy through a serial port, and the same few blocks are asked for at
 * every stop.
 *
 *   read(rva, length) ─▶ blocks of 2 KiB, each read once ─▶ VirtualMemory
 *
 * Invariants: nothing outside [0, size) is read; at most `mostBlocks` are kept; a block with an absent byte is not, for
 * its page may come in later.
 */

import { formatAddress, plus, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { VirtualMemory } from '../memory/virtualMemory';

/** Half of a page: a request of KD brings one, and a page that is absent takes no present byte with it. */
const blockSize = 2048;
/** 16 MiB, more than ntoskrnl has of all that. */
const mostBlocks = 8192;

export class ImageMemory {
  readonly #blocks = new Map<number, Promise<Uint8Array>>();

  /** @param size Bytes; SizeOfImage as the loader's list has it. */
  constructor(
    private readonly memory: VirtualMemory,
    readonly base: VirtualAddress,
    readonly size: number,
  ) {}

  /**
   * `length` bytes at an RVA.
   * @param before Called before each request to the target; what it throws ends the read.
   * @throws memory-unreadable; what the target's memory throws
   */
  async read(rva: number, length: number, before?: () => void): Promise<Uint8Array> {
    if (!(rva >= 0 && length >= 0 && rva + length <= this.size)) throw this.#absent(rva);
    const first = Math.floor(rva / blockSize);
    const within = rva - first * blockSize;
    if (within + length <= blockSize)
      return this.#part(await this.#block(first, before), within, length, rva);
    const whole = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = rva + done;
      const index = Math.floor(at / blockSize);
      const start = at - index * blockSize;
      const count = Math.min(length - done, blockSize - start);
      whole.set(this.#part(await this.#block(index, before), start, count, at), done);
      done += count;
    }
    return whole;
  }

  #part(block: Uint8Array, start: number, length: number, rva: number): Uint8Array {
    if (start + length > block.length) throw this.#absent(rva + Math.max(0, block.length - start));
    return block.subarray(start, start + length);
  }

  async #block(index: number, before: (() => void) | undefined): Promise<Uint8Array> {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      before?.();
      const start = index * blockSize;
      const wanted = Math.min(blockSize, this.size - start);
      block = this.memory.readPartial(plus(this.base, start), wanted);
      if (this.#blocks.size >= mostBlocks) this.#blocks.clear();
      this.#blocks.set(index, block);
      const forget = (): void => void this.#blocks.delete(index);
      block.then((bytes) => bytes.length < wanted && forget(), forget);
    }
    return block;
  }

  #absent(rva: number): VmkdError {
    return new VmkdError('memory-unreadable', `No memory at ${formatAddress(plus(this.base, rva))}`);
  }
}
