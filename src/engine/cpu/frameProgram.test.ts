import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VmkdError } from '../core/errors';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { runFrameProgram, type ProgramInput, type RegisterName } from './frameProgram';

const base = 0x1000;

/** A stack at 1000h whose dwords are 5000h + their offset, and registers. */
function input(registers: Partial<Record<RegisterName, number>>, changes: Partial<ProgramInput> = {}) {
  let reads = 0;
  let searches = 0;
  const made: ProgramInput = {
    register: (name) => registers[name],
    constants: {
      cbLocals: 0x10,
      cbSavedRegs: 8,
      cbParams: 12,
      cbProlog: 3,
      cbStkMax: 0,
      cbCalleeParams: 4,
      ...changes.constants,
    },
    read: async (address) => {
      reads++;
      return address >= base && address < base + 0x1000 ? 0x5000 + address - base : undefined;
    },
    search: async () => {
      searches++;
      return 0x1040;
    },
    ...changes,
  };
  return { made, counts: () => ({ reads, searches }) };
}

const run = async (program: string, registers: Partial<Record<RegisterName, number>> = {}) => {
  const { eip, esp, assigned, searched } = await runFrameProgram(
    program,
    input({ esp: 0x1000, ebp: 0x1020, ebx: 7, eip: 0x400123, ...registers }).made,
  );
  const others = Object.fromEntries([...assigned].filter(([name]) => name !== 'eip' && name !== 'esp'));
  return { eip, esp, searched, ...others };
};

void describe('frame programs', () => {
  void it('as compilers write them', async () => {
    assert.deepEqual(await run('$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = '), {
      ...{ eip: 0x5040, esp: 0x1044, searched: true },
    });
    assert.deepEqual(await run('$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + ='), {
      ...{ eip: 0x5024, esp: 0x1028, searched: false, ebp: 0x5020 },
    });
    // clang: saved registers, and a stack that was aligned.
    assert.deepEqual(
      await run('$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 4 - ^ = $ebx $T0 8 - ^ ='),
      { eip: 0x5040, esp: 0x1044, searched: true, ebp: 0x503c, ebx: 0x5038 },
    );
    assert.deepEqual(
      await run(
        '$T1 $ebp 4 + = $T0 $T1 4 - 32 @ = $eip $T1 ^ = $esp $T1 4 + = $ebp $T1 4 - ^ = $esi $T0 20 - ^ =',
      ),
      { eip: 0x5024, esp: 0x1028, searched: false, ebp: 0x5020, esi: 0x500c },
    );
    // MSVC: registers by their CodeView numbers, and where locals and parameters begin.
    assert.deepEqual(
      await run(
        '$T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = $20 $T0 24 - ^ = $L $T0 .cbSavedRegs - = $P $T0 4 + .cbParams + =',
      ),
      { eip: 0x5040, esp: 0x1044, searched: true, ebx: 0x5028 },
    );
    assert.deepEqual(
      await run(
        '$T2 $esp .cbSavedRegs + = $T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = $ebx $T2 4 - ^ =',
      ),
      { eip: 0x5040, esp: 0x1044, searched: true, ebx: 0x5004 },
    );
    // A callee's parameters are still on the stack.
    assert.deepEqual(
      await run('$T0 $esp .cbCalleeParams + .cbLocals + .cbSavedRegs + = $eip $T0 ^ = $esp $T0 4 + ='),
      { eip: 0x501c, esp: 0x1020, searched: false },
    );
  });

  void it('tokens need no blanks where they cannot be mistaken', async () => {
    assert.deepEqual(await run('$T0 $ebp=$eip $T0 4+^=$esp $T0 8+='), {
      ...{ eip: 0x5024, esp: 0x1028, searched: false },
    });
  });

  void it('computes modulo 2^32', async () => {
    const value = async (expression: string): Promise<number> =>
      (await run(`$eip ${expression} = $esp 0 =`)).eip;
    assert.equal(await value('4294967295 2 +'), 1);
    assert.equal(await value('1 2 -'), 0xffff_ffff);
    assert.equal(await value('65537 65537 *'), 0x20001);
    assert.equal(await value('4294967295 16 /'), 0x0fff_ffff);
    assert.equal(await value('4294967295 10 %'), 5);
    assert.equal(await value('4294967295 4096 @'), 0xffff_f000);
    assert.equal(await value('4294967295 2147483648 @'), 0x8000_0000);
    assert.equal(
      await value('.cbLocals .cbSavedRegs + .cbParams + .cbProlog + .cbStkMax +'),
      0x10 + 8 + 12 + 3,
    );
  });

  void it('what is not known stays unknown, and matters only for eip and esp', async () => {
    const absent = '$T0 9 ^ 4 + = $ebx $T0 = $esi $edi 4 + = $eip $ebp ^ = $esp $ebp 8 + =';
    assert.deepEqual(await run(absent), {
      ...{ eip: 0x5020, esp: 0x1028, searched: false, ebx: undefined, esi: undefined },
    });
    await assert.rejects(run('$eip 9 ^ = $esp 0 ='), { code: 'memory-unreadable' });
    await assert.rejects(run('$eip $edi = $esp 0 ='), { code: 'unwind-stuck' });
  });

  void it('searches once', async () => {
    const { made, counts } = input({});
    await runFrameProgram('$T0 .raSearch = $eip .raSearch ^ = $esp .raSearchStart =', made);
    assert.deepEqual(counts(), { reads: 1, searches: 1 });
  });

  void it('refuses what is none, by name', async () => {
    const bad = [
      ...['', ' ', '$eip', '$eip 1', '$eip 1 =', '= = =', '^', '+', '$eip 1 = $esp +', '1 2 ='],
      ...['$eip 1 0 / = $esp 0 =', '$eip 1 0 % = $esp 0 =', '$eip 1 0 @ = $esp 0 =', '$eip 1 3 @ = $esp 0 ='],
      ...['$eip $T5 = $esp 0 =', '$eip .cbNone = $esp 0 =', '$eip .toString = $esp 0 =', '.cbLocals 4 ='],
      ...['$eip 1 = $esp 0 = 5', '$eip 1 = $esp 0 = # 5', '$eip 0x10 = $esp 0 =', '$25 1 = $esp 0 ='],
      ...['$eip 1 = $esp 0 = ' + '$T0 1 = '.repeat(200), '$eip 1 = $esp 0 =' + ' '.repeat(5000)],
    ];
    for (const program of bad) await assert.rejects(run(program), { code: 'unwind-stuck' }, program);
  });

  void it('40,000 random programs end in registers or a typed error, within bounds', async () => {
    const random = randomFrom(seedFromEnvironment());
    console.log(`seed ${random.seed}`);
    const words = [
      ...[
        '$eip',
        '$esp',
        '$ebp',
        '$ebx',
        '$T0',
        '$T1',
        '$L',
        '$20',
        '.raSearch',
        '.cbLocals',
        '.cbParams',
        '.x',
      ],
      ...[
        '+',
        '-',
        '*',
        '/',
        '%',
        '@',
        '^',
        '^',
        '=',
        '=',
        '=',
        '0',
        '1',
        '4',
        '8',
        '4096',
        '4294967295',
        '\u0000',
      ],
    ];
    const good = '$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 4 - ^ = $ebx $T0 8 - ^ =';
    let succeeded = 0;
    for (let i = 0; i < 40_000; i++) {
      let program: string;
      if (i % 2 === 0) {
        program = Array.from({ length: random.below(40) }, () => random.pick(words)).join(' ');
      } else {
        const tokens = good.split(' ');
        for (let n = random.below(4); n > 0; n--) tokens[random.below(tokens.length)] = random.pick(words);
        program = tokens.join(random.chance(0.9) ? ' ' : '');
      }
      const { made, counts } = input({ esp: base + random.below(0x800), ebp: random.next(), eip: 1 });
      try {
        const { eip, esp } = await runFrameProgram(program, made);
        assert.ok(eip >>> 0 === eip && esp >>> 0 === esp, program);
        succeeded++;
      } catch (error) {
        assert.ok(error instanceof VmkdError, `${program}: ${String(error)}`);
        assert.ok(error.code === 'unwind-stuck' || error.code === 'memory-unreadable', program);
      }
      const { reads, searches } = counts();
      assert.ok(reads <= 60 && searches <= 1, program);
    }
    assert.ok(succeeded > 2000 && succeeded < 30_000, String(succeeded));
  });

  void it('passes failures of the target on', async () => {
    const { made } = input({}, { read: () => Promise.reject(new VmkdError('link-lost', 'gone')) });
    await assert.rejects(runFrameProgram('$eip 1 ^ = $esp 0 =', made), { code: 'link-lost' });
  });
});
