import assert from 'node:assert/strict';
import { it } from 'node:test';
import { signExtend32 } from '../core/addresses';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import {
  framePrograms,
  MadeUpX86,
  registersAtX86,
  stackBase,
  taskDescriptor,
} from '../../../test/fixtures/unwindingX86';
import { walkStackX86 } from './unwindStack';

void it('1,000 hostile stacks end in frames or a typed error, within bounds', async () => {
  const random = randomFrom(seedFromEnvironment());
  console.log(`seed ${random.seed}`);
  const methods = new Set<string>();
  const ends = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const source = hostile(random);
    for (let n = 0; n < 10; n++) {
      const ebp = stackBase + random.below(0x4000);
      const registers = registersAtX86(random.below(0x8000), random.below(0x4000) & ~3, { ebp });
      const { frames, end } = await walkStackX86(source, registers, n === 0 ? 1024 : 8);
      assert.ok(frames.length <= 1024);
      ends.add(end.kind === 'failed' ? end.error.code : end.kind);
      for (const { method } of frames) methods.add(method ?? '-');
    }
  }
  assert.deepEqual([...methods].sort(), ['-', 'code', 'ebp', 'fpo', 'frame-data', 'scan', 'trap', 'tss']);
  assert.ok(!ends.has('internal'), [...ends].join(' '));
  assert.ok(ends.has('bottom') && ends.has('unwind-stuck'), [...ends].join(' '));
});

const pieces = [
  ...[
    '55 8b ec',
    '53',
    '5b',
    '83 ec 10',
    '83 c4 10',
    'c9',
    'c3',
    'c2 08 00',
    '74 fe',
    'eb f0',
    '8b e5',
    'cf',
  ],
  ...['e8 00 01 00 00', 'ff d0', '8d 65 f4', '83 e4 f0', 'cc', '8b 75 f8', 'ff 24 8d 00 90 40 80'],
];
const { search, chain } = framePrograms;
const programs = [
  search,
  chain,
  `${search} $ebx $T0 4 - ^ =`,
  '$eip $esp ^ = $esp $esp =',
  '$eip 1 = $esp $ebp =',
  '=',
];

/** Code, rows and a stack of odds and ends that nearly fit. */
function hostile(random: Random): MadeUpX86 {
  const source = new MadeUpX86();
  for (let at = 0; at < 0x7000;) {
    const piece = random.chance(0.02) ? Buffer.from(random.bytes(3)).toString('hex') : random.pick(pieces);
    source.code(at, piece);
    at += piece.replaceAll(' ', '').length / 2;
  }
  const sites = Array.from({ length: 20 }, () => source.callSite(random.below(0x7000)));
  const values = [
    () => random.pick(sites),
    () => stackBase + random.below(0x4100),
    () => random.below(0x48) & ~7,
    () => random.next(),
  ];
  for (let at = 0; at < source.stack.length; at += 4) source.dwords(at, random.pick(values)());
  for (let n = 0; n < 30; n++) addRow(source, random);
  for (let at = 0; at < 0x40; at += 8) {
    const base = stackBase + random.below(0x1000) * 4;
    source.dwords(at, ...taskDescriptor(base, random.pick([0x8b, 0x89, 0x8c])));
  }
  source.tasks = { gdt: signExtend32(stackBase), gdtLimit: 0x3f, taskRegister: random.below(0x48) };
  return source;
}

function addRow(source: MadeUpX86, random: Random): void {
  const begin = random.below(0x7000);
  const size = random.chance(0.1) ? random.next() : random.below(0x800);
  const bytes = (): number => (random.chance(0.1) ? random.next() : random.below(64));
  const both = { localBytes: bytes(), parameterBytes: bytes(), prologBytes: random.below(32) };
  if (random.chance(0.5)) {
    source.frameData(begin, size, random.pick(programs), {
      ...both,
      ...{ savedRegisterBytes: bytes(), mostPushedBytes: bytes() },
      functionBegin: random.chance(0.8) ? begin : undefined,
      functionEnd: random.chance(0.8) ? begin + size : undefined,
    });
  } else {
    const frame = random.pick(['fpo', 'trap', 'tss', 'ebp'] as const);
    source.fpo(begin, size, { ...both, savedRegisters: random.below(8), usesEbp: random.chance(0.5), frame });
  }
}
