/** What a kernel counts as its memory against a layout that somebody gave; and bytes that are somewhere else than they should. */

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { temporaryFolder } from '../../../../test/fixtures/tempFolder';
import { virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError, type ErrorCode } from '../../core/errors';
import { openGuestRam } from '../../machine/ram/openGuestRam';
import { whyDifferent } from './evidence';
import { checkRuns, readPhysicalRuns } from './layoutCheck';

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
const run = (from: number, to: number) => ({ begin: from * gibibyte, end: to * gibibyte });
const fails = (code: ErrorCode, message: RegExp) => (thrown: unknown) =>
  thrown instanceof VmkdError && thrown.code === code && message.test(thrown.message);

void describe('the kernel’s own count', () => {
  const layout = (low: number, total: number) => ({ lowBytes: low * gibibyte, totalBytes: total * gibibyte });

  void it('fits a layout with the same hole, though firmware keeps a little', () => {
    checkRuns(layout(3, 5), [
      { begin: 4096, end: 0x9f000 },
      { begin: mebibyte, end: 3 * gibibyte - mebibyte },
      run(4, 6),
    ]);
    checkRuns(layout(3, 5), [run(0, 3), { begin: 4 * gibibyte, end: 6 * gibibyte - mebibyte }]);
    checkRuns(layout(1, 1), [run(0, 1)]);
    // Below any hole, however much more the machine has.
    checkRuns(layout(2, 5), [run(0, 1.5)]);
  });

  void it('shows another hole, or more memory', () => {
    assert.throws(
      () => checkRuns(layout(3, 5), [run(0, 2), run(4, 7)]),
      fails('ram-layout', /2048 MiB.*not 3072/),
    );
    assert.throws(
      () => checkRuns(layout(2, 5), [run(0, 3), run(4, 6)]),
      fails('ram-layout', /3072 MiB.*not 2048/),
    );
    assert.throws(() => checkRuns(layout(2, 3), [run(0, 3)]), fails('ram-layout', /3072 MiB.*not 2048/));
    assert.throws(() => checkRuns(layout(3, 5), [run(0, 3), run(4, 9)]), fails('ram-partial', /8192 MiB/));
    assert.throws(() => checkRuns(layout(1, 1), [run(0, 2)]), fails('ram-partial', /2048 MiB/));
  });

  const memoryOf = (bytes: Uint8Array) => ({
    readPartial: (address: VirtualAddress, length: number) =>
      Promise.resolve(bytes.slice(Number(address), Number(address) + length)),
  });
  /** The pointer at 0x100, the descriptor at 0x200. */
  const described = (count: number, runs: readonly (readonly [bigint, bigint])[]): Uint8Array => {
    const bytes = new Uint8Array(0x1000);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0x100, 0x200n, true);
    view.setUint32(0x200, count, true);
    runs.forEach(([base, pages], i) => {
      view.setBigUint64(0x210 + 16 * i, base, true);
      view.setBigUint64(0x218 + 16 * i, pages, true);
    });
    return bytes;
  };
  const read = (bytes: Uint8Array, at = 0x100n) => readPhysicalRuns(memoryOf(bytes), virtualAddress(at));

  void it('is read as NT has it, and not at all if it makes no sense', async () => {
    assert.deepEqual(
      await read(
        described(2, [
          [1n, 0x9en],
          [0x100000n, 0x80000n],
        ]),
      ),
      [
        { begin: 0x1000, end: 0x9f000 },
        { begin: 4 * gibibyte, end: 6 * gibibyte },
      ],
    );
    assert.equal(await read(described(0, [])), undefined);
    assert.equal(await read(described(65, [])), undefined);
    assert.equal(await read(described(1, [[1n << 63n, 1n << 63n]])), undefined);
    assert.equal(await read(described(1, [[1n, 0n]])), undefined);
    assert.equal(
      await read(
        described(3, [
          [1n, 1n],
          [2n, 1n],
        ]),
      ),
      undefined,
    );
    assert.equal(await read(new Uint8Array(0x1000)), undefined, 'no pointer yet');
    assert.equal(await read(new Uint8Array(0x1000), 0n), undefined);
    assert.equal(await read(new Uint8Array(0x80)), undefined);
  });
});

void describe('bytes that differ', () => {
  void it('are looked for under the other layouts', (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const { folder, remove } = temporaryFolder();
    try {
      const file = path.join(folder, 'ram');
      // 3 GiB of nothing, then what a machine with 3 GiB below its hole has at 4 GiB.
      const page = random.bytes(4096);
      writeFileSync(file, new Uint8Array(0));
      const sparse = openSync(file, 'r+');
      ftruncateSync(sparse, 5 * gibibyte);
      writeSync(sparse, page, 0, 4096, 3 * gibibyte + 0x5000);
      closeSync(sparse);
      const opened = (low: number) =>
        openGuestRam({
          kind: 'file',
          path: file,
          layout: { lowBytes: low * gibibyte, totalBytes: 5 * gibibyte },
        });
      const why = (low: number, address: number, bytes: Uint8Array): VmkdError => {
        const ram = opened(low);
        try {
          return whyDifferent(ram, address, bytes);
        } finally {
          ram.close();
        }
      };
      const at = 4 * gibibyte + 0x5000;
      assert.ok(fails('ram-layout', /3072 MiB.*not 2048/)(why(2, at + 8, page.slice(8, 16))));
      // Zeros are everywhere: they show no layout.
      assert.equal(why(2, at, new Uint8Array(8)).code, 'ram-stale');
      assert.equal(why(3, at + 0x1000, page).code, 'ram-stale');
      assert.equal(why(3, at, page.slice(8, 16)).code, 'ram-encrypted');
      assert.equal(why(3, 3.5 * gibibyte, page.slice(0, 8)).code, 'ram-partial');
    } finally {
      remove();
    }
  });
});
