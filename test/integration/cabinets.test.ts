/**
 * Cabinets and the tools of others: what gcab packs, we unpack; what the test packers make, cabextract unpacks, so that
 * our reader is not only tested against our own idea of the format.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { openFileSource } from '../../src/engine/core/byteSource';
import { Cabinet } from '../../src/engine/symbols/cab/cabinet';
import { makeCabinet, type Compression } from '../fixtures/cabinet';
import { tempFolder } from '../fixtures/tempFolder';

const run = promisify(execFile);
const limit = { timeout: 120_000 };
const sources = [
  'node_modules/node-pty/prebuilds/win32-x64/conpty.pdb',
  'node_modules/node-pty/prebuilds/win32-x64/conpty.node',
  'build/kernel/images/ntoskrnl.exe',
].map((path) => ({ name: path.replace(/.*\//, ''), path, bytes: readFileSync(path) }));

function assertHolds(path: string): void {
  const source = openFileSource(path);
  try {
    const cabinet = new Cabinet(source);
    assert.deepEqual(
      cabinet.files.map((file) => file.name),
      sources.map((file) => file.name),
    );
    cabinet.files.forEach((file, i) => {
      assert.ok(Buffer.concat([...cabinet.extract(file)]).equals(sources[i]!.bytes), file.name);
    });
  } finally {
    source.close();
  }
}

test('what gcab packs, stored and as MSZIP', async (t) => {
  const folder = tempFolder(t);
  for (const options of [['-n'], ['-n', '-z']]) {
    const path = join(folder, `made${options.length}.cab`);
    await run('gcab', ['-c', ...options, path, ...sources.map((file) => file.path)], limit);
    assertHolds(path);
  }
});

test('what the test packers make, cabextract takes for the same', async (t) => {
  const kinds = ['verbatim', 'aligned', 'uncompressed'] as const;
  const lzx = (windowBits: number, callLimit: number): Compression => ({
    kind: 'lzx',
    windowBits,
    callLimit,
    kindOf: (i) => (i % 7 === 6 ? 'uncompressed' : kinds[i % 2]!),
    sizeOf: (i) => [50_000, 32_768, 131_072, 7001, 90_000, 32_768, 4003][i % 7]!,
  });
  const compressions: Compression[] = [
    'stored',
    'mszip',
    lzx(15, 0),
    lzx(18, 12_000_000),
    lzx(21, 12_000_000),
  ];
  const folder = tempFolder(t);
  for (const [i, compression] of compressions.entries()) {
    const path = join(folder, `${i}.cab`);
    writeFileSync(path, makeCabinet([{ compression, files: sources }], { reserve: [20, 4, 0] }));
    assertHolds(path);
    const out = join(folder, `${i}`);
    mkdirSync(out);
    await run('cabextract', ['-q', '-d', out, path], limit);
    for (const { name, bytes } of sources)
      assert.ok(readFileSync(join(out, name)).equals(bytes), `${i}: ${name}`);
  }
});
