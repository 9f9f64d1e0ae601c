/** Source file and line → code: of every line of every file, against llvm-pdbutil; and paths as editors have them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { openFileSource } from '../../src/engine/core/byteSource';
import { isHiddenLine } from '../../src/engine/symbols/pdb/c13';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { findLine, linesWithCode } from '../../src/engine/symbols/services/sourceLines';
import { localPath } from '../../src/engine/symbols/services/sourcePaths';
import { allSamples, demoKernel } from '../fixtures/pdbSamples';
import { pdbutilLines } from '../fixtures/pdbutil';

const withPdb = (path: string, test: (pdb: Pdb, t: TestContext) => void) => (t: TestContext) => {
  const file = openFileSource(path);
  try {
    test(new Pdb(file), t);
  } finally {
    file.close();
  }
};
const kernel = demoKernel[0]!;

void describe('source lines to code', () => {
  for (const sample of allSamples) {
    void it(
      `${sample.name}: every line of every file has its rows`,
      withPdb(sample.pdb, (pdb, t) => {
        const lines = rowsByLine(sample.pdb, pdb);
        assert.ok(lines.size > 10);
        for (const [key, theirs] of lines) {
          const at = key.lastIndexOf(':');
          const matches = findLine(pdb, { path: key.slice(0, at), line: Number(key.slice(at + 1)) });
          const match = matches.find(({ path }) => path === key.slice(0, at));
          assert.equal(match?.how, 'exact', key);
          const ours = match.code.filter((c) => !c.inlined).map((c) => c.rva);
          assert.deepEqual(new Set(ours), theirs, key);
          assert.ok(match.code.some((c) => c.first));
        }
        t.diagnostic(`${lines.size} lines`);
      }),
    );
  }

  for (const sample of allSamples) {
    void it(
      `${sample.name}: all lines of a file at once are what they are one by one`,
      withPdb(sample.pdb, (pdb) => {
        for (const { path } of pdb.sourcePaths.slice(0, 12)) {
          const lines = linesWithCode(pdb, path);
          const oneByOne = new Map<number, number[]>();
          for (let line = 0; ;) {
            const match = findLine(pdb, { path, line: line + 1 }).find((one) => one.path === path);
            if (match === undefined) break;
            ({ line } = match);
            const rvas = match.code.filter(({ first }) => first).map(({ rva }) => rva);
            oneByOne.set(
              line,
              [...new Set(rvas)].sort((a, b) => a - b),
            );
          }
          assert.deepEqual(new Map([...lines].sort(([a], [b]) => a - b)), oneByOne, path);
        }
      }),
    );
  }

  void it(
    'inlined code is found where it was inlined, and leads back to its line',
    withPdb(kernel.pdb, (pdb) => {
      const symbols = new PdbSymbols(pdb);
      let inlined = 0;
      const path = pdb.sourcePaths.find((s) => s.path.endsWith('include/intrin.h'))!.path;
      for (let line = 1; line < 120; line++) {
        for (const match of findLine(pdb, { path, line })) {
          if (match.line !== line) continue;
          for (const { rva } of match.code.filter((c) => c.inlined)) {
            inlined++;
            const frames = symbols.framesAt(rva);
            assert.ok(
              frames.some((f) => f.source?.path === path && f.source.line === line),
              `${line} ${rva}`,
            );
          }
        }
      }
      assert.ok(inlined > 50, `${inlined}`);
    }),
  );

  void it(
    'paths match by case and slashes, source map, and suffix; checksums are compared',
    withPdb(kernel.pdb, (pdb) => {
      const { path } = pdb.sourcePaths.find((s) => s.path.endsWith('ntoskrnl/hal/acpi.c'))!;
      const symbols = new PdbSymbols(pdb);
      const line = symbols.framesAt(symbols.search('HalpReadAcpi', 1)[0]!.rva).at(-1)!.source!.line;
      const folder = path.slice(0, -'ntoskrnl/hal/acpi.c'.length);
      const content = readFileSync(path);
      const find = (editor: string, more: object = {}) => findLine(pdb, { path: editor, line, ...more })[0];

      assert.equal(find(path)?.how, 'exact');
      assert.equal(find(path)?.checksum, 'unknown');
      assert.equal(find(path.toUpperCase().replaceAll('/', '\\'))?.how, 'exact');
      assert.equal(find(`C:\\elsewhere\\ntoskrnl\\hal\\acpi.c`)?.how, 'suffix');
      const sourceMap = [{ pdb: folder, local: 'C:\\work\\kernel\\' }];
      assert.equal(find('c:/Work/kernel/ntoskrnl/hal/acpi.c', { sourceMap })?.how, 'mapped');
      assert.equal(find('/nowhere/at/all.c'), undefined);
      assert.equal(find('/nowhere/xacpi.c'), undefined);
      assert.equal(find(path, { content })?.checksum, 'match');
      assert.equal(find(path, { content: content.subarray(1) })?.checksum, 'mismatch');
      // A line without code: the next that has some.
      assert.ok(find(path, { line: 1 })!.line > 1);
      assert.equal(find(path, { line: 1_000_000 }), undefined);

      assert.equal(localPath(path, sourceMap), 'C:\\work\\kernel\\ntoskrnl\\hal\\acpi.c');
      assert.equal(localPath(`${folder}../../etc/passwd`, sourceMap), undefined);
      assert.equal(localPath('d:\\os\\x.c', sourceMap), undefined);
    }),
  );

  void it(
    'symbols are searched by name and by wildcard',
    withPdb(kernel.pdb, (pdb) => {
      const symbols = new PdbSymbols(pdb);
      assert.equal(symbols.quality, 'private');
      const names = (pattern: string): string[] => symbols.search(pattern, 1000).map((s) => s.name);
      assert.deepEqual(names('KeBugCheckEx'), ['KeBugCheckEx']);
      assert.equal(symbols.search('KeBugCheckEx', 9)[0]!.kind, 'procedure');
      assert.deepEqual(names('kebugcheckEX'), ['KeBugCheckEx']);
      assert.ok(names('mm*').includes('MmIsAddressValid'));
      assert.ok(names('Mm*').every((n) => n.toLowerCase().startsWith('mm')));
      assert.deepEqual(names('KeBugCheck?x'), ['KeBugCheckEx']);
      assert.deepEqual(names('NoSuchThing*'), []);
      assert.equal(symbols.search('*', 5).length, 5);
      const all = symbols.search('*', 100_000);
      for (const symbol of all.filter((s) => s.kind === 'procedure')) {
        assert.equal(symbols.symbolAt(symbol.rva)?.rva, symbol.rva, symbol.name);
      }
      assert.equal(symbols.search('PsLoadedModuleList', 9)[0]?.kind, 'data');
      const list = symbols.search('PsLoadedModuleList', 9)[0]!;
      assert.deepEqual(
        [symbols.symbolAt(list.rva + 4)?.name, symbols.symbolAt(list.rva + 4)?.displacement],
        ['PsLoadedModuleList', 4],
      );
    }),
  );
});

/** `path:line` → the RVAs of its rows. A repetition without a path (see symbols.pdbutil.test.ts) is nobody's. */
function rowsByLine(file: string, pdb: Pdb): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const { path, section, rows } of pdbutilLines(file).flat()) {
    if (path === undefined) continue;
    for (const { line, offset } of rows) {
      if (isHiddenLine(line)) continue;
      const rva = pdb.sections.rvaOf(section, offset);
      if (rva === undefined) {
        assert.equal(section, 0, 'code that the linker threw away');
        continue;
      }
      const key = `${path}:${line}`;
      const rvas = found.get(key) ?? new Set();
      found.set(key, rvas.add(rva));
    }
  }
  return found;
}
