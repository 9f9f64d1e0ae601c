/**
 * What no PDB at hand has: stripped, with code moved away (S_SEPCODE, chained RUNTIME_FUNCTIONs), with the linker's
 * copies of .pdata and .xdata, and rearranged (OMAP). Written by hand.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildMsf } from '../../../../test/fixtures/msfBuilder';
import { memorySource } from '../../core/byteSource';
import { hashOf } from '../pdb/gsiHash';
import { Pdb } from '../pdb/pdb';
import { functionExtent } from './functionExtent';
import { instructionAnchor } from './instructionAnchor';
import { PdbSymbols } from './pdbSymbols';

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const u32s = (...values: number[]): Uint8Array => new Uint8Array(new Uint32Array(values).buffer);
const u16s = (...values: number[]): Uint8Array => new Uint8Array(new Uint16Array(values).buffer);
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(`${value}\0`));

/** A symbol record: length, kind, data, padded to 4. */
function record(kind: number, ...parts: Uint8Array[]): Uint8Array {
  const data = join(...parts);
  const padded = new Uint8Array((data.length + 3) & ~3);
  padded.set(data);
  return join(u16s(padded.length + 2, kind), padded);
}

const publicRecord = (name: string, flags: number, offset: number): Uint8Array =>
  record(0x110e, u32s(flags, offset), u16s(1), text(name));

/** A hash table of records: `[offset, name]`. */
function gsi(symbols: readonly (readonly [offset: number, name: string])[]): Uint8Array {
  const sorted = symbols
    .map(([offset, name]) => ({ offset, bucket: hashOf(Buffer.from(name)) % 4096 }))
    .sort((a, b) => a.bucket - b.bucket);
  const bitmap = new Uint32Array(129);
  const starts: number[] = [];
  sorted.forEach(({ bucket }, i) => {
    if (i > 0 && sorted[i - 1]!.bucket === bucket) return;
    bitmap[bucket >> 5]! |= 1 << (bucket & 31);
    starts.push(i * 12);
  });
  const records = u32s(...sorted.flatMap(({ offset }) => [offset + 1, 1]));
  const buckets = join(new Uint8Array(bitmap.buffer), u32s(...starts));
  return join(u32s(0xffff_ffff, 0xf12f091a, records.length, buckets.length), records, buckets);
}

const section = (rva: number): Uint8Array => {
  const bytes = new Uint8Array(40);
  bytes.set(Buffer.from('.text'));
  bytes.set(u32s(0x4000, rva, 0x4000, 0x400), 8);
  bytes.set(u32s(0x6000_0020), 36);
  return bytes;
};

const blob = (rva: number, data: Uint8Array): Uint8Array =>
  join(u32s(1, 32, data.length, rva, 0, 0, 0, 0), data);

/** Foo has unwind data and a part elsewhere; Str is no code; Bar is known to its module only, as are its moved bytes. */
function handMade(rearranged: boolean): PdbSymbols {
  const publics = [
    ['Foo', 2, 0x100],
    ['Str', 0, 0x180],
    ['Leaf', 2, 0x400],
  ] as const;
  const records: Uint8Array[] = [];
  const placed = publics.map(([name, flags, offset]) => {
    const at = join(...records).length;
    records.push(publicRecord(name, flags, offset));
    return [at, name] as const;
  });
  const publicHash = gsi(placed);
  const publicsStream = join(
    u32s(publicHash.length, placed.length * 4, 0, 0, 0, 0, 0),
    publicHash,
    u32s(...placed.map(([at]) => at)),
  );

  const procedure = record(
    0x110f,
    u32s(0, 0, 0, 0x20, 0, 0, 0, 0x300),
    u16s(1),
    Uint8Array.of(0),
    text('Bar'),
  );
  // Its scope ends with the record behind it.
  new DataView(procedure.buffer).setUint32(8, 4 + procedure.length, true);
  const end = record(6);
  const separated = record(0x1132, u32s(0, 0, 0x10, 0, 0x800, 0x300), u16s(1, 1));
  new DataView(separated.buffer).setUint32(8, 4 + procedure.length + end.length + separated.length, true);
  const moduleStream = join(u32s(4), procedure, end, separated, record(6));

  const moduleHeader = new Uint8Array(64);
  moduleHeader.set(u16s(11), 0x22);
  moduleHeader.set(u32s(moduleStream.length), 0x24);
  const names = new Uint8Array(8);
  names.set(Buffer.from('a\0b\0'));
  const modules = join(moduleHeader, names);
  const contribution = join(u32s(1, 0, 0x1000, 0x60000020), u16s(0, 0), u32s(0, 0));
  const contributions = join(u32s(0xf12eba2d), contribution);
  const map = rearranged;
  const debugHeader = u16s(
    0xffff,
    0xffff,
    0xffff,
    map ? 10 : 0xffff,
    map ? 9 : 0xffff,
    8,
    0xffff,
    13,
    12,
    0xffff,
    map ? 7 : 0xffff,
  );
  const header = join(
    u32s(0xffff_ffff, 19990903, 3),
    u16s(4, 0, 5, 0, 6, 0),
    u32s(modules.length, contributions.length, 0, 0, 0, 0, debugHeader.length, 0),
    u16s(2, 0x8664),
    u32s(0),
  );
  const info = join(u32s(20000404, 1, 9), new Uint8Array(16).fill(0xab), u32s(0, 0, 1, 1, 0, 0), u32s(0));

  // Foo [1100, 1140), a function nobody knows [1200, 1240), and a part of Foo far away [1900, 1910).
  const base = rearranged ? 0x4000 : 0;
  const pdata = u32s(
    ...[0x1100, 0x1140, 0x3000, 0x1200, 0x1240, 0x3000, 0x1900, 0x1910, 0x3004].map((v) =>
      v < 0x3000 ? v + base : v,
    ),
  );
  const chained = join(Uint8Array.of(1 | (4 << 3), 0, 0, 0), u32s(0x1100 + base, 0x1140 + base, 0x3000));
  const xdata = join(Uint8Array.of(1, 0, 0, 0), chained);
  const file = buildMsf([
    undefined,
    info,
    undefined,
    join(header, modules, contributions, debugHeader),
    gsi([]),
    publicsStream,
    join(...records),
    section(0x1000),
    section(rearranged ? 0x5000 : 0x1000),
    u32s(0x1000, 0x5000, 0x1400, 0),
    u32s(0x5000, 0x1000, 0x5400, 0),
    moduleStream,
    blob(0x2000, pdata),
    blob(0x3000, xdata),
  ]);
  return new PdbSymbols(new Pdb(memorySource(file, 'hand.pdb')));
}

const nameAt = (symbols: PdbSymbols, rva: number): string | undefined => {
  const found = symbols.symbolAt(rva);
  return found && `${found.name}+${found.displacement} ${found.kind}${found.separated ? ' separated' : ''}`;
};

void describe('a stripped PDB', () => {
  const symbols = handMade(false);

  void it('says so, and has the age that images name it by', () => {
    assert.equal(symbols.quality, 'public');
    assert.equal(symbols.pdb.info.age, 9);
    assert.equal(symbols.pdb.key, `${'AB'.repeat(16)}3`);
  });

  void it('bounds names by RUNTIME_FUNCTIONs out of its own .pdata', () => {
    assert.equal(symbols.pdb.functions?.count, 3);
    assert.equal(nameAt(symbols, 0x1110), 'Foo+16 public');
    assert.equal(nameAt(symbols, 0x1190), undefined, 'behind Foo, after a string');
    assert.equal(nameAt(symbols, 0x1210), undefined, 'a function without a name');
    assert.equal(nameAt(symbols, 0x1404), 'Leaf+4 public');
    assert.equal(nameAt(symbols, 0x1904), 'Foo+2052 public separated');
  });

  void it('names procedures by their modules, also where their code was moved to', () => {
    assert.equal(nameAt(symbols, 0x1310), 'Bar+16 procedure');
    assert.equal(nameAt(symbols, 0x1808), 'Bar+1288 procedure separated');
    assert.deepEqual(symbols.framesAt(0x1310), [{ name: 'Bar', inlined: false, source: undefined }]);
  });

  void it('has the whole of a function: by its procedures, by its RUNTIME_FUNCTIONs', () => {
    const open = { symbols, pdb: symbols.pdb, functions: symbols.pdb.functions!, close: () => undefined };
    const foo = [
      { begin: 0x1100, end: 0x1140 },
      { begin: 0x1900, end: 0x1910 },
    ];
    const bar = [
      { begin: 0x1300, end: 0x1320 },
      { begin: 0x1800, end: 0x1810 },
    ];
    for (const rva of [0x1100, 0x1904]) assert.deepEqual(functionExtent(open, rva), foo);
    for (const rva of [0x1300, 0x1808]) assert.deepEqual(functionExtent(open, rva), bar);
    assert.deepEqual(functionExtent(open, 0x1204), [{ begin: 0x1200, end: 0x1240 }], 'without a name');
    assert.equal(functionExtent(open, 0x1404), undefined, 'a leaf that only a public knows');
    const anchors = [0x113f, 0x1145, 0x1210, 0x1310, 0x1325, 0x1404].map((rva) =>
      instructionAnchor(open, rva),
    );
    assert.deepEqual(anchors, [0x1100, 0x1140, 0x1200, 0x1300, 0x1320, 0x1400]);
  });

  void it('finds names', () => {
    assert.deepEqual(
      symbols.search('f*', 9).map(({ name, rva }) => [name, rva]),
      [['Foo', 0x1100]],
    );
    assert.equal(symbols.search('LEAF', 9)[0]?.rva, 0x1400);
  });
});

void describe('a rearranged image', () => {
  const symbols = handMade(true);

  void it('has its symbols where the OMAP puts them', () => {
    assert.equal(symbols.pdb.sections.rearranged, true);
    assert.equal(nameAt(symbols, 0x5110), 'Foo+16 public');
    assert.equal(nameAt(symbols, 0x5310), 'Bar+16 procedure');
    assert.equal(nameAt(symbols, 0x1110), undefined);
    assert.equal(symbols.search('Foo', 1)[0]?.rva, 0x5100);
    assert.deepEqual(symbols.search('Leaf', 1), [], 'its place is gone');
  });
});
