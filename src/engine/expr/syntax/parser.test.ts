/** What texts mean, where they are wrong, and that no text does more than be wrong. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment, type Random } from '../../../../test/fixtures/random';
import { ExpressionError } from '../expressionError';
import { typeText } from '../types/typeText';
import type { FieldPath, Node, TypeNode } from './ast';
import { longestText } from './lexer';
import { parse } from './parser';

/** The tree as Lisp would write it. */
function written(node: Node): string {
  switch (node.kind) {
    case 'name':
      return node.module === undefined ? node.name : `${node.module}!${node.name}`;
    case 'number':
      return `${node.value}:${typeText(node.type)}`;
    case 'text':
      return `${JSON.stringify(node.text)}:${typeText(node.type)}`;
    case 'register':
      return `@${node.name}`;
    case 'pseudo':
      return `$${node.name}`;
    case 'unary':
      return `(${node.operator} ${written(node.operand)})`;
    case 'arithmetic':
    case 'comparison':
    case 'logical':
      return `(${node.operator} ${written(node.left)} ${written(node.right)})`;
    case 'conditional':
      return `(? ${written(node.condition)} ${written(node.whenTrue)} ${written(node.whenFalse)})`;
    case 'assignment':
      return `(${node.operator ?? ''}= ${written(node.target)} ${written(node.value)})`;
    case 'step':
      return `(${node.postfix ? 'post' : 'pre'}${node.by} ${written(node.target)})`;
    case 'member':
      return `(${node.arrow ? '->' : '.'} ${written(node.object)} ${node.name})`;
    case 'index':
      return `([] ${written(node.object)} ${written(node.index)})`;
    case 'cast':
      return `(cast ${typeWritten(node.type)} ${written(node.operand)})`;
    case 'sizeof':
      return `(sizeof ${node.operand.kind === 'type' ? typeWritten(node.operand.type) : written(node.operand.value)})`;
    case 'call':
      return `(${node.name} ${written(node.argument)})`;
    case 'containingRecord':
      return `(record ${written(node.address)} ${typeWritten(node.type)} ${fieldWritten(node.field)})`;
    case 'fieldOf':
      return `(${node.what} ${typeWritten(node.type)} ${fieldWritten(node.field)})`;
  }
}

function typeWritten(node: TypeNode): string {
  switch (node.kind) {
    case 'known':
      return typeText(node.type);
    case 'named':
      return `<${written(node.name)}>`;
    case 'pointer':
      return `${typeWritten(node.to)}${node.reference ? '&' : '*'}`;
    case 'array':
      return `${typeWritten(node.element)}[${node.count}]`;
    case 'function':
      return 'function';
  }
}

const fieldWritten = ({ steps }: FieldPath): string =>
  steps.map((step) => (step.kind === 'name' ? `.${step.name}` : `[${step.index}]`)).join('');

const trees: readonly (readonly [text: string, tree: string])[] = [
  // Numbers
  ['1234', '1234:int'],
  ['0x4d2', '1234:int'],
  ['02322', '1234:int'],
  ['0b1001', '9:int'],
  ['0y1001', '9:int'],
  ['0t17', '15:int'],
  ['0n10', '10:int'],
  ["1'000'000", '1000000:int'],
  ['2147483648', '2147483648:__int64'],
  ['0x80000000', '2147483648:unsigned int'],
  ['0xffffffff', '4294967295:unsigned int'],
  ['0x100000000', '4294967296:__int64'],
  ['0x8000000000000000', '9223372036854775808:unsigned __int64'],
  ['18446744073709551615', '18446744073709551615:unsigned __int64'],
  ['1u', '1:unsigned int'],
  ['1L', '1:long'],
  ['0xffffffffL', '4294967295:unsigned long'],
  ['1ull', '1:unsigned __int64'],
  ['1i64', '1:__int64'],
  ['1UI64', '1:unsigned __int64'],
  ['fffff803`12345678', '18446735290806851192:unsigned __int64'],
  ['0xfffff803`12345678', '18446735290806851192:unsigned __int64'],
  ['0`00000010', '16:unsigned __int64'],
  ['1.5', '1.5:double'],
  ['.25f', '0.25:float'],
  ['1e3', '1000:double'],
  ['2.', '2:double'],
  ['1.1f', '1.100000023841858:float'],
  // Characters and strings
  ["'a'", '97:char'],
  ["'\\n'", '10:char'],
  ["'\\xff'", '-1:char'],
  ["'\\0'", '0:char'],
  ["'Tag1'", '1415669553:int'],
  ["L'\\u20ac'", '8364:wchar_t'],
  ['"a\\"b"', '"a\\"b":char [4]'],
  ['L"ab"', '"ab":wchar_t [3]'],
  // Names
  ['nt!KiTimer', 'nt!KiTimer'],
  ['ns::x', 'ns::x'],
  ['::x', 'x'],
  ['ns::Class<int, A<char>>::member', 'ns::Class<int,A<char> >::member'],
  ['m!ns::A<unsigned  long,char*>::b', 'm!ns::A<unsigned long,char *>::b'],
  ["`anonymous namespace'::x", "`anonymous namespace'::x"],
  ['@!"mod!any name<1>"', 'mod!any name<1>'],
  ['@RAX', '@rax'],
  ['@$proc', '$proc'],
  ['$Thread', '$thread'],
  ['@@c++(x)', 'x'],
  ['@@( x + 1 )', '(+ x 1:int)'],
  // Precedence and association
  ['1 + 2 * 3', '(+ 1:int (* 2:int 3:int))'],
  ['a - b - c', '(- (- a b) c)'],
  ['a = b = c', '(= a (= b c))'],
  ['a << 1 + 2', '(<< a (+ 1:int 2:int))'],
  ['a & b == c', '(& a (== b c))'],
  ['a | b ^ c & d', '(| a (^ b (& c d)))'],
  ['a || b && c', '(|| a (&& b c))'],
  ['a < b == c > d', '(== (< a b) (> c d))'],
  ['a ? b : c ? d : e', '(? a b (? c d e))'],
  ['a ? b = 1 : c', '(? a (= b 1:int) c)'],
  ['-a.b', '(- (. a b))'],
  ['*p->q', '(* (-> p q))'],
  ['*p[1]', '(* ([] p 1:int))'],
  ['&a[1].b', '(& (. ([] a 1:int) b))'],
  ['!a && ~b', '(&& (! a) (~ b))'],
  ['- -a', '(- (- a))'],
  ['a <<= 1', '(<<= a 1:int)'],
  ['a += b', '(+= a b)'],
  ['++a', '(pre1 a)'],
  ['a--', '(post-1 a)'],
  ['a+++b', '(+ (post1 a) b)'],
  ['x.Base::y', '(. x Base::y)'],
  ['i<n && j>m', '(&& (< i n) (> j m))'],
  ['a<b', '(< a b)'],
  // Casts
  ['(int)x', '(cast int x)'],
  ['(unsigned long long int)x', '(cast unsigned __int64 x)'],
  ['(long unsigned)x', '(cast unsigned long x)'],
  ['(struct _FOO *)x', '(cast <_FOO>* x)'],
  ['(const struct _FOO *const *)x', '(cast <_FOO>** x)'],
  ['(nt!_EPROCESS *)x', '(cast <nt!_EPROCESS>* x)'],
  ['(nt!_EPROCESS*)@rcx', '(cast <nt!_EPROCESS>* @rcx)'],
  ['(PVOID)x', '(cast <PVOID> x)'],
  ['(ULONG)-1', '(cast <ULONG> (- 1:int))'],
  ['(foo)x', '(cast <foo> x)'],
  ['(foo)(x)', '(cast <foo> x)'],
  ['(foo)!x', '(cast <foo> (! x))'],
  ['(foo)5', '(cast <foo> 5:int)'],
  ['(foo)*x', '(* foo x)'],
  ['(foo)-1', '(- foo 1:int)'],
  ['(foo)', 'foo'],
  ['(foo)->x', '(-> foo x)'],
  ['(foo)[1]', '([] foo 1:int)'],
  ['(foo*)x', '(cast <foo>* x)'],
  ['(foo&)x', '(cast <foo>& x)'],
  ['(a*b)', '(* a b)'],
  ['(a&b)', '(& a b)'],
  ['(int (*)[4])x', '(cast int[4]* x)'],
  ['(int (*)[4][2])x', '(cast int[2][4]* x)'],
  ['(int *[4])x', '(cast int*[4] x)'],
  ['(void (*)(int, char *))x', '(cast function* x)'],
  ['(NTSTATUS (__stdcall *)(PVOID))x', '(cast function* x)'],
  ['(std::vector<int> *)x', '(cast <std::vector<int>>* x)'],
  ['(unsigned)~x', '(cast unsigned int (~ x))'],
  ['(int)(char)x', '(cast int (cast char x))'],
  ['(int)x + 1', '(+ (cast int x) 1:int)'],
  ['(int)x.y', '(cast int (. x y))'],
  ['ULONG(x)', '(cast <ULONG> x)'],
  ['int(x)', '(cast int x)'],
  ['static_cast<unsigned char>(x)', '(cast unsigned char x)'],
  ['reinterpret_cast<nt!_IRP *>(x)->y', '(-> (cast <nt!_IRP>* x) y)'],
  ['sizeof(int)', '(sizeof int)'],
  ['sizeof(foo)', '(sizeof foo)'],
  ['sizeof(foo*)', '(sizeof <foo>*)'],
  ['sizeof x.y', '(sizeof (. x y))'],
  ['sizeof(int[4])', '(sizeof int[4])'],
  ['sizeof(a)*b', '(* (sizeof a) b)'],
  ['(a[4])', '([] a 4:int)'],
  // What looks like calls
  ['poi(x+8)', '(poi (+ x 8:int))'],
  ['by(x)', '(by x)'],
  ['by', 'by'],
  ['CONTAINING_RECORD(p, nt!_EPROCESS, ActiveProcessLinks)', '(record p <nt!_EPROCESS> .ActiveProcessLinks)'],
  [
    '#CONTAINING_RECORD(p,_IRP,Tail.Overlay.ListEntry)->x',
    '(-> (record p <_IRP> .Tail.Overlay.ListEntry) x)',
  ],
  ['FIELD_OFFSET(struct _A, b[2].c)', '(offset <_A> .b[2].c)'],
  ['#RTL_FIELD_SIZE(_A,b)', '(size <_A> .b)'],
  ['RTL_SIZEOF_THROUGH_FIELD(_A,b)', '(end <_A> .b)'],
];

it('builds the tree that C++ would', () => {
  for (const [text, tree] of trees) assert.equal(written(parse(text).root), tree, text);
});

it('takes a name before an ambiguous operator for a type once it is known to be one', () => {
  const first = parse('(foo)*x + (nt!bar)-1');
  assert.deepEqual(
    first.maybeTypes.map(({ module, name }) => [module, name]),
    [
      [undefined, 'foo'],
      ['nt', 'bar'],
    ],
  );
  const again = parse('(foo)*x + (nt!bar)-1', new Set(['foo', 'nt!bar']));
  assert.equal(written(again.root), '(+ (cast <foo> (* x)) (cast <nt!bar> (- 1:int)))');
});

it('reads formats', () => {
  const format = (text: string): unknown => {
    const { count, list, ...words } = parse(text).format;
    return {
      ...words,
      ...(count && { count: written(count) }),
      ...(list && { list: typeWritten(list.type) + fieldWritten(list.field) }),
    };
  };
  assert.deepEqual(format('x'), {});
  assert.deepEqual(format('x,x'), { radix: 'hex' });
  assert.deepEqual(format('x,d,!'), { radix: 'decimal', raw: true });
  assert.deepEqual(format('p,[n*2],x'), { count: '(* n 2:int)', radix: 'hex' });
  assert.deepEqual(format('p,20'), { count: '20:int' });
  assert.deepEqual(format('p , sub'), { text: 'utf16', unquoted: true });
  assert.deepEqual(format('h,list(nt!_EPROCESS.ActiveProcessLinks)'), {
    list: '<nt!_EPROCESS>.ActiveProcessLinks',
  });
  assert.deepEqual(format('h,list(_IRP.Tail.Overlay.ListEntry),x'), {
    list: '<_IRP>.Tail.Overlay.ListEntry',
    radix: 'hex',
  });
});

/** The text with what the error points at between ‹ and ›. */
const mistakes: readonly (readonly [pointed: string, message: RegExp])[] = [
  ['‹›', /nothing to evaluate/],
  ['1 +‹›', /not complete/],
  ['(1 + 2‹›', /“\)” is missing/],
  ['a‹)›', /“\)” does not belong/],
  ['a ‹b›', /operator is missing/],
  ['‹/› 2', /value is missing before “\/”/],
  ['a‹.1›', /operator is missing/],
  ['a.‹(›', /member’s name is missing/],
  ['a->‹›', /member’s name is missing/],
  ['a[1‹›', /“\]” is missing/],
  ['a ? b‹›', /“:” is missing/],
  ['‹12ab›', /no number/],
  ['‹089›', /no octal number/],
  ['‹0x1ffffffffffffffff›', /more than 64 bits/],
  ['‹"abc›', /closing " is missing/],
  ["‹''›", /One character/],
  ['a ‹;› b', /means nothing/],
  ['‹@› + 1', /register’s name/],
  ['‹foo›(1)', /cannot be called/],
  ['‹a.f›(1)', /cannot be called/],
  ['‹@@masm›(1)', /MASM/],
  ['(‹ULONG›)', /cast is missing/],
  ['‹int› + 1', /type is no value/],
  ['x,‹q›', /“q” is no format/],
  ['x,‹›', /format is missing/],
  ['CONTAINING_RECORD(a‹)›', /“,” is missing/],
  ['CONTAINING_RECORD(a, T, ‹1›)', /field’s name/],
  ['FIELD_OFFSET(‹1›, f)', /type is missing/],
  ['#‹foo›(1)', /No such macro/],
  ['h,list(T‹)›', /“.” is missing/],
  ['‹#›', /value is missing/],
];

it('says where a text is wrong', () => {
  for (const [pointed, message] of mistakes) {
    const text = pointed.replace(/[‹›]/g, '');
    const offset = pointed.indexOf('‹');
    const length = pointed.indexOf('›') - offset - 1;
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof ExpressionError, text);
        assert.equal(error.code, 'expression-bad');
        assert.match(error.message, message, text);
        assert.deepEqual(error.position, { offset, length }, text);
        return true;
      },
      text,
    );
  }
});

const deep = 200_000;
const hostile = [
  '('.repeat(1000),
  '-'.repeat(4000),
  '!'.repeat(4000) + '1',
  '*'.repeat(4000) + 'p',
  'a['.repeat(2000),
  'a.'.repeat(2000) + 'a',
  'a+'.repeat(2000) + 'a',
  'a?'.repeat(2000),
  'a='.repeat(2000) + '1',
  '(int)'.repeat(800) + '1',
  `(int${'*'.repeat(4000)})1`,
  `(int${'(*)'.repeat(1000)})1`,
  `(int${'[1]'.repeat(1000)})1`,
  `(int(${'('.repeat(3000)}`,
  'a<'.repeat(2000),
  `A${'<A'.repeat(1500)}`,
  `x${'::x'.repeat(1300)}`,
  'sizeof '.repeat(500) + 'x',
  ',x'.repeat(1000),
  `x${',x'.repeat(2000)}`,
  '"'.repeat(4000),
  '\\'.repeat(4000),
  'x'.repeat(longestText),
  '9'.repeat(longestText),
  '0x' + 'f'.repeat(4000),
  '('.repeat(deep),
  '\0'.repeat(100),
  '\ud800',
  '``',
  "`'",
];

const fragments = [
  ...[
    'a',
    'nt!b',
    'ns::c',
    'A<int>::d',
    '@rax',
    '@$proc',
    '$x',
    '1',
    '0x',
    '0b2',
    '1.5f',
    '1e',
    '`',
    "'a'",
    '"s"',
  ],
  ...[
    'fffff803`12345678',
    "L'\\x",
    'int',
    'unsigned',
    'struct',
    'const',
    'ULONG',
    'sizeof',
    'poi',
    'list',
    '#',
  ],
  ...[
    'CONTAINING_RECORD',
    'FIELD_OFFSET',
    'static_cast',
    'true',
    'this',
    '@@',
    '@@c++',
    '@!"x"',
    '\\',
    '\n',
    ' ',
  ],
  ...[
    '(',
    ')',
    '(',
    ')',
    '[',
    ']',
    '<',
    '>',
    '*',
    '&',
    '+',
    '-',
    '.',
    '->',
    ',',
    '?',
    ':',
    '=',
    '==',
    '!',
    '::',
  ],
  ...['>>=', '<<', '&&', '||', '++', '--', '%', '^', '|', '~', ';', '{', '}', '\u20ac', '\ud83d\ude00', '\0'],
];

function randomText(random: Random): string {
  const pieces = Array.from({ length: 1 + random.below(30) }, () => random.pick(fragments));
  if (random.chance(0.3)) return pieces.join(random.pick(['', ' ']));
  // A good text with something bad in it.
  const [good] = random.pick(trees);
  const at = random.below(good.length + 1);
  const other = random.chance(0.5) ? random.pick(fragments) : random.pick(trees)[0];
  return good.slice(0, at) + other + good.slice(at + random.below(3));
}

it('survives hostile and random texts', (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const count = 100_000;
  let good = 0;
  let slowest = 0;
  for (let i = 0; i < count + hostile.length; i++) {
    const text = hostile[i] ?? randomText(random);
    const start = performance.now();
    try {
      parse(text);
      good++;
    } catch (error) {
      assert.ok(error instanceof ExpressionError, `${JSON.stringify(text.slice(0, 200))}: ${String(error)}`);
      const { offset, length } = error.position;
      assert.ok(offset >= 0 && length >= 0 && offset + length <= text.length, text.slice(0, 200));
      assert.ok(error.message.length < longestText + 200);
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  t.diagnostic(`${good} of ${count} meant something; the slowest took ${slowest.toFixed(1)} ms`);
  assert.ok(good > count / 20);
  assert.ok(slowest < 1000);
});
