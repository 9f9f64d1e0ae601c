/**
 * Locals of every procedure of MSVC's PDBs (the npm package node-pty: x64 and arm64, optimised) and of our kernel's
 * (clang), at the addresses where something begins or ends to live: the engine's answer against one worked out here
 * from llvm-pdbutil's text alone.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { memorySource } from '../../src/engine/core/byteSource';
import { localsAt, type Local, type Location } from '../../src/engine/symbols/locals/locals';
import type { SymbolMachine } from '../../src/engine/symbols/locals/registers';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import type { TypeTable } from '../../src/engine/symbols/types/typeTable';
import { allSamples } from '../fixtures/pdbSamples';
import { randomFrom } from '../fixtures/random';

const probesOfOne = 10;

interface TextRecord {
  readonly at: number;
  /** `S_LOCAL`, or the number of a kind that llvm-pdbutil does not know. */
  readonly kind: string;
  /** Everything it says, in one line. */
  readonly text: string;
  /** The record behind its kind, in hexadecimal. */
  readonly data: string;
}

const run = (command: string, argv: readonly string[]): string =>
  String(execFileSync(command, argv, { maxBuffer: 1 << 30, timeout: 120_000 }));

/** Records of each module, by its number. */
function dump(pdb: string): Map<number, TextRecord[]> {
  const modules = new Map<number, TextRecord[]>();
  let records: { at: number; kind: string; text: string; data: string }[] = [];
  for (const line of run('llvm-pdbutil', ['dump', '-symbols', '-sym-data', pdb]).split('\n')) {
    const module = /^ *Mod (\d+) \|/.exec(line);
    const record = /^ *(\d+) \| (?:(S_[A-Z0-9_]+)|unknown \((\d+)\)) \[size = \d+\](.*)$/.exec(line);
    const bytes = /^ +[0-9A-F]{4,}: ((?:[0-9A-F]+ )+) *\|/.exec(line);
    if (module) modules.set(Number(module[1]), (records = []));
    else if (record)
      records.push({ at: Number(record[1]), kind: record[2] ?? record[3]!, text: record[4]!, data: '' });
    else if (records.length > 0 && bytes) records.at(-1)!.data += bytes[1]!.replaceAll(' ', '');
    else if (records.length > 0) records.at(-1)!.text += ` ${line.trim()}`;
  }
  return modules;
}

interface Address {
  section: number;
  offset: number;
}

const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)![1]);
const address = (text: string, pattern: RegExp): Address => {
  const [, section, offset] = pattern.exec(text)!;
  return { section: Number(section), offset: Number(offset) };
};

/** [start, end) of an inline site's rows, from the procedure's start, as the text tells it. */
function siteRanges(text: string): [number, number][] {
  const ranges: [number, number][] = [];
  let open: number | undefined;
  for (const [, end, value] of text.matchAll(/code (end )?0x([0-9A-F]+)/g)) {
    const code = parseInt(value!, 16);
    if (open !== undefined) ranges.push([open, code]);
    open = end === undefined ? code : undefined;
  }
  return ranges;
}

interface Expected {
  name: string;
  /** As the module has it. */
  type: number;
  isParameter: boolean;
  location: string;
}

const names = (record: TextRecord): string => /`(.*?)`/.exec(record.text)?.[1] ?? '';

function typeOf(record: TextRecord): number {
  const type = /\btype ?= ?`?(0x[0-9A-F]+)/.exec(record.text)?.[1];
  return type === undefined ? 0 : Number(type);
}

/** Of the records right in a scope. */
function expectedIn(
  records: readonly TextRecord[],
  at: Address,
  bases: string[],
  parameterCount: number,
): Expected[] {
  const found: Expected[] = [];
  const older: Expected[] = [];
  let stackVariables = 0;
  records.forEach((record, i) => {
    const name = names(record);
    const type = typeOf(record);
    switch (record.kind) {
      case 'S_LOCAL':
      case 'S_FILESTATIC': {
        const rest = records.slice(i + 1);
        const end = rest.findIndex(({ kind }) => !/^(S_DEFRANGE|4479$|4480$)/.test(kind));
        const isParameter = /flags = .*param/.test(record.text);
        const places = rest.slice(0, end < 0 ? rest.length : end);
        const gone =
          record.text.includes('optimized away') ||
          /optimi[sz]ed out/.test(record.text) ||
          places.length === 0;
        const location = gone ? 'optimised-out' : locationOf(places, at, bases[isParameter ? 1 : 0]!);
        found.push({ name, type, isParameter, location });
        return;
      }
      case 'S_REGREL32': {
        const location = `${/register = (\w+)/.exec(record.text)![1]}+${number(record.text, /offset = (-?\d+)/)}`;
        older.push({ name, type, isParameter: stackVariables++ < parameterCount, location });
        return;
      }
      case 'S_LDATA32':
      case 'S_GDATA32': {
        const { section, offset } = address(record.text, /addr = (\d+):(\d+)/);
        older.push({ name, type, isParameter: false, location: `static ${section}:${offset}` });
        return;
      }
      case 'S_CONSTANT':
        older.push({
          name,
          type,
          isParameter: false,
          location: `constant ${/value = (-?\d+)/.exec(record.text)![1]}`,
        });
    }
  });
  return [...found, ...older.filter((one) => !found.some(({ name }) => name === one.name))];
}

function locationOf(places: readonly TextRecord[], at: Address, base: string): string {
  const pieces = new Map<number, string>();
  for (const place of places) {
    const { kind, text } = place;
    if (kind === '4479') return 'bytes';
    if (kind === '4480') return 'addressOf';
    if (kind !== 'S_DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE' && !isIn(place, at)) continue;
    // It does not know the low halves of xmm0 to xmm7.
    const register = /register = (?:AMD64_)?(unknown \(\d+\)|\w+)/
      .exec(text)?.[1]
      ?.replace(/unknown \((\d+)\)/, (_, id: string) => `XMM${Number(id) - 194}L`);
    const offset = /\boffset = (-?\d+)/.exec(text)?.[1];
    const spot = kind.includes('FRAMEPOINTER')
      ? base === 'None' || base === 'ARM64_NOREG'
        ? 'no-frame'
        : `${base}+${offset}`
      : kind === 'S_DEFRANGE_REGISTER_REL'
        ? `${register}+${offset}`
        : register!;
    const isPiece = kind === 'S_DEFRANGE_SUBFIELD_REGISTER' || text.includes('has spilled udt = true');
    if (!isPiece) return spot;
    const where = number(text, /offset in parent = (\d+)/);
    if (!pieces.has(where)) pieces.set(where, spot);
  }
  if (pieces.size === 0) return 'not-live-here';
  return `{${[...pieces]
    .sort(([a], [b]) => a - b)
    .map(([where, spot]) => `${where}: ${spot}`)
    .join(', ')}}`;
}

function isIn({ kind, text, data }: TextRecord, at: Address): boolean {
  const start = address(text, /(?:range = \[|range start = )(\d+):(\d+)/);
  const length = number(text, /(?:,\+|length = )(\d+)/);
  const into = at.offset - start.offset;
  if (at.section !== start.section || into < 0 || into >= length) return false;
  // llvm-pdbutil shows a gap only where there is but one: they are read from its bytes.
  const head = /SUBFIELD|REGISTER_REL/.test(kind) ? 16 : 12;
  const words = (data.slice(head * 2).match(/.{4}/g) ?? []).map((word) =>
    parseInt(word.slice(2) + word.slice(0, 2), 16),
  );
  return !words.some((gap, i) => i % 2 === 0 && into >= gap && into < gap + words[i + 1]!);
}

/** Of locals and of parameters. */
function frameBases({ text, data }: TextRecord): string[] {
  const shown = /local fp reg = (\w+), param fp reg = (\w+)/.exec(text)!.slice(1);
  if (!shown[0]!.startsWith('ARM64')) return shown;
  // llvm-pdbutil 14 knows no bases of arm64.
  const flags = parseInt(data.slice(44, 52).replace(/(..)(..)(..)(..)/, '$4$3$2$1'), 16);
  return [14, 16].map((bit) => ['None', 'ARM64_SP', 'ARM64_FP', 'ARM64_X19'][(flags >> bit) & 3]!);
}

/** Every frame's variables at an address: procedure first, innermost inlined function last. */
function expectedFrames(
  records: readonly TextRecord[],
  first: number,
  at: Address,
  parameterCount: number,
): Expected[][] {
  const byPlace = new Map(records.map((record, i) => [record.at, i]));
  const endOf = (i: number): number => byPlace.get(number(records[i]!.text, /end = (\d+)/))!;
  const procedure = address(records[first]!.text, /addr = (\d+):(\d+)/);
  const last = endOf(first);
  const frameRecord = records.slice(first, last).find(({ kind }) => kind === 'S_FRAMEPROC');
  const bases = frameRecord ? frameBases(frameRecord) : ['None', 'None'];
  const frames: Expected[][] = [];
  const scope = (from: number, to: number, frame: Expected[], parameters: number): void => {
    const own: TextRecord[] = [];
    const inner: (() => void)[] = [];
    for (let i = from; i < to; i++) {
      const record = records[i]!;
      if (record.kind === 'S_BLOCK32') {
        const end = endOf(i);
        const start = address(record.text, /addr = (\d+):(\d+)/);
        const into = at.offset - start.offset;
        const start0 = i + 1;
        if (at.section === start.section && into >= 0 && into < number(record.text, /code size = (\d+)/))
          inner.push(() => scope(start0, end, frame, 0));
        i = end;
      } else if (record.kind === 'S_INLINESITE') {
        const end = endOf(i);
        const into = at.offset - procedure.offset;
        const start0 = i + 1;
        if (siteRanges(record.text).some(([a, b]) => into >= a && into < b)) {
          inner.push(() => {
            const innerFrame: Expected[] = [];
            frames.push(innerFrame);
            scope(start0, end, innerFrame, 0);
          });
        }
        i = end;
      } else own.push(record);
    }
    frame.push(...expectedIn(own, at, bases, parameters));
    for (const go of inner) go();
  };
  const frame: Expected[] = [];
  frames.push(frame);
  scope(first + 1, last, frame, parameterCount);
  return frames.map((one) => [...one.filter((x) => x.isParameter), ...one.filter((x) => !x.isParameter)]);
}

/** Our location in the words of the expectation. */
function describeLocation(location: Location, machine: SymbolMachine): string {
  const register = (name: string): string =>
    machine === 'arm64' ? `ARM64_${name.toUpperCase()}` : name.toUpperCase();
  switch (location.kind) {
    case 'register':
      return register(location.register.name);
    case 'memory':
      return `${register(location.base.name)}+${location.offset}`;
    case 'pieces':
      return `{${location.pieces.map((piece) => `${piece.at}: ${describeLocation(piece.location, machine)}`).join(', ')}}`;
    case 'static':
      return `static ${location.place.section}:${location.place.offset}`;
    case 'constant':
      return `constant ${location.value}`;
    case 'bytes':
    case 'addressOf':
      return location.kind;
    case 'unavailable':
      return location.reason;
  }
}

const line = (
  frame: number,
  {
    name,
    type,
    isParameter,
    location,
  }: { name: string; type: number; isParameter: boolean; location: string },
): string => `${frame} ${isParameter ? 'parameter ' : ''}${name} of ${type} ${location}`;

for (const { pdb, machine } of allSamples) {
  describe(pdb, () => {
    const opened = new Pdb(memorySource(readFileSync(pdb), pdb));
    const { types } = opened;

    it('places every local of every procedure where llvm-pdbutil does', (t) => {
      const random = randomFrom(1);
      const kinds = new Map<string, number>();
      let procedures = 0;
      let probes = 0;
      const differing: string[] = [];
      let imported = 0;
      for (const [index, records] of dump(pdb)) {
        const module = opened.module(index);
        if (module === undefined) continue;
        const symbols = module.symbolBytes;
        // Which index that is, symbols.pdbutil.test.ts checks.
        const globalIndex = (local: number): number | undefined => opened.globalIndex(module, local);
        records.forEach((record, first) => {
          if (!/^S_[GL]PROC32/.test(record.kind)) return;
          procedures++;
          const start = address(record.text, /addr = (\d+):(\d+)/);
          const length = number(record.text, /code size = (\d+)/);
          for (const offset of probeOffsets(records, first, start, length)) {
            const at = { section: start.section, offset: start.offset + offset };
            const ours = localsAt({
              symbols,
              procedureAt: record.at,
              address: at,
              machine,
              types,
              globalIndex,
            });
            const expected = expectedFrames(
              records,
              first,
              at,
              parametersOf(types, ours.procedure.type, ours.procedure.isId),
            );
            const got = ours.frames.flatMap((frame, i) =>
              frame.locals.map((local) => {
                kinds.set(local.location.kind, (kinds.get(local.location.kind) ?? 0) + 1);
                return line(i, { ...local, location: describeLocation(local.location, machine) });
              }),
            );
            const wanted = expected.flatMap((frame, i) =>
              frame.map((one) => {
                if (one.type >= 0x80000000) imported++;
                return line(i, { ...one, type: globalIndex(one.type)! });
              }),
            );
            probes++;
            if (JSON.stringify(got) !== JSON.stringify(wanted) && differing.length < 5) {
              const place = got.findIndex((one, i) => one !== wanted[i]);
              differing.push(
                `${names(record)}+${offset}: ours “${got[place]}”, theirs “${wanted[place] ?? wanted[got.length]}”`,
              );
            }
          }
        });
      }
      t.diagnostic(
        `${procedures} procedures, ${probes} addresses, ${imported} types of other modules, ${JSON.stringify(Object.fromEntries(kinds))}`,
      );
      assert.deepEqual(differing, []);
      assert.ok(procedures > 0);

      /** The start, the end, and some of the places where a range begins or ends. */
      function probeOffsets(
        of: readonly TextRecord[],
        first: number,
        start: Address,
        length: number,
      ): number[] {
        const edges: number[] = [];
        const end = number(of[first]!.text, /end = (\d+)/);
        for (let i = first + 1; i < of.length && of[i]!.at < end; i++) {
          const { kind, text } = of[i]!;
          if (!kind.startsWith('S_DEFRANGE') || kind.includes('FULL_SCOPE')) continue;
          const range = address(text, /(?:range = \[|range start = )(\d+):(\d+)/);
          const from = range.offset - start.offset;
          edges.push(from, from + number(text, /(?:,\+|length = )(\d+)/), from - 1);
        }
        const inside = edges.filter((edge) => edge >= 0 && edge < length);
        while (inside.length > probesOfOne) inside.splice(random.below(inside.length), 1);
        return [...new Set([0, Math.max(length - 1, 0), ...inside])];
      }
    });
  });
}

function parametersOf(types: TypeTable, type: number, isId: boolean): number {
  if (type === 0) return 0;
  const id = isId ? types.id(type) : undefined;
  const record = types.record(id && 'type' in id ? id.type : type);
  if (record.kind === 'procedure') return record.parameterCount;
  return record.kind === 'memberFunction' ? record.parameterCount + (record.thisType === 0 ? 0 : 1) : 0;
}

it('calls what it cannot place by its reason, and marks a base that is not set yet', () => {
  const pdb = 'build/kernel/images/vmkdemo.pdb';
  const opened = new Pdb(memorySource(readFileSync(pdb), pdb));
  const inlines = opened.dbi.modules.find(({ name }) => name.includes('inlines'))!;
  const symbols = opened.module(inlines.index)!.symbolBytes;
  const checksum = [...dump(pdb).get(inlines.index)!].find(({ text }) => text.includes('`VmkDemoChecksum`'))!;
  const start = address(checksum.text, /addr = (\d+):(\d+)/);
  const length = number(checksum.text, /code size = (\d+)/);
  const seen = new Map<string, Set<string>>();
  const inlinedNames = new Set<string>();
  for (let offset = 0; offset < length; offset++) {
    const at = { section: start.section, offset: start.offset + offset };
    const { frames } = localsAt({ symbols, procedureAt: checksum.at, address: at, machine: 'x64' });
    frames.forEach((frame, i) => {
      frame.locals.forEach(({ name, location }: Local) => {
        if (i > 0) inlinedNames.add(name);
        const kinds = seen.get(name) ?? new Set();
        seen.set(name, kinds.add(location.kind));
      });
    });
  }
  // The loop of VmkDemoChecksum has MixByte inlined into it, and in that RotateLeft.
  assert.deepEqual(
    [...inlinedNames].filter((name) => ['Byte', 'State', 'Value', 'Bits'].includes(name)).length > 1,
    true,
  );
  assert.ok(seen.get('Bytes')!.has('register'));
  assert.ok(seen.get('Length')!.has('register'));
});
