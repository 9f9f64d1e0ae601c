/**
 * What is inside values, and that every child's expression leads back to it: over all sorts of types of MSVC's PDBs, filled
 * with random memory; lists good and hostile; a virtual base, through the table that MSVC made.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  SampleContext,
  sampleModule,
  SparseMemory,
  typeNamed,
  type SampleModule,
} from '../../../test/fixtures/expressionContext';
import { msvcSamples } from '../../../test/fixtures/pdbSamples';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { virtualAddress } from '../core/addresses';
import { Access } from './access';
import { childCounts, indexedChildren, namedChildren } from './children';
import { evaluate, type Item } from './compile';
import { summary } from './format/summary';
import { pointerTo, typeOf, type StructType, type Type } from './types/type';
import { typeText } from './types/typeText';
import { inMemory } from './values/place';

const heap = 0xffffa10000000000n;
const memory = new SparseMemory();
const conpty = sampleModule(
  'conpty',
  undefined,
  msvcSamples.find(({ name }) => name.endsWith('/conpty'))!,
  memory,
);

const struct = (name: string): StructType => typeNamed(conpty, name) as StructType;

function contextWith(
  variables: Readonly<Record<string, readonly [type: Type, offset: bigint]>>,
): SampleContext {
  const context = new SampleContext(memory);
  context.modules.push(conpty);
  for (const [name, [type, offset]] of Object.entries(variables)) {
    context.variables.set(name, { type, place: inMemory(virtualAddress(heap + offset)) });
  }
  return context;
}

/** `name = summary` of the children of what a text evaluates to. */
async function inside(context: SampleContext, text: string, start = 0, count = 100): Promise<string[]> {
  const access = new Access(context);
  const item = await evaluate(text, context);
  const children = [
    ...(await namedChildren(access, item)),
    ...(await indexedChildren(access, item, start, count)),
  ];
  return Promise.all(
    children.map(async (child) => `${child.name} = ${await summary(access, child, { hex: false })}`),
  );
}

const counts = async (context: SampleContext, text: string): Promise<unknown> =>
  childCounts(new Access(context), await evaluate(text, context));

const nothing = { named: 0, indexed: 0 };

describe('children', () => {
  it('of structures are their members, of pointers to structures too', async () => {
    const context = contextWith({
      entry: [struct('_LIST_ENTRY'), 0n],
      p: [pointerTo(struct('_LIST_ENTRY'), 8), 16n],
    });
    memory.putNumbers(heap, 8, 0x10n, 0x20n, heap);
    const members = ['Flink = 0x0000000000000010', 'Blink = 0x0000000000000020'];
    assert.deepEqual(await inside(context, 'entry'), members);
    assert.deepEqual(await inside(context, 'p'), members);
    assert.deepEqual(await inside(context, '*p'), members);
    assert.deepEqual(await counts(context, 'p'), { named: 2, indexed: 0 });
    const expressions = async (text: string): Promise<unknown> =>
      (await namedChildren(new Access(context), await evaluate(text, context))).map(
        ({ expression }) => expression,
      );
    assert.deepEqual(await expressions('p'), ['p->Flink', 'p->Blink']);
    assert.deepEqual(await expressions(' ( p ) '), ['( p )->Flink', '( p )->Blink']);
    assert.deepEqual(await expressions('*p'), ['(*p).Flink', '(*p).Blink']);
    assert.deepEqual(await expressions('p + 0'), ['(p + 0)->Flink', '(p + 0)->Blink']);
    assert.deepEqual(await expressions('(PLIST_ENTRY)p,x'), [
      '((PLIST_ENTRY)p)->Flink',
      '((PLIST_ENTRY)p)->Blink',
    ]);
    assert.deepEqual(await expressions('p[0]'), ['p[0].Flink', 'p[0].Blink']);
  });

  it('of other pointers are what they point at, of none there are none', async () => {
    const context = contextWith({
      pp: [pointerTo(pointerTo(struct('_LIST_ENTRY'), 8), 8), 0n],
      wild: [pointerTo(struct('_LIST_ENTRY'), 8), 0x5000n],
    });
    memory.putNumbers(heap, 8, heap + 8n, heap + 16n, 0x30n, 0x40n);
    assert.deepEqual(await inside(context, 'pp'), ['* = 0xffffa10000000010']);
    assert.deepEqual(await inside(context, '*pp'), [
      'Flink = 0x0000000000000030',
      'Blink = 0x0000000000000040',
    ]);
    assert.deepEqual(await counts(context, '(PLIST_ENTRY)0'), nothing);
    assert.deepEqual(await counts(context, '(PVOID)1'), nothing);
    assert.deepEqual(await counts(context, '5'), nothing);
    assert.deepEqual(await counts(context, 'wild'), nothing);
    assert.deepEqual(await counts(context, 'memmove'), nothing);
    assert.deepEqual(await inside(context, '(PLIST_ENTRY)0x10'), [
      'Flink = <unreadable: 00000000`00000010>',
      'Blink = <unreadable: 00000000`00000018>',
    ]);
  });

  it('of arrays come in pages, and as many as the format says', async () => {
    const context = contextWith({
      context: [struct('_CONTEXT'), 0x100n],
      p: [pointerTo(struct('_M128A'), 8), 0n],
    });
    memory.put(heap, new Uint8Array(0x1000));
    memory.putNumbers(heap, 8, heap + 0x100n);
    assert.deepEqual(await counts(context, 'context.VectorRegister'), { named: 0, indexed: 26 });
    assert.deepEqual(await inside(context, 'context.VectorRegister', 24, 100), [
      '[24] = {Low=0, High=0}',
      '[25] = {Low=0, High=0}',
    ]);
    assert.deepEqual(await inside(context, 'context.VectorRegister,[1],x'), ['[0] = {Low=0x0, High=0x0}']);
    assert.deepEqual(await counts(context, 'p,[context.Dr0 + 3]'), { named: 0, indexed: 3 });
    assert.equal((await inside(context, 'p,3', 1, 1))[0], '[1] = {Low=0, High=0}');
    assert.deepEqual(await counts(context, '(char *)p,[2000000000]'), { named: 0, indexed: 2_000_000_000 });
    assert.deepEqual(await inside(context, '(char *)p,[2000000000]', 1_999_999_999, 5), [
      `[1999999999] = <unreadable: ${(heap + 0x100n + 1_999_999_999n).toString(16).replace(/(.{8})$/, '`$1')}>`,
    ]);
  });

  it('of a list are its records, if their type is given', async () => {
    // Four records of which _TP_CALLBACK_ENVIRON-like structures would do; _RTL_CRITICAL_SECTION_DEBUG has a LIST_ENTRY.
    const context = contextWith({ head: [struct('_LIST_ENTRY'), 0n] });
    memory.put(heap, new Uint8Array(0x1000));
    const offset = 16n;
    const record = (i: number): bigint => heap + 0x100n + BigInt(i) * 0x40n;
    const link = (at: bigint, next: bigint, back: bigint): void => memory.putNumbers(at, 8, next, back);
    const nodes = [heap, record(0) + offset, record(1) + offset, record(2) + offset];
    nodes.forEach((node, i) => {
      link(node, nodes[(i + 1) % 4]!, nodes[(i + 3) % 4]!);
    });
    [7n, 8n, 9n].forEach((number, i) => {
      memory.putNumbers(record(i), 2, number);
    });
    const list = 'head,list(_RTL_CRITICAL_SECTION_DEBUG.ProcessLocksList)';
    assert.deepEqual(await counts(context, list), { named: 2, indexed: 3 });
    const access = new Access(context);
    const items = await indexedChildren(access, await evaluate(list, context), 1, 5);
    assert.deepEqual(
      items.map(({ name, expression }) => [name, expression]),
      [
        ['[1]', '*(conpty!_RTL_CRITICAL_SECTION_DEBUG *)0xffffa10000000140'],
        ['[2]', '*(conpty!_RTL_CRITICAL_SECTION_DEBUG *)0xffffa10000000180'],
      ],
    );
    assert.match(await summary(access, items[0]!, { hex: false }), /^\{Type=8, /);
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false }),
      '{list of 3 entries}',
    );
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false, mostListEntries: 2 }),
      '{list of more than 2 entries}',
    );
    // Hostile: a ring that misses the head, a link to nowhere, an entry that does not point back.
    link(nodes[3]!, nodes[1]!, nodes[2]!);
    link(nodes[1]!, nodes[2]!, nodes[3]!);
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false }),
      '{Flink=0xffffa10000000110, Blink=0xffffa10000000190}',
    );
    link(nodes[1]!, nodes[2]!, heap);
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false }),
      '{list, broken after 3 entries}',
    );
    link(nodes[2]!, 0x10n, nodes[1]!);
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false }),
      '{list, broken after 2 entries}',
    );
    link(heap, heap, heap);
    assert.equal(await summary(access, await evaluate('head', context), { hex: false }), '{empty list}');
    assert.deepEqual(await counts(context, list), { named: 2, indexed: 0 });
    link(heap, 0n, 0n);
    assert.equal(
      await summary(access, await evaluate('head', context), { hex: false }),
      '{Flink=0x0000000000000000, Blink=0x0000000000000000}',
    );
  });

  it('of virtual bases are found through the object’s own tables, whichever way one comes', async () => {
    const traits = 'char,std::char_traits<char>';
    const stream = struct(`std::basic_stringstream<${traits},std::allocator<char> >`);
    const tables = ['istream', 'ostream'].map((base) => {
      const name = `??_8?$basic_stringstream@DU?$char_traits@D@std@@V?$allocator@D@2@@std@@7B?$basic_${base}@DU?$char_traits@D@std@@@1@@`;
      const [table] = conpty.pdb.publics.find(name);
      assert.ok(table?.rva !== undefined);
      return conpty.base + BigInt(table.rva);
    });
    const context = contextWith({ out: [stream, 0n], p: [pointerTo(stream, 8), 0x800n] });
    memory.put(heap, new Uint8Array(0x1000));
    memory.putNumbers(heap + 0x800n, 8, heap);
    const child = async (expression: string, name: string): Promise<Item> => {
      const parent = await evaluate(expression, context);
      const children = await namedChildren(new Access(context), parent);
      const found = children.find((one) => one.name === name);
      assert.ok(found, `${expression}: ${children.map((one) => one.name).join()}`);
      return found;
    };
    const both = await child('out', `std::basic_iostream<${traits} >`);
    const input = await child(both.expression!, `std::basic_istream<${traits} >`);
    const output = await child(both.expression!, `std::basic_ostream<${traits} >`);
    const start = ({ value: { place } }: Item): bigint => (place.kind === 'memory' ? place.address : 0n);
    memory.putNumbers(start(input), 8, tables[0]!);
    memory.putNumbers(start(output), 8, tables[1]!);
    const name = `std::basic_ios<${traits} >`;
    const ways = await Promise.all(
      ['out', '*p', both.expression!, input.expression!, output.expression!].map((way) => child(way, name)),
    );
    const [first] = ways;
    assert.ok(start(first!) > start(output) && start(first!) < heap + BigInt(stream.size));
    for (const way of ways) {
      assert.equal(start(way), start(first!), way.expression);
      assert.equal(start(await evaluate(way.expression!, context)), start(first!));
    }
    const member = await evaluate('&p->_Mystrbuf', context);
    assert.deepEqual(member.value, (await evaluate(`&(${first!.expression!})._Mystrbuf`, context)).value);
    await assert.rejects(evaluate(`(${name} *)p`, context), /virtual base/);
    memory.putNumbers(start(input), 8, 0x10n);
    const lines = await inside(context, 'out');
    assert.ok(lines.includes(`${name} = <the table of virtual bases is not in memory>`), lines.join('\n'));
  });
});

/** All that is below an item, to some depth, each checked against its own expression. */
async function roundTrip(
  context: SampleContext,
  item: Item,
  depth: number,
  seen: { count: number },
): Promise<void> {
  const access = new Access(context);
  const line = await summary(access, item, { hex: seen.count % 2 === 0 });
  assert.ok(line.length < 1000, `${item.expression}: ${line.length} characters`);
  const { named, indexed } = await childCounts(access, item);
  const children = [
    ...(await namedChildren(access, item)).slice(0, 40),
    ...(await indexedChildren(access, item, Math.max(0, indexed - 2), 2)),
  ];
  assert.ok(named === 0 || indexed === 0);
  for (const child of children) {
    seen.count++;
    if (child.expression === undefined || child.value.place.kind === 'unavailable') continue;
    const again = await evaluate(child.expression, context);
    // References stand for what they refer to.
    const { type } = child.value;
    if (type.kind === 'pointer' && type.reference) continue;
    assert.deepEqual(
      [again.value.place, again.value.bits, typeText(again.value.type)],
      [child.value.place, child.value.bits, typeText(type)],
      child.expression,
    );
    if (depth > 0) await roundTrip(context, child, depth - 1, seen);
  }
}

function someTypes(module: SampleModule, count: number, pick: (bound: number) => number): StructType[] {
  const all: number[] = [];
  module.types.forEachTag((index) => all.push(index));
  const found: StructType[] = [];
  while (found.length < count) {
    const type = typeOf({ types: module.types, index: all[pick(all.length)]!, module: module.name });
    if (type.kind === 'struct' && type.size > 0) found.push(type);
  }
  return found;
}

it('leads back to every child of random objects', async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const seen = { count: 0 };
  for (const type of someTypes(conpty, 1000, (bound) => random.below(bound))) {
    // Small numbers, pointers into the heap, nonsense.
    const words = Array.from({ length: 512 }, () =>
      random.chance(0.5)
        ? heap + BigInt(random.below(0x1000))
        : BigInt(random.chance(0.5) ? random.below(300) : random.next()),
    );
    memory.putNumbers(heap, 8, ...words);
    const context = contextWith({ x: [type, 0n] });
    await roundTrip(context, await evaluate('x', context), 2, seen);
  }
  t.diagnostic(`${seen.count} children`);
  assert.ok(seen.count > 4000);
});
