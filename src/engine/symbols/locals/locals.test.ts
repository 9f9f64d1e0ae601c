/** Locals of procedures made by hand, and of damaged ones. Real ones: test/integration/locals.pdbutil.test.ts. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { memorySource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { FileBytes } from '../fileBytes';
import { readDbi } from '../pdb/dbi';
import { openMsf } from '../pdb/msf';
import { localsAt, type Local, type LocalFrame, type LocalsQuery } from './locals';
import { K } from './records';
import { cvRegister } from './registers';

const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
const text = (value: string): number[] => [...Buffer.from(value), 0];
const range = (offset: number, length: number, ...gaps: number[]): number[] => [
  ...u32(offset),
  ...u16(1),
  ...u16(length),
  ...gaps.flatMap(u16),
];
const rax = 328;
const rsp = 335;
const eax = 17;

/** A module's symbols, written record by record; scopes are closed by `end`, which fills their pEnd in. */
class Writer {
  readonly bytes: number[] = u32(4);
  readonly #open: number[] = [];

  add(kind: number, ...data: number[][]): this {
    const body = [...u16(kind), ...data.flat()];
    while ((body.length + 2) % 4 !== 0) body.push(0);
    this.bytes.push(...u16(body.length), ...body);
    return this;
  }

  /** Procedure at 1:1000h, 200h bytes, prolog 10h, epilog from 1f0h. */
  procedure(localBase = 1): this {
    this.#open.push(this.bytes.length);
    const place = [u32(0x200), u32(0x10), u32(0x1f0), u32(0x1000), u32(0x1000), u16(1), [0]];
    this.add(K.GPROC32, u32(0), u32(0), u32(0), ...place, text('f'));
    const flags = (localBase << 14) | (localBase << 16);
    return this.add(K.FRAMEPROC, u32(0x40), u32(0), u32(0), u32(8), u32(0), u16(0), u32(flags));
  }

  block(offset: number, length: number): this {
    this.#open.push(this.bytes.length);
    return this.add(K.BLOCK32, u32(4), u32(0), u32(length), u32(offset), u16(1), text(''));
  }

  inline(inlinee: number, ...annotations: number[]): this {
    this.#open.push(this.bytes.length);
    return this.add(K.INLINESITE, u32(4), u32(0), u32(inlinee), annotations);
  }

  local(name: string, flags = 0): this {
    return this.add(K.LOCAL, u32(0x74), u16(flags), text(name));
  }

  end(kind: number = K.END): this {
    const open = this.#open.pop()!;
    this.bytes.splice(open + 8, 4, ...u32(this.bytes.length));
    return this.add(kind);
  }

  symbols(): FileBytes {
    return new FileBytes(Uint8Array.from(this.bytes), 'made by hand');
  }
}

const framesAt = (writer: Writer, offset: number, query: Partial<LocalsQuery> = {}): readonly LocalFrame[] =>
  localsAt({
    symbols: writer.symbols(),
    procedureAt: 4,
    address: { section: 1, offset },
    machine: 'x64',
    ...query,
  }).frames;

function find(frames: readonly LocalFrame[], name: string): Local {
  const local = frames.flatMap((frame) => frame.locals).find((one) => one.name === name);
  assert.ok(local, name);
  return local;
}

it('follows a variable from place to place, and into gaps', () => {
  const writer = new Writer()
    .procedure()
    .local('v', 1)
    .add(K.DEFRANGE_REGISTER, u16(rax), u16(0), range(0x1010, 0x20, 8, 4))
    .add(K.DEFRANGE_FRAMEPOINTER_REL, u32(-8 >>> 0), range(0x1040, 0x10))
    .end();
  const at = (offset: number): unknown => find(framesAt(writer, offset), 'v').location;
  const register = cvRegister('x64', rax);
  assert.deepEqual(at(0x1010), { kind: 'register', register });
  assert.deepEqual(at(0x1018), { kind: 'unavailable', reason: 'not-live-here' });
  assert.deepEqual(at(0x101c), { kind: 'register', register });
  assert.deepEqual(at(0x1030), { kind: 'unavailable', reason: 'not-live-here' });
  const base = cvRegister('x64', rsp);
  assert.deepEqual(at(0x1040), { kind: 'memory', base, offset: -8, baseUnsettled: false });
  assert.deepEqual(at(0x1050), { kind: 'unavailable', reason: 'not-live-here' });
});

it('puts an aggregate together from registers and stack', () => {
  const writer = new Writer()
    .procedure()
    .local('s')
    .add(K.DEFRANGE_REGISTER_REL, u16(rsp), u16((8 << 4) | 1), u32(0x20), range(0x1000, 0x100))
    .add(K.DEFRANGE_SUBFIELD_REGISTER, u16(eax), u16(0), u32(4), range(0x1000, 0x80))
    .end();
  assert.deepEqual(find(framesAt(writer, 0x1040), 's').location, {
    kind: 'pieces',
    pieces: [
      { at: 4, location: { kind: 'register', register: cvRegister('x64', eax) } },
      {
        at: 8,
        location: { kind: 'memory', base: cvRegister('x64', rsp), offset: 0x20, baseUnsettled: false },
      },
    ],
  });
});

it('knows values without a place, and places behind pointers', () => {
  const writer = new Writer()
    .procedure()
    .local('constant')
    .add(K.DEFRANGE_CONSTVAL_FULL_SCOPE, u32(42))
    .local('global')
    .add(K.DEFRANGE_GLOBALSYM_FULL_SCOPE, u32(0x3000), u16(2), u16(0))
    .local('gone', 0x100)
    .add(K.DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE, u32(8))
    .local('nowhere')
    .local('indirect')
    .add(K.DEFRANGE_REGISTER_REL_INDIR, u16(rsp), u16(0), u32(0x18), u32(4), range(0x1000, 0x200))
    .local('program')
    .add(K.DEFRANGE, u32(7), range(0x1000, 0x200))
    .local('strange')
    .add(K.DEFRANGE_REGISTER, u16(9999), u16(0), range(0x1000, 0x200))
    .add(K.FILESTATIC, u32(0x74), u32(0), u16(0x400), text('cached'))
    .add(K.DEFRANGE_REGISTER, u16(eax), u16(0), range(0x1000, 0x80))
    .add(K.LDATA32, u32(0x74), u32(0x10), u16(3), text('counter'))
    .add(K.LTHREAD32, u32(0x74), u32(0x20), u16(4), text('mine'))
    .add(K.CONSTANT, u32(0x74), [...u16(0x8000), 0xff], text('minusOne'))
    .add(K.REGREL32_INDIR, u32(0x28), u32(0x74), u32(8), u16(rsp), text('awaited'))
    .end();
  const frames = framesAt(writer, 0x1100);
  const at = (name: string): unknown => find(frames, name).location;
  assert.deepEqual(at('constant'), { kind: 'bytes', bytes: Uint8Array.of(42, 0, 0, 0) });
  assert.deepEqual(at('global'), { kind: 'addressOf', place: { offset: 0x3000, section: 2 } });
  assert.deepEqual(at('gone'), { kind: 'unavailable', reason: 'optimised-out' });
  assert.deepEqual(at('nowhere'), { kind: 'unavailable', reason: 'optimised-out' });
  const base = cvRegister('x64', rsp);
  const memory = { kind: 'memory', base, baseUnsettled: false };
  assert.deepEqual(at('indirect'), { ...memory, offset: 0x18, behindPointer: 4 });
  assert.deepEqual(at('awaited'), { ...memory, offset: 0x28, behindPointer: 8 });
  assert.deepEqual(at('program'), { kind: 'unavailable', reason: 'unknown-record' });
  assert.deepEqual(at('strange'), { kind: 'unavailable', reason: 'unknown-register' });
  assert.deepEqual(at('cached'), { kind: 'unavailable', reason: 'not-live-here' });
  assert.deepEqual(at('counter'), {
    kind: 'static',
    place: { offset: 0x10, section: 3 },
    threadLocal: false,
  });
  assert.deepEqual(at('mine'), { kind: 'static', place: { offset: 0x20, section: 4 }, threadLocal: true });
  assert.deepEqual(at('minusOne'), { kind: 'constant', value: -1n });
});

it('drops the older view of a variable, and says when its base is not set', () => {
  const writer = new Writer()
    .procedure()
    .local('a', 1)
    .add(K.DEFRANGE_REGISTER, u16(eax), u16(0), range(0x1000, 0x20))
    .add(K.REGREL32, u32(0x50), u32(0x74), u16(rsp), text('a'))
    .add(K.REGREL32, u32(0x58), u32(0x74), u16(rsp), text('b'))
    .end();
  const body = framesAt(writer, 0x1100);
  assert.deepEqual(
    body[0]!.locals.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.equal(find(body, 'a').location.kind, 'unavailable');
  const unsettled = (offset: number, query: Partial<LocalsQuery> = {}): boolean => {
    const { location } = find(framesAt(writer, offset, query), 'b');
    assert.equal(location.kind, 'memory');
    return location.baseUnsettled;
  };
  assert.deepEqual(
    [0x1000, 0x100f, 0x1010, 0x11f0, 0x11f1].map((at) => unsettled(at)),
    [true, true, false, false, true],
  );
  assert.equal(unsettled(0x1010, { prologBytes: 0x14 }), true);
  assert.equal(
    find(
      framesAt(
        new Writer().procedure(0).local('c').add(K.DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE, u32(8)).end(),
        0x1100,
      ),
      'c',
    ).location.kind,
    'unavailable',
  );
});

it('gives each inlined function a frame, and blocks their depth', () => {
  const writer = new Writer()
    .procedure()
    .local('x')
    .add(K.DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE, u32(8))
    .block(0x1020, 0x100)
    .local('x')
    .add(K.DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE, u32(16))
    // Code from +40h to +60h.
    .inline(0x1234, 0x0c, 0x20, 0x40)
    .local('y', 1)
    .add(K.DEFRANGE_REGISTER, u16(eax), u16(0), range(0x1040, 0x20))
    .end(K.INLINESITE_END)
    .end()
    .end();
  assert.deepEqual(
    framesAt(writer, 0x1050).map(({ inlinee, locals }) => [
      inlinee,
      ...locals.map(({ name, depth, hidden }) => `${name}${depth}${hidden ? ' hidden' : ''}`),
    ]),
    [
      [undefined, 'x0 hidden', 'x1'],
      [0x1234, 'y0'],
    ],
  );
  assert.equal(framesAt(writer, 0x1060).length, 1);
  assert.deepEqual(
    framesAt(writer, 0x1010)[0]!.locals.map(({ hidden }) => hidden),
    [false],
  );
});

it('reads x86: parameters above EBP, registers of old', () => {
  const writer = new Writer()
    .procedure(2)
    .add(K.BPREL32, u32(-4 >>> 0), u32(0x74), text('local'))
    .add(K.BPREL32, u32(8), u32(0x74), text('parameter'))
    .add(K.BPREL32_INDIR, u32(-12 >>> 0), u32(0x74), u32(4), text('behind'))
    .add(K.REGISTER, u32(0x74), u16(24), text('inEdi'))
    .end();
  const frames = framesAt(writer, 0x1100, { machine: 'x86' });
  assert.deepEqual(
    frames[0]!.locals.map(({ name }) => name),
    ['parameter', 'local', 'behind', 'inEdi'],
  );
  const base = cvRegister('x86', 22);
  assert.equal(base?.name, 'ebp');
  assert.equal(cvRegister('x86', 24)?.name, 'edi');
  assert.deepEqual(find(frames, 'behind').location, {
    kind: 'memory',
    base,
    offset: -12,
    baseUnsettled: false,
    behindPointer: 4,
  });
  assert.deepEqual(find(frames, 'inEdi').location, { kind: 'register', register: cvRegister('x86', 24) });
});

it('names registers by their full ones', () => {
  const name = (id: number): unknown[] => Object.values(cvRegister('x64', id)!);
  assert.deepEqual(name(5), ['ah', 'rax', 1, 1]);
  assert.deepEqual(name(18), ['ecx', 'rcx', 4, 0]);
  assert.deepEqual(name(329), ['rbx', 'rbx', 8, 0]);
  assert.deepEqual(name(330), ['rcx', 'rcx', 8, 0]);
  assert.deepEqual(name(360), ['r8d', 'r8', 4, 0]);
  assert.deepEqual(name(252), ['xmm8', 'xmm8', 16, 0]);
  assert.deepEqual(name(196), ['xmm2l', 'xmm2', 8, 0]);
  assert.equal(cvRegister('arm64', 81)?.name, 'sp');
  assert.equal(cvRegister('x64', 12345), undefined);
});

it('survives 60,000 damaged modules', (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const pdb = 'node_modules/node-pty/prebuilds/win32-x64/conpty_console_list.pdb';
  const msf = openMsf(memorySource(readFileSync(pdb), pdb));
  const modules = readDbi(msf).modules.flatMap(({ stream, symbolBytes }) => {
    if (stream === undefined || symbolBytes < 200) return [];
    const bytes = new Uint8Array(msf.needStream(stream, 'a module').read(0, symbolBytes));
    const procedures: { at: number; end: number; offset: number; section: number; length: number }[] = [];
    const view = new DataView(bytes.buffer);
    for (let at = 4; at + 4 < bytes.length; at += 2 + view.getUint16(at, true)) {
      const kind = view.getUint16(at + 2, true);
      if (kind !== K.GPROC32 && kind !== K.LPROC32) continue;
      const [end, length, offset] = [
        view.getUint32(at + 8, true),
        view.getUint32(at + 16, true),
        view.getUint32(at + 32, true),
      ];
      procedures.push({ at, end, length, offset, section: view.getUint16(at + 36, true) });
    }
    return procedures.length > 0 ? [{ bytes, procedures }] : [];
  });
  let refused = 0;
  let slowest = 0;
  for (let i = 0; i < 60_000; i++) {
    const { bytes, procedures } = random.pick(modules);
    const { at, end, offset, section, length } = random.pick(procedures);
    const undo: (() => void)[] = [];
    for (let n = random.below(5); n >= 0; n--) {
      const place = at + random.below(end + 4 - at);
      const before = bytes[place]!;
      undo.push(() => (bytes[place] = before));
      bytes[place] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    }
    const start = performance.now();
    try {
      const symbols = new FileBytes(bytes, 'a damaged module');
      const address = { section, offset: offset + random.below(length + 1) };
      localsAt({ symbols, procedureAt: at, address, machine: random.pick(['x64', 'x86', 'arm64']) });
    } catch (error) {
      assert.ok(error instanceof VmkdError && error.code === 'file-damaged', String(error));
      refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
    for (const restore of undo.reverse()) restore();
  }
  t.diagnostic(`${refused} refused; the slowest took ${slowest.toFixed(1)} ms`);
  assert.ok(refused > 1000 && slowest < 1000);
});
