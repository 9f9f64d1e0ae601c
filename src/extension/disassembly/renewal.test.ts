import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModuleShown } from '../session/sessionState';
import { changedRanges, isWithin } from './renewal';

const module = (from: number, symbolStatus = 'none'): ModuleShown => ({
  id: `0x${from.toString(16)}`,
  name: 'a.sys',
  path: '',
  addressRange: `0x${from.toString(16)}-0x${(from + 0x1000).toString(16)}`,
  symbolStatus,
});
const modules = (...all: ModuleShown[]) => new Map(all.map((one) => [one.id, one]));
const code = { name: '', lines: [{ text: 'a:' }, { text: 'nop', address: 0x2fffn }] };

void describe('code is read again', () => {
  const isRenewed = (before: ModuleShown[], now: ModuleShown[]): boolean =>
    isWithin(code, changedRanges(modules(...before), modules(...now)));

  void it('when its module has come, gone, or got its symbols', () => {
    assert.ok(isRenewed([], [module(0x2000)]));
    assert.ok(isRenewed([module(0x2000)], []));
    assert.ok(isRenewed([module(0x2000)], [module(0x2000, 'private symbols')]));
  });

  void it('not for another module, nor for a list that was only read again', () => {
    assert.ok(!isRenewed([module(0x2000)], [module(0x2000), module(0x3000)]));
    assert.ok(!isRenewed([module(0x2000), module(0x3000)], [module(0x2000), module(0x3000, 'private')]));
    assert.ok(!isRenewed([module(0x2000)], [module(0x2000)]));
  });
});
