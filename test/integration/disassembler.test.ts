// test-limit: 240 s
/**
 * The disassembler against llvm-objdump, on code that we built and on code that MSVC built: every instruction of every
 * function of .pdata begins and ends at the same byte.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { plus, virtualAddress } from '../../src/engine/core/addresses';
import { openDisassembler } from '../../src/engine/cpu/disassembler';
import { disassembleBackward } from '../../src/engine/cpu/disassemblerBackward';
import { readCodeImage, type CodeImage } from '../fixtures/codeImage';
import { measureDisassembler } from '../fixtures/disassemblerRate';
import { msvcSamples } from '../fixtures/pdbSamples';

const msvc = 'node_modules/node-pty/prebuilds/win32-x64';
const images = [
  'build/kernel/images/ntoskrnl.exe',
  'build/kernel/images/kdcom.dll',
  'build/kernel/images/vmkdemo.sys',
  `${msvc}/conpty/OpenConsole.exe`,
  `${msvc}/conpty.node`,
  `${msvc}/winpty-agent.exe`,
];

/** Where llvm-objdump has instructions begin, and which of those it cannot decode. RVAs. */
async function objdump(image: CodeImage, from?: number, to?: number): Promise<Map<number, string>> {
  const range =
    from === undefined || to === undefined
      ? []
      : [
          `--start-address=${image.imageBase + BigInt(from)}`,
          `--stop-address=${image.imageBase + BigInt(to)}`,
        ];
  const { stdout } = await promisify(execFile)(
    'llvm-objdump',
    ['-d', '-z', '--no-show-raw-insn', '--section=.text', ...range, image.path],
    { maxBuffer: 512 * 1024 * 1024 },
  );
  const found = new Map<number, string>();
  let isPrefixed = false;
  for (const [, address = '', text = ''] of stdout.matchAll(/^\s*([0-9a-f]+):\s*(.*)$/gm)) {
    // A prefix stands on a line of its own, before its instruction.
    if (!isPrefixed) found.set(Number(BigInt(`0x${address}`) - image.imageBase), text);
    isPrefixed = /^(lock|rep|repne|data16|rex64|notrack|xacquire|xrelease)$/.test(text.trim());
  }
  return found;
}

void describe('instruction boundaries agree with llvm-objdump', () => {
  for (const path of images) {
    void it(path, async (t) => {
      const image = readCodeImage(path);
      const disassembler = await openDisassembler('x64');
      t.after(() => disassembler.dispose());
      const whole = await objdump(image);
      assert.ok(whole.size > 500, 'llvm-objdump shows code');
      let compared = 0;
      let alone = 0;
      const withData: string[] = [];
      for (const { begin, end } of image.functions) {
        const ours = startsOf(begin, end);
        let theirs = rangeOf(whole, begin, end);
        if (ours.join() !== [...theirs.keys()].join()) {
          // What lies between functions is data at times, and llvm-objdump comes out of it in the wrong place.
          alone++;
          theirs = await objdump(image, begin, end);
        }
        const codeEnd = firstUnknown(theirs) ?? end;
        // Jump tables lie inside the ranges of .pdata. Data is followed differently, code never.
        if (codeEnd < end) withData.push(begin.toString(16));
        const isCode = (rva: number): boolean => rva < codeEnd;
        assert.deepEqual(
          ours.filter(isCode),
          [...theirs.keys()].filter(isCode),
          `function ${begin.toString(16)}`,
        );
        compared += ours.filter(isCode).length;
      }
      assert.ok(withData.length <= 2 + 0.03 * image.functions.length, `not code: ${withData.join(' ')}`);
      t.diagnostic(
        `${image.functions.length} functions, ${compared} instructions; ${withData.length} functions with data`,
      );
      t.diagnostic(`${alone} functions decoded alone`);

      function startsOf(begin: number, end: number): number[] {
        const code = image.code.subarray(begin - image.codeRva, end - image.codeRva);
        const lines = disassembler.disassemble(code, virtualAddress(image.imageBase + BigInt(begin)));
        return lines.map((line) => begin + line.offset);
      }
    });
  }
});

function rangeOf(found: ReadonlyMap<number, string>, begin: number, end: number): Map<number, string> {
  const part = new Map<number, string>();
  for (let rva = begin; rva < end; rva++) {
    const text = found.get(rva);
    if (text !== undefined) part.set(rva, text);
  }
  return part;
}

function firstUnknown(theirs: ReadonlyMap<number, string>): number | undefined {
  for (const [rva, text] of theirs) if (text.includes('<unknown>')) return rva;
  return undefined;
}

void it('backwards from every function end, anchored and by guess, on code by MSVC', async (t) => {
  const image = readCodeImage(`${msvc}/conpty/OpenConsole.exe`);
  const base = virtualAddress(image.imageBase + BigInt(image.codeRva));
  const disassembler = await openDisassembler('x64');
  t.after(() => disassembler.dispose());
  const memory = {
    readPartial: async (address: bigint, length: number) => {
      const at = Number(address - base);
      return at < 0 ? new Uint8Array() : image.code.subarray(at, at + length);
    },
  };
  let right = 0;
  let guessed = 0;
  for (const { begin, end } of image.functions) {
    const at = end - image.codeRva;
    const start = plus(base, begin - image.codeRva);
    const forward = disassembler.disassemble(image.code.subarray(begin - image.codeRva, at), start);
    if (forward.some((line) => line.status !== 'whole')) continue;
    const wanted = forward.slice(-5).map((line) => line.address);
    const anchored = await disassembleBackward(
      disassembler,
      memory,
      plus(base, at),
      wanted.length,
      () => start,
    );
    assert.deepEqual(
      anchored.lines.map((line) => line.address),
      wanted,
    );
    if (forward.length < 20 || guessed >= 400) continue;
    guessed++;
    const guess = await disassembleBackward(disassembler, memory, plus(base, at), 5, () => undefined);
    if (guess.lines.map((line) => line.address).join() === wanted.join()) right++;
  }
  t.diagnostic(`${right} of ${guessed} guesses are right`);
  assert.ok(right >= 0.95 * guessed, `${right} of ${guessed} guesses are right`);
});

void it('the rate is measured on every function, with names', async (t) => {
  const { instructionsPerSecond, instructions, named } = await measureDisassembler(msvcSamples[0]!);
  t.diagnostic(
    `${Math.round(instructionsPerSecond)} instructions/s, ${named} of ${instructions} with a name`,
  );
  assert.ok(instructions > 40_000);
  assert.ok(named > instructions / 10);
  assert.ok(instructionsPerSecond > 50_000, 'far below the goal: something is wrong');
});
