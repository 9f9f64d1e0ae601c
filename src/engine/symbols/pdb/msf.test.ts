import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { buildMsf } from '../../../../test/fixtures/msfBuilder';
import { memorySource, openFileSource } from '../../core/byteSource';
import { openMsf } from './msf';

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed) & 0xff);
const streams = [undefined, pattern(1, 1), pattern(512, 2), pattern(200_000, 3), new Uint8Array(0)];

void describe('MSF', () => {
  for (const contiguous of [false, true]) {
    for (const blockSize of [512, 1024, 4096, 65536]) {
      const file = buildMsf(streams, { blockSize, contiguous });

      void it(`${blockSize}, ${contiguous ? 'in one piece' : 'scattered'}: any range, from file and memory`, () => {
        const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-msf-'));
        const onDisk = path.join(folder, 'x.pdb');
        writeFileSync(onDisk, file);
        const opened = openFileSource(onDisk);
        try {
          for (const msf of [openMsf(memorySource(file, 'x.pdb')), openMsf(opened)]) {
            assert.equal(msf.streamCount, streams.length);
            assert.equal(msf.stream(0), undefined);
            assert.equal(msf.stream(4)?.size, 0);
            assert.equal(msf.stream(5), undefined);
            const big = msf.needStream(3, 'test');
            for (let at = 0; at < 200_000; at += 997) {
              for (const length of [0, 1, 511, 513, 5000, 150_000]) {
                const end = Math.min(200_000, at + length);
                assert.ok(Buffer.compare(big.read(at, end - at), streams[3]!.subarray(at, end)) === 0);
              }
            }
            assert.throws(() => big.read(199_999, 2), { code: 'file-damaged' });
            assert.throws(() => big.read(-1, 2), { code: 'file-damaged' });
            assert.throws(() => msf.needStream(0, 'test'), { code: 'file-damaged' });
          }
          opened.close();
          assert.throws(() => opened.read(0, 4), { code: 'file-unreadable' });
        } finally {
          opened.close();
          rmSync(folder, { recursive: true });
        }
      });
    }
  }

  void it('names containers it does not read, and what is none', () => {
    const open = (text: string) => openMsf(memorySource(Buffer.from(text.padEnd(200, '\0'), 'latin1'), 'x'));
    assert.throws(() => open('Microsoft MSFZ Container\r\n\x1aALD\0\0'), {
      code: 'file-unsupported',
      message: /MSFZ/,
    });
    assert.throws(() => open('Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0'), {
      code: 'file-unsupported',
    });
    assert.throws(() => open('MZ'), { code: 'file-damaged' });
    assert.throws(() => openMsf(memorySource(new Uint8Array(3), 'x')), { code: 'file-damaged' });
  });

  void it('refuses directories that cannot be', () => {
    const field = (at: number, value: number) => {
      const bytes = buildMsf(streams).slice();
      new DataView(bytes.buffer).setUint32(at, value, true);
      return () => openMsf(memorySource(bytes, 'x'));
    };
    for (const [at, value] of [
      [0x20, 0],
      [0x20, 513],
      [0x20, 1 << 31],
      [0x28, 1 << 30],
      [0x2c, 3],
      [0x2c, 1 << 30],
      [0x34, 1 << 30],
    ] as const) {
      assert.throws(field(at, value), { code: 'file-damaged' }, `${at} = ${value}`);
    }
  });

  void it('refuses a file that is not there, and a folder', () => {
    assert.throws(() => openFileSource('/no/such/file'), { code: 'file-unreadable' });
    assert.throws(() => openFileSource(tmpdir()), { code: 'file-unreadable' });
  });
});
