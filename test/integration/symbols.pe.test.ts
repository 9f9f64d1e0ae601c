/**
 * PE images against llvm-readobj: from files (x64, arm64, x86) and as a loader would leave them in guest memory, whole
 * and with pages absent.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { openFileSource } from '../../src/engine/core/byteSource';
import { VmkdError } from '../../src/engine/core/errors';
import { machines } from '../../src/engine/symbols/pe/headers';
import type { ImageReader } from '../../src/engine/symbols/pe/reading';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import {
  PeFile,
  readExports,
  readExportTable,
  readPdbReference,
  readPeImage,
} from '../../src/engine/symbols/peImage';
import { ExportSymbols } from '../../src/engine/symbols/services/exportSymbols';
import { exceptionDirectoryOf } from '../fixtures/exceptionDirectory';
import { allSamples, demoKernel, llvm } from '../fixtures/pdbSamples';
import { tempFolder } from '../fixtures/tempFolder';

for (const { name, image, pdb, machine } of allSamples) {
  void describe(`${name} as an image`, () => {
    const withImage = (test: (file: PeFile) => Promise<void> | void) => async () => {
      const source = openFileSource(image);
      try {
        await test(new PeFile(source));
      } finally {
        source.close();
      }
    };

    void it(
      'from a file: as llvm-readobj has it',
      withImage((file) => compare(file, image)),
    );

    void it(
      'every function, and which one a part belongs to',
      withImage((file) => {
        const theirs = machine === 'arm64' ? arm64Functions(image, file) : x64Functions(image);
        assert.equal(file.functions()!.count, theirs.length);
        for (const { begin, end, primary } of theirs) {
          for (const rva of [begin, end - 1]) {
            const part = file.functions()!.find(rva);
            assert.deepEqual([part?.begin, part?.end, part?.primary], [begin, end, primary]);
          }
          assert.notEqual(file.functions()!.find(end)?.begin, begin);
        }
      }),
    );

    void it(
      'in memory, whole: the same',
      withImage(async (file) => {
        const read = inMemory(file, () => true);
        const headers = await readPeImage(read);
        assert.deepEqual(headers, file.image);
        assert.deepEqual(await readExportTable(read, headers), file.exports());
        assert.deepEqual(await readPdbReference(read, headers), file.pdbReference());
      }),
    );

    void it(
      'in memory with pages absent: what is there, and a count of what is not',
      withImage(async (file) => {
        const { exports } = file.image;
        if (exports === undefined || file.exports().symbols.length === 0) return;
        // The page on which the directory ends; never the one on which it begins.
        const absent = Math.floor((exports.rva + exports.size - 1) / 4096);
        if (absent === Math.floor(exports.rva / 4096)) return;
        const read = inMemory(file, (page) => page !== absent);
        const found = await readExportTable(read, await readPeImage(read));
        assert.ok(found.unreadable > 0);
        const whole = new Map(file.exports().symbols.map((s) => [s.ordinal, s]));
        for (const symbol of found.symbols) {
          const { rva, name: there } = whole.get(symbol.ordinal)!;
          assert.equal(symbol.rva, rva);
          assert.ok(symbol.name === there || symbol.name === undefined);
        }
      }),
    );

    void it(
      'in memory without its headers, or without its debug directory: the reader’s own error',
      withImage(async (file) => {
        const none = inMemory(file, () => false);
        await assert.rejects(readPeImage(none), { code: 'memory-unreadable' });
        const debug = file.image.debug!.rva;
        const read = inMemory(file, (page) => page !== Math.floor(debug / 4096));
        await assert.rejects(readPdbReference(read, file.image), { code: 'memory-unreadable' });
      }),
    );

    void it(
      'its function table knows where each procedure of the PDB begins',
      withImage((file) => {
        const source = openFileSource(pdb);
        try {
          const symbols = new Pdb(source);
          const functions = file.functions()!;
          let known = 0;
          let all = 0;
          for (const { index } of symbols.dbi.modules) {
            const procedures = symbols.module(index)?.symbols;
            for (let i = 0; i < (procedures?.count ?? 0); i++) {
              const procedure = procedures!.procedure(i);
              const rva = symbols.sections.rvaOf(procedure.section, procedure.offset);
              if (procedure.kind !== 'procedure' || rva === undefined) continue;
              const part = functions.find(rva);
              all++;
              // A leaf has none; nobody else's may reach over it.
              if (part === undefined) continue;
              known++;
              assert.ok(part.begin <= rva && rva < part.end);
              if (part.begin === rva) assert.equal(functions.find(part.end - 1)?.begin, rva);
            }
          }
          assert.ok(known > 0 && known <= all);
        } finally {
          source.close();
        }
      }),
    );
  });
}

void describe('an image for x86', () => {
  void it('has exports by name, by ordinal only, and forwarded', async (t) => {
    const folder = tempFolder(t);
    const at = (file: string): string => path.join(folder, file);
    writeFileSync(
      at('a.c'),
      'int Named(void) { return 1; }\nint Hidden(void) { return 2; }\nint Data = 3;\n',
    );
    run('clang', [
      '--target=i686-pc-windows-msvc',
      '-g',
      '-gcodeview',
      '-O1',
      '-c',
      at('a.c'),
      '-o',
      at('a.obj'),
    ]);
    const exported = ['Named', 'Hidden,@7,NONAME', 'Data,DATA', 'Elsewhere=NTDLL.RtlElsewhere'];
    run('lld-link', [
      '/dll',
      '/noentry',
      '/machine:x86',
      '/debug',
      `/out:${at('a.dll')}`,
      `/pdb:${at('a.pdb')}`,
      ...exported.map((e) => `/export:${e}`),
      at('a.obj'),
    ]);
    const source = openFileSource(at('a.dll'));
    t.after(() => source.close());
    const file = new PeFile(source);
    compare(file, at('a.dll'));
    assert.equal(file.image.machine, machines.x86);
    assert.equal(file.image.pointerSize, 4);
    assert.equal(file.functions(), undefined);
    const { symbols } = file.exports();
    const named = symbols.find((s) => s.name === 'Named')!;
    assert.equal(symbols.find((s) => s.ordinal === 7)!.name, undefined);
    assert.equal(symbols.find((s) => s.name === 'Elsewhere')!.forwarder, 'NTDLL.RtlElsewhere');
    const read = inMemory(file, () => true);
    assert.equal((await readExports(read, await readPeImage(read))).get('Named'), named.rva);

    const service = new ExportSymbols(file.exports(), file.functions(), file.image.sections);
    assert.equal(service.quality, 'exports');
    assert.equal(service.symbolAt(named.rva + 1)?.name, 'Named');
    assert.equal(service.symbolAt(0), undefined);
    assert.deepEqual(service.framesAt(named.rva), [{ name: 'Named', inlined: false, source: undefined }]);
    assert.deepEqual(
      service.search('n?m*', 9).map((s) => s.name),
      ['Named'],
    );
    assert.deepEqual(
      service.search('ordinal7', 9).map((s) => s.name),
      ['Ordinal7'],
    );
  });
});

void describe('exports as symbols', () => {
  void it('are bounded by the function table', () => {
    const sample = demoKernel[0]!;
    const source = openFileSource(sample.image);
    try {
      const file = new PeFile(source);
      const service = new ExportSymbols(file.exports(), file.functions(), file.image.sections);
      const exported = new Set(file.exports().symbols.map((s) => s.rva));
      let inside = 0;
      const code = file.image.sections.find((s) => s.name === '.text')!;
      for (let rva = code.rva; rva < code.rva + code.size; rva += 7) {
        const symbol = service.symbolAt(rva);
        const part = file.functions()!.find(rva);
        if (part !== undefined && !exported.has(part.primary)) assert.equal(symbol, undefined);
        else if (part !== undefined) {
          assert.equal(symbol?.rva, part.primary);
          inside++;
        }
      }
      assert.ok(inside > 10);
    } finally {
      source.close();
    }
  });
});

function run(tool: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(tool, args, { encoding: 'utf8', timeout: 60_000 });
  if (error) throw error;
  assert.equal(status, 0, stderr);
}

interface Part {
  readonly begin: number;
  readonly end: number;
  readonly primary: number;
}

function arm64Functions(image: string, { image: { imageBase } }: PeFile): Part[] {
  const text = llvm('llvm-readobj', ['--unwind', image]);
  return text
    .split('RuntimeFunction {')
    .slice(1)
    .map((one) => {
      const begin = Number(BigInt(/Function: (?:\S+ \()?(0x[0-9A-F]+)/.exec(one)![1]!) - imageBase);
      const end = begin + Number(/FunctionLength: (\d+)/.exec(one)![1]);
      return { begin, end, primary: begin };
    });
}

/**
 * llvm-readobj 14 dies on version 2 of unwind data, which Microsoft's images have: the rows are read by hand, and each is
 * compared with it, as far as it goes, in unwind.readobj.test.ts.
 */
function x64Functions(image: string): Part[] {
  const directory = exceptionDirectoryOf(readFileSync(image), image);
  const parentOf = (info: number): { begin: number; info: number } | undefined => {
    const [head, , slots] = directory.read(info, 4);
    if (((head! >> 3) & 4) === 0) return undefined;
    const row = Buffer.from(directory.read(info + 4 + ((slots! + 1) & ~1) * 2, 12));
    return { begin: row.readUInt32LE(0), info: row.readUInt32LE(8) };
  };
  return directory.rows.map(({ begin, end, unwindInfo }) => {
    let primary = begin;
    for (let at = parentOf(unwindInfo); at !== undefined; at = parentOf(at.info)) primary = at.begin;
    return { begin, end, primary };
  });
}

/** Reads of the image as a loader lays it out; those that touch an absent page fail. */
function inMemory(file: PeFile, present: (page: number) => boolean): ImageReader {
  return async (rva, length) => {
    for (let page = Math.floor(rva / 4096); page * 4096 < rva + length; page++) {
      if (!present(page)) throw new VmkdError('memory-unreadable', `page ${page} is absent`);
    }
    return file.memory.read(rva, length);
  };
}

function compare(file: PeFile, image: string): void {
  const theirs = llvm('llvm-readobj', [
    '--file-headers',
    '--sections',
    '--coff-exports',
    '--coff-debug-directory',
    image,
  ]);
  const value = (key: string): number =>
    Number(new RegExp(`${key}: .*?(0x[0-9A-F]+|\\d+)\\)?$`, 'm').exec(theirs)?.[1]);
  const { image: headers } = file;
  assert.equal(headers.machine, value('Machine'));
  assert.equal(headers.sizeOfImage, value('SizeOfImage'));
  assert.equal(headers.sizeOfHeaders, value('SizeOfHeaders'));
  assert.equal(headers.entryPoint, value('AddressOfEntryPoint'));
  assert.equal(headers.imageBase, BigInt(/ImageBase: (0x[0-9A-F]+)/.exec(theirs)![1]!));
  assert.equal(headers.timeDateStamp, value('TimeDateStamp'));
  const sections = [
    ...theirs.matchAll(
      /Name: (\S+) \(.*\n +VirtualSize: (\S+)\n +VirtualAddress: (\S+)\n +RawDataSize: (\d+)/g,
    ),
  ];
  assert.deepEqual(
    headers.sections.map((s) => [s.name, s.size, s.rva, s.fileSize]),
    sections.map(([, name, size, rva, raw]) => [name, Number(size), Number(rva), Number(raw)]),
  );
  const exported = [...theirs.matchAll(/Export \{\n((?:.*\n)*?)\}/g)].map(([, body]) => {
    const field = (key: string): string | undefined => new RegExp(`${key}: (\\S+)`).exec(body!)?.[1];
    // llvm-readobj 14 gives a forwarder's address, which lies in the export directory, and not its text.
    const rva = Number(field('RVA'));
    const { exports } = headers;
    const forwarded = exports !== undefined && rva >= exports.rva && rva < exports.rva + exports.size;
    return [Number(field('Ordinal')), field('Name'), forwarded ? 0 : rva, forwarded].join();
  });
  assert.deepEqual(
    file
      .exports()
      .symbols.map((s) => [s.ordinal, s.name, s.rva, s.forwarder !== undefined].join())
      .sort(),
    // A slot with no address, name or forwarder is a gap in the ordinals (lld leaves ordinal 0 so), not an export.
    exported.filter((e) => !e.endsWith(',,0,false')).sort(),
  );
  const reference = file.pdbReference();
  assert.equal(reference?.path, /PDBFileName: (.*)/.exec(theirs)?.[1]);
  assert.equal(reference?.age, value('PDBAge'));
  const guid = /PDBGUID: \((.*)\)/.exec(theirs)?.[1]?.replaceAll(' ', '');
  assert.equal(Buffer.from(reference.guid).toString('hex').toUpperCase(), guid);
}
