/**
 * A stream of type records, TPI (2) or IPI (4): any record by its index, without reading those before it.
 *
 *   header (56): 00 version 20040203  04 header bytes  08 first index (1000)  0c index after the last
 *     10 bytes of records  14 u16 hash stream (ffff: none)  18 u32 bytes of a hash  1c u32 buckets
 *     20 u32 offset, 24 u32 bytes of the hashes      in the hash stream: u32 bucket for each type in turn
 *     28 u32 offset, 2c u32 bytes of the index       pairs {u32 type index, u32 offset}, one for each 8 KiB of records
 *     30 u32 offset, 34 u32 bytes of adjustments     which of several types of one name comes first
 *   then the records: u16 length of the rest, u16 leaf, …
 *
 * A record is found by the pair before it and a walk from there; the walk's places are kept.
 *
 * Source: LLVM's docs/PDB/TpiStream.rst; microsoft-pdb, tpi.h.
 * Invariants: a walk stays between its pair and the next, and visits each record once in the stream's lifetime; all
 * tables are bounded by the bytes that are there.
 */

import { fileDamaged, type ByteSource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { layout, u16, u32 } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import type { Msf, MsfStream } from '../pdb/msf';
import { firstRecordIndex } from './simpleTypes';
import type { TypeIndex } from './records';

const version80 = 20040203;
const header = layout(56, {
  version: [0, u32],
  headerBytes: [4, u32],
  begin: [8, u32],
  end: [0xc, u32],
  recordBytes: [0x10, u32],
  hashStream: [0x14, u16],
  hashKeyBytes: [0x18, u32],
  buckets: [0x1c, u32],
  hashesAt: [0x20, u32],
  hashesBytes: [0x24, u32],
  indexAt: [0x28, u32],
  indexBytes: [0x2c, u32],
  adjustmentsAt: [0x30, u32],
  adjustmentsBytes: [0x34, u32],
});
const noStream = 0xffff;
/** A record is its length, its leaf, and at least nothing. */
const smallestRecord = 4;

/** What the hash stream says: `bucketOf(i)` for the i-th type. */
export interface NameHashes {
  readonly buckets: number;
  /** One for each type, in turn. */
  readonly values: FileBytes;
  readonly adjustments: FileBytes;
}

export class TypeStream {
  readonly name: string;
  readonly begin: TypeIndex;
  /** The index after the last. */
  readonly end: TypeIndex;
  readonly #stream: ByteSource;
  readonly #recordsAt: number;
  readonly #recordBytes: number;
  /** Pairs, sorted by index; the first is {begin, 0}. */
  readonly #chunks: { readonly index: Uint32Array; readonly offset: Uint32Array };
  /** 1 + where each record lies; 0: not walked yet. */
  readonly #places: Uint32Array;
  readonly #hashes: () => NameHashes | undefined;

  /** @throws file-damaged, file-unsupported */
  constructor(msf: Msf, stream: MsfStream) {
    this.name = stream.name;
    this.#stream = stream;
    const head = header.read(stream.read(0, header.size));
    if (head.version < version80) {
      throw new VmkdError(
        'file-unsupported',
        `${stream.name}: type records of version ${head.version}, before Visual C++ 8`,
      );
    }
    const { begin, end, recordBytes, headerBytes } = head;
    const count = end - begin;
    if (begin < firstRecordIndex || count < 0 || count > recordBytes / smallestRecord) {
      throw fileDamaged(this.name, `types ${begin} to ${end} in ${recordBytes} bytes`);
    }
    if (headerBytes < header.size || headerBytes + recordBytes > stream.size) {
      throw fileDamaged(this.name, `${recordBytes} bytes of records in ${stream.size}`);
    }
    this.begin = begin;
    this.end = end;
    this.#recordsAt = headerBytes;
    this.#recordBytes = recordBytes;
    this.#places = new Uint32Array(count);
    const hashStream = head.hashStream === noStream ? undefined : msf.stream(head.hashStream);
    const table = (at: number, length: number): FileBytes =>
      new FileBytes(hashStream?.read(at, length) ?? new Uint8Array(0), hashStream?.name ?? this.name);
    this.#chunks = readChunks(table(head.indexAt, hashStream ? head.indexBytes : 0), begin, end, recordBytes);
    this.#hashes = () => {
      if (!hashStream || head.hashKeyBytes !== 4 || head.hashesBytes !== count * 4) return undefined;
      if (head.buckets === 0 || head.buckets > mostBuckets) return undefined;
      return {
        buckets: head.buckets,
        values: table(head.hashesAt, head.hashesBytes),
        adjustments: table(head.adjustmentsAt, head.adjustmentsBytes),
      };
    };
  }

  /** Read when asked for. Undefined if the linker left none. */
  nameHashes(): NameHashes | undefined {
    return this.#hashes();
  }

  has(index: TypeIndex): boolean {
    return index >= this.begin && index < this.end;
  }

  /** The record from its leaf on. @throws file-damaged if there is none */
  record(index: TypeIndex): FileBytes {
    if (!this.has(index)) throw fileDamaged(this.name, `there is no type 0x${index.toString(16)}`);
    let place = this.#places[index - this.begin]!;
    if (place === 0) {
      this.#walk(index);
      place = this.#places[index - this.begin]!;
    }
    const at = this.#recordsAt + place - 1;
    const length = new FileBytes(this.#stream.read(at, 4), this.name).u16(0);
    return new FileBytes(this.#stream.read(at + 2, length), this.name);
  }

  /** Every record in turn. The bytes are valid during the call only. @throws file-damaged; what `visit` throws */
  forEach(visit: (index: TypeIndex, record: FileBytes) => void): void {
    for (let chunk = 0; chunk < this.#chunks.index.length; chunk++) this.#walkChunk(chunk, visit);
  }

  #walk(index: TypeIndex): void {
    const { index: first } = this.#chunks;
    let low = 0;
    let high = first.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (first[middle]! <= index) low = middle;
      else high = middle;
    }
    this.#walkChunk(low);
  }

  #walkChunk(chunk: number, visit?: (index: TypeIndex, record: FileBytes) => void): void {
    const { index, offset } = this.#chunks;
    const from = offset[chunk]!;
    const to = chunk + 1 < offset.length ? offset[chunk + 1]! : this.#recordBytes;
    const last = chunk + 1 < index.length ? index[chunk + 1]! : this.end;
    const bytes = new FileBytes(this.#stream.read(this.#recordsAt + from, to - from), this.name);
    let at = 0;
    for (let type = index[chunk]!; type < last; type++) {
      const length = bytes.u16(at);
      if (length < 2) throw fileDamaged(this.name, `type 0x${type.toString(16)} has no leaf`);
      this.#places[type - this.begin] = 1 + from + at;
      if (visit) visit(type, bytes.part(at + 2, length));
      else if (at + 2 + length > bytes.length) throw bytes.outside(at, length);
      at += 2 + length;
    }
  }
}

const mostBuckets = 0x40000;

function readChunks(
  pairs: FileBytes,
  begin: TypeIndex,
  end: TypeIndex,
  recordBytes: number,
): { index: Uint32Array; offset: Uint32Array } {
  const count = pairs.length >> 3;
  const startsRight = count > 0 && pairs.u32(0) === begin && pairs.u32(4) === 0;
  const lead = startsRight ? 0 : 1;
  const index = new Uint32Array(count + lead);
  const offset = new Uint32Array(count + lead);
  if (lead === 1) index[0] = begin;
  for (let i = 0; i < count; i++) {
    const at = i + lead;
    index[at] = pairs.u32(i * 8);
    offset[at] = pairs.u32(i * 8 + 4);
    if (at === 0) continue;
    const rising = index[at] > index[at - 1]! && offset[at] > offset[at - 1]!;
    if (!rising || index[at] >= end || offset[at] >= recordBytes) {
      throw fileDamaged(pairs.name, `the index of types leads from ${index[at - 1]!} to ${index[at]}`);
    }
  }
  return { index, offset };
}
