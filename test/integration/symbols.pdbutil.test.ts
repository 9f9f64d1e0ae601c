/**
 * Every public, global, procedure, line row, inlinee and inline row of real PDBs against llvm-pdbutil. Its one fault is
 * named at `repeatsTheLastOne`, and what it shows in these cases is checked too.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openFileSource } from '../../src/engine/core/byteSource';
import { guidText } from '../../src/engine/symbols/pdbKey';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { isCodePublic } from '../../src/engine/symbols/pdb/publics';
import type { C13 } from '../../src/engine/symbols/pdb/c13';
import { shortTextOf } from '../../src/engine/symbols/types/typeText';
import { functionName } from '../../src/engine/symbols/types/functionName';
import { allSamples, llvm } from '../fixtures/pdbSamples';
import {
  inlineSitesIn,
  pdbutilCrossModule,
  pdbutilLines,
  type TheirCrossModule,
  type TheirLines,
} from '../fixtures/pdbutil';

for (const sample of allSamples) {
  void describe(`${sample.name} as llvm-pdbutil sees it`, () => {
    const dump = (...what: string[]): string => llvm('llvm-pdbutil', ['dump', ...what, sample.pdb]);
    const withPdb = (test: (pdb: Pdb, t: TestContext) => void) => (t: TestContext) => {
      const file = openFileSource(sample.pdb);
      try {
        test(new Pdb(file), t);
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
      withPdb((pdb, t) => {
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
        const nowhere: string[] = [];
        for (const { name, section, offset, flags } of theirs) {
          const found = pdb.publics.find(name!);
          assert.ok(
            found.some((p) => p.section === section && p.offset === offset),
            name,
          );
          const rva = pdb.sections.rvaOf(section, offset);
          if (rva === undefined) {
            // Absolute values stand in a section behind the last one.
            assert.ok(pdb.sections.rvaOf(section, 0) === undefined, name);
            assert.ok(pdb.sections.rvaOf(section - 1, 0) !== undefined, name);
            nowhere.push(name!);
          } else assert.equal(pdb.publics.before(rva, isCodePublic(flags))?.rva, rva, name);
        }
        t.diagnostic(`${theirs.length} publics; values, not addresses: ${nowhere.join(', ')}`);
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
          const local = /^S_L/.test(kind!);
          assert.deepEqual([ours.kind, ours.name], [kinds[kind!], name]);
          assert.ok(
            pdb.globals.find(name!).some((g) => g.kind === ours.kind),
            name,
          );
          if (ours.kind === 'procedure') {
            const [, module, offset] = /module = (\d+).*offset = (\d+)/.exec(rest!)!;
            assert.deepEqual(
              [ours.module, ours.symbolOffset, ours.local],
              [Number(module) - 1, Number(offset), local],
            );
            assert.equal(pdb.module(ours.module)!.symbols.at(ours.symbolOffset)?.name, name);
            continue;
          }
          assert.equal(ours.type, typeIn(rest!), name);
          if (ours.kind !== 'data') continue;
          const [, section, offset] = /addr = (\d+):(\d+)/.exec(rest!)!;
          assert.deepEqual(
            [ours.section, ours.offset, ours.local, ours.threadLocal],
            [Number(section), Number(offset), local, kind!.includes('THREAD')],
          );
          const { rva } = ours;
          if (rva !== undefined) assert.equal(pdb.globals.dataBefore(rva)?.rva, rva, name);
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
      withPdb((pdb, t) => {
        const theirs = pdbutilLines(sample.pdb);
        assert.equal(theirs.length, pdb.dbi.modules.length);
        let count = 0;
        let repeated = 0;
        for (const { index } of pdb.dbi.modules) {
          const c13 = pdb.module(index)?.c13;
          const rows = (c13?.tables ?? []).flatMap((table) =>
            c13!.rows(table).map(({ file, start, line, isStatement }) => {
              const range = `${table.section}:${table.offset}-${table.offset + table.length}`;
              return `${range} ${start} ${line}${isStatement ? '' : '!'} ${fileText(pdb, c13!, file)}`;
            }),
          );
          if (repeatsTheLastOne(pdb, index)) {
            assert.equal(rows.length, 0);
            assert.deepEqual(places(theirs[index]!), places(theirs[index - 1] ?? []));
            repeated += places(theirs[index]!).length;
            continue;
          }
          const text = theirs[index]!.flatMap(({ section, start, end, file, rows }) =>
            rows.map(
              (r) => `${section}:${start}-${end} ${r.offset} ${r.line}${r.isStatement ? '' : '!'} ${file}`,
            ),
          );
          assertSame(rows, text, `module ${index}`);
          count += rows.length;
        }
        const all = theirs.flat().reduce((sum, { rows }) => sum + rows.length, 0);
        assert.ok(count > 0 && count + repeated === all);
        t.diagnostic(`${count} rows, ${repeated} shown twice`);
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
          const { c13 } = pdb.module(index)!;
          const theirs = new Map(
            [...text.matchAll(/^ *0x([0-9A-F]+) \| +(\d+) \| (.*)$/gm)].map(([, id, line, file]) => [
              parseInt(id!, 16),
              [Number(line), file],
            ]),
          );
          assert.equal(theirs.size, text.split('\n').filter((row) => row.includes('0x')).length);
          for (const [id, expected] of theirs) {
            const inlinee = c13.inlinee(id)!;
            assert.deepEqual([inlinee.line, fileText(pdb, c13, inlinee.file)], expected);
          }
        }
      }),
    );

    void it(
      'every index that a module takes from another',
      withPdb((pdb, t) => {
        const cross = pdbutilCrossModule(sample.pdb);
        assert.equal(cross.length, pdb.dbi.modules.length);
        let names = 0;
        let types = 0;
        for (const { index } of pdb.dbi.modules) {
          const module = pdb.module(index);
          if (module === undefined) continue;
          assert.equal(pdb.globalIndex(module, 0x1234), 0x1234);
          const { imports } = cross[index]!;
          for (const [local, { index: there }] of imports) {
            const ours = pdb.globalIndex(module, local);
            assert.deepEqual([ours], globalIndex(pdb, cross, index, local));
            // Whether an id or a type is meant, the exporter's own index tells.
            if (there >= 0x80000000) assert.ok(functionName(pdb.types, ours!));
            else assert.ok(shortTextOf(pdb.types, ours!));
            if (there >= 0x80000000) names++;
            else types++;
          }
          assert.equal(pdb.globalIndex(module, 0x80000000 + imports.size), undefined);
        }
        t.diagnostic(`${names} functions and ${types} types`);
        assert.equal(names > 0, /conpty$|pty$|agent$/.test(sample.name));
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
              /^ *(\d+) \| S_[GL]PROC32(?:_ID)? \[size = \d+\] `(.*)`\n.*end = (\d+), addr = (\d+):(\d+), code size = (\d+)\n +type = `.*/gm,
            ),
            ...text.matchAll(
              /^ *(\d+) \| S_THUNK32 \[size = \d+\] `(.*)`\n.*end = (\d+), next = \d+\n +kind = .*, size = (\d+), addr = (\d+):(\d+)/gm,
            ),
          ];
          assert.equal(theirs.length, text.match(/^ *\d+ \| S_(?:[GL]PROC32|THUNK32)/gm)?.length ?? 0);
          const expected = theirs.map(([whole, at, name, end, ...rest]) => {
            const thunk = whole.includes('| S_THUNK32 ');
            const [section, offset, length] = thunk ? [rest[1], rest[2], rest[0]] : rest;
            const kind = thunk ? 'thunk' : 'procedure';
            return [
              kind,
              at,
              name,
              end,
              Number(section),
              Number(offset),
              length,
              thunk ? 0 : typeIn(whole),
            ].join();
          });
          const all = Array.from({ length: module?.symbols.count ?? 0 }, (_, i) =>
            module!.symbols.procedure(i),
          );
          assert.deepEqual(
            all
              .map((p) =>
                [p.kind, p.symbolOffset, p.name, p.endOffset, p.section, p.offset, p.length, p.type].join(),
              )
              .sort(),
            expected.sort(),
          );
          const procedures = all.filter(({ kind }) => kind === 'procedure');
          const sites = new Map(
            procedures.flatMap((p) => module!.inlineSites(p)).map((site) => [site.symbolOffset, site]),
          );
          const theirSites = inlineSitesIn(text);
          assert.equal(sites.size, theirSites.length);
          for (const { at, inlinee, rows } of theirSites) {
            const site = sites.get(at)!;
            const base = module!.c13.inlinee(inlinee);
            assert.equal(site.inlinee, inlinee);
            assert.deepEqual(
              site.rows.map(({ start, end, line, file }) => ({ start, end, line, file })),
              // A row that nothing ends lasts until the next one.
              rows.map(({ start, end, line, file }, i) => ({
                start,
                end: end ?? rows[i + 1]?.start ?? start,
                line: (base?.line ?? 0) + line,
                file: file ?? base?.file ?? 0,
              })),
              `${index}:${at}`,
            );
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

/** The index in TPI or IPI of one that a module takes from another. Names of modules differ in case. */
function globalIndex(
  pdb: Pdb,
  modules: readonly TheirCrossModule[],
  importer: number,
  index: number,
): number[] {
  const imported = modules[importer]!.imports.get(index);
  if (imported === undefined) return [];
  const end = imported.module.toLowerCase();
  return pdb.dbi.modules.flatMap(({ name, index: exporter }) => {
    const found = name.toLowerCase().endsWith(end) && modules[exporter]!.exports.get(imported.index);
    return typeof found === 'number' ? [found] : [];
  });
}

/** The index of the type that a symbol's text names; 0 for none. */
function typeIn(text: string): number {
  const type = /\btype = `?(0x[0-9A-F]+|<no type>)/.exec(text)![1]!;
  return type === '<no type>' ? 0 : Number(type);
}

/** Without what depends on the module: section and file. */
const places = (tables: readonly TheirLines[]): string[] =>
  tables.flatMap(({ rows }) => rows.map(({ offset, line }) => `${offset} ${line}`));

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
