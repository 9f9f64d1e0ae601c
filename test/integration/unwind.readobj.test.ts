/**
 * Unwind data of every function of real images against llvm-readobj: clang's (the demo kernel) and Microsoft's
 * (node-pty). llvm-readobj 14 dies on version 2, so it sees a copy in which each of those is an empty version 1; of
 * version 2, every epilogue must end as an epilogue does.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { decodeEpilogue, longestEpilogue } from '../../src/engine/cpu/unwindEpilogue';
import { findRuntimeFunction, readUnwindInfo, type UnwindInfo } from '../../src/engine/cpu/unwindInfo';
import { exceptionDirectoryOf, type SampleImage } from '../fixtures/exceptionDirectory';
import { demoKernel, llvm, msvcImagesAlone, msvcSamples } from '../fixtures/pdbSamples';
import { tempFolder } from '../fixtures/tempFolder';

const samples = [...[...demoKernel, ...msvcSamples].map((s) => s.image), ...msvcImagesAlone];

for (const sample of samples) {
  void describe(path.basename(sample), () => {
    void it('every function, as llvm-readobj has it', (t) => compare(sample, t));
  });
}

const registers = 'RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15'.split(' ');
const hex = (value: number): string => `0x${value.toString(16).toUpperCase()}`;

async function compare(file: string, t: TestContext): Promise<void> {
  const bytes = readFileSync(file);
  const image = exceptionDirectoryOf(bytes, file);
  const ours: string[] = [];
  let versionTwo = 0;
  for (const row of image.rows) {
    assert.deepEqual(findRuntimeFunction(image.pdata, row.begin), row);
    assert.deepEqual(findRuntimeFunction(image.pdata, row.end - 1), row);
    const info = await readUnwindInfo(image, row.unwindInfo);
    const place = `${row.begin} ${row.end} ${row.unwindInfo}`;
    if (info.version === 2) {
      versionTwo++;
      checkEpilogues(image, row.end, info);
      const at = image.fileOffset(row.unwindInfo);
      bytes[at] = 1;
      bytes[at + 1] = bytes[at + 2] = bytes[at + 3] = 0;
      ours.push(`${place}: empty`);
    } else {
      ours.push(`${place}: ${describeInfo(info)}`);
    }
  }
  const copy = path.join(tempFolder(t), 'image');
  writeFileSync(copy, bytes);
  const theirs = llvm('llvm-readobj', ['--unwind', copy]).split('RuntimeFunction {').slice(1);
  assert.equal(theirs.length, ours.length);
  const base = image.imageBase;
  const rva = (text: string, name: string): number =>
    Number(BigInt(new RegExp(`${name}: (?:\\S+ \\+)?\\S* ?\\(?(0x[0-9A-F]+)\\)?`).exec(text)![1]!) - base);
  theirs.forEach((text, i) => {
    const place = ['StartAddress', 'EndAddress', 'UnwindInfoAddress'].map((n) => rva(text, n)).join(' ');
    const value = (name: string): number =>
      Number(new RegExp(`${name}: .*?(0x\\w+|\\d+)\\)?\\n`).exec(text)?.[1] ?? 0);
    const codes = [...text.matchAll(/^ +(0x\w\w: [A-Z].*)$/gm)].map(([, code]) => code).join('; ');
    const [, parent] = text.split('Chained {');
    const chain =
      parent && ['StartAddress', 'EndAddress', 'UnwindInfoAddress'].map((n) => rva(parent, n)).join(' ');
    const flags = Number(/Flags \[ \((0x\w+)\)/.exec(text)![1]);
    const said = [flags, value('PrologSize'), value('UnwindCodeCount'), codes, chain ?? ''].join(' | ');
    const expected = ours[i]!.endsWith(': empty') ? `${place}: empty` : `${place}: ${said}`;
    assert.equal(ours[i], expected);
  });
  t.diagnostic(`${ours.length} functions, ${versionTwo} of version 2`);
  assert.ok(versionTwo <= ours.length * 0.02);
}

function describeInfo(info: UnwindInfo): string {
  const codes = info.codes.map((code) => {
    const at = `0x${code.prologOffset.toString(16).toUpperCase().padStart(2, '0')}: `;
    switch (code.kind) {
      case 'push':
        return `${at}PUSH_NONVOL reg=${registers[code.register]!}`;
      case 'allocate':
        return `${at}ALLOC_${code.bytes > 128 ? 'LARGE' : 'SMALL'} size=${code.bytes}`;
      case 'set-frame':
        return `${at}SET_FPREG reg=${registers[info.frameRegister]!}, offset=${hex(code.offset)}`;
      case 'save':
        return `${at}SAVE_NONVOL reg=${registers[code.register]!}, offset=${hex(code.offset)}`;
      case 'save-xmm':
        return `${at}SAVE_XMM128 reg=XMM${code.register}, offset=${hex(code.offset)}`;
      case 'machine-frame':
        return `${at}PUSH_MACHFRAME errcode=${code.errorCode ? 'yes' : 'no'}`;
    }
  });
  const { parent } = info;
  const chain = parent ? `${parent.begin} ${parent.end} ${parent.unwindInfo}` : '';
  return [info.flags, info.prologSize, info.slots, codes.join('; '), chain].join(' | ');
}

/** Somewhere in its range, each epilogue can be carried through to its end. */
function checkEpilogues(image: SampleImage, end: number, info: UnwindInfo): void {
  for (const distance of info.epilogues.beforeEnd) {
    const code = image.read(end - distance, longestEpilogue);
    assert.ok(decodeEpilogue(code, info.frameRegister), `epilogue at ${hex(end - distance)}`);
  }
}
