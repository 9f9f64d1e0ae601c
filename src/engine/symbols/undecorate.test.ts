/** Decorated names by hand, and hostile ones. Real ones, against llvm-undname: test/integration/undecorate.test.ts. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { undecorate, undecorateName, undecorateTypeName } from './undecorate';

const known: readonly (readonly [decorated: string, whole: string, name: string])[] = [
  ['?x@@3HA', 'int x', 'x'],
  ['?f@A@@QEAAXH@Z', 'public: void __cdecl A::f(int)', 'A::f'],
  ['??0A@n@@QEAA@XZ', 'public: __cdecl n::A::A(void)', 'n::A::A'],
  ['??1A@n@@UEAA@XZ', 'public: virtual __cdecl n::A::~A(void)', 'n::A::~A'],
  ['??BA@@QEBAHXZ', 'public: int __cdecl A::operator int(void) const', 'A::operator int'],
  ['?g@@YAXP8A@@EAAXXZ@Z', 'void __cdecl g(void (__cdecl A::*)(void))', 'g'],
  ['?f@@YAXAEAY02H@Z', 'void __cdecl f(int (&)[3])', 'f'],
  ['??_7A@@6BB@@@', "const A::`vftable'{for `B'}", "A::`vftable'"],
  ['??_7A@@6BB@@C@@@', "const A::`vftable'{for `B's `C'}", "A::`vftable'"],
  [
    '?f@A@@WBA@EAAXXZ',
    "[thunk]: public: virtual void __cdecl A::f`adjustor{16}'(void)",
    "A::f`adjustor{16}'",
  ],
  [
    '??__E?x@@3HA@@YAXXZ',
    "void __cdecl `dynamic initializer for `int x''(void)",
    "`dynamic initializer for `int x''",
  ],
  ['??_C@_05CJBACGMB@hello@', '"hello"', '"hello"'],
  ['??_C@_1M@CJBACGMB@?$AAh?$AAe?$AAl?$AAl?$AAo@', 'L"hello"', 'L"hello"'],
  ['??_C@_0CJ@HEKDBNGC@?$BL?$FL@', '"\\x1B["...', '"\\x1B["...'],
  ['?f@@YA?A_PH@Z', 'auto __cdecl f(int)', 'f'],
  ['??$f@$MH04@@YAXXZ', 'void __cdecl f<5>(void)', 'f<5>'],
  ['?f@?A0x12345678@@YAXXZ', "void __cdecl `anonymous namespace'::f(void)", "`anonymous namespace'::f"],
  [
    '??@5f4dcc3b5aa765d61d8327deb882cf99@',
    '??@5f4dcc3b5aa765d61d8327deb882cf99@',
    '??@5f4dcc3b5aa765d61d8327deb882cf99@',
  ],
];

it('reads names of every kind', () => {
  for (const [decorated, whole, name] of known) {
    assert.equal(undecorate(decorated), whole);
    assert.equal(undecorateName(decorated), name);
  }
});

it('reads the unique names of types, with and without the hash of their module', () => {
  assert.equal(undecorateTypeName('.?AV?$V@H$02@n@@'), 'class n::V<int, 3>');
  assert.equal(undecorateTypeName('?AUtag@@'), 'struct tag');
  assert.equal(
    undecorateTypeName('.?AUImpl@?1??getOwnerSid@@YAXXZ@`26b469a4'),
    "struct `void __cdecl getOwnerSid(void)'::`2'::Impl",
  );
  assert.equal(undecorateTypeName('.?AW4E@@'), 'enum E');
});

it('returns what is not decorated as it is', () => {
  for (const name of [
    '',
    '?',
    '??',
    '.',
    '.?',
    'KeBugCheckEx',
    '_f@8',
    '?x',
    '?x@@',
    '?x@@3',
    '?x@@3HAx',
    '??_C@_1',
  ]) {
    assert.equal(undecorate(name), name);
    assert.equal(undecorateName(name), name);
    assert.equal(undecorateTypeName(name), name);
  }
});

it('neither follows nesting without end nor writes text without end', () => {
  const hostile = [
    `?f@@YAX${'PEA'.repeat(20_000)}H@Z`,
    `?f@@YAX${'P6AX'.repeat(10_000)}`,
    `??$${'f@V?$'.repeat(10_000)}`,
    `?x@${'?1??'.repeat(15_000)}`,
    `?f@@YAX${'?'.repeat(60_000)}`,
    `?x@@3Y${'PPPPPPPP@'.repeat(5_000)}HA`,
    `??$f@${'$$V'.repeat(20_000)}@@YAXXZ`,
    // Each parameter is a function of ten of the one before: 10^9 types in a few hundred characters.
    `?f@@YAXP6AXH@Z${Array.from({ length: 9 }, (_, i) => `P6AX${String(i).repeat(10)}@Z`).join('')}@Z`,
    // The same with names.
    `?x@@3V?$a@${'V?$b@V0@V0@@@'.repeat(1000)}@@A`,
    '?'.repeat(1_000_000),
  ];
  for (const name of hostile) {
    const start = performance.now();
    const text = undecorate(name);
    assert.ok(text === name || text.length < 600_000);
    assert.ok(performance.now() - start < 2000, `${name.slice(0, 40)}… took ${performance.now() - start} ms`);
  }
});

it('survives 300,000 damaged and random names', (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@@@@????$$$_`.abz<>';
  const damaged = (): string => {
    let name: string = random.pick(known)[0];
    for (let changes = 1 + random.below(6); changes > 0; changes--) {
      const at = random.below(name.length + 1);
      const other = random.pick(known)[0];
      const from = random.below(other.length);
      const added = random.chance(0.5)
        ? letters.charAt(random.below(letters.length))
        : other.slice(from, from + random.below(24));
      name = name.slice(0, at) + added + name.slice(at + random.below(3));
    }
    return name;
  };
  let understood = 0;
  for (let i = 0; i < 300_000; i++) {
    const name = random.chance(0.1)
      ? `?${Array.from({ length: random.below(40) }, () => letters.charAt(random.below(letters.length))).join('')}`
      : damaged();
    if (undecorate(name) !== name) understood++;
    undecorateName(name);
  }
  t.diagnostic(`${understood} still meant something`);
  assert.ok(understood > 10_000);
});
