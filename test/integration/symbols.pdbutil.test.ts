/**
 * Every public, global, procedure, line row and inline row of real PDBs against llvm-pdbutil. The one
 * difference is named at `repeatsTheLastOne`.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openFileSource } from '../../src/engine/core/byteSource';
import { guidText } from '../../src/engine/symbols/pdbKey';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { isCodePublic } from '../../src/engine/symbols/pdb/publics';
import type { C13 } from '../../src/engine/symbols/pdb/c13';
import { arm64Sample, clangSamples, llvm, msvcSamples } from '../fixtures/pdbSamples';

for (const sample of [...msvcSamples, arm64Sample, ...clangSamples()]) {
  void describe(`${sample.name} as llvm-pdbutil sees it`, () => {
    const dump = (...what: string[]): string => llvm('llvm-pdbutil', ['dump', ...what, sample.pdb]);
    const withPdb = (test: (pdb: Pdb) => void) => () => {
      const file = openFileSource(sample.pdb);
      try {
        test(new Pdb(file));
      } finally {
        file.close();
      }
    };

    void it(
      'summary, modules, named streams',
      withPdb((pdb) => {
        const summary = dump('--summary', '--streams');
        assert.equal(guidText(pdb.info.guid), /GUID: (\S+)/.exec(summary)?.[1]);
        assert.equal(String(pdb.info.age), /Age: (\d+)/.exec(summary)?.[1]);
        assert.equal(String(pdb.msf.streamCount), /Number of streams: (\d+)/.exec(summary)?.[1]);
        assert.equal(pdb.dbi.stripped, summary.includes('Is stripped: true'));
        const modules = [
          ...dump('--modules').matchAll(/^ *Mod (\d{4,}) \| `(.*)`: *\n((?:(?! *Mod).*\n)*)/gm),
        ];
        assert.equal(modules.length, pdb.dbi.modules.length);
        for (const [, index, name, rest] of modules) {
          const module = pdb.dbi.modules[Number(index)]!;
          assert.equal(module.name, name);
          assert.equal(module.objectFile, /Obj: `(.*)`/.exec(rest!)?.[1]);
          assert.equal(module.stream ?? 65535, Number(/debug stream: (\d+)/.exec(rest!)?.[1]));
        }
        for (const [, index, name] of summary.matchAll(/Stream +(\d+) .*\[Named Stream "(.*)"\]/g)) {
          assert.equal(pdb.info.namedStreams.get(name!), Number(index));
        }
      }),
    );

    void it(
      'every public, by record, by name and by address',
      withPdb((pdb) => {
        const flagBits: Record<string, number> = {
          none: 0,
          code: 1,
          function: 2,
          managed: 4,
          'managed il': 8,
        };
        const theirs = [
          ...dump('--publics').matchAll(
            /^ *(\d+) \| S_PUB32 \[size = \d+\] `(.*)`\n +flags = (.*), addr = (\d+):(\d+)/gm,
          ),
        ].map(([, at, name, flags, section, offset]) => ({
          at: Number(at),
          name,
          flags: flags!.split(' | ').reduce((sum, flag) => sum | flagBits[flag]!, 0),
          section: Number(section),
          offset: Number(offset),
        }));
        assert.ok(theirs.length > 5);
        const ours = [...pdb.publics.offsets()].map((at) => {
          const { name, flags, section, offset } = pdb.publics.at(at)!;
          return { at, name, flags, section, offset };
        });
        const byRecord = (a: { at: number }, b: { at: number }): number => a.at - b.at;
        assert.deepEqual(ours.toSorted(byRecord), theirs.toSorted(byRecord));
        for (const { name, section, offset, flags } of theirs) {
          const found = pdb.publics.find(name!);
          assert.ok(
            found.some((p) => p.section === section && p.offset === offset),
            name,
          );
          const rva = pdb.sections.rvaOf(section, offset);
          if (rva !== undefined) assert.equal(pdb.publics.before(rva, isCodePublic(flags))?.rva, rva, name);
        }
      }),
    );

    void it(
      'every global, by record and by name',
      withPdb((pdb) => {
        const theirs = [...dump('--globals').matchAll(/^ *(\d+) \| (S_\w+) \[size = \d+\] `(.*)`\n +(.*)/gm)];
        const kinds: Record<string, string> = {
          S_PROCREF: 'procedure',
          S_LPROCREF: 'procedure',
          S_GDATA32: 'data',
          S_LDATA32: 'data',
          S_GTHREAD32: 'data',
          S_LTHREAD32: 'data',
          S_UDT: 'type',
          S_CONSTANT: 'constant',
        };
        assert.equal(theirs.length, pdb.globals.count);
        assert.deepEqual(
          [...pdb.globals.offsets()].sort((a, b) => a - b),
          theirs.map(([, at]) => Number(at)).sort((a, b) => a - b),
        );
        for (const [, at, kind, name, rest] of theirs) {
          const ours = pdb.globals.at(Number(at))!;
          assert.deepEqual([ours.kind, ours.name], [kinds[kind!], name]);
          assert.ok(
            pdb.globals.find(name!).some((g) => g.kind === ours.kind),
            name,
          );
          if (ours.kind === 'data') {
            const [, section, offset] = /addr = (\d+):(\d+)/.exec(rest!)!;
            assert.deepEqual([ours.section, ours.offset], [Number(section), Number(offset)]);
          } else if (ours.kind === 'procedure') {
            const [, module, offset] = /module = (\d+).*offset = (\d+)/.exec(rest!)!;
            assert.deepEqual([ours.module, ours.symbolOffset], [Number(module) - 1, Number(offset)]);
            assert.equal(pdb.module(ours.module)!.symbols.at(ours.symbolOffset)?.name, name);
          }
        }
      }),
    );

    void it(
      'every section contribution',
      withPdb((pdb) => {
        const theirs = [
          ...dump('--section-contribs').matchAll(/mod = (\d+), (\d+):(\d+), size = (\d+)/g),
        ].map((match) => match.slice(1).map(Number) as [number, number, number, number]);
        assert.equal(theirs.length, pdb.contributions.count);
        for (const [module, section, offset, size] of theirs) {
          if (size === 0) continue;
          const piece = { module, section, offset, size };
          assert.deepEqual(pdb.contributions.find(section, offset), piece);
          assert.deepEqual(pdb.contributions.find(section, offset + size - 1), piece);
        }
      }),
    );

    void it(
      'every line row, with files and checksums',
      withPdb((pdb) => {
        const theirs = linesOf(dump('-l'));
        const ours = pdb.dbi.modules.map(({ index }) => {
          const c13 = pdb.module(index)?.c13;
          return (c13?.tables ?? []).flatMap((table) =>
            c13!.rows(table).map((row) => {
              const file = fileText(pdb, c13!, row.file);
              return `${table.section}:${row.start} ${row.line}${row.isStatement ? '' : '!'} ${file}`;
            }),
          );
        });
        assert.equal(ours.length, theirs.length);
        let count = 0;
        for (const [index, rows] of ours.entries()) {
          if (repeatsTheLastOne(pdb, index)) continue;
          assertSame(rows, theirs[index]!, `module ${index}`);
          count += rows.length;
        }
        assert.ok(count > 20);
      }),
    );

    void it(
      'every inlinee',
      withPdb((pdb) => {
        const modules = dump('--il')
          .split(/^Mod \d+ \| /m)
          .slice(1);
        assert.equal(modules.length, pdb.dbi.modules.length);
        for (const [index, text] of modules.entries()) {
          if (repeatsTheLastOne(pdb, index)) continue;
          for (const [, id, line, file] of text.matchAll(/^ +0x([0-9A-F]+) \| +(\d+) \| (.*)$/gm)) {
            const c13 = pdb.module(index)!.c13;
            const inlinee = c13.inlinee(parseInt(id!, 16))!;
            assert.deepEqual([inlinee.line, fileText(pdb, c13, inlinee.file)], [Number(line), file]);
          }
        }
      }),
    );

    void it(
      'every procedure, and every row of every inline site',
      withPdb((pdb) => {
        const modules = dump('--symbols')
          .split(/^ *Mod \d+ \| /m)
          .slice(1);
        assert.equal(modules.length, pdb.dbi.modules.length);
        for (const [index, text] of modules.entries()) {
          const module = pdb.module(index);
          const theirs = [
            ...text.matchAll(
              /^ *(\d+) \| S_[GL]PROC32(?:_ID)? \[size = \d+\] `(.*)`\n.*end = (\d+), addr = (\d+):(\d+), code size = (\d+)/gm,
            ),
          ].map(([, at, name, end, section, offset, length]) =>
            [at, name, end, Number(section), Number(offset), length].join(),
          );
          const procedures = Array.from({ length: module?.symbols.count ?? 0 }, (_, i) =>
            module!.symbols.procedure(i),
          ).filter(({ kind }) => kind === 'procedure');
          assert.deepEqual(
            procedures
              .map((p) => [p.symbolOffset, p.name, p.endOffset, p.section, p.offset, p.length].join())
              .sort(),
            theirs.sort(),
          );
          const sites = new Map(
            procedures.flatMap((p) => module!.inlineSites(p)).map((site) => [site.symbolOffset, site]),
          );
          const theirSites = inlineSitesOf(text);
          assert.equal(sites.size, theirSites.length);
          for (const { at, inlinee, rows } of theirSites) {
            const site = sites.get(at)!;
            const base = module!.c13.inlinee(inlinee)?.line ?? 0;
            assert.equal(site.inlinee, inlinee);
            assert.deepEqual(
              site.rows.map((row) => `${row.start} ${row.line - base}`),
              rows.map((row) => `${row.start} ${row.line}`),
              `${index}:${at}`,
            );
            // An end that pdbutil prints is ours too.
            for (const [i, row] of rows.entries()) {
              if (row.end !== undefined) assert.equal(site.rows[i]!.end, row.end, `${index}:${at}`);
            }
          }
        }
      }),
    );
  });
}

/**
 * Of a module without a stream nothing is known, yet pdbutil 14 prints the last module's lines once more for it, with
 * “unknown file name” or under the wrong section.
 */
function repeatsTheLastOne(pdb: Pdb, module: number): boolean {
  return pdb.dbi.modules[module]?.stream === undefined;
}

/** Equal as sets with repetitions; a failure shows the first differences only. */
function assertSame(ours: readonly string[], theirs: readonly string[], where: string): void {
  const [a, b] = [ours.toSorted(), theirs.toSorted()];
  const at = a.findIndex((text, i) => text !== b[i]);
  if (at < 0 && a.length === b.length) return;
  const first = at < 0 ? a.length : at;
  assert.deepEqual(a.slice(first, first + 3), b.slice(first, first + 3), where);
}

function fileText(pdb: Pdb, c13: C13, offset: number): string {
  const file = c13.file(offset);
  const kind = { none: 'no checksum', md5: 'MD5', sha1: 'SHA-1', sha256: 'SHA-256' }[file.checksumKind];
  const sum =
    file.checksumKind === 'none' ? '' : `: ${Buffer.from(file.checksum).toString('hex').toUpperCase()}`;
  return `${pdb.strings!.at(file.nameOffset)} (${kind}${sum})`;
}

/** `section:offset line file` for each row of each module. */
function linesOf(text: string): string[][] {
  return text
    .split(/^Mod \d+ \| /m)
    .slice(1)
    .map((module) => {
      const rows: string[] = [];
      let file = '';
      let section = 0;
      for (const line of module.split('\n').slice(1)) {
        const table = /^ {2}([0-9A-F]{4}):[0-9A-F]{8}-[0-9A-F]{8}, line\/addr/.exec(line);
        if (table) section = parseInt(table[1]!, 16);
        else if (/^\S/.test(line)) file = line;
        else {
          for (const [, number, offset, hidden] of line.matchAll(/(\S+) ([0-9A-F]{8}) (!?)/g)) {
            const shown = { ASI: 0xfeefee, NSI: 0xf00f00 }[number!] ?? number;
            rows.push(`${section}:${parseInt(offset!, 16)} ${shown}${hidden} ${file}`);
          }
        }
      }
      return rows;
    });
}

interface TheirRow {
  readonly start: number;
  readonly line: number;
  end: number | undefined;
}

/** Inline sites with the rows that pdbutil's decoding of their annotations makes; lines from the inlinee's. */
function inlineSitesOf(text: string): { at: number; inlinee: number; rows: TheirRow[] }[] {
  const sites: { at: number; inlinee: number; rows: TheirRow[] }[] = [];
  let line = 0;
  for (const row of text.split('\n')) {
    const record = /^ *(\d+) \| (S_\w+)/.exec(row);
    const site = sites.at(-1);
    if (record) {
      if (record[2] === 'S_INLINESITE') sites.push({ at: Number(record[1]), inlinee: 0, rows: [] });
      line = 0;
      continue;
    }
    const inlinee = /^ +inlinee = 0x([0-9A-F]+)/.exec(row);
    if (inlinee && site) site.inlinee = parseInt(inlinee[1]!, 16);
    if (!site || !/^ {11,13}[0-9A-F]{4,} /.test(row)) continue;
    const newLine = /line (-?\d+) \(/.exec(row);
    if (newLine) line = Number(newLine[1]);
    const code = /code 0x([0-9A-F]+) \(/.exec(row);
    if (code) site.rows.push({ start: parseInt(code[1]!, 16), line, end: undefined });
    const end = /code end 0x([0-9A-F]+) \(/.exec(row);
    if (end && site.rows.length > 0) site.rows.at(-1)!.end = parseInt(end[1]!, 16);
  }
  return sites;
}
