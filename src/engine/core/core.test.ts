import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress, parseAddress, plus, signExtend32, virtualAddress } from './addresses';
import { VmkdError, asVmkdError, errorCodes } from './errors';
import { Mutex } from './mutex';
import { decodeAnsi, decodeAnsiz, decodeUtf16z, encodeAnsi, encodeUtf16z } from './text';

void describe('addresses', () => {
  void it('wrap at 64 bits, and 32-bit pointers are sign-extended', () => {
    assert.equal(plus(virtualAddress(0xffff_ffff_ffff_ffffn), 2), 1n);
    assert.equal(plus(virtualAddress(1n), -2), 0xffff_ffff_ffff_ffffn);
    assert.equal(signExtend32(0x80400000), 0xffff_ffff_8040_0000n);
    assert.equal(signExtend32(0x7fff0000), 0x7fff_0000n);
  });

  void it('are written and read as WinDbg does', () => {
    const address = virtualAddress(0xfffff80312345678n);
    assert.equal(formatAddress(address), 'fffff803`12345678');
    for (const text of ['fffff803`12345678', '0xfffff80312345678', 'FFFFF80312345678']) {
      assert.equal(parseAddress(text), address);
    }
    for (const text of ['', 'nt!x', '0x', '12345678901234567']) assert.equal(parseAddress(text), undefined);
  });
});

void describe('errors', () => {
  void it('each have a next step, in a whole sentence', () => {
    for (const code of errorCodes) {
      const { nextStep } = new VmkdError(code, 'x');
      assert.match(nextStep, /^[“A-Z].{10,}[.?!)]$/s, `${code}: ${nextStep}`);
    }
  });

  void it('keep what was thrown, and call what is not theirs a defect', () => {
    const known = new VmkdError('link-lost', 'gone');
    assert.equal(asVmkdError(known), known);
    assert.equal(asVmkdError(new TypeError('x')).code, 'internal');
    assert.deepEqual(JSON.parse(JSON.stringify(known)), {
      code: 'link-lost',
      message: 'gone',
      nextStep: known.nextStep,
    });
  });
});

void describe('mutex', () => {
  void it('admits one at a time, in order, also after a failure', async () => {
    const mutex = new Mutex();
    const log: string[] = [];
    const job = (name: string, fail = false) =>
      mutex.run(async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (fail) throw new Error(name);
      });
    const first = job('a', true);
    const second = job('b');
    const third = job('c');
    await assert.rejects(first);
    await Promise.all([second, third]);
    assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });
});

void describe('text', () => {
  void it('ends at the first NUL', () => {
    assert.equal(decodeAnsiz(encodeAnsi('abc\0def')), 'abc');
    assert.equal(decodeUtf16z(encodeUtf16z('Gerät')), 'Gerät');
    assert.equal(decodeUtf16z(Uint8Array.of(0x61, 0, 0x62)), 'a');
  });

  void it('comes back from the code page as it went, and shows what that lacks as a question mark', () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    assert.deepEqual(encodeAnsi(decodeAnsi(all)), all);
    assert.deepEqual([...encodeAnsi('é€→')], [0xe9, 0x80, 0x3f]);
  });
});
