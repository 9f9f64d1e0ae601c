/** How values are shown, format by format, and that a line stays a line whatever the target holds. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  SampleContext,
  sampleModule,
  SparseMemory,
  typeNamed,
} from '../../../../test/fixtures/expressionContext';
import { msvcSamples } from '../../../../test/fixtures/pdbSamples';
import { virtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { Access } from '../access';
import { evaluate } from '../compile';
import {
  boolType,
  charType,
  doubleType,
  floatType,
  intType,
  unsignedLongType,
  wideCharType,
} from '../types/builtinTypes';
import { arrayOf, integer, pointerTo, type EnumType, type StructType, type Type } from '../types/type';
import { inMemory } from '../values/place';
import { encode } from '../values/scalar';
import { enumNames } from './enumText';
import { summary } from './summary';

const heap = 0xffffa10000000000n;
const memory = new SparseMemory();
const sample = msvcSamples.find(({ name }) => name.endsWith('/conpty'))!;
const conpty = sampleModule('conpty', undefined, sample, memory);
const struct = (name: string): StructType => typeNamed(conpty, name) as StructType;

const byteType = integer('unsigned char', 1, false);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const wide = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'utf16le'));

const context = new SampleContext(memory);
context.modules.push(conpty);
memory.put(heap, new Uint8Array(0x2000));
let used = 0n;

function variable(name: string, type: Type, bytes: Uint8Array = new Uint8Array(0)): bigint {
  const address = heap + used;
  used += BigInt(Math.ceil(Math.max(type.size, bytes.length, 1) / 16) * 16);
  memory.put(address, bytes);
  context.variables.set(name, { type, place: inMemory(virtualAddress(address)) });
  return address;
}

const number = (value: bigint, size: number): Uint8Array => encode(integer('', size, false), value);

variable('i', intType, number(-42n, 4));
variable('u', unsignedLongType, number(0xdeadbeefn, 4));
variable('status', integer('long', 4, true), number(0xc0000022n, 4));
variable('odd', integer('long', 4, true), number(0xcfffffffn, 4));
variable('c', charType, text('x'));
variable('nul', charType);
variable('b', byteType, number(200n, 1));
variable('letter', byteType, text('A'));
variable('w', wideCharType, number(0x20acn, 2));
variable('flag', boolType, number(3n, 1));
variable('f', floatType, encode(floatType, Math.fround(0.1)));
variable('d', doubleType, encode(doubleType, 1e21));
variable('integral', doubleType, encode(doubleType, 100));
variable('infinite', doubleType, encode(doubleType, -Infinity));
variable(
  'extended',
  { kind: 'float', name: 'long double', size: 10 },
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0x40),
);
variable('awkward', arrayOf(charType, 8), text('a"b\\\n\x01'));
variable('full', arrayOf(charType, 4), text('full'));
variable('lengthy', arrayOf(charType, 400), text('y'.repeat(400)));
variable('image', arrayOf(byteType, 15), text('System'));
variable('blob', arrayOf(byteType, 4), Uint8Array.of(1, 2, 3, 0));
variable('empty', arrayOf(byteType, 4));
variable('wides', arrayOf(wideCharType, 8), wide('wï\u202ede'));
variable('numbers', arrayOf(intType, 20), number(5n, 4));
variable('grid', arrayOf(arrayOf(intType, 2), 3), number(1n, 4));
const target = variable('target', arrayOf(charType, 8), text('caf\xc3\xa9'));
memory.put(target, Uint8Array.of(0x63, 0x61, 0x66, 0xc3, 0xa9, 0));
variable('string', pointerTo(charType, 8), number(target, 8));
variable('bytes', pointerTo(byteType, 8), number(target, 8));
variable('address', integer('unsigned __int64', 8, false), number(target, 8));
variable('null', pointerTo(charType, 8));
variable('wild', pointerTo(charType, 8), number(0x12345678n, 8));
variable('edge', pointerTo(charType, 8), number(heap + 0x1ffdn, 8));
memory.put(heap + 0x1ffdn, text('end'));
variable(
  'guid',
  struct('_GUID'),
  Uint8Array.from({ length: 16 }, (_, at) => at * 17),
);
variable('large', struct('_LARGE_INTEGER'), number(-10_000_000n, 8));
variable('date', struct('_LARGE_INTEGER'), number(133_800_000_000_000_001n, 8));
variable('when', integer('__int64', 8, true), number(133_800_000_000_000_001n, 8));
const stringBuffer = variable('buffer', arrayOf(wideCharType, 8), wide('\\Device'));
const counted = (length: bigint, buffer: bigint): Uint8Array =>
  Uint8Array.from([...number(length, 2), ...number(length, 2), 0, 0, 0, 0, ...number(buffer, 8)]);
variable('name', struct('_UNICODE_STRING'), counted(14n, stringBuffer));
variable('hostile', struct('_UNICODE_STRING'), counted(0xffffn, stringBuffer));
variable('lost', struct('_UNICODE_STRING'), counted(14n, 0x10n));
variable('nameless', struct('_UNICODE_STRING'));
variable('critical', struct('_RTL_CRITICAL_SECTION'), number(heap, 8));
variable('registers', struct('_CONTEXT'));
variable('handler', pointerTo(arrayOf(intType, 2), 8), number(stringBuffer, 8));

async function shown(expression: string, hex = false): Promise<string> {
  return summary(new Access(context), await evaluate(expression, context), { hex });
}

const table: readonly (readonly [expression: string, text: string, inHex?: string])[] = [
  ['i', '-42', '0xffffffd6'],
  ['i,x', '0xffffffd6'],
  ['i,u', '4294967254'],
  ['i,o', '037777777726'],
  ['i,b', '0b11111111111111111111111111010110'],
  ['i,d', '-42', '-42'],
  ['u', '3735928559', '0xdeadbeef'],
  ['u,d', '-559038737'],
  ['0,o', '0'],
  ['status', 'STATUS_ACCESS_DENIED (0xc0000022)'],
  ['status,d', '-1073741790'],
  ['status,!', '-1073741790'],
  ['u,status', '3735928559'],
  ['0,status', 'STATUS_SUCCESS (0x0)'],
  ['259,status', 'STATUS_PENDING (0x103)'],
  ['odd', '-805306369'],
  ['c', "120 'x'", "0x78 'x'"],
  ['c,!', '120'],
  ['nul', '0'],
  ['b', '200'],
  ['letter', "65 'A'"],
  ['65,c', "65 'A'"],
  ['w', "8364 '€'"],
  ["'\\n'", "10 '\\n'"],
  ['flag', 'true (0x3)'],
  ['true', 'true'],
  ['f', '0.1'],
  ['d', '1e+21'],
  ['integral', '100.0'],
  ['infinite', '-Infinity'],
  ['extended', '3.0'],
  ['-0.0', '-0.0'],
  ['awkward', '"a\\"b\\\\\\n\\x01"'],
  ['full', '"full"'],
  ['full,sb', 'full'],
  ['full,!', '{102, 117, 108, 108}'],
  ['full,2', "{102 'f', 117 'u'}"],
  ['lengthy', `"${'y'.repeat(256)}"…`],
  ['image', '"System"'],
  ['image,[3]', "{83 'S', 121 'y', 115 's'}"],
  ['blob', '{1, 2, 3, 0}', '{0x1, 0x2, 0x3, 0x0}'],
  ['blob,s', '"\\x01\\x02\\x03"'],
  ['empty', '{0, 0, 0, 0}'],
  ['wides', '"wï\\u202ede"'],
  ['numbers', '{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, …}'],
  ['numbers,[2],x', '{0x5, 0x0}'],
  ['grid', '{{1, 0}, {0, 0}, {0, 0}}'],
  ['string', `0x${target.toString(16)} "cafÃ©"`],
  ['string,s8', `0x${target.toString(16)} "café"`],
  ['string,s8b', 'café'],
  ['string,!', `0x${target.toString(16)}`],
  ['string,[3]', "{99 'c', 97 'a', 102 'f'}"],
  ['bytes', `0x${target.toString(16)}`],
  ['bytes,s', `0x${target.toString(16)} "cafÃ©"`],
  ['address,s', '"cafÃ©"'],
  ['address', target.toString(), `0x${target.toString(16)}`],
  ['null', '0x0000000000000000'],
  ['wild', '0x0000000012345678 <unreadable: 00000000`12345678>'],
  ['wild,sb', '<unreadable: 00000000`12345678>'],
  ['edge', '0xffffa10000001ffd "end"…'],
  ['guid', '{33221100-5544-7766-8899-aabbccddeeff}'],
  ['guid,!', '{Data1=857870592, Data2=21828, Data3=30566, Data4={136, 153, 170, 187, 204, 221, 238, 255}}'],
  ['large', '-10000000', '0xffffffffff676980'],
  ['large,time', '-1 s'],
  ['date,time', '2024-12-30 02:40:00.0000001 UTC'],
  ['when,time', '2024-12-30 02:40:00.0000001 UTC'],
  ['name', '"\\\\Device"'],
  ['name,sub', '\\Device'],
  ['&name', `0x${(stringBuffer + 16n).toString(16)} "\\\\Device"`],
  ['&name,sb', '\\Device'],
  ['nameless', '""'],
  ['lost', '<unreadable: 00000000`00000010>'],
  ['&lost', `0x${(stringBuffer + 48n).toString(16)} <unreadable: 00000000\`00000010>`],
  [
    'critical',
    `{DebugInfo=0x${heap.toString(16)}, LockCount=0, RecursionCount=0, OwningThread=0x0000000000000000, LockSemaphore=0x0000000000000000, SpinCount=0}`,
  ],
  [
    'critical,x',
    `{DebugInfo=0x${heap.toString(16)}, LockCount=0x0, RecursionCount=0x0, OwningThread=0x0000000000000000, LockSemaphore=0x0000000000000000, SpinCount=0x0}`,
  ],
  ['*(_GUID *)0x10', '<unreadable: 00000000`00000010>'],
  ['*(_RTL_CRITICAL_SECTION_DEBUG **)0x10', '<unreadable: 00000000`00000010>'],
];

describe('one line', () => {
  it('shows a value as its type and format say', async () => {
    for (const [expression, line, inHex] of table) {
      assert.equal(await shown(expression), line, expression);
      if (inHex !== undefined) assert.equal(await shown(expression, true), inHex, expression);
    }
  });

  it('names what an address belongs to, unless told not to', async () => {
    assert.match(await shown('&std::_BADOFF'), /^0x0000000180\w{6} conpty!std::_BADOFF$/);
    assert.match(await shown('(char *)&std::_BADOFF + 1,!'), /^0x0000000180\w{6} conpty!std::_BADOFF\+0x1$/);
    assert.match(await shown('&std::_BADOFF,n'), /^0x0000000180\w{6}$/);
  });

  it('is bounded', async () => {
    for (const expression of [
      'registers',
      'hostile',
      'lengthy',
      'numbers',
      '*(_CONTEXT (*)[100])&registers',
    ]) {
      assert.ok((await shown(expression)).length < 500, expression);
    }
    assert.match(await shown('hostile'), /^"\\\\Device.*"…$/);
    assert.match(await shown('registers'), /^\{P1Home=0, .*, …\}$/);
  });

  it('fails where the link does', async () => {
    const broken = new SampleContext();
    broken.variables.set('x', { type: intType, place: inMemory(virtualAddress(0n)) });
    const item = await evaluate('x', broken);
    broken.memory.readPartial = () => Promise.reject(new VmkdError('link-lost', 'gone'));
    await assert.rejects(summary(new Access(broken), item, { hex: false }), /gone/);
  });
});

it('names enumerators, alone or as flags', () => {
  const enumOf = (...enumerators: [string, bigint][]): EnumType => ({
    kind: 'enum',
    name: 'E',
    size: 4,
    signed: true,
    ref: { types: conpty.types, index: 0 },
    enumerators: enumerators.map(([name, value]) => ({ name, value })),
  });
  const counting = enumOf(['A', 0n], ['B', 1n], ['C', 2n], ['D', 3n], ['E', 4n], ['Minus', -1n]);
  const flags = enumOf(['None', 0n], ['Read', 1n], ['Write', 2n], ['All', 7n], ['Top', 0x80000000n]);
  const name = (type: EnumType, value: bigint): string | undefined =>
    enumNames(type, BigInt.asUintN(32, value), 32);
  assert.equal(name(counting, 2n), 'C');
  assert.equal(name(counting, -1n), 'Minus');
  assert.equal(name(counting, 5n), undefined);
  assert.equal(name(flags, 0n), 'None');
  assert.equal(name(flags, 3n), 'Read | Write');
  assert.equal(name(flags, 7n), 'All');
  assert.equal(name(flags, 0x80000001n), 'Read | Top');
  assert.equal(name(flags, 9n), undefined);
});
