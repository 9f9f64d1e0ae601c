/**
 * Expressions against a C++ compiler. One source with globals of every sort is built twice: for Windows, where the image's
 * data and the PDB are what the engine reads, and natively, where the program prints what it has. The engine names every
 * part of every global by an expression; the compiler must find the same value behind the same words. And some thousand
 * random expressions over those globals must come out the same, in value, width and sign.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, it } from 'node:test';
import { Access } from '../../src/engine/expr/access';
import { childCounts, indexedChildren, namedChildren } from '../../src/engine/expr/children';
import { evaluate, type Item } from '../../src/engine/expr/compile';
import { isScalar, type Type } from '../../src/engine/expr/types/type';
import { typeText } from '../../src/engine/expr/types/typeText';
import { decode, isSigned, type Scalar } from '../../src/engine/expr/values/scalar';
import { SampleContext, sampleModule } from '../fixtures/expressionContext';
import { randomFrom, seedFromEnvironment, type Random } from '../fixtures/random';

const source = 'test/fixtures/values.cpp';
const randomExpressions = 4000;
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-expr-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

function run(command: string, argv: readonly string[]): string {
  return execFileSync(command, argv, { cwd: folder, encoding: 'utf8', timeout: 120_000, maxBuffer: 1 << 28 });
}

/** The engine's view: the image's bytes, as its PDB describes them. */
function windowsBuild(): SampleContext {
  const common = ['-std=c++17', '-w', '-g', '-gcodeview', '-fno-exceptions', '-fno-rtti'];
  run('clang', [
    '--target=x86_64-pc-windows-msvc',
    ...common,
    '-c',
    '-o',
    'values.obj',
    path.resolve(source),
  ]);
  run('lld-link', ['/dll', '/noentry', '/nodefaultlib', '/debug', '/out:values.dll', 'values.obj']);
  const context = new SampleContext();
  const files = { pdb: path.join(folder, 'values.pdb'), image: path.join(folder, 'values.dll') };
  context.modules.push(sampleModule('', undefined, files, context.memory));
  return context;
}

/** One line of output for each statement. */
function nativeOutput(statements: readonly string[]): string[] {
  const integers = ['bool', 'char', 'signed char', 'unsigned char', 'short', 'unsigned short', 'wchar_t'];
  integers.push('char16_t', 'char32_t', 'int', 'unsigned int', 'long', 'unsigned long', 'long long');
  const program = [
    readFileSync(source, 'utf8'),
    'extern "C" int printf(const char *, ...);',
    ...[...integers, 'unsigned long long'].map(
      (type) =>
        `static void P(${type} v) { printf(${type === 'bool' ? '"bool %d\\n", v' : `(${type})-1 < (${type})1 ? "%dS %lld\\n" : "%dU %llu\\n", (int)sizeof v, (long long)v`}); }`,
    ),
    ...['float', 'double'].map(
      (type) => `static void P(${type} v) { printf("${type} %.17g\\n", (double)v); }`,
    ),
    'template <class T> static void P(T *) { printf("pointer\\n"); }',
    // One function for each, or the compiler needs minutes.
    ...statements.map((statement, i) => `static void f${i}() { ${statement} }`),
    `int main() { ${statements.map((_, i) => `f${i}();`).join(' ')} return 0; }`,
  ];
  writeFileSync(path.join(folder, 'native.cpp'), program.join('\n'));
  const flags = ['-std=c++17', '-w', '-fno-rtti', '-fno-exceptions', '-fshort-wchar', '-mms-bitfields'];
  run('clang', [...flags, '-fwrapv', '-ffp-contract=off', '-o', 'native', 'native.cpp']);
  const lines = run(path.join(folder, 'native'), []).trimEnd().split('\n');
  assert.equal(lines.length, statements.length);
  return lines;
}

/** `4S -5`: as the native program prints it. */
function printed(type: Type, value: Scalar): string {
  switch (type.kind) {
    case 'boolean':
      return `bool ${value}`;
    case 'float':
      return `${type.size === 4 ? 'float' : 'double'} ${Object.is(value, -0) ? '-0' : value}`;
    case 'pointer':
      return 'pointer';
    case 'enum':
      return `8S ${BigInt.asIntN(64, value as bigint)}`;
    default:
      return `${type.size}${isScalar(type) && isSigned(type) ? 'S' : 'U'} ${value}`;
  }
}

function same(ours: string, theirs: string): boolean {
  const [kind, number] = ours.split(' ');
  const [nativeKind, nativeNumber] = theirs.split(' ');
  if (kind !== nativeKind) return false;
  if (kind !== 'float' && kind !== 'double') return number === nativeNumber;
  const native = Number(nativeNumber!.replace('inf', 'Infinity').replace(/-?nan/, 'NaN'));
  return Object.is(Number(number), native);
}

async function scalarOf(context: SampleContext, { value }: Item): Promise<Scalar> {
  const { type, place, bits } = value;
  assert.ok(isScalar(type), typeText(type));
  const decoded = decode(type, await new Access(context).load(place, type.size), bits);
  return decoded;
}

const globals = [
  ...'yes no letter negativeChar tiny byte small word number zero seven unsignedNumber aLong aUlong big'.split(
    ' ',
  ),
  ...'unsignedBig single negativeSingle real huge wide sixteen thirtyTwo constant color unnamedColor'.split(
    ' ',
  ),
  ...'level flags allFlags wide64 bits nested packed matrix reals text full bytes imageName wideText'.split(
    ' ',
  ),
  ...'pointed widePointed none bitsPointer middle row element twice anything points reference'.split(' '),
  ...'constReference function handlers derived most asBase asOther square shape Shape::count'.split(' '),
  ...'space::box space::boxes space::variable space::inner space::Box<int,2>::made head records'.split(' '),
];

/** Everything that has no parts, below an item. */
async function leaves(context: SampleContext, item: Item, depth: number, found: Item[]): Promise<void> {
  const access = new Access(context);
  const { named, indexed } = await childCounts(access, item);
  if (isScalar(item.value.type) && item.expression !== undefined) found.push(item);
  if (depth === 0 || (named === 0 && indexed === 0)) return;
  const children = [...(await namedChildren(access, item)), ...(await indexedChildren(access, item, 0, 20))];
  for (const child of children) await leaves(context, child, depth - 1, found);
}

const context = windowsBuild();
const windows = {
  skip: process.platform === 'win32' && 'not on Debian: a native clang needs the Windows SDK',
};

it('names and reads every part of every global as the compiler does', windows, async (t) => {
  const found: Item[] = [];
  for (const name of globals) await leaves(context, await evaluate(name, context), 5, found);
  const parts = found.filter(({ name }) => name !== '__VFN_table');
  t.diagnostic(`${parts.length} parts of ${globals.length} globals`);
  assert.ok(parts.length > 250);
  const statement = ({ expression, value }: Item): string =>
    value.type.kind === 'enum' ? `P((long long)(${expression}));` : `P(${expression});`;
  const lines = nativeOutput(parts.map(statement));
  for (const [i, part] of parts.entries()) {
    const ours = printed(part.value.type, await scalarOf(context, part));
    assert.ok(same(ours, lines[i]!), `${part.expression}: ours “${ours}”, the compiler’s “${lines[i]!}”`);
    // The expression leads back to where it came from.
    const again = await evaluate(part.expression!, context);
    assert.deepEqual(
      [again.value.place, again.value.bits, typeText(again.value.type)],
      [part.value.place, part.value.bits, typeText(part.value.type)],
      part.expression,
    );
  }
});

const scalars = [
  ...'yes no letter negativeChar tiny byte small word number zero seven unsignedNumber aLong aUlong big'.split(
    ' ',
  ),
  ...'unsignedBig wide sixteen thirtyTwo color flags wide64 bits.a bits.b bits.c bits.d bits.e bits.f'.split(
    ' ',
  ),
  ...'bits.g bits.h bits.i bits.j bits.k bits.l bits.n bits.whole nested.to.x nested.low packed.s matrix[1][2]'.split(
    ' ',
  ),
  ...'*element **twice bytes[5] text[1] reference middle->y sizeof(Packed) sizeof(matrix) row[0][3]'.split(
    ' ',
  ),
];
const literals = [
  '0',
  '1',
  '2',
  '7u',
  '255',
  '0x7fffffff',
  '0x80000000',
  '0xffffffffu',
  '077',
  '1ll',
  '5ull',
];
literals.push("'a'", "L'z'", '0xffffffffffffffff', '9223372036854775807', 'true', 'false', '0b101');
const reals = ['single', 'real', 'negativeSingle', 'reals[1]', '1.5', '2.25f', '1e10', '.5'];
const casts =
  'bool char,signed char,unsigned char,short,unsigned short,int,unsigned int,long long,unsigned long long,LONG,ULONG'
    .replace('bool char', 'bool,char')
    .split(',');
const pointers = [
  'element',
  '&matrix[0][0]',
  '&matrix[2][3]',
  '(element + seven - 6)',
  'matrix[1]',
  'row[0]',
];

/** What C++ defines, so that both must agree: no overflow of shifts, no division by zero. */
function randomExpression(random: Random, depth: number): string {
  if (depth === 0 || random.chance(0.1)) return random.pick(random.chance(0.7) ? scalars : literals);
  const one = (): string => randomExpression(random, depth - 1);
  switch (random.below(14)) {
    case 0:
      return `(${random.pick(casts)})(${one()})`;
    case 1:
      return `${random.pick(['-', '~', '!', '+'])}(${one()})`;
    case 2:
      return `(${one()} ${random.pick(['/', '%'])} ((${one()} & 7) + 1))`;
    case 3:
      return `((${one()}) ${random.pick(['<<', '>>'])} (${one()} & 7))`;
    case 4:
      return `(${one()} ${random.pick(['==', '!=', '<', '>', '<=', '>='])} ${one()})`;
    case 5:
      return `(${one()} ${random.pick(['&&', '||'])} ${one()})`;
    case 6:
      return `(${one()} ? ${one()} : ${one()})`;
    case 7:
      return `((${one()} ? ${randomReal(random, depth - 1)} : ${one()}) > ${one()})`;
    case 8:
      return `(${randomReal(random, depth - 1)} ${random.pick(['==', '!=', '<', '>', '<=', '>='])} ${one()})`;
    case 9:
      return `(${random.pick(pointers)} ${random.pick(['-', '==', '!=', '<', '>', '<=', '>='])} ${random.pick(pointers)})`;
    case 10:
      return `(${random.pick(pointers)})[${one()} & 1]`;
    default:
      return `(${one()} ${random.pick(['+', '-', '*', '&', '|', '^'])} ${one()})`;
  }
}

function randomReal(random: Random, depth: number): string {
  if (depth <= 0 || random.chance(0.2)) return random.pick(reals);
  if (random.chance(0.2)) return `(${random.pick(['float', 'double'])})${randomExpression(random, 0)}`;
  if (random.chance(0.2)) return `-${random.pick(reals)}`;
  const other = random.chance(0.5) ? randomReal(random, depth - 1) : randomExpression(random, 0);
  return `(${randomReal(random, depth - 1)} ${random.pick(['+', '-', '*', '/'])} ${other})`;
}

/** Changes one of the scratch variables; those before it have left their marks. */
function randomAssignment(random: Random): string {
  const target = random.pick([
    ...['scratchInt', 'scratchByte', 'scratchShort', 'scratchBig', 'scratchBool'],
    ...['scratchBits.a', 'scratchBits.d', 'scratchBits.f', 'scratchBits.h', 'scratchBits.l', 'scratchBits.n'],
  ]);
  if (random.chance(0.2) && !/Bool|\.l$/.test(target)) {
    return random.pick([`++${target}`, `${target}++`, `--${target}`, `${target}--`]);
  }
  if (random.chance(0.1)) return `scratchPointer ${random.pick(['= &matrix[1][1]', '= element'])}`;
  if (random.chance(0.1))
    return `${random.pick(['scratchReal', 'scratchSingle'])} ${random.pick(['=', '+=', '*='])} ${randomReal(random, 2)}`;
  if (random.chance(0.2))
    return `(${target} ${random.pick(['<<=', '>>='])} (${randomExpression(random, 1)} & 3))`;
  if (random.chance(0.2)) return `(${target} /= ((${randomExpression(random, 1)} & 7) + 1))`;
  return `(${target} ${random.pick(['=', '+=', '-=', '*=', '&=', '|=', '^='])} ${randomExpression(random, 2)})`;
}

it(`computes ${randomExpressions} random expressions as the compiler does`, windows, async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const texts = Array.from({ length: randomExpressions }, () => {
    if (random.chance(0.3)) return randomAssignment(random);
    return random.chance(0.2) ? randomReal(random, 3) : randomExpression(random, 1 + random.below(4));
  });
  const results: [string, Item, Scalar][] = [];
  for (const text of texts) {
    const item = await evaluate(text, context, { allowWrites: true });
    results.push([text, item, await scalarOf(context, item)]);
  }
  const lines = nativeOutput(
    results.map(([text, { value }]) =>
      value.type.kind === 'enum' ? `P((long long)(${text}));` : `P(${text});`,
    ),
  );
  for (const [i, [text, { value }, scalar]] of results.entries()) {
    const ours = printed(value.type, scalar);
    assert.ok(same(ours, lines[i]!), `${text}: ours “${ours}”, the compiler’s “${lines[i]!}”`);
  }
});
