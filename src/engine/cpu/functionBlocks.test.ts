import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress } from '../core/addresses';
import { openDisassembler } from './disassembler';
import { codeBlocks, flowLength } from './functionBlocks';

const base = virtualAddress(0xfffff803_00001000n);
const disassembler = await openDisassembler('x64');

/** Offsets of the lines of each block. */
const blocksOf = (code: Uint8Array): number[][] =>
  codeBlocks(disassembler, disassembler.disassemble(code, base)).map((block) =>
    block.map((line) => line.offset),
  );
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

// 0 test ecx,ecx  2 je 7  4 inc eax  6 ret  7 dec eax  9 jmp 4
const branches = bytes('85c9 7403 ffc0 c3 ffc8 ebf9');

void describe('blocks of a function', () => {
  void it('begin behind branches and where branches lead', () => {
    assert.deepEqual(blocksOf(branches), [
      [0, 2],
      [4, 6],
      [7, 9],
    ]);
  });

  void it('go over calls and breakpoints, and end where parts do', () => {
    // 0 call +0  5 int3  6 nop  7 ret
    assert.deepEqual(blocksOf(bytes('e800000000 cc 90 c3')), [[0, 5, 6, 7]]);
    const parts = [bytes('90 90'), bytes('90 c3')].flatMap((code, i) =>
      disassembler.disassemble(code, virtualAddress(base + BigInt(i * 0x100))),
    );
    assert.deepEqual(
      codeBlocks(disassembler, parts).map((block) => block.length),
      [2, 2],
    );
    assert.deepEqual(codeBlocks(disassembler, []), []);
  });

  void it('hold bytes that are no instruction, too', () => {
    assert.deepEqual(blocksOf(bytes('90 06 90')), [[0, 1, 2]]);
  });
});

void describe('the length of a function by its flow', () => {
  const length = (text: string): number => flowLength(disassembler, bytes(text), base);

  void it('ends behind what nothing runs on from, and no branch leads over', () => {
    assert.equal(flowLength(disassembler, branches, base), branches.length);
    assert.equal(length('c3 90 90'), 1);
    assert.equal(length('7401 c3 c3 90'), 4, 'je over the first ret');
    assert.equal(length('ff e0 90'), 2, 'jmp rax');
    assert.equal(length('0f0b 90'), 2, 'ud2');
    assert.equal(length('e80a000000 c3 cc'), 6, 'a call leads elsewhere');
  });

  void it('ends where the code does, or is none', () => {
    assert.equal(length('90 90'), 2);
    assert.equal(length('90 06 c3'), 1);
    assert.equal(length(''), 0);
    assert.equal(length('eb7f 90'), 2, 'a jump out of the code is a tail call');
  });
});
