/** Guest RAM on the host: layouts with their hole, and a file that shrinks, is a stranger's, or is written through a window. */

import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { temporaryFolder } from '../../../../test/fixtures/tempFolder';
import { pageFrame, physicalAddress } from '../../core/addresses';
import { concatenate } from '../../core/bytes';
import { VmkdError, type ErrorCode } from '../../core/errors';
import { endOfRam, fileOffset, physicalAt, ramPagesFrom, splits } from './layout';
import { openGuestRam } from './openGuestRam';

const gibibyte = 2 ** 30;
const pageSize = 4096;

const fails = (code: ErrorCode) => (thrown: unknown) => thrown instanceof VmkdError && thrown.code === code;

function inFolder(action: (folder: string) => void): void {
  const { folder, remove } = temporaryFolder();
  try {
    action(folder);
  } finally {
    remove();
  }
}

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

void describe('guest RAM in a file', () => {
  const small = { lowBytes: 8 * pageSize, totalBytes: 12 * pageSize };
  const range = (address: number, length: number) => ({ address: physicalAddress(BigInt(address)), length });

  const withFile = (action: (file: string, bytes: Uint8Array) => void): void =>
    inFolder((folder) => {
      const bytes = randomFrom(7).bytes(small.totalBytes);
      const file = path.join(folder, 'ram');
      writeFileSync(file, bytes);
      action(file, bytes);
    });

  void it('gives any ranges, one behind the other', () =>
    withFile((file, bytes) => {
      const ram = openGuestRam({ kind: 'file', path: file, layout: small });
      assert.equal(ram.way, `backing file ${file}`);
      const read = (...ranges: ReturnType<typeof range>[]): Uint8Array => {
        const into = new Uint8Array(ranges.reduce((sum, { length }) => sum + length, 0));
        ram.read(ranges, into);
        return into;
      };
      assert.deepEqual(read(range(100, 5000)), bytes.slice(100, 5100));
      assert.deepEqual(read(range(2 ** 32 + 5, 100)), bytes.slice(8 * pageSize + 5, 8 * pageSize + 105));
      // Neighbours in the file, though not in physical memory.
      assert.deepEqual(
        read(range(8 * pageSize - 50, 50), range(2 ** 32, 50), range(0, 0), range(7, 3)),
        concatenate([bytes.subarray(8 * pageSize - 50, 8 * pageSize + 50), bytes.subarray(7, 10)]),
      );
      ram.read([], new Uint8Array(0));
      for (const bad of [
        range(8 * pageSize - 1, 2),
        range(8 * pageSize, 1),
        range(2 ** 32 + 4 * pageSize, 1),
      ])
        assert.throws(() => read(bad), fails('ram-out-of-range'));
      assert.throws(() => read(range(2 ** 32 + 4 * pageSize - 1, 2)), fails('ram-out-of-range'));
      ram.close();
      ram.close();
      assert.throws(() => read(range(0, 1)), fails('ram-lost'));
    }));

  void it('reads beyond 4 GiB of a file', () =>
    inFolder((folder) => {
      const file = path.join(folder, 'sparse');
      const descriptor = openSync(file, 'w');
      const layout = { lowBytes: 3 * gibibyte, totalBytes: 9 * gibibyte };
      ftruncateSync(descriptor, layout.totalBytes);
      writeSync(descriptor, Buffer.from('far away'), 0, 8, 8.5 * gibibyte);
      closeSync(descriptor);
      const ram = openGuestRam({ kind: 'file', path: file, layout });
      const into = new Uint8Array(8);
      ram.read([range(9.5 * gibibyte, 8)], into);
      assert.equal(Buffer.from(into).toString(), 'far away');
      ram.close();
    }));

  void it('says when the file is too short, gets shorter, or is none', () =>
    withFile((file) => {
      const location = { kind: 'file', path: file, layout: small } as const;
      const longer = { ...small, totalBytes: small.totalBytes + 1 };
      assert.throws(() => openGuestRam({ ...location, layout: longer }), fails('ram-truncated'));
      assert.throws(() => openGuestRam({ ...location, path: `${file}x` }), fails('ram-unreadable'));
      assert.throws(() => openGuestRam({ ...location, path: path.dirname(file) }), fails('ram-unreadable'));
      const ram = openGuestRam(location);
      ram.check();
      truncateSync(file, 11 * pageSize + 10);
      assert.throws(() => ram.check(), fails('ram-lost'));
      assert.throws(
        () => ram.read([range(2 ** 32 + 3 * pageSize, pageSize)], new Uint8Array(pageSize)),
        fails('ram-lost'),
      );
      const intact = new Uint8Array(pageSize);
      ram.read([range(0, pageSize)], intact);
      ram.close();
    }));

  void it('says why there is none', () => {
    const reason = new VmkdError('ram-encrypted', 'It is encrypted');
    assert.throws(() => openGuestRam({ kind: 'none', reason }), reason);
    assert.throws(() => openGuestRam({ kind: 'process', pid: 1, layout: small }), fails('ram-unsupported'));
  });

  void it(
    'is open for reading only',
    { skip: process.platform !== 'linux' && 'not on Debian: needs /proc' },
    () =>
      withFile((file) => {
        const before = openDescriptors(file);
        const ram = openGuestRam({ kind: 'file', path: file, layout: small });
        const flags = openDescriptors(file).filter((entry) => !before.includes(entry));
        assert.equal(flags.length, 1);
        // O_RDONLY, O_WRONLY, O_RDWR: the lowest two bits.
        assert.equal(Number.parseInt(flags[0]!.split(' ')[1]!, 8) & 3, 0);
        ram.close();
      }),
  );

  void it('is written through a window, and nowhere else', (t) =>
    withFile((file, bytes) => {
      const random = randomFrom(seedFromEnvironment());
      t.diagnostic(`seed ${random.seed}`);
      const ram = openGuestRam({ kind: 'file', path: file, layout: small });
      const pages = [2, 2 ** 20 + 1, 5];
      const offsets = [2 * pageSize, 9 * pageSize, 5 * pageSize];
      const window = ram.window(pages.map(pageFrame));
      assert.equal(window.length, 3 * pageSize);
      const expected = bytes.slice();
      const area = Uint8Array.from(
        { length: window.length },
        (_, i) => bytes[offsets[Math.floor(i / pageSize)]! + (i % pageSize)]!,
      );
      for (let i = 0; i < 200; i++) {
        const at = random.below(window.length);
        const part = random.bytes(random.below(Math.min(window.length - at, 6000)));
        window.write(at, part);
        area.set(part, at);
        const from = random.below(window.length);
        const into = new Uint8Array(random.below(window.length - from));
        window.read(from, into);
        assert.deepEqual(into, area.slice(from, from + into.length));
      }
      window.writeU32(8188, 0xfedcba98);
      assert.equal(window.readU32(8188), 0xfedcba98);
      area.set([0x98, 0xba, 0xdc, 0xfe], 8188);
      offsets.forEach((offset, i) => expected.set(area.subarray(i * pageSize, (i + 1) * pageSize), offset));
      assert.deepEqual(readFileSync(file), Buffer.from(expected));
      for (const [at, length] of [
        [-1, 1],
        [window.length, 1],
        [window.length - 3, 4],
        [0.5, 1],
      ] as const)
        assert.throws(() => window.write(at, new Uint8Array(length)), fails('ram-out-of-range'));
      assert.throws(() => window.readU32(2), fails('ram-out-of-range'));
      assert.throws(() => ram.window([pageFrame(8)]), fails('ram-out-of-range'));
      assert.throws(() => ram.window([pageFrame(2 ** 20 + 4)]), fails('ram-out-of-range'));
      window.close();
      assert.throws(() => window.readU32(0), fails('ram-lost'));
      ram.close();
    }));
});

/** `number flags` of each descriptor of ours that is this file. */
function openDescriptors(file: string): string[] {
  const found: string[] = [];
  for (let descriptor = 3; descriptor < 200; descriptor++) {
    try {
      if (readlinkSync(`/proc/self/fd/${descriptor}`) !== file) continue;
      const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))![1]!;
      found.push(`${descriptor} ${flags}`);
    } catch {
      // Not open.
    }
  }
  return found;
}
