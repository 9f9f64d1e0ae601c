import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { VirtualAddress } from '../core/addresses';
import { openDisassembler } from './disassembler';

void it('what instructions do to the stack and to preserved registers', async (t) => {
  const disassembler = await openDisassembler('x86');
  t.after(() => disassembler.dispose());
  const effect = (hex: string): string => {
    const found = disassembler.follow(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 0n as VirtualAddress);
    if (!found) return 'none at all';
    const { kind, ...rest } = found.stack;
    return [kind, ...Object.values(rest).map(String)].join(' ').trim();
  };
  const effects: Record<string, string> = {
    '53': 'push 3',
    '6a 05': 'push undefined',
    'ff 75 08': 'push undefined',
    '66 50': 'lost',
    '5d': 'pop 5',
    '59': 'pop 1',
    '5c': 'lost',
    '8f 45 08': 'pop undefined',
    '83 ec 10': 'set 4 4 -16',
    '81 c4 00 10 00 00': 'set 4 4 4096',
    '83 c4 f0': 'set 4 4 -16',
    '8b e5': 'set 4 5 0',
    '89 e5': 'set 5 4 0',
    '8d 65 f4': 'set 4 5 -12',
    '8d 6c 24 20': 'set 5 4 32',
    '8d a4 24 00 01 00 00': 'set 4 4 256',
    '8b 75 f8': 'load 6 5 -8',
    '8b 5c 24 04': 'load 3 4 4',
    '8b 6d 00': 'load 5 5 0',
    '8b ff': 'none',
    '8b c3': 'none',
    '8b 74 8c 04': 'none 6',
    '33 db': 'none 3',
    b301: 'none 3',
    '0f 45 f0': 'none 6',
    '89 e6': 'none 6',
    f3a5: 'none 7,6',
    'f7 d0': 'none',
    '89 1c 24': 'none',
    c9: 'leave',
    '66 c9': 'lost',
    '83 e4 f0': 'lost',
    '8b e1': 'lost',
    '94': 'lost',
    '60': 'lost',
    '61': 'lost',
    'c8 10 00 00': 'lost',
    '9c': 'push undefined',
    '9d': 'pop undefined',
    '66 9c': 'lost',
    'e8 00 00 00 00': 'none',
    'c2 08 00': 'none',
    '74 00': 'none',
    'ff ff': 'none at all',
  };
  for (const [hex, wanted] of Object.entries(effects)) assert.equal(effect(hex), wanted, hex);
});
