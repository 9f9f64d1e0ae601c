/**
 * Types by name, through the linker's hashes: a bucket number for each type, which for classes, structs, unions and
 * enums is the hash of a name, so that only the few types in one bucket have to be looked at.
 *
 *   what is hashed   definition                the name
 *                    definition, local         the unique name
 *                    anything else             the record's bytes: not found here, and never asked for
 *
 * Where the linker left no hashes, all names are read once instead.
 *
 * Source: LLVM's TpiHashing.cpp (the rule); microsoft-pdb, tpi.cpp. The adjustments say which of several types of one
 * name was linked last; it comes first.
 */

import { hashOf } from '../pdb/gsiHash';
import { isForward, tagNameAt } from './decodeType';
import { RecordReader } from './recordReader';
import type { TypeIndex } from './records';
import type { NameHashes, TypeStream } from './typeStream';

export interface NameIndex {
  /** Definitions of that name, or local ones of that unique name; the best first. */
  find(name: string): readonly TypeIndex[];
}

const encoder = new TextEncoder();
const mostOfOneName = 256;
/** A linker's buckets hold a handful. Where one holds more, the hashes are not what they should be. */
const mostOfOneBucket = 512;

export function openNameIndex(types: TypeStream): NameIndex {
  const hashes = types.nameHashes();
  return hashes ? new HashedIndex(types, hashes) : new ScannedIndex(types);
}

/** After so many look-ups it pays to sort all types into their buckets. */
const scansBeforeChains = 16;

/**
 * The first look-ups go through the bucket numbers as they stand, so that one type is there at once; then types with
 * the same bucket are chained, as in any hash table.
 */
class HashedIndex implements NameIndex {
  readonly #buckets: number;
  readonly #bucketOf: Uint32Array;
  /** 1 + the first type of each bucket, counted from the stream's first; 0: none. */
  #heads: Uint32Array | undefined;
  #next = new Uint32Array(0);
  #scans = 0;
  readonly #preferred: ReadonlySet<TypeIndex>;
  #scanned: ScannedIndex | undefined;

  constructor(
    private readonly types: TypeStream,
    { buckets, values, adjustments }: NameHashes,
  ) {
    this.#buckets = buckets;
    this.#bucketOf = wordsOf(values.bytes);
    this.#preferred = readAdjustments(adjustments);
  }

  find(name: string): readonly TypeIndex[] {
    if (this.#scanned) return this.#scanned.find(name);
    const found: TypeIndex[] = [];
    let candidates = 0;
    const bucket = hashOf(encoder.encode(name)) % this.#buckets;
    for (const place of this.#inBucket(bucket)) {
      if (++candidates > mostOfOneBucket) {
        this.#scanned = new ScannedIndex(this.types);
        return this.#scanned.find(name);
      }
      const index = this.types.begin + place;
      if (!isDefinitionOf(this.types, index, name)) continue;
      if (this.#preferred.has(index)) found.unshift(index);
      else found.push(index);
      if (found.length >= mostOfOneName) break;
    }
    return found;
  }

  /** The types of a bucket, counted from the stream's first. */
  *#inBucket(bucket: number): Iterable<number> {
    if (this.#scans++ < scansBeforeChains) {
      let place = this.#bucketOf.indexOf(bucket);
      for (; place >= 0; place = this.#bucketOf.indexOf(bucket, place + 1)) yield place;
      return;
    }
    this.#heads ??= this.#chain();
    for (let link = this.#heads[bucket]!; link !== 0; link = this.#next[link - 1]!) yield link - 1;
  }

  #chain(): Uint32Array {
    const heads = new Uint32Array(this.#buckets);
    this.#next = new Uint32Array(this.#bucketOf.length);
    for (let place = this.#bucketOf.length - 1; place >= 0; place--) {
      const bucket = this.#bucketOf[place]!;
      if (bucket >= this.#buckets) continue;
      this.#next[place] = heads[bucket]!;
      heads[bucket] = place + 1;
    }
    return heads;
  }
}

/** As numbers; PDBs and all machines that Node runs on are little endian. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
}

function isDefinitionOf(types: TypeStream, index: TypeIndex, name: string): boolean {
  const record = types.record(index);
  const tag = tagNameAt(record);
  if (!tag || isForward(tag.properties)) return false;
  return tag.name === name || (hasUniqueName(tag.properties) && uniqueName(tag, record) === name);
}

const hasUniqueName = (properties: number): boolean => (properties & 0x200) !== 0;

function uniqueName(tag: { at: number }, record: Parameters<typeof tagNameAt>[0]): string {
  const reader = new RecordReader(record, tag.at);
  reader.string();
  return reader.left > 0 ? reader.string() : '';
}

/**
 * A hash table as in the info stream: u32 entries, u32 capacity, u32 words and bits of what is present, the same of
 * what is deleted, then {u32 name, u32 type index} for each present. Only the types matter here.
 */
function readAdjustments(bytes: NameHashes['adjustments']): ReadonlySet<TypeIndex> {
  const found = new Set<TypeIndex>();
  if (bytes.length < 16) return found;
  const entries = bytes.u32(0);
  let at = 8;
  at += 4 + bytes.u32(at) * 4;
  at += 4 + bytes.u32(at) * 4;
  for (let i = 0; i < entries && at + 8 <= bytes.length; i++, at += 8) found.add(bytes.u32(at + 4));
  return found;
}

class ScannedIndex implements NameIndex {
  readonly #byName = new Map<string, TypeIndex[]>();

  constructor(types: TypeStream) {
    types.forEach((index, record) => {
      const tag = tagNameAt(record);
      if (!tag || isForward(tag.properties)) return;
      this.#add(tag.name, index);
      if ((tag.properties & 0x300) === 0x300) this.#add(uniqueName(tag, record), index);
    });
  }

  find(name: string): readonly TypeIndex[] {
    return this.#byName.get(name) ?? [];
  }

  #add(name: string, index: TypeIndex): void {
    const known = this.#byName.get(name);
    if (!known) this.#byName.set(name, [index]);
    else if (known.length < mostOfOneName) known.push(index);
  }
}
