/** Compiled expressions: what they look up and read, and when; what they may spend; random ones. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, fails, memory, sampleContext } from '../../../test/fixtures/expressionFrame';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { Access } from './access';
import { indexedChildren, namedChildren } from './children';
import { compile, evaluate } from './compile';
import { ExpressionError } from './expressionError';
import { summary } from './format/summary';
import { unsignedLongType } from './types/builtinTypes';

describe('a compiled expression', () => {
  it('looks names up once for each scope', async () => {
    const context = sampleContext();
    const compiled = compile('count == -2 && p->Blink == (PVOID)0x10');
    assert.equal(await compiled.test(context), true);
    const { lookups } = context;
    assert.ok(lookups > 0);
    for (let i = 0; i < 10; i++) assert.equal(await compiled.test(context), true);
    assert.equal(context.lookups, lookups);
    context.scope = {};
    context.variables.set('count', { type: unsignedLongType, place: at(0x10) });
    assert.equal(await compiled.test(context), true);
    assert.ok(context.lookups > lookups);
  });

  it('reads what it needs, once each time', async () => {
    const context = sampleContext();
    const compiled = compile('count == 5 && p->Blink && numbers[0] == 1');
    await compiled.test(context);
    memory.reads = 0;
    assert.equal(await compiled.test(context), false);
    assert.equal(memory.reads, 1);
    await evaluate('p', context);
    assert.equal(memory.reads, 1);
  });

  it('stops at its budget, and when it is cancelled', async () => {
    const context = sampleContext();
    await fails(
      evaluate('count + count + count', context, { mostReads: 2 }),
      'expression-limit',
      /more memory/,
    );
    await fails(evaluate('count + numbers[0]', context, { mostBytes: 7 }), 'expression-limit', /more memory/);
    const aborter = new AbortController();
    aborter.abort();
    await fails(evaluate('count + 1', context, { signal: aborter.signal }), 'cancelled', /cancelled/);
  });
});

const pieces = [
  ...[
    'count',
    'p',
    'null',
    'wild',
    'entry',
    'name',
    'text',
    'numbers',
    'split',
    'half',
    'gone',
    'lost',
    'fixed',
  ],
  ...[
    'priority',
    'flag',
    '@rax',
    '@rcx',
    '$proc',
    '1',
    '0',
    '-1',
    '0x10',
    '1.5',
    "'a'",
    '"System"',
    'nothing',
  ],
  ...['std::_BADOFF', 'conpty!memmove', '__imp_CloseHandle', 'STATUS_SUCCESS', 'TP_CALLBACK_PRIORITY_LOW'],
];
const shapes = [
  ...[
    '(# + #)',
    '(# - #)',
    '# * #',
    '#[#]',
    '*#',
    '&#',
    '-#',
    '!#',
    '~#',
    '# == #',
    '# < #',
    '# && #',
    '# ? # : #',
  ],
  ...[
    '#->Flink',
    '#.Blink',
    '#->Buffer',
    '(ULONG)#',
    '(PLIST_ENTRY)#',
    '(_LIST_ENTRY *)#',
    '(char &)#',
    '# << #',
  ],
  ...[
    'poi(#)',
    'by(#)',
    'sizeof(#)',
    '#,x',
    '#,[#]',
    '#,su',
    '# = #',
    '#++',
    '# |= #',
    '(UCHAR)#',
    '(double)#',
  ],
  ...['CONTAINING_RECORD(#, _CONTEXT, Rip)', '#,list(_RTL_CRITICAL_SECTION_DEBUG.ProcessLocksList)', '# / #'],
];

it('survives random expressions, each in bounded time and reads', async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const context = sampleContext();
  const build = (depth: number): string =>
    depth === 0 || random.chance(0.1)
      ? random.pick(pieces)
      : random.pick(shapes).replace(/#/g, () => build(depth - 1));
  let good = 0;
  let slowest = 0;
  for (let i = 0; i < 20_000; i++) {
    const text = build(1 + random.below(3));
    const start = performance.now();
    try {
      const item = await evaluate(text, context, { allowWrites: true, mostReads: 50 });
      const access = new Access(context);
      assert.ok((await summary(access, item, { hex: false })).length < 1500, text);
      await namedChildren(access, item);
      await indexedChildren(access, item, random.below(100), 3);
      good++;
    } catch (error) {
      assert.ok(error instanceof ExpressionError && error.code !== 'internal', `${text}: ${String(error)}`);
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  t.diagnostic(`${good} had a value; the slowest took ${slowest.toFixed(1)} ms`);
  assert.ok(good > 2000);
  assert.ok(slowest < 2000);
});
