/** Damaged types under expressions: an error, or some answer; never a hang, a crash, or a cycle followed. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { SampleContext } from '../../../../test/fixtures/expressionContext';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { craft, damage, memoryMsf, streamsOf, text, u16, u32 } from '../../../../test/fixtures/typeStreams';
import { virtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { TypeIndex } from '../../symbols/types/records';
import { TypeTable } from '../../symbols/types/typeTable';
import { Access } from '../access';
import { childCounts, indexedChildren, namedChildren } from '../children';
import { evaluate } from '../compile';
import { summary } from '../format/summary';
import { inMemory } from '../values/place';
import { typeOf } from './type';
import { typeText } from './typeText';

const pdb = 'node_modules/node-pty/prebuilds/win32-x64/conpty_console_list.pdb';
const inputs = 5000;
const heap = 0xffffa10000000000n;

async function tolerate(use: () => Promise<unknown>): Promise<boolean> {
  try {
    await use();
    return true;
  } catch (error) {
    assert.ok(error instanceof VmkdError && error.code !== 'internal', String(error));
    return false;
  }
}

/** What a variable of that type may be asked. */
async function look(types: TypeTable, index: TypeIndex): Promise<boolean> {
  const context = new SampleContext();
  context.memory.putNumbers(heap, 8, ...Array.from({ length: 512 }, (_, i) => heap + BigInt(i * 8)));
  let good = await tolerate(async () => {
    const type = typeOf({ types, index, module: 'm' });
    assert.ok(typeText(type, true).length < 20_000);
    context.variables.set('x', { type, place: inMemory(virtualAddress(heap + 0x40n)) });
    context.variables.set('this', { type, place: inMemory(virtualAddress(heap + 0x40n)) });
  });
  if (!good) return false;
  for (const expression of [
    'x',
    '&x',
    '*x',
    'x[1]',
    'sizeof x',
    'x.a',
    'x->b',
    'x == x',
    'x + 1',
    'a',
    'x,s',
    'x,[3]',
  ]) {
    good = await tolerate(async () => {
      const access = new Access(context, { mostReads: 500 });
      const item = await evaluate(expression, context, { mostReads: 100 });
      assert.ok((await summary(access, item, { hex: false })).length < 2000, expression);
      await childCounts(access, item);
      for (const child of (await namedChildren(access, item)).slice(0, 5)) {
        await summary(access, child, { hex: true });
        await namedChildren(access, child);
      }
      await indexedChildren(access, item, 0, 3);
    });
  }
  return good;
}

it(`survives ${inputs} damaged type streams`, async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const streams = streamsOf(pdb);
  const tpi = streams.get(2)!;
  const msf = memoryMsf(streams);
  const sound = new TypeTable(msf, true);
  const places: [at: number, length: number][] = [];
  sound.types.forEach((_, record) => {
    places.push([record.bytes.byteOffset - tpi.byteOffset, record.length]);
  });
  let answers = 0;
  let slowest = 0;
  for (let i = 0; i < inputs; i++) {
    const victim = random.below(places.length);
    const [at, length] = places[victim]!;
    const undo = Array.from({ length: 1 + random.below(4) }, () => damage(random, tpi, at - 2, length + 2));
    const start = performance.now();
    const types = new TypeTable(msf, true);
    if (await look(types, types.types.begin + victim)) answers++;
    slowest = Math.max(slowest, performance.now() - start);
    for (const restore of undo.reverse()) restore();
  }
  t.diagnostic(`${answers} gave answers; the slowest took ${slowest.toFixed(0)} ms`);
  assert.ok(slowest < 5000);
  assert.ok(answers < inputs);
});

it('follows no cycle', async () => {
  const self = u32(0x1000);
  const structure = (...members: number[][]): number[][] => [
    [...u16(0x1505), ...u16(1), ...u16(0), ...u32(0x1001), ...u32(0), ...u32(0), ...u16(8), ...text('S')],
    [...u16(0x1203), ...members.flat()],
  ];
  const base = [...u16(0x1400), ...u16(3), ...self, ...u16(0)];
  const field = (type: number): number[] => [
    ...u16(0x150d),
    ...u16(3),
    ...u32(type),
    ...u16(0),
    ...text('a'),
    0xf2,
    0xf1,
  ];
  const pointer = (mode: number): number[] => [...u16(0x1002), ...self, ...u32(0x1000c | (mode << 5))];
  const cycles: readonly (readonly [name: string, ...records: number[][]])[] = [
    ['pointer to itself', pointer(0)],
    ['reference to itself', pointer(1)],
    ['array of itself', [...u16(0x1503), ...self, ...u32(0x23), ...u16(8), 0]],
    [
      'array of arrays',
      [...u16(0x1503), ...u32(0x1001), ...u32(0x23), ...u16(80), 0],
      [...u16(0x1503), ...self, ...u32(0x23), ...u16(8), 0],
    ],
    ['enum of itself', [...u16(0x1507), ...u16(0), ...u16(0), ...self, ...u32(0), ...text('E')]],
    ['structure in itself', ...structure(field(0x1000))],
    ['structure in itself and two bases', ...structure(base, base, field(0x1000))],
    ['structure with a reference to itself', ...structure(field(0x1002)), pointer(1)],
    ['bit field of a structure', ...structure(field(0x1002)), [...u16(0x1205), ...self, 200, 200]],
    [
      'virtual base of itself',
      ...structure([...u16(0x1401), ...u16(3), ...self, ...u32(0x403), ...u16(0), ...u16(1)]),
    ],
  ];
  for (const [name, ...records] of cycles) {
    const start = performance.now();
    const types = craft(...records);
    for (let type = 0x1000; type < 0x1000 + records.length; type++) await look(types, type);
    assert.ok(performance.now() - start < 2000, name);
  }
});
