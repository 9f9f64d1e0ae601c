/**
 * The hash table in which publics and globals are found by name.
 *
 *   header (16): ffffffff, f12f091a, u32 bytes of hash records, u32 bytes of buckets
 *   hash records (8): u32 1 + offset of the symbol record, u32 references
 *   buckets: a bit for each of 4097 (129 words), then for each bit that is set where its records begin, counted in
 *     units of 12 bytes (what a record took in a 32-bit linker's memory); they end where those of the next begin
 *
 * Source: microsoft-pdb, gsi.h/gsi.cpp; LLVM's docs/PDB/GlobalStream.rst.
 * Invariants: a bucket's records lie in the table; each record is visited at most once a look-up.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

const headerSize = 16;
const bucketBits = 4097;
const bitmapBytes = Math.ceil(bucketBits / 32) * 4;

export class GsiHash {
  /** How many symbols it knows. */
  readonly count: number;
  readonly #records: FileBytes;
  /** Where each bucket's records begin; the last entry is their number. */
  readonly #starts: Uint32Array;

  /** @throws file-damaged */
  constructor(bytes: FileBytes) {
    if (bytes.u32(0) !== 0xffff_ffff || bytes.u32(4) !== 0xf12f091a) {
      throw fileDamaged(bytes.name, 'its hash table is of an unknown version');
    }
    const recordBytes = bytes.u32(8);
    this.#records = bytes.part(headerSize, recordBytes);
    this.count = recordBytes >> 3;
    this.#starts = new Uint32Array(bucketBits + 1).fill(this.count);
    const bucketBytes = bytes.u32(12);
    if (bucketBytes === 0) return;
    const bitmap = bytes.part(headerSize + recordBytes, bitmapBytes);
    let at = headerSize + recordBytes + bitmapBytes;
    const begins: [bucket: number, record: number][] = [];
    for (let bucket = 0; bucket < bucketBits; bucket++) {
      if (((bitmap.u32((bucket >> 5) * 4) >>> (bucket & 31)) & 1) === 0) continue;
      begins.push([bucket, Math.min(bytes.u32(at) / 12, this.count)]);
      at += 4;
    }
    // An empty bucket begins where the next one does.
    let from = bucketBits;
    for (const [bucket, record] of begins.reverse()) {
      const next = this.#starts[from]!;
      this.#starts.fill(next, bucket + 1, from);
      this.#starts[bucket] = Math.min(Math.floor(record), next);
      from = bucket;
    }
    this.#starts.fill(this.#starts[from]!, 0, from);
  }

  /** Offsets of the symbol records that may have this name (case does not matter to the hash). */
  *candidates(name: string): Iterable<number> {
    const bucket = hashOf(encoder.encode(name)) % (bucketBits - 1);
    for (let i = this.#starts[bucket]!; i < this.#starts[bucket + 1]!; i++) yield this.#recordOffset(i);
  }

  /** Of all records, in no useful order. */
  *offsets(): Iterable<number> {
    for (let i = 0; i < this.count; i++) yield this.#recordOffset(i);
  }

  /** Of the index-th record. */
  #recordOffset(index: number): number {
    return this.#records.u32(index * 8) - 1;
  }
}

const encoder = new TextEncoder();

/** The linker's hash of a name: words are folded together, and letters lose their case. */
export function hashOf(name: Uint8Array): number {
  let hash = 0;
  let at = 0;
  for (; at + 4 <= name.length; at += 4) {
    hash ^= name[at]! | (name[at + 1]! << 8) | (name[at + 2]! << 16) | (name[at + 3]! << 24);
  }
  if (name.length - at >= 2) {
    hash ^= name[at]! | (name[at + 1]! << 8);
    at += 2;
  }
  if (name.length > at) hash ^= name[at]!;
  hash |= 0x20202020;
  hash ^= hash >>> 11;
  return (hash ^ (hash >>> 16)) >>> 0;
}
