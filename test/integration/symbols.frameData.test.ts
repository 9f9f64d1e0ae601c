/**
 * FRAMEDATA and FPO_DATA: every row of PDBs by clang and lld-link against llvm-pdbutil, at every RVA that has one; then the
 * same PDB with its rows in the module instead, with its image rearranged, and with old rows.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { memorySource, openFileSource } from '../../src/engine/core/byteSource';
import type { FrameDataRow } from '../../src/engine/symbols/pdb/frameData';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PdbParts } from '../fixtures/pdbParts';
import { llvm } from '../fixtures/pdbSamples';
import { tempFolder } from '../fixtures/tempFolder';
import { buildX86Program, type X86Program } from '../fixtures/x86/program';

type Row = Omit<FrameDataRow, 'functionBegin' | 'functionEnd'> & { readonly beginsFunction: boolean };

void describe('FRAMEDATA as llvm-pdbutil sees it', () => {
  for (const options of [['-O2', '-fomit-frame-pointer'], ['-O1', '-fno-omit-frame-pointer'], ['-O0']]) {
    void it(options.join(' '), (t) => {
      const program = buildX86Program(tempFolder(t), options);
      const rows = rowsOf(program);
      assert.ok(rows.length > 60);
      compare(open(t, program), program, rows, 0);
    });
  }
});

void describe('rows in other places', () => {
  void it('in the subsections of a module', (t) => {
    const program = buildX86Program(tempFolder(t), ['-O2', '-fomit-frame-pointer']);
    const rows = rowsOf(program);
    const parts = new PdbParts(open(t, program));
    const stream = parts.debugStream(9)!;
    parts.setDebugStream(9, undefined);
    assert.equal(open(t, parts).frameData!.find(rows[0]!.begin), undefined);
    // A subsection a function, whose RVAs count from its first one.
    const starts = rows.flatMap((row, i) => (row.beginsFunction ? [i] : []));
    const subsections = starts.map((start, i) => {
      const bytes = Buffer.from(stream.subarray(start * 32, (starts[i + 1] ?? rows.length) * 32));
      const base = rows[start]!.begin;
      for (let at = 0; at < bytes.length; at += 32) bytes.writeUInt32LE(bytes.readUInt32LE(at) - base, at);
      return Buffer.concat([words(0xf5, bytes.length + 4, base), bytes]);
    });
    parts.addToModule('calls.c.obj', Buffer.concat(subsections));
    compare(open(t, parts), program, rows, 0);
  });

  void it('of an image that was rearranged', (t) => {
    const program = buildX86Program(tempFolder(t), ['-O2', '-fomit-frame-pointer']);
    const rows = rowsOf(program);
    const parts = new PdbParts(open(t, program));
    const { begin, end } = program.code;
    const moved = 0x7000;
    parts.setDebugStream(3, words(0, 0, begin + moved, begin, end + moved, 0));
    parts.setDebugStream(4, words(0, 0, begin, begin + moved, end, 0));
    compare(open(t, parts), program, rows, moved);
  });

  void it('FPO_DATA', (t) => {
    const program = buildX86Program(tempFolder(t), ['-O2']);
    const parts = new PdbParts(open(t, program));
    assert.equal(open(t, program).fpo, undefined);
    const fpoRow = (begin: number, size: number, locals: number, bits: number): Buffer =>
      words(begin, size, locals, 2 | (bits << 16));
    // Prologue 9, 3 registers, uses ebp; trap; TSS; none. Not in order.
    parts.setDebugStream(
      0,
      Buffer.concat([
        fpoRow(0x1400, 0x10, 0, 0x8000),
        fpoRow(0x1000, 0x100, 5, 0x1309),
        fpoRow(0x1200, 0x80, 0, 0x4000),
        fpoRow(0x1300, 0x10, 0, 0xc800),
      ]),
    );
    const { fpo } = open(t, parts);
    assert.deepEqual(fpo!.find(0x10ff), {
      ...{ begin: 0x1000, codeBytes: 0x100, localBytes: 20, parameterBytes: 8, prologBytes: 9 },
      ...{ savedRegisters: 3, usesEbp: true, frame: 'fpo' },
    });
    const frames = [0xfff, 0x1100, 0x1200, 0x1280, 0x1300, 0x1400].map((rva) => fpo!.find(rva)?.frame);
    assert.deepEqual(frames, [undefined, undefined, 'trap', undefined, 'ebp', 'tss']);
    const file = path.join(tempFolder(t), 'old.pdb');
    writeFileSync(file, parts.file());
    const theirs = llvm('llvm-pdbutil', ['dump', '--fpo', file]);
    assert.match(theirs, /Old FPO Data[^]*00001000 \| +256 \| +5 \| +2 \| +9 \|/);
  });
});

/** At each RVA, the innermost row, found the slow way. @param moved How far the code lies from where it was linked. */
function compare(pdb: Pdb, { code }: X86Program, rows: readonly Row[], moved: number): void {
  const seen = new Set<Row>();
  for (let rva = code.begin; rva < code.end; rva++) {
    const holding = rows.filter((row) => rva >= row.begin && rva < row.begin + row.codeBytes);
    const innermost = holding.toSorted((a, b) => b.begin - a.begin || a.codeBytes - b.codeBytes)[0];
    const found = pdb.frameData!.find(rva + moved);
    if (innermost === undefined) {
      assert.equal(found, undefined, rva.toString(16));
      continue;
    }
    seen.add(innermost);
    const { beginsFunction: _, ...row } = innermost;
    const begins = holding.find((outer) => outer.beginsFunction)!;
    assert.deepEqual(found, {
      ...row,
      begin: row.begin + moved,
      functionBegin: begins.begin + moved,
      functionEnd: begins.begin + begins.codeBytes + moved,
    });
  }
  assert.deepEqual(
    rows.filter((row) => !seen.has(row)),
    [],
  );
}

/** As llvm-pdbutil prints them. */
function rowsOf({ pdb }: X86Program): Row[] {
  const dump = llvm('llvm-pdbutil', ['dump', '--fpo', pdb]);
  return [...dump.matchAll(/^([0-9A-F]{8}) \|(.*)\| ([$].*)$/gm)].map(([, rva, middle, program]) => {
    const fields = middle!.split('|').map((field) => field.trim());
    const [codeBytes, localBytes, parameterBytes, mostPushedBytes, prologBytes, savedRegisterBytes] =
      fields.map(Number) as [number, number, number, number, number, number];
    return {
      ...{ begin: parseInt(rva!, 16), codeBytes, localBytes, parameterBytes, mostPushedBytes, prologBytes },
      ...{ savedRegisterBytes, program: program!, beginsFunction: fields[8] === 'true' },
    };
  });
}

function open(t: TestContext, from: X86Program | PdbParts): Pdb {
  if (from instanceof PdbParts) return new Pdb(memorySource(from.file(), 'made-up.pdb'));
  const file = openFileSource(from.pdb);
  t.after(() => file.close());
  return new Pdb(file);
}

const words = (...values: readonly number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
