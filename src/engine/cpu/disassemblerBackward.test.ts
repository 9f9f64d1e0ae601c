import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { openDisassembler, type Disassembler } from './disassembler';
import { disassembleBackward, type AnchorLookup } from './disassemblerBackward';

const base = virtualAddress(0xfffff80312340000n);

/** A function: push rbx; sub rsp,20h; mov rbx,rcx; call $; mov eax,5; add rsp,20h; pop rbx; ret. */
const body = Buffer.from('40534883ec20488bd9e800000000b8050000004883c4205bc3', 'hex');
const starts = [0, 2, 6, 9, 14, 19, 23, 24];
/** Two of them, with int 3 between them and up to 32. */
const functions = Buffer.concat([body, Buffer.alloc(7, 0xcc), body]);

function memoryOf(code: Uint8Array, at: VirtualAddress = base): VirtualMemory & { bytesRead: number } {
  return {
    bytesRead: 0,
    async readPartial(address, length) {
      if (address < at || address >= plus(at, code.length)) return new Uint8Array();
      const from = Number(address - at);
      const piece = code.slice(from, from + length);
      this.bytesRead += piece.length;
      return piece;
    },
  };
}

const anchorsAt =
  (...offsets: number[]): AnchorLookup =>
  (address) =>
    offsets
      .map((offset) => plus(base, offset))
      .filter((anchor) => anchor <= address)
      .at(-1);

async function open(t: TestContext): Promise<Disassembler> {
  const disassembler = await openDisassembler('x64');
  t.after(() => disassembler.dispose());
  return disassembler;
}

const offsetsOf = (lines: readonly { address: VirtualAddress }[]): number[] =>
  lines.map((line) => Number(line.address - base));

void describe('disassembly backwards', () => {
  void it('within a function: from its start', async (t) => {
    const disassembler = await open(t);
    for (const [i, at] of starts.entries()) {
      const asked = Math.max(1, i);
      const { lines, anchored } = await disassembleBackward(
        disassembler,
        memoryOf(functions),
        plus(base, at),
        asked,
        anchorsAt(0),
      );
      assert.deepEqual(offsetsOf(lines), i === 0 ? [] : starts.slice(0, i));
      assert.equal(anchored, i > 0, 'nothing is mapped before the function, so that is a guess');
    }
  });

  void it('over functions and the padding between them, as many as asked for', async (t) => {
    const { lines, anchored } = await disassembleBackward(
      await open(t),
      memoryOf(functions),
      plus(base, 32 + 6),
      12,
      anchorsAt(0, body.length, 32),
    );
    const padding = [25, 26, 27, 28, 29, 30, 31];
    assert.deepEqual(offsetsOf(lines), [19, 23, 24, ...padding, 32, 34]);
    assert.ok(anchored);
    assert.ok(lines.every((line) => line.status === 'whole'));
  });

  void it('an address amid an instruction: its first bytes are no instruction', async (t) => {
    const { lines } = await disassembleBackward(
      await open(t),
      memoryOf(functions),
      plus(base, 11),
      4,
      anchorsAt(0),
    );
    assert.deepEqual(offsetsOf(lines), [2, 6, 9, 10]);
    assert.deepEqual(
      lines.map((line) => line.status),
      ['whole', 'whole', 'invalid', 'invalid'],
    );
  });

  void it('without anchors: guesses, says so, and ends at the address', async (t) => {
    const code = Buffer.concat(Array.from({ length: 40 }, () => body));
    const end = 30 * body.length + 14;
    const { lines, anchored } = await disassembleBackward(
      await open(t),
      memoryOf(code),
      plus(base, end),
      10,
      () => undefined,
    );
    const all = Array.from({ length: 40 }, (_, i) => starts.map((start) => i * body.length + start)).flat();
    assert.deepEqual(offsetsOf(lines), all.filter((start) => start < end).slice(-10));
    assert.equal(anchored, false);
  });

  void it('absent memory: what there is behind it', async (t) => {
    const disassembler = await open(t);
    const far = memoryOf(functions, plus(base, 4096));
    const at = plus(base, 4096 + 6);
    const found = await disassembleBackward(disassembler, far, at, 10, () => undefined);
    assert.deepEqual(offsetsOf(found.lines), [4096, 4098]);
    const anchorAbsent = await disassembleBackward(disassembler, far, at, 10, anchorsAt(100));
    assert.deepEqual(offsetsOf(anchorAbsent.lines), [4096, 4098]);
    assert.equal(anchorAbsent.anchored, false);
    const nothing = await disassembleBackward(disassembler, memoryOf(new Uint8Array()), at, 10, anchorsAt(0));
    assert.deepEqual(nothing.lines, []);
    const atZero = await disassembleBackward(disassembler, far, virtualAddress(0n), 10, () => undefined);
    assert.deepEqual(atZero.lines, []);
  });

  void it('wrong anchors and random code: bounded reads, contiguous lines that end at the address', async (t) => {
    const disassembler = await open(t);
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const code = random.bytes(400_000);
    for (let turn = 0; turn < 200; turn++) {
      const memory = memoryOf(code);
      const end = plus(base, random.below(code.length));
      const lie = random.pick<AnchorLookup>([
        () => undefined,
        (address) => plus(address, 1),
        (address) => plus(address, -random.below(40)),
        () => base,
        () => virtualAddress(0n),
        () => virtualAddress(0xffff_ffff_ffff_ffffn),
      ]);
      const { lines } = await disassembleBackward(disassembler, memory, end, 20, lie);
      assert.ok(lines.length <= 20);
      assert.ok(memory.bytesRead <= 600_000);
      lines.forEach((line, i) => {
        assert.equal(line.end, lines[i + 1]?.address ?? end);
      });
    }
  });
});
