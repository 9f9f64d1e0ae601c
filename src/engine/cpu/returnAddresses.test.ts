import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { VirtualAddress } from '../core/addresses';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { openDisassembler } from './disassembler';
import { endsWithCall } from './returnAddresses';

void it('calls end before return addresses, and nothing else does', async (t) => {
  const disassembler = await openDisassembler('x86');
  t.after(() => disassembler.dispose());
  const ends = (hex: string): boolean =>
    endsWithCall(Buffer.from(hex.replaceAll(' ', '').padStart(14, '9'), 'hex'));
  const calling = ['e8 01 02 03 04', '9a 01 02 03 04 08 00', 'ff d0', 'ff 10', 'ff 14 24', 'ff 50 08'];
  calling.push('ff 15 01 02 03 04', 'ff 54 24 08', 'ff 90 01 02 03 04', 'ff 94 24 01 02 03 04');
  for (const hex of [...calling, 'ff 14 85 01 02 03 04']) assert.ok(ends(hex), hex);
  for (const hex of ['ff e0', 'ff 25 01 02 03 04', 'ff d8', 'ff 14', 'c3', 'e9 01 02 03 04', 'ff f0'])
    assert.ok(!ends(hex), hex);
  // As the disassembler reads the same bytes.
  const random = randomFrom(seedFromEnvironment());
  console.log(`seed ${random.seed}`);
  const sizeOverrides = [0x66, 0x67];
  const isCall = (code: Uint8Array): boolean => {
    const found = disassembler.inspect(code, 0n as VirtualAddress);
    const calls = found?.flow.kind === 'call' || found?.flow.kind === 'indirect-call';
    return calls && found.length === code.length && !sizeOverrides.includes(code[0]!);
  };
  let calls = 0;
  for (let i = 0; i < 20_000; i++) {
    const before = random.bytes(7);
    before[random.below(6)] = random.pick([0xff, 0xff, 0xff, 0xe8, 0x9a]);
    const wanted = [2, 3, 4, 5, 6, 7].some((length) => isCall(before.subarray(7 - length)));
    assert.equal(endsWithCall(before), wanted, Buffer.from(before).toString('hex'));
    if (wanted) calls++;
  }
  assert.ok(calls > 1000 && calls < 15_000, String(calls));
});
