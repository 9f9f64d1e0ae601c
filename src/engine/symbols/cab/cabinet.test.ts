import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { VmkdError } from '../../core/errors';
import { memorySource } from '../../core/byteSource';
import { makeCabinet, type CabinetFolder, type Compression } from '../../../../test/fixtures/cabinet';
import { randomFrom, seedFromEnvironment, type Random } from '../../../../test/fixtures/random';
import { Cabinet } from './cabinet';

/** Text-like, code-like and random stretches, repeats near and far, calls. */
function sample(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const run = Math.min(1 + random.below(600), length - at);
    const kind = random.below(5);
    for (let i = 0; i < run; i++, at++) {
      if (kind === 0) bytes[at] = random.below(256);
      else if (kind === 1) bytes[at] = 97 + random.below(8);
      else if (kind === 2) bytes[at] = i % 5 === 0 ? 0xe8 : i % 5 === 4 ? 0 : random.below(40);
      else if (kind === 3) bytes[at] = at >= 20_000 ? bytes[at - 20_000]! : i;
      else bytes[at] = at >= 300 ? bytes[at - 300]! : 0;
    }
  }
  return bytes;
}

function open(bytes: Uint8Array): Cabinet {
  return new Cabinet(memorySource(bytes, 'test.cab'));
}

const extracted = (cabinet: Cabinet, index: number): Buffer =>
  Buffer.concat([...cabinet.extract(cabinet.files[index]!)]);

function sees(t: TestContext, folders: readonly CabinetFolder[], options = {}): void {
  const cabinet = open(makeCabinet(folders, options));
  const files = folders.flatMap((folder) => folder.files);
  assert.deepEqual(
    cabinet.files.map(({ name, size }) => [name, size]),
    files.map(({ name, bytes }) => [name, bytes.length]),
  );
  files.forEach(({ bytes }, i) => assert.ok(extracted(cabinet, i).equals(bytes), `${t.name}: file ${i}`));
}

const seeded = (t: TestContext): Random => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  return random;
};

/** Every kind of block, sizes odd and even, over and inside frames. */
const mixedLzx = (random: Random, windowBits: number): Compression => {
  const kinds = Array.from({ length: 300 }, () =>
    random.pick(['verbatim', 'aligned', 'uncompressed'] as const),
  );
  const sizes = Array.from({ length: 300 }, () => 1 + random.below(random.chance(0.3) ? 90_000 : 20_000));
  return {
    kind: 'lzx',
    windowBits,
    callLimit: random.chance(0.7) ? 12_000_000 : 0,
    kindOf: (i) => kinds[i % 300]!,
    sizeOf: (i) => sizes[i % 300]!,
  };
};

void describe('cabinets', () => {
  void it('stored and MSZIP: files that begin and end inside blocks, and empty ones', (t) => {
    const random = seeded(t);
    const files = [0, 1, 32767, 1, 0, 70_000, 32768, 3].map((size, i) => ({
      name: `f${i}.pdb`,
      bytes: sample(random, size),
    }));
    for (const compression of ['stored', 'mszip'] as const) {
      sees(t, [{ compression, files }]);
      sees(
        t,
        [
          { compression, files },
          { compression: 'stored', files: files.slice(2) },
        ],
        {
          reserve: [7, 3, 5],
        },
      );
      sees(t, [{ compression, files }], { withChecksums: false, reserve: [0, 0, 0] });
    }
  });

  void it('LZX: every window, every kind of block, calls translated', (t) => {
    const random = seeded(t);
    for (let windowBits = 15; windowBits <= 21; windowBits++) {
      for (let turn = 0; turn < 3; turn++) {
        const files = [{ name: 'a.pdb', bytes: sample(random, 1 + random.below(200_000)) }];
        sees(t, [{ compression: mixedLzx(random, windowBits), files }]);
      }
    }
  });

  void it('LZX: matches as far back as a window of 2 MiB allows', (t) => {
    const random = seeded(t);
    const start = random.bytes(5000);
    const bytes = Buffer.concat([start, Buffer.alloc(2_080_000), start]);
    for (const kind of ['verbatim', 'aligned'] as const) {
      sees(t, [
        { compression: { kind: 'lzx', windowBits: 21, kindOf: () => kind }, files: [{ name: 'x', bytes }] },
      ]);
    }
  });

  void it('an odd uncompressed block that ends with its frame, its filling byte in either block', (t) => {
    const random = seeded(t);
    const bytes = sample(random, 70_000);
    const compression: Compression = {
      kind: 'lzx',
      windowBits: 16,
      sizeOf: (i) => [32_767 - 10_000, 10_001, 20_000][i % 3]!,
      kindOf: (i) => (i === 1 ? 'uncompressed' : 'verbatim'),
    };
    sees(t, [{ compression, files: [{ name: 'x', bytes }] }]);
    // Moves the filling byte from the end of the first block to the start of the second.
    const made = Buffer.from(
      makeCabinet([{ compression, files: [{ name: 'x', bytes }] }], { withChecksums: false }),
    );
    const first = made.readUInt32LE(36);
    const packed = made.readUInt16LE(first + 4);
    const second = first + 8 + packed;
    assert.equal(made[second - 1], 0);
    made.writeUInt16LE(packed - 1, first + 4);
    const head = Buffer.from(made.subarray(second, second + 8));
    head.writeUInt16LE(head.readUInt16LE(4) + 1, 4);
    head.copy(made, second - 1);
    made[second + 7] = 0;
    assert.ok(extracted(open(made), 0).equals(bytes));
  });
});

void describe('a cabinet that is not whole', () => {
  const bytes = sample(randomFrom(5), 50_000);
  const whole = makeCabinet([{ compression: 'mszip', files: [{ name: 'x', bytes }] }]);
  const changed = (change: (copy: Buffer) => void): Cabinet => {
    const copy = Buffer.from(whole);
    change(copy);
    return open(copy);
  };

  void it('says which block has another checksum', () => {
    const cabinet = changed((copy) => (copy[copy.length - 1]! ^= 1));
    assert.throws(() => extracted(cabinet, 0), { code: 'file-damaged', message: /block 1 .*checksum/ });
  });

  void it('is refused when it is one of a set, or of another compression', () => {
    const continued = changed((copy) => copy.writeUInt16LE(0xfffe, 36 + 8 + 8));
    assert.throws(() => extracted(continued, 0), { code: 'file-unsupported' });
    const quantum = changed((copy) => copy.writeUInt16LE(0x1402, 36 + 6));
    assert.throws(() => extracted(quantum, 0), {
      code: 'file-unsupported',
      message: /neither MSZIP nor LZX/,
    });
    const split = changed((copy) => {
      const first = copy.readUInt32LE(36);
      copy.writeUInt32LE(0, first);
      copy.writeUInt16LE(0, first + 6);
    });
    assert.throws(() => extracted(split, 0), { code: 'file-unsupported', message: /another cabinet/ });
  });

  void it('is damaged when it says more than it has', () => {
    const cases: readonly ((copy: Buffer) => void)[] = [
      (copy) => copy.writeUInt32LE(0xffffffff, 36 + 8),
      (copy) => copy.writeUInt32LE(0xfffffff0, 36 + 8 + 4),
      (copy) => copy.writeUInt16LE(1, 36 + 8 + 8),
      (copy) => copy.writeUInt32LE(0xfffffff0, 36),
      (copy) => copy.writeUInt16LE(0, 36 + 4),
      (copy) => copy.writeUInt16LE(0x0e03, 36 + 6),
      (copy) => copy.writeUInt16LE(0x1603, 36 + 6),
    ];
    for (const [i, change] of cases.entries()) {
      assert.throws(() => extracted(changed(change), 0), { code: 'file-damaged' }, `case ${i}`);
    }
    assert.throws(() => open(whole.subarray(0, 30)), { code: 'file-damaged' });
    assert.throws(() => open(new Uint8Array(100)), { code: 'file-damaged' });
    assert.throws(() => changed((copy) => copy.writeUInt16LE(65535, 26)), { code: 'file-damaged' });
    assert.throws(() => changed((copy) => copy.fill(0x41, 36 + 8 + 16)), { code: 'file-damaged' });
  });
});

void describe('mutated cabinets', () => {
  const count = 52_000;
  void it(`${count} of them: a typed error or bytes of the promised size, in bounded time`, (t) => {
    const random = seeded(t);
    const smallLzx = (): Compression => ({
      ...(mixedLzx(random, 15 + random.below(3)) as Exclude<Compression, string>),
      sizeOf: () => 1 + random.below(1500),
    });
    const originals = Array.from({ length: 60 }, (_, i) =>
      makeCabinet(
        [
          {
            compression: i % 4 === 0 ? 'mszip' : i % 4 === 1 ? 'stored' : smallLzx(),
            files: [{ name: 'a', bytes: sample(random, 1 + random.below(3000)) }],
          },
        ],
        { withChecksums: i % 8 === 0 },
      ),
    );
    const outcomes = { whole: 0, damaged: 0, unsupported: 0 };
    let slowest = 0;
    for (let turn = 0; turn < count; turn++) {
      const bytes = mutate(random, random.pick(originals));
      const started = performance.now();
      try {
        const cabinet = open(bytes);
        for (const file of cabinet.files.slice(0, 4)) {
          let size = 0;
          for (const piece of cabinet.extract(file)) {
            size += piece.length;
            if (size > 1_000_000) break;
          }
          if (size <= 1_000_000) assert.equal(size, file.size);
        }
        outcomes.whole++;
      } catch (error) {
        if (!(error instanceof VmkdError)) throw error;
        if (error.code === 'file-damaged') outcomes.damaged++;
        else if (error.code === 'file-unsupported') outcomes.unsupported++;
        else throw error;
      }
      slowest = Math.max(slowest, performance.now() - started);
    }
    t.diagnostic(`${JSON.stringify(outcomes)}, slowest ${slowest.toFixed(0)} ms`);
    assert.ok(outcomes.damaged > count / 10 && outcomes.whole > count / 20, JSON.stringify(outcomes));
    assert.ok(slowest < 2000, `${slowest} ms`);
  });
});

function mutate(random: Random, original: Uint8Array): Uint8Array {
  const bytes = original.slice(0, random.chance(0.05) ? random.below(original.length) : original.length);
  for (let changes = 1 + random.below(4); changes > 0 && bytes.length > 0; changes--) {
    // Half of them where the structure is.
    const at = random.below(random.chance(0.5) ? Math.min(90, bytes.length) : bytes.length);
    if (at < 4) continue;
    const kind = random.below(4);
    if (kind === 0) bytes[at] = random.below(256);
    else if (kind === 1) bytes[at]! ^= 1 << random.below(8);
    else if (kind === 2) bytes.fill(random.pick([0, 0xff]), at, at + 1 + random.below(8));
    else bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
  }
  return bytes;
}
