/**
 * MSZIP: each block is 'CK' and a whole raw deflate stream, whose window holds the 32 KiB before it.
 *
 * Source: [MS-MCI].
 */

import { inflateRawSync } from 'node:zlib';
import { fileDamaged } from '../../core/byteSource';
import { blockSize, type Unpacker } from './unpacker';

export class MszipUnpacker implements Unpacker {
  #window: Uint8Array = new Uint8Array(0);

  constructor(private readonly name: string) {}

  unpack(block: Uint8Array, unpackedSize: number): Uint8Array {
    if (block[0] !== 0x43 || block[1] !== 0x4b)
      throw fileDamaged(this.name, 'an MSZIP block without its mark');
    let bytes: Uint8Array;
    try {
      bytes = inflateRawSync(block.subarray(2), {
        maxOutputLength: unpackedSize,
        ...(this.#window.length > 0 && { dictionary: this.#window }),
      });
    } catch (error) {
      throw fileDamaged(this.name, `MSZIP: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (bytes.length !== unpackedSize) {
      throw fileDamaged(this.name, `a block of ${bytes.length} bytes says ${unpackedSize}`);
    }
    this.#window = windowAfter(this.#window, bytes);
    return bytes;
  }
}

/** The last 32 KiB of what came out. Only the last block of a folder is shorter than the window, as a rule. */
function windowAfter(window: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (bytes.length >= blockSize) return bytes;
  const kept = window.subarray(Math.max(0, window.length + bytes.length - blockSize));
  const joined = new Uint8Array(kept.length + bytes.length);
  joined.set(kept);
  joined.set(bytes, kept.length);
  return joined;
}
