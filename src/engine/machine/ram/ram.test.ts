/** Guest RAM on the host: layouts with their hole, and a file that is read by node:fs. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fails, ramFileCases } from '../../../../test/fixtures/ramFileCases';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { pageFrame } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { endOfRam, fileOffset, physicalAt, ramPagesFrom, splits } from './layout';
import { loadNativePart } from '../../core/nativeHost';
import { openGuestRam } from './openGuestRam';

const gibibyte = 2 ** 30;
const absent = loadNativePart('/nowhere');

void describe('the layout of physical memory', () => {
  void it('leads from addresses to the file, and back', () => {
    const layout = { lowBytes: 3 * gibibyte, totalBytes: 5 * gibibyte };
    assert.equal(endOfRam(layout), 6 * gibibyte);
    assert.equal(fileOffset(layout, 3 * gibibyte - 1), 3 * gibibyte - 1);
    assert.equal(fileOffset(layout, 3 * gibibyte), undefined);
    assert.equal(fileOffset(layout, 4 * gibibyte - 1), undefined);
    assert.equal(fileOffset(layout, 4 * gibibyte), 3 * gibibyte);
    assert.equal(fileOffset(layout, 6 * gibibyte - 1), 5 * gibibyte - 1);
    assert.equal(fileOffset(layout, 6 * gibibyte), undefined);
    assert.deepEqual(splits(2.5 * gibibyte), [2 * gibibyte, 2.5 * gibibyte]);
    assert.ok(splits(5 * gibibyte).includes(layout.lowBytes));
    const random = randomFrom(seedFromEnvironment());
    for (let i = 0; i < 100; i++) {
      const offset = random.below(2 ** 32) + random.below(gibibyte);
      assert.equal(fileOffset(layout, physicalAt(layout, offset)), offset);
    }
    assert.equal(ramPagesFrom(layout, pageFrame(0xbfffe)), 2);
    assert.equal(ramPagesFrom(layout, pageFrame(0xc0000)), 0);
    assert.equal(ramPagesFrom(layout, pageFrame(0xfee00)), 0);
    assert.equal(ramPagesFrom(layout, pageFrame(0x100000)), 0x80000);
    assert.equal(ramPagesFrom(layout, pageFrame(0x180000)), 0);
    assert.equal(ramPagesFrom({ lowBytes: gibibyte, totalBytes: gibibyte }, pageFrame(0x100000)), 0);
  });
});

void describe('guest RAM in a file, without native code', () => {
  ramFileCases(
    (path, layout) => openGuestRam({ kind: 'file', path, layout }, absent),
    (path) => `backing file ${path}`,
  );

  void it('says why there is none', () => {
    const layout = { lowBytes: gibibyte, totalBytes: gibibyte };
    const reason = new VmkdError('ram-encrypted', 'It is encrypted');
    assert.throws(() => openGuestRam({ kind: 'none', reason }), reason);
    assert.throws(() => openGuestRam({ kind: 'process', pid: 1, layout }, absent), fails('ram-unsupported'));
  });
});
