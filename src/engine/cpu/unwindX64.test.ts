import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plus } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import {
  imageBase,
  MadeUp,
  registersAt,
  slot,
  stackBase,
  unwindInfo,
} from '../../../test/fixtures/unwinding';
import { decodeEpilogue, longestBegin, mayBeEpilogue } from './unwindEpilogue';
import { decodeUnwindInfo } from './unwindInfo';
import { walkStack } from './unwindStack';
import { unwindFrame, type FrameRegisters, type Unwound } from './unwindX64';

const caller = imageBase + 0x7123n;
/** Bytes that epilogues begin with, and how they end. */
const telling = [
  0x41, 0x48, 0x49, 0x5b, 0x5f, 0x81, 0x83, 0x8d, 0xc2, 0xc3, 0xc4, 0xe9, 0xeb, 0xf2, 0xf3, 0xff, 0x65,
];
const ends = ['10 c3', '10 00 00 00 5b 41 5c c3', '00 00 00 00', 'c3 00 00 00'].map((hex) =>
  Buffer.from(hex.replaceAll(' ', ''), 'hex'),
);

const code = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

async function unwind(image: MadeUp, registers: FrameRegisters): Promise<Unwound> {
  return unwindFrame(image, image.functionAt(registers.rip), registers);
}

/** push rbx; push rbp; sub rsp,30h; body; add rsp,30h; pop rbp; pop rbx; ret */
function ordinary(): MadeUp {
  const image = new MadeUp();
  image.add(0x1000, 0x1100, { prolog: 6, slots: [slot(6, 2, 5), slot(2, 0, 5), slot(1, 0, 3)] });
  image.code(0x1000, '53 55 48 83 ec 30');
  image.code(0x10f8, '48 83 c4 30 5d 5b c3');
  image.words(0x100, ...Array<bigint>(6).fill(0n), 0xbbn, 0xaan, caller);
  return image;
}

void describe('unwinding one frame', () => {
  void it('at every point of prologue, body and epilogue', async () => {
    const image = ordinary();
    const points: readonly (readonly [rva: number, rsp: number, method: string])[] = [
      [0x1000, 0x140, 'prologue'],
      [0x1001, 0x138, 'prologue'],
      [0x1002, 0x130, 'prologue'],
      [0x1006, 0x100, 'body'],
      [0x1050, 0x100, 'body'],
      [0x10f8, 0x100, 'epilogue'],
      [0x10fc, 0x130, 'epilogue'],
      [0x10fd, 0x138, 'epilogue'],
      [0x10fe, 0x140, 'epilogue'],
    ];
    for (const [rva, rsp, method] of points) {
      // What the code has saved by then stands on the stack; what it has not is still in its register.
      const unwound = await unwind(image, registersAt(rva, rsp, { 3: 0xaan, 5: 0xbbn }));
      assert.equal(unwound.method, method, rva.toString(16));
      assert.equal(unwound.caller.rip, caller, rva.toString(16));
      assert.equal(unwound.caller.rsp, plus(stackBase, 0x148));
      assert.equal(unwound.caller.general[3], 0xaan);
      assert.equal(unwound.caller.general[5], 0xbbn);
      assert.equal(unwound.caller.exact, false);
      assert.equal(unwound.caller.general[12], 0x100cn);
      assert.deepEqual(
        [0, 1, 2, 8, 9, 10, 11].map((i) => unwound.caller.general[i]),
        Array(7).fill(undefined),
      );
    }
  });

  void it('of a leaf', async () => {
    const image = new MadeUp();
    image.words(0x100, caller);
    const { method, caller: registers } = await unwind(image, registersAt(0x500, 0x100));
    assert.deepEqual([method, registers.rip, registers.rsp], ['leaf', caller, plus(stackBase, 0x108)]);
  });

  void it('whose frame register stands in for rsp, also in its epilogue', async () => {
    const image = new MadeUp();
    // push rbp; sub rsp,20h; lea rbp,[rsp+20h]
    image.add(0x1000, 0x1100, {
      prolog: 10,
      frame: 0x25,
      slots: [slot(10, 3), slot(5, 2, 3), slot(1, 0, 5)],
    });
    image.code(0x10f0, '48 8d 65 00 5d c3');
    image.words(0x200, 0n, 0n, 0n, 0n, 0xbbn, caller);
    const frame = { 5: stackBase + 0x220n };
    for (const [rva, rsp] of [
      [0x1080, 0x40],
      [0x10f0, 0x40],
      [0x10f4, 0x220],
    ] as const) {
      const { caller: registers } = await unwind(image, registersAt(rva, rsp, frame));
      assert.deepEqual([registers.rip, registers.general[5]], [caller, 0xbbn], rva.toString(16));
    }
    // Before it is set, it is the caller's.
    const early = await unwind(image, registersAt(0x1005, 0x200, { 5: 0x99n }));
    assert.deepEqual([early.caller.rip, early.caller.general[5]], [caller, 0xbbn]);
    await assert.rejects(
      unwindFrame(image, image.functionAt(plus(imageBase, 0x1080)), {
        ...registersAt(0x1080, 0x40),
        general: [],
      }),
      { code: 'unwind-stuck' },
    );
  });

  void it('with saves near and far, of either sort, and a large frame', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, {
      prolog: 60,
      slots: [
        ...[slot(60, 9, 7), 0x2010, 0],
        ...[slot(50, 8, 6), 0x10],
        ...[slot(40, 5, 15), 0x3000, 0],
        ...[slot(30, 4, 14), 0x20],
        ...[slot(20, 1, 1), 0x4000, 0],
        ...[slot(10, 1, 0), 0x80],
      ],
    });
    image.words(0x100 + 0x3000, 0xffn);
    image.words(0x100 + 0x100, 0xeen, 0n);
    image.words(0x100 + 0x4400, caller);
    image.stack.fill(6, 0x100 + 0x100, 0x100 + 0x110);
    image.stack.fill(7, 0x100 + 0x2010, 0x100 + 0x2020);
    const { caller: registers } = await unwind(image, registersAt(0x1080, 0x100));
    assert.equal(registers.rip, caller);
    assert.equal(registers.general[15], 0xffn);
    assert.equal(registers.general[14], 0x0606060606060606n);
    assert.deepEqual(registers.xmm.get(6), new Uint8Array(16).fill(6));
    assert.deepEqual(registers.xmm.get(7), new Uint8Array(16).fill(7));
  });

  void it('in a prologue of far saves, those that have happened', async () => {
    const image = new MadeUp();
    // sub rsp,5000h; mov [rsp+4000h],r15; movaps [rsp+4010h],xmm7
    image.add(0x1000, 0x1100, {
      prolog: 23,
      slots: [slot(23, 9, 7), 0x4010, 0, slot(15, 5, 15), 0x4000, 0, slot(7, 1, 1), 0x5000, 0],
    });
    image.words(0x100 + 0x4000, 0xffn);
    image.stack.fill(7, 0x100 + 0x4010, 0x100 + 0x4020);
    image.words(0x100 + 0x5000, caller);
    const seven = new Uint8Array(16).fill(7);
    for (const [rva, rsp, r15, xmm7] of [
      [0x1000, 0x5100, 0x100fn, undefined],
      [0x1007, 0x100, 0x100fn, undefined],
      [0x100f, 0x100, 0xffn, undefined],
      [0x1017, 0x100, 0xffn, seven],
    ] as const) {
      const { caller: registers } = await unwind(image, registersAt(rva, rsp));
      const found = [registers.rip, registers.rsp, registers.general[15], registers.xmm.get(7)];
      assert.deepEqual(found, [caller, plus(stackBase, 0x5108), r15, xmm7], rva.toString(16));
    }
  });

  void it('with a large distance of its frame register', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, {
      prolog: 4,
      frame: 0xf5,
      slots: [slot(4, 11), 0x100, 0, slot(3, 1), 0x240],
    });
    image.words(0x200 + 0x1200, caller);
    const registers = registersAt(0x1080, 0x10, { 5: stackBase + 0x1200n });
    assert.equal((await unwind(image, registers)).caller.rip, caller);
  });

  void it('through chained parts and rows that stand for others', async () => {
    const image = new MadeUp();
    const primary = image.add(0x1000, 0x1040, { prolog: 5, slots: [slot(5, 2, 3), slot(1, 0, 3)] });
    const alias = image.place(
      new Uint8Array(Uint32Array.of(primary.begin, primary.end, primary.unwindInfo).buffer),
    );
    const middle = image.add(0x1040, 0x1080, {
      prolog: 5,
      slots: [slot(5, 4, 6), 7],
      parent: { begin: 0x1000, end: 0x1040, unwindInfo: alias | 1 },
    });
    image.add(0x2000, 0x2040, { prolog: 5, slots: [slot(5, 4, 7), 8], parent: middle });
    // A jump to another part is not an epilogue; one to another function is.
    image.code(0x2020, 'e9 eb ef ff ff');
    image.code(0x2028, 'e9 d3 0f 00 00');
    image.words(0x100, 0n, 0n, 0n, 0n, 0xbbn, caller, 0n, 0x66n, 0x77n);
    for (const rva of [0x2000, 0x2010, 0x2020]) {
      const { caller: registers, method } = await unwind(image, registersAt(rva, 0x100));
      assert.equal(registers.rip, caller);
      assert.deepEqual([registers.general[3], registers.general[6]], [0xbbn, 0x66n]);
      assert.equal(registers.general[7], rva === 0x2000 ? 0x1007n : 0x77n);
      assert.notEqual(method, 'epilogue');
    }
    const { method } = await unwind(image, registersAt(0x2028, 0x128));
    assert.equal(method, 'epilogue');
  });

  void it('through a chained part that saves relative to the frame register that its parent set', async () => {
    const image = new MadeUp();
    // push rbp; sub rsp,20h; lea rbp,[rsp+20h]; and then rsp moves on by an alloca.
    const parent = image.add(0x1000, 0x1040, {
      prolog: 10,
      frame: 0x25,
      slots: [slot(10, 3), slot(5, 2, 3), slot(1, 0, 5)],
    });
    image.add(0x1040, 0x1080, { prolog: 5, frame: 0x25, slots: [slot(5, 4, 6), 1], parent });
    image.words(0x200, 0n, 0x66n, 0n, 0n, 0xbbn, caller);
    const frame = { 5: stackBase + 0x220n };
    const { caller: registers } = await unwind(image, registersAt(0x1060, 0x40, frame));
    assert.deepEqual([registers.rip, registers.general[5], registers.general[6]], [caller, 0xbbn, 0x66n]);
    assert.equal((await unwind(image, registersAt(0x1042, 0x40, frame))).caller.rip, caller);
  });

  void it('to what an interrupt or a fault interrupted', async () => {
    for (const errorCode of [0, 1]) {
      const image = new MadeUp();
      image.add(0x1000, 0x1100, {
        prolog: 6,
        slots: [slot(5, 2, 1), slot(1, 0, 5), slot(0, 10, errorCode)],
      });
      const frame = [0x5678n, 0x10n, 0x246n, 0x9000n, 0x18n];
      image.words(0x100, 0n, 0n, 0xbbn, ...(errorCode ? [0xeen] : []), ...frame);
      const unwound = await unwind(image, registersAt(0x1080, 0x100));
      assert.equal(unwound.machineFrame, true);
      assert.deepEqual(
        [unwound.caller.rip, unwound.caller.rsp, unwound.caller.exact, unwound.caller.general[5]],
        [0x5678n, 0x9000n, true, 0xbbn],
      );
    }
  });

  void it('version 2: epilogues are where it says, and nowhere else', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, {
      version: 2,
      prolog: 5,
      // 2 bytes each: at the end, and 0x40 before it; a padding slot.
      slots: [slot(2, 6, 1), slot(0x40, 6), slot(0, 6), slot(5, 2, 3), slot(1, 0, 3)],
    });
    for (const rva of [0x10fe, 0x10c0, 0x1080]) image.code(rva, '5b c3');
    image.words(0x100, 0n, 0n, 0n, 0n, 0xbbn, caller, caller);
    for (const rva of [0x10fe, 0x10c0]) {
      const { method, caller: registers } = await unwind(image, registersAt(rva, 0x120));
      assert.deepEqual([method, registers.rip, registers.general[3]], ['epilogue', caller, 0xbbn]);
    }
    assert.equal((await unwind(image, registersAt(0x10c1, 0x128))).caller.rip, caller);
    const body = await unwind(image, registersAt(0x1080, 0x100));
    assert.deepEqual([body.method, body.caller.rip], ['body', caller]);
  });

  void it('version 2: of a part of another, and by way of its frame register or a jump', async () => {
    const image = new MadeUp();
    const parent = image.add(0x1000, 0x1040, {
      version: 2,
      prolog: 5,
      frame: 0x05,
      slots: [slot(5, 3), slot(2, 2, 3), slot(1, 0, 5)],
    });
    // lea rsp,[rbp+20h]; pop rbp; ret at its end, and 60h before it with a jump that stays in the part.
    image.add(0x1040, 0x1100, {
      version: 2,
      prolog: 4,
      frame: 0x05,
      slots: [slot(6, 6, 1), slot(0x60, 6), slot(4, 4, 6), 6],
      parent,
    });
    image.code(0x10fa, '48 8d 65 20 5d c3');
    image.code(0x10a0, '48 8d 65 20 5d eb 10');
    image.words(0x200, 0n, 0n, 0n, 0n, 0xbbn, caller, 0x66n);
    const frame = { 5: stackBase + 0x200n };
    for (const rva of [0x10fa, 0x10a0]) {
      const { method, caller: registers } = await unwind(image, registersAt(rva, 0x40, frame));
      assert.deepEqual([method, registers.rip, registers.general[5]], ['epilogue', caller, 0xbbn]);
      assert.equal(registers.general[6], 0x1006n, 'its own register is back already');
    }
    const body = await unwind(image, registersAt(0x1080, 0x40, frame));
    assert.deepEqual(
      [body.method, body.caller.rip, body.caller.general[5], body.caller.general[6]],
      ['body', caller, 0xbbn, 0x66n],
    );
  });

  void it('what it cannot know is unknown, not wrong', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, { slots: [slot(0, 5, 3), 0, 0x10, slot(0, 9, 6), 0, 0x10] });
    image.words(0x100, caller);
    const { caller: registers } = await unwind(image, registersAt(0x1080, 0x100));
    assert.deepEqual(
      [registers.rip, registers.general[3], registers.xmm.get(6)],
      [caller, undefined, undefined],
    );
    assert.ok(registers.xmm.has(6), 'and is not what the processor has');
  });
});

void describe('the bytes of unwind data', () => {
  void it('of every operation, taken apart by hand', () => {
    const bytes = code(
      '1a 1e 17 25' + // version 2, both handlers; 30 bytes of prologue; 23 slots; rbp, 20h above rsp
        '07 16  40 06  34 16  00 06' + // epilogues of 7 bytes: at the end, 40h and 134h before it; padding
        '1e 03' + // set rbp
        '1a 79 20 00 01 00' + // xmm7 at 10020h
        '14 68 03 00' + // xmm6 at 3 × 16
        '10 f5 08 00 02 00' + // r15 at 20008h
        '0c e4 05 00' + // r14 at 5 × 8
        '08 11 00 00 10 00' + // sub rsp,100000h
        '05 01 00 10' + // sub rsp,1000h × 8
        '03 72' + // sub rsp,7 × 8 + 8
        '02 50' + // push rbp
        '00 1a  00 00' + // machine frame on an error code; padding
        '78 56 34 12', // the handler
    );
    const info = decodeUnwindInfo(bytes);
    assert.deepEqual(
      { ...info, codes: undefined },
      {
        version: 2,
        flags: 3,
        prologSize: 30,
        slots: 23,
        frameRegister: 5,
        frameOffset: 0x20,
        codes: undefined,
        epilogues: { length: 7, beforeEnd: [7, 0x40, 0x134] },
        parent: undefined,
      },
    );
    assert.deepEqual(info.codes, [
      { prologOffset: 30, kind: 'set-frame', offset: 0x20 },
      { prologOffset: 26, kind: 'save-xmm', register: 7, offset: 0x10020 },
      { prologOffset: 20, kind: 'save-xmm', register: 6, offset: 0x30 },
      { prologOffset: 16, kind: 'save', register: 15, offset: 0x20008 },
      { prologOffset: 12, kind: 'save', register: 14, offset: 0x28 },
      { prologOffset: 8, kind: 'allocate', bytes: 0x100000 },
      { prologOffset: 5, kind: 'allocate', bytes: 0x8000 },
      { prologOffset: 3, kind: 'allocate', bytes: 64 },
      { prologOffset: 2, kind: 'push', register: 5 },
      { prologOffset: 0, kind: 'machine-frame', errorCode: true },
    ]);
  });

  void it('of a chained part: what it continues stands behind an even number of slots', () => {
    const bytes = code('21 05 01 00  05 32 00 00  00 10 00 00  40 10 00 00  c4 35 00 00');
    assert.deepEqual(decodeUnwindInfo(bytes).parent, { begin: 0x1000, end: 0x1040, unwindInfo: 0x35c4 });
    assert.throws(() => decodeUnwindInfo(bytes.subarray(0, 19)), { code: 'file-damaged' });
  });
});

void describe('the bytes of epilogues', () => {
  void it('are known, and nothing else is taken for one', () => {
    const is = (hex: string, frame = 0): string | undefined => decodeEpilogue(code(hex), frame)?.ending.kind;
    assert.equal(is('c3'), 'return');
    assert.equal(is('f3 c3'), 'return');
    assert.equal(is('c2 08 00'), 'return');
    assert.equal(is('48 81 c4 00 10 00 00 41 5f 41 5c 5d c3'), 'return');
    assert.equal(is('49 8d 63 10 5f c3', 11), 'return');
    assert.equal(is('49 8d a4 24 00 01 00 00 41 5c c3', 12), 'return');
    assert.equal(is('48 8d 65 10 5d c3', 6), undefined, 'of another register');
    assert.equal(is('48 ff 25 00 00 00 00'), 'jump-indirect');
    assert.equal(is('ff 25 00 00 00 00'), 'jump-indirect');
    assert.equal(is('48 ff e0'), 'jump-indirect');
    assert.equal(is('ff e0'), undefined, 'a switch');
    assert.equal(is('ff 24 c5 00 00 00 00'), undefined, 'a switch');
    assert.equal(is('e9 00 01 00 00'), 'jump');
    assert.equal(is('5c c3'), undefined);
    assert.equal(is('48 83 ec 20 c3'), undefined);
    assert.equal(is('48 83 c4'), undefined);
    assert.equal(is('5b'), undefined);
    assert.equal(is('58'.repeat(48)), undefined);
    assert.equal(is(''), undefined);
  });

  void it('show at their first bytes', () => {
    const random = randomFrom(seedFromEnvironment());
    console.log(`seed ${random.seed}`);
    let epilogues = 0;
    for (let i = 0; i < 200_000; i++) {
      const begin = Array.from({ length: longestBegin }, () =>
        random.chance(0.5) ? random.pick(telling) : random.below(256),
      );
      const bytes = Uint8Array.from([...begin, ...random.pick(ends)]);
      const frame = random.below(16);
      if (decodeEpilogue(bytes, frame) === undefined) continue;
      epilogues++;
      assert.ok(mayBeEpilogue(bytes.subarray(0, longestBegin)), Buffer.from(bytes).toString('hex'));
    }
    assert.ok(epilogues > 1000, `${epilogues}`);
  });
});

void describe('hostile unwind data', () => {
  void it('is refused by name', () => {
    const damaged = { name: 'VmkdError', code: 'file-damaged' };
    assert.throws(() => decodeUnwindInfo(Uint8Array.of(1, 0)), damaged);
    assert.throws(() => decodeUnwindInfo(Uint8Array.of(1, 0, 9, 0)), damaged);
    assert.throws(() => decodeUnwindInfo(unwindInfo({ version: 0 })), damaged);
    assert.throws(() => decodeUnwindInfo(unwindInfo({ version: 3 })), { code: 'file-unsupported' });
    for (const slots of [[slot(0, 1)], [slot(0, 9), 0], [slot(0, 12)], [slot(0, 1, 2)], [slot(0, 3)]])
      assert.throws(() => decodeUnwindInfo(unwindInfo({ slots })), damaged);
    assert.deepEqual(decodeUnwindInfo(unwindInfo({ slots: [slot(0, 6), 0, slot(0, 7), 0, 0] })).codes, []);
  });

  void it('chains and rows that lead to themselves end', async () => {
    const image = new MadeUp();
    image.addRow(0x1000, 0x1100, 0x8000);
    image.place(unwindInfo({ parent: { begin: 0x1000, end: 0x1100, unwindInfo: 0x8000 } }));
    await assert.rejects(unwind(image, registersAt(0x1080, 0x100)), { code: 'unwind-stuck' });
    image.addRow(0x2000, 0x2100, 0x9001);
    image.image.set(new Uint8Array(Uint32Array.of(0x2000, 0x2100, 0x9001).buffer), 0x9000);
    await assert.rejects(unwind(image, registersAt(0x2080, 0x100)), { code: 'file-damaged' });
  });

  void it('50,000 mutations end in a stack or a typed error, within bounds', async () => {
    const random = randomFrom(seedFromEnvironment());
    console.log(`seed ${random.seed}`);
    const image = new MadeUp();
    const first = image.add(0x1000, 0x1100, { prolog: 6, slots: [slot(6, 2, 5), slot(1, 0, 3)] });
    image.add(0x1100, 0x1200, {
      version: 2,
      prolog: 6,
      frame: 0x15,
      slots: [slot(4, 6, 1), slot(0, 6), slot(6, 3), slot(5, 5, 6), 0x10, 0, slot(1, 8, 6), 2],
    });
    image.add(0x1200, 0x1300, { prolog: 6, slots: [slot(5, 1, 1), 0x100, 0], parent: first });
    image.add(0x1300, 0x1400, { slots: [slot(0, 10, 1)] });
    image.addRow(0x1400, 0x1500, image.place(new Uint8Array(16)) | 1);
    const untouched = image.image.slice(0x8000, 0x8100);
    for (let word = 0; word < image.stack.length; word += 8) {
      const some = random.chance(0.5) ? imageBase + BigInt(0x1000 + random.below(0x500)) : stackBase;
      image.words(word, some + (some === stackBase ? BigInt(random.below(0x2000) * 8) : 0n));
    }
    let failed = 0;
    for (let i = 0; i < 50_000; i++) {
      image.image.set(untouched, 0x8000);
      for (let n = random.below(4); n >= 0; n--) image.image[0x8000 + random.below(0x60)] = random.below(256);
      const frame = { 5: stackBase + BigInt(random.below(0x10000)) };
      const registers = registersAt(0x1000 + random.below(0x500), random.below(0x8000) & ~7, frame);
      try {
        const { caller: registersOfCaller } = await unwind(image, registers);
        assert.ok(registersOfCaller.rip < 1n << 64n);
      } catch (error) {
        assert.ok(error instanceof VmkdError, String(error));
        assert.notEqual(error.code, 'internal');
        failed++;
      }
      if (i % 50 !== 0) continue;
      const { frames, end } = await walkStack(image, registers, 100);
      assert.ok(frames.length <= 100);
      assert.ok(end.kind !== 'failed' || end.error.code !== 'internal');
    }
    assert.ok(failed > 100 && failed < 45_000, String(failed));
  });
});

void describe('walking a stack', () => {
  void it('goes to the bottom, with the return address one byte back for what it is in', async () => {
    const image = ordinary();
    // Its call is its last instruction: the return address is the next function's.
    image.add(0x6000, 0x7123, { prolog: 4, slots: [slot(4, 2, 3)] });
    image.add(0x7123, 0x7200, { prolog: 4, slots: [slot(4, 2, 15)] });
    image.words(0x148 + 0x20, 0n);
    const { frames, end } = await walkStack(image, registersAt(0x1050, 0x100));
    assert.equal(end.kind, 'bottom');
    assert.deepEqual(
      frames.map((f) => [f.registers.rip - imageBase, f.image?.row?.begin, f.method]),
      [
        [0x1050n, 0x1000, 'body'],
        [0x7123n, 0x6000, 'body'],
      ],
    );
    const limited = await walkStack(image, registersAt(0x1050, 0x100), 1);
    assert.deepEqual([limited.frames.length, limited.end.kind], [1, 'most-frames']);
  });

  void it('crosses to another stack by a machine frame, and stops where code is unknown', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, { slots: [slot(0, 10, 0)] });
    image.words(0x800, imageBase + 0x500n, 0n, 0n, stackBase + 0x100n, 0n);
    image.words(0x100, 0x7ff612345678n);
    const { frames, end } = await walkStack(image, registersAt(0x1080, 0x800));
    assert.equal(end.kind, 'unknown-code');
    assert.deepEqual(
      frames.map((f) => [f.registers.exact, f.method]),
      [
        [true, 'body'],
        [true, 'leaf'],
        [false, undefined],
      ],
    );
  });

  void it('a call of no code', async () => {
    const image = ordinary();
    image.words(0xf8, imageBase + 0x1050n);
    const start = { ...registersAt(0, 0xf8), rip: plus(imageBase, -0x1000) };
    const { frames } = await walkStack(image, start);
    assert.deepEqual(
      frames.map((f) => f.method),
      ['leaf', 'body', 'leaf'],
    );
  });

  void it('ends where frames form a circle, the stack does not grow, or is absent', async () => {
    const image = new MadeUp();
    image.add(0x1000, 0x1100, { slots: [slot(0, 10, 0)] });
    image.words(0x800, imageBase + 0x1080n, 0n, 0n, stackBase + 0x800n, 0n);
    const circle = await walkStack(image, registersAt(0x1080, 0x800));
    assert.deepEqual([circle.frames.length, circle.end.kind], [1, 'failed']);

    // A frame register may go back, but not for ever.
    image.add(0x2000, 0x2100, { frame: 5, slots: [slot(0, 3), slot(0, 0, 5)] });
    image.words(0x900, stackBase + 0x910n, imageBase + 0x2080n, stackBase + 0x900n, imageBase + 0x2080n);
    const pendulum = await walkStack(image, registersAt(0x2080, 0x100, { 5: stackBase + 0x900n }));
    assert.equal(pendulum.end.kind, 'failed');
    assert.ok(pendulum.frames.length < 5);

    const absent = await walkStack(image, registersAt(0x500, 0x20000));
    assert.deepEqual([absent.frames.length, absent.end.kind], [1, 'failed']);
    assert.equal(absent.end.kind === 'failed' && absent.end.error.code, 'memory-unreadable');
  });

  void it('does not hide failures of the target', async () => {
    const broken = {
      functionAt: () => undefined,
      memory: { readPartial: () => Promise.reject(new VmkdError('link-lost', 'gone')) },
    };
    await assert.rejects(walkStack(broken, registersAt(0, 0)), { code: 'link-lost' });
  });
});
