// Shipped bundles run far from node_modules: what their packages read at run time lies beside them.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { bundleProduct } from '../../scripts/bundle.mjs';
import { root, run } from '../../scripts/process.mjs';

test('a bundle with the disassembler works in a folder of its own', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-bundle-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const entry = path.join(folder, 'entry.ts');
  const disassembler = path.join(root, 'src/engine/cpu/disassembler').split(path.sep).join('/');
  writeFileSync(
    entry,
    `import { openDisassembler } from '${disassembler}';
     const disassembler = await openDisassembler('x64');
     const [line] = disassembler.disassemble(new Uint8Array([0x48, 0x89, 0xc8]), 0n as never);
     console.log(line?.text);`,
  );
  const outfile = path.join(folder, 'dist', 'entry.mjs');
  await bundleProduct({ entry: path.relative(root, entry), outfile });
  const ended = await run(process.execPath, [outfile], { limitMs: 60_000 });
  assert.equal(ended.output.trim(), 'mov     rax,rcx');
  assert.equal(ended.code, 0);
});
