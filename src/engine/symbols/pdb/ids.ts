/**
 * Names of inlined functions, out of the id stream (IPI): just enough of it for inline frames. Types at large are read
 * elsewhere.
 *
 *   stream header (56): 04 header bytes  08 first index  0c index after the last  10 bytes of records
 *     14 u16 hash stream; there, at 28 u32 with 2c u32 bytes: pairs {u32 index, u32 offset of its record}, about
 *     every 8 KiB, so that any record is found by a short walk
 *   LF_FUNC_ID    1601: 04 scope (LF_STRING_ID, or 0)  08 type  0c name
 *   LF_MFUNC_ID   1602: 04 class (TPI)  08 type  0c name
 *   LF_STRING_ID  1605: 04 substrings  08 text
 *   LF_CLASS 1504, LF_STRUCTURE 1505, LF_INTERFACE 1519: 14 numeric leaf, name; LF_UNION 1506: 0c numeric leaf, name;
 *   LF_ENUM 1507: 10 name
 */

import { fileDamaged, type ByteSource } from '../../core/byteSource';
import { layout, u16, u32 } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import type { Msf } from './msf';

/** Names for the inlinees of inline sites. */
export interface InlineeNames {
  /** `ns::Class::method`; undefined if the index is none of a function. */
  nameOf(id: number): string | undefined;
}

const header = layout(56, {
  headerBytes: [4, u32],
  begin: [8, u32],
  end: [0xc, u32],
  recordBytes: [0x10, u32],
  hashStream: [0x14, u16],
  indexAt: [0x28, u32],
  indexBytes: [0x2c, u32],
});

const tpiStream = 2;
const ipiStream = 4;
const mostNames = 8192;
/** Templates have long names; a hostile file repeats the longest one for each method. */
const longestName = 4096;
/** Records between two entries of the index; linkers leave at most some hundreds. */
const longestWalk = 65536;

export class IdNames implements InlineeNames {
  readonly #names = new Map<number, string | undefined>();
  readonly #ids: RecordStream | undefined;
  readonly #types: RecordStream | undefined;

  constructor(msf: Msf, hasIpi: boolean) {
    const open = (index: number): RecordStream | undefined => {
      const stream = msf.stream(index);
      return stream === undefined || stream.size < header.size ? undefined : new RecordStream(msf, stream);
    };
    this.#ids = hasIpi ? open(ipiStream) : undefined;
    this.#types = open(tpiStream);
  }

  nameOf(id: number): string | undefined {
    if (this.#names.has(id)) return this.#names.get(id);
    const name = this.#read(id);
    if (this.#names.size >= mostNames) this.#names.clear();
    this.#names.set(id, name);
    return name;
  }

  #read(id: number): string | undefined {
    const record = this.#ids?.record(id);
    if (record === undefined) return undefined;
    const kind = record.u16(2);
    const scope = record.u32(4);
    if (kind === 0x1601)
      return qualified(scope === 0 ? undefined : this.#stringOf(scope), record.string(12, 12 + longestName));
    if (kind === 0x1602) return qualified(this.#typeNameOf(scope), record.string(12, 12 + longestName));
    return undefined;
  }

  #stringOf(id: number): string | undefined {
    const record = this.#ids?.record(id);
    return record?.u16(2) === 0x1605 ? record.string(8, 8 + longestName) : undefined;
  }

  #typeNameOf(index: number): string | undefined {
    const record = this.#types?.record(index);
    if (record === undefined) return undefined;
    switch (record.u16(2)) {
      case 0x1504:
      case 0x1505:
      case 0x1519:
        return afterNumber(record, 0x14);
      case 0x1506:
        return afterNumber(record, 0xc);
      case 0x1507:
        return record.string(0x10, 0x10 + longestName);
      default:
        return undefined;
    }
  }
}

const qualified = (scope: string | undefined, name: string): string =>
  scope === undefined ? name : `${scope}::${name}`;

function afterNumber(record: FileBytes, at: number): string {
  const leaf = record.u16(at);
  const size = leaf < 0x8000 ? 0 : [1, 2, 2, 4, 4, 0, 0, 0, 0, 8, 8][leaf - 0x8000];
  const nameAt = at + 2 + (size ?? 0);
  return record.string(nameAt, nameAt + longestName);
}

/** Random access to the records of TPI or IPI. */
class RecordStream {
  readonly #header: ReturnType<typeof header.read>;
  readonly #index: FileBytes;

  constructor(
    msf: Msf,
    private readonly stream: ByteSource,
  ) {
    this.#header = header.read(stream.read(0, header.size));
    if (this.#header.headerBytes + this.#header.recordBytes > stream.size) {
      throw fileDamaged(stream.name, `${this.#header.recordBytes} bytes of records`);
    }
    const { hashStream, indexAt, indexBytes } = this.#header;
    const hash = msf.stream(hashStream);
    this.#index = new FileBytes(hash?.read(indexAt, indexBytes) ?? new Uint8Array(0), stream.name);
  }

  /** With its length and kind. Undefined if there is no such index. */
  record(index: number): FileBytes | undefined {
    const { begin, end, headerBytes, recordBytes } = this.#header;
    if (index < begin || index >= end) return undefined;
    let low = 0;
    let high = this.#index.length >> 3;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#index.u32(middle * 8) <= index) low = middle + 1;
      else high = middle;
    }
    let current = low === 0 ? begin : this.#index.u32(low * 8 - 8);
    let at = low === 0 ? 0 : this.#index.u32(low * 8 - 4);
    if (index - current > longestWalk) throw fileDamaged(this.stream.name, 'its index has gaps');
    for (; ; current++) {
      if (at + 4 > recordBytes) throw fileDamaged(this.stream.name, `no record of index ${index}`);
      const head = this.stream.read(headerBytes + at, 2);
      const length = head[0]! | (head[1]! << 8);
      if (at + 2 + length > recordBytes || length < 2) throw fileDamaged(this.stream.name, 'a broken record');
      if (current === index) {
        return new FileBytes(this.stream.read(headerBytes + at, 2 + length), this.stream.name);
      }
      at += 2 + length;
    }
  }
}
