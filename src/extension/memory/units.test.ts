import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addressText,
  characters,
  parseReference,
  parseUnit,
  reference,
  units,
  unitText,
  type Unit,
} from './units';

const bytes = Uint8Array.of(
  0x78,
  0x56,
  0x34,
  0x12,
  0x00,
  0xf8,
  0xff,
  0xff,
  0x41,
  0x0a,
  0x7f,
  0x80,
  0xa0,
  0xad,
  0xe9,
  0x20,
);
const view = new DataView(bytes.buffer);

void describe('units of memory', () => {
  void it('are shown as the little-endian numbers that they are', () => {
    const shown = (unit: Unit, at = 0): string => unitText(view, at, unit);
    assert.equal(shown('bytes'), '78');
    assert.equal(shown('words'), '5678');
    assert.equal(shown('dwords'), '12345678');
    assert.equal(shown('qwords'), 'fffff800`12345678');
    assert.equal(shown('pointers'), 'fffff800`12345678');
    const floats = new DataView(new ArrayBuffer(16));
    floats.setFloat32(0, 1.5, true);
    floats.setFloat64(8, -0.1, true);
    assert.equal(unitText(floats, 0, 'floats'), '1.5');
    assert.equal(unitText(floats, 8, 'doubles'), '-0.1');
    floats.setFloat32(0, Number.NaN, true);
    assert.equal(unitText(floats, 0, 'floats'), 'NaN');
  });

  void it('are read back from what is typed, and nothing else is taken', () => {
    for (const unit of Object.keys(units) as Unit[]) {
      if (unit === 'floats' || unit === 'doubles' || unit === 'utf16') continue;
      const { size } = units[unit];
      assert.deepEqual(parseUnit(unitText(view, 0, unit), unit), bytes.slice(0, size), unit);
    }
    assert.deepEqual(parseUnit('0xA', 'words'), Uint8Array.of(10, 0));
    assert.deepEqual(parseUnit('1.5', 'floats'), Uint8Array.of(0, 0, 0xc0, 0x3f));
    assert.equal(parseUnit('100', 'bytes'), undefined);
    assert.deepEqual(parseUnit('00ff', 'bytes'), Uint8Array.of(255));
    for (const wrong of ['', 'g', '-1', '1 2', '0x'])
      assert.equal(parseUnit(wrong, 'bytes'), undefined, wrong);
    assert.equal(parseUnit('one', 'doubles'), undefined);
  });

  void it('have characters beside them that can be seen, one a byte', () => {
    const text = characters(bytes, 0, 16);
    assert.equal(text, 'xV4..øÿÿA.....é ');
    assert.equal(text.length, 16);
    assert.doesNotMatch(
      characters(
        Uint8Array.from({ length: 256 }, (_, i) => i),
        0,
        256,
      ),
      /\p{Cc}|\p{Cf}/u,
    );
  });

  void it('are text, of which each character stands by itself', () => {
    const text = new DataView(new ArrayBuffer(16));
    const shown = (code: number): string => {
      text.setUint16(0, code, true);
      return unitText(text, 0, 'utf16');
    };
    assert.equal([0x41, 0x3c, 0x416, 0x4e2d].map(shown).join(''), 'A<Ж中');
    // Controls, an escape, half a character, one that joins its neighbour, one that turns the line round, none.
    assert.equal([0, 7, 0x1b, 0xd83d, 0x301, 0x202e, 0xffff].map(shown).join(''), '.......');
    assert.deepEqual(parseUnit('Ж', 'utf16'), Uint8Array.of(0x16, 0x04));
    assert.deepEqual(parseUnit('é', 'text'), Uint8Array.of(0xe9));
    for (const wrong of ['', 'AB', 'Ж']) assert.equal(parseUnit(wrong, 'text'), undefined, wrong);
  });
});

void describe('addresses', () => {
  void it('have all their digits, for people and for the adapter', () => {
    assert.equal(addressText(0x1000n), '00000000`00001000');
    assert.equal(reference(0xfffff80312345678n), '0xfffff80312345678');
    assert.equal(parseReference('0xFFFFF80312345678'), 0xfffff80312345678n);
    for (const wrong of ['', '12', '0x', '0x10000000000000000', '0x12 '])
      assert.equal(parseReference(wrong), undefined);
  });
});
