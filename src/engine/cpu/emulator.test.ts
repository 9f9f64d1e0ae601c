/** The emulator where no processor is at hand; against one it is tested in test/integration. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { virtualAddress, type VirtualAddress } from '../core/addresses';
import { openDisassembler, type Disassembler } from './disassembler';
import { emulate, type Emulated, type EmulatedState } from './emulator';

const here = virtualAddress(0xfffff80000001000n);
const rsp = 0xffffc00000002000n;
let disassembler: Disassembler;
before(async () => {
  disassembler = await openDisassembler('x64');
});
after(() => disassembler.dispose());

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/ /g, ''), 'hex'));

const stateWith = (changes: Record<number, bigint> = {}, eflags = 0x202): EmulatedState => ({
  rip: here,
  eflags,
  general: Array.from({ length: 16 }, (_, i) => changes[i] ?? (i === 4 ? rsp : BigInt(i) * 0x1111n)),
});

function run(code: string, state: EmulatedState = stateWith(), stack = new Uint8Array(64)) {
  const bytes = bytesOf(code);
  const instruction = disassembler.simple(bytes, here);
  if (instruction === undefined) return Promise.resolve(undefined);
  return emulate(state, instruction, bytes.length, (address: VirtualAddress, length) => {
    const at = Number(address - rsp);
    return Promise.resolve(at >= 0 && at + length <= stack.length ? stack.slice(at, at + length) : undefined);
  });
}

const done = (result: Emulated | undefined): Emulated => {
  assert.ok(result);
  return result;
};

void describe('the emulator', () => {
  void it('does what prologues do', async () => {
    const pushed = done(await run('55'));
    assert.equal(pushed.state.general[4], rsp - 8n);
    assert.equal(pushed.state.rip, here + 1n);
    assert.deepEqual(pushed.store, { address: rsp - 8n, bytes: bytesOf('5555000000000000') });
    assert.equal(done(await run('48 83 ec 28')).state.general[4], rsp - 0x28n);
    assert.deepEqual(done(await run('89 4c 24 08')).store, { address: rsp + 8n, bytes: bytesOf('11110000') });
    assert.equal(done(await run('48 8d 6c 24 40')).state.general[5], rsp + 0x40n);
    assert.equal(done(await run('33 c0', stateWith({ 0: 0xffff_ffff_ffff_ffffn }))).state.general[0], 0n);
  });

  void it('takes the trap and resume flags out of what pushf pushes and of what it leaves', async () => {
    const { state, store } = done(await run('9c', stateWith({}, 0x10302)));
    assert.deepEqual(store?.bytes, bytesOf('0202000000000000'));
    assert.equal(state.eflags & 0x10000, 0);
  });

  void it('jumps by every condition as its contrary does not', async () => {
    for (let flags = 0; flags < 32; flags++) {
      const eflags =
        0x202 |
        (flags & 1) |
        ((flags & 2) << 1) |
        ((flags & 4) << 4) |
        ((flags & 8) << 4) |
        ((flags & 16) << 7);
      const taken = [];
      for (let condition = 0; condition < 16; condition++) {
        const code = `${(0x70 | condition).toString(16)} 10`;
        const { rip } = done(await run(code, stateWith({}, eflags))).state;
        assert.ok(rip === here + 2n || rip === here + 0x12n);
        taken.push(rip !== here + 2n);
      }
      const [carry, parity, zero, sign, overflow] = [1, 4, 0x40, 0x80, 0x800].map(
        (bit) => (eflags & bit) !== 0,
      );
      assert.deepEqual(
        taken.filter((_, i) => i % 2 === 0),
        [overflow, carry, zero, carry || zero, sign, parity, sign !== overflow, sign !== overflow || zero],
      );
      for (let i = 0; i < 16; i += 2) assert.notEqual(taken[i], taken[i + 1]);
    }
  });

  void it('leaves to the processor what it cannot know', async () => {
    const left = {
      'memory elsewhere': '8b 01',
      'memory below the stack pointer': '8b 44 24 f8',
      'memory far above it': '8b 84 24 00 10 00 00',
      'a segment with a base': '65 48 8b 04 25 88 01 00 00',
      'a lock': 'f0 ff 04 24',
      'half a register': '88 e0',
      'two bytes on the stack': '66 50',
      'a call': 'e8 00 00 00 00',
      'a return': 'c3',
      'a string': 'f3 a4',
      'a system register': '0f 20 c0',
      'a 32-bit address': '67 8d 04 24',
    };
    for (const [what, code] of Object.entries(left)) assert.equal(await run(code), undefined, what);
    assert.equal(await run('8b 44 24 3e'), undefined, 'memory that is not all there');
  });
});
