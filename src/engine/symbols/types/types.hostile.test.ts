/** Damaged type streams: typed errors or some answer, never a hang, a crash or a cycle followed. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { craft, damage, memoryMsf, streamsOf, text, u16, u32 } from '../../../../test/fixtures/typeStreams';
import { VmkdError } from '../../core/errors';
import { enumeratorsOf, enumNameOf } from './enums';
import type { TypeIndex } from './records';
import { layoutOf } from './structLayout';
import { TypeTable } from './typeTable';
import { declarationOf, shortTextOf } from './typeText';

const pdb = 'node_modules/node-pty/prebuilds/win32-x64/conpty_console_list.pdb';
const inputs = 60_000;

/** Whatever a view may ask of one type. */
function useType(types: TypeTable, type: TypeIndex): void {
  types.record(type);
  declarationOf(types, type, 'name');
  shortTextOf(types, type);
  types.sizeOf(type);
  layoutOf(types, type);
  enumeratorsOf(types, type);
  enumNameOf(types, type, 1n);
  const tag = types.tag(type);
  if (tag) types.find(tag.name);
}

function tolerate(use: () => void): boolean {
  try {
    use();
    return true;
  } catch (error) {
    assert.ok(error instanceof VmkdError && /^file-(damaged|unsupported)$/.test(error.code), String(error));
    return false;
  }
}

it(`survives ${inputs} damaged type streams`, (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const streams = streamsOf(pdb);
  const tpi = streams.get(2)!;
  const ipi = streams.get(4)!;
  const msf = memoryMsf(streams);
  const sound = new TypeTable(msf, true);
  const places: [at: number, length: number][] = [];
  sound.types.forEach((_, record) => {
    places.push([record.bytes.byteOffset - tpi.byteOffset, record.length]);
  });
  const hash = streams.get(tpi[0x14]! | (tpi[0x15]! << 8))!;
  const count = places.length;
  let survived = 0;
  let slowest = 0;
  for (let i = 0; i < inputs; i++) {
    const undo: (() => void)[] = [];
    const victim = random.below(count);
    const where = random.below(20);
    if (where === 0) undo.push(damage(random, tpi, 0, 56));
    else if (where === 1) undo.push(damage(random, hash, 0, hash.length));
    else if (where === 2) undo.push(damage(random, ipi, 0, random.chance(0.1) ? 56 : ipi.length));
    else
      for (let n = random.below(4); n >= 0; n--)
        undo.push(damage(random, tpi, places[victim]![0] - 2, places[victim]![1] + 2));
    const start = performance.now();
    const fine = tolerate(() => {
      const types = new TypeTable(msf, true);
      useType(types, types.types.begin + victim);
      if (where === 1) types.find('_EXCEPTION_RECORD');
      if (where === 2) types.id(types.types.begin + random.below(1000));
      // Somebody who refers to it, perhaps.
      useType(types, types.types.begin + Math.min(victim + random.below(8), count - 1));
    });
    slowest = Math.max(slowest, performance.now() - start);
    if (fine) survived++;
    for (const restore of undo.reverse()) restore();
  }
  t.diagnostic(`${survived} gave an answer; the slowest took ${slowest.toFixed(1)} ms`);
  assert.ok(slowest < 1000);
  assert.ok(survived < inputs);
});

it('follows no cycle', () => {
  const self = u32(0x1000);
  const structure = (fieldList: number, name: string): number[] => [
    ...u16(0x1505),
    ...u16(1),
    ...u16(0),
    ...u32(fieldList),
    ...u32(0),
    ...u32(0),
    ...u16(8),
    ...text(name),
  ];
  const cycles: readonly (readonly [name: string, ...records: number[][]])[] = [
    ['modifier of itself', [...u16(0x1001), ...self, ...u16(1)]],
    ['pointer to itself', [...u16(0x1002), ...self, ...u32(0x1000c)]],
    ['array of itself', [...u16(0x1503), ...self, ...u32(0x23), ...u16(8), 0]],
    ['bit field of itself', [...u16(0x1205), ...self, 1, 0]],
    ['enum of itself', [...u16(0x1507), ...u16(0), ...u16(0), ...self, ...u32(0), ...text('E')]],
    [
      'function returning itself',
      [...u16(0x1008), ...self, 0, 0, ...u16(1), ...u32(0x1001)],
      [...u16(0x1201), ...u32(1), ...self],
    ],
    [
      'base of itself',
      structure(0x1001, 'S'),
      [...u16(0x1203), ...u16(0x1400), ...u16(3), ...self, ...u16(0)],
    ],
    [
      'two bases, each itself',
      structure(0x1001, 'S'),
      [
        ...u16(0x1203),
        ...u16(0x1400),
        ...u16(3),
        ...self,
        ...u16(0),
        ...u16(0x1400),
        ...u16(3),
        ...self,
        ...u16(0),
      ],
    ],
    [
      'list that goes on in itself',
      structure(0x1001, 'S'),
      [...u16(0x1203), ...u16(0x1404), ...u16(0), ...u32(0x1001)],
    ],
    ['member pointer of itself', [...u16(0x1002), ...self, ...u32(0x1004c), ...self, ...u16(0)]],
    [
      'function of ten of itself',
      [...u16(0x1008), ...self, 0, 0, ...u16(10), ...u32(0x1001)],
      [...u16(0x1201), ...u32(10), ...Array.from({ length: 10 }, () => self).flat()],
    ],
    [
      'declaration of a declaration',
      [...u16(0x1505), ...u16(0), ...u16(0x80), ...u32(0), ...u32(0), ...u32(0), ...u16(0), ...text('S')],
    ],
  ];
  for (const [name, ...records] of cycles) {
    const start = performance.now();
    const types = craft(...records);
    for (let type = 0x1000; type < 0x1000 + records.length; type++) tolerate(() => useType(types, type));
    assert.ok(performance.now() - start < 200, name);
  }
});

it('finds all types, and in time, when all share one bucket', () => {
  const honest = new TypeTable(memoryMsf(streamsOf(pdb)), true);
  const [known] = honest.find('_EXCEPTION_RECORD');
  assert.ok(known !== undefined);
  const streams = streamsOf(pdb);
  const tpi = streams.get(2)!;
  const hash = streams.get(tpi[0x14]! | (tpi[0x15]! << 8))!;
  const word = (at: number): number => new DataView(tpi.buffer).getUint32(at, true);
  const hashes = word(0x20);
  const own = hashes + (known - honest.types.begin) * 4;
  const bucket = hash.slice(own, own + 4);
  for (let at = 0; at < word(0x24); at += 4) hash.set(bucket, hashes + at);
  const types = new TypeTable(memoryMsf(streams), true);
  const start = performance.now();
  assert.ok(types.find('_EXCEPTION_RECORD').includes(known));
  honest.forEachTag((index, name) => {
    assert.ok(
      types.find(name).includes(index) || name.includes('unnamed') || honest.find(name).length > 200,
      name,
    );
  });
  assert.ok(performance.now() - start < 2000);
});

it('reads what one linker in a hundred writes', () => {
  const types = craft(
    [
      ...u16(0x1203),
      ...u16(0x1502),
      ...u16(3),
      ...u16(0x8000),
      0xff,
      ...text('A'),
      ...u16(0x1502),
      ...u16(3),
      ...u16(0x8018),
      ...u32(7),
      ...u32(0),
      ...u32(0),
      ...u32(0),
      ...text('B'),
      0xf2,
      0xf1,
      ...u16(0x1502),
      ...u16(3),
      ...u16(5),
      ...text('C'),
    ],
    [
      ...u16(0x1507),
      ...u16(3),
      ...u16(0x300),
      ...u32(0x13),
      ...u32(0x1000),
      ...text('f::__l2::E'),
      ...text('?AW4E@?1??f@@YAXXZ@'),
    ],
    [...u16(0x1503), ...u32(0x1001), ...u32(0x23), ...u16(0x8004), ...u32(800_000), 0],
    [...u16(0x1002), ...u32(0x1002), ...u32(0x1000c | (1 << 10) | (1 << 12))],
  );
  assert.deepEqual(types.find('f::__l2::E'), [0x1001]);
  assert.deepEqual(types.find('?AW4E@?1??f@@YAXXZ@'), [0x1001]);
  assert.deepEqual(enumeratorsOf(types, 0x1001), [
    { name: 'A', value: -1n },
    { name: 'B', value: 7n },
    { name: 'C', value: 5n },
  ]);
  assert.equal(enumNameOf(types, 0x1001, 0xffff_ffff_ffff_ffffn), 'A');
  assert.equal(types.sizeOf(0x1002), 800_000);
  assert.equal(declarationOf(types, 0x1003, 'p'), 'f::__l2::E (*const __restrict p)[100000]');
  assert.equal(shortTextOf(types, 0x1003), 'Ptr64 [100000] f::__l2::E');
  const tags: string[] = [];
  types.forEachTag((_, name) => tags.push(name));
  assert.deepEqual(tags, ['f::__l2::E']);
});
