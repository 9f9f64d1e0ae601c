import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VmkdError, type ErrorCode } from '../../core/errors';
import { ExportSymbols } from './exportSymbols';
import { findPlace, type PlaceFinder } from './namedPlaces';

/** Names may be exported twice, and be hexadecimal numbers. */
const exported = [
  ['DriverEntry', 0x1000],
  ['add', 0x1100],
  ['Twice', 0x1200],
  ['twice', 0x1300],
  ['Many', 0x1400],
  ['Many', 0x1500],
  ['?f@A@@QEAAXH@Z', 0x1600],
] as const;
const symbols = new ExportSymbols(
  {
    symbols: exported.map(([name, rva], ordinal) => ({ name, ordinal, rva, forwarder: undefined })),
    unreadable: 0,
  },
  undefined,
  [],
);
const finder: PlaceFinder = { moduleName: 'demo', symbols, size: 0x5000, base: 0xfffff803_12340000n };

const refusal = (text: string, code: ErrorCode): string => {
  let message = '';
  assert.throws(
    () => findPlace(finder, text),
    (error) => {
      assert.ok(error instanceof VmkdError);
      message = error.message;
      return error.code === code;
    },
    text,
  );
  return message;
};

void describe('a place', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['1a2b', 0x1a2b],
    ['0x1a2b', 0x1a2b],
    ['0', 0],
    ['fffff803`12341a2b', 0x1a2b],
    ['0xfffff80312341a2b', 0x1a2b],
    ['DriverEntry', 0x1000],
    ['driverentry', 0x1000],
    ['demo!DriverEntry+0x1c', 0x101c],
    ['Demo!DriverEntry+1C', 0x101c],
    ['demo+1a2b', 0x1a2b],
    ['add', 0x1100],
    ['0xadd', 0xadd],
    ['abc', 0xabc],
    ['Twice', 0x1200],
    ['twice', 0x1300],
    ['?f@A@@QEAAXH@Z', 0x1600],
  ];
  void it('is a number, an address of the loaded image, or a symbol', () => {
    for (const [text, rva] of cases) assert.equal(findPlace(finder, text), rva, text);
  });

  void it('outside the image is refused, with its bounds', () => {
    for (const text of ['5000', 'fffff803`1233ffff', 'fffff803`12345000', 'DriverEntry+4000', 'demo+5000']) {
      assert.match(refusal(text, 'value-out-of-range'), /0x5000.*0xfffff80312340000 to 0xfffff80312345000/);
    }
  });

  void it('that may be several is refused, and they are listed', () => {
    assert.match(refusal('Many', 'name-ambiguous'), /0x1400, 0x1500/);
    assert.match(refusal('TWICE', 'name-ambiguous'), /0x1200, 0x1300/);
  });

  void it('that nobody knows is refused, and near ones are offered', () => {
    assert.match(refusal('DriverEntri', 'name-unknown'), /Near it: DriverEntry/);
    assert.match(refusal('other!DriverEntry', 'name-unknown'), /Near it: DriverEntry/);
    assert.doesNotMatch(refusal('Unheard', 'name-unknown'), /Near it/);
    refusal('', 'name-unknown');
    refusal('D*', 'name-unknown');
  });
});
