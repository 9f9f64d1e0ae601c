/**
 * Every type and id record of MSVC's PDBs (the npm package node-pty) and of our kernel's, written as llvm-pdbutil
 * writes it and compared with what it says; every declaration's definition; every layout and enum, worked out once by
 * the engine and once, here, from llvm-pdbutil's text alone.
 */

import assert from 'node:assert/strict';
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { memorySource } from '../../src/engine/core/byteSource';
import { openMsf } from '../../src/engine/symbols/pdb/msf';
import { readInfo } from '../../src/engine/symbols/pdb/info';
import { enumeratorsOf } from '../../src/engine/symbols/types/enums';
import type { IdRecord, Member, MemberAttributes, TypeRecord } from '../../src/engine/symbols/types/records';
import { layoutOf } from '../../src/engine/symbols/types/structLayout';
import { TypeTable } from '../../src/engine/symbols/types/typeTable';
import { coldTypeMs, warmTypeUs } from '../bench/symbolTypes';
import { allSamples, msvcSamples } from '../fixtures/pdbSamples';

const pdbs = allSamples.map((sample) => sample.pdb);

const run = (command: string, argv: readonly string[], options: ExecFileSyncOptions): string =>
  String(execFileSync(command, argv, { maxBuffer: 1 << 30, timeout: 120_000, ...options }) ?? '');

/** A PDB by clang and lld-link, of C++ on its standard input. */
function built(folder: string, name: string, source: string): string {
  const object = path.join(folder, `${name}.obj`);
  const pdb = path.join(folder, `${name}.pdb`);
  const argv = [
    '--target=x86_64-pc-windows-msvc',
    '-std=c++20',
    '-w',
    '-g',
    '-gcodeview',
    '-fno-exceptions',
    '-fno-threadsafe-statics',
  ];
  run('clang', [...argv, '-fms-extensions', '-c', '-o', object, '-x', 'c++', '-'], {
    input: source,
  });
  const output = path.join(folder, `${name}.dll`);
  run(
    'lld-link',
    ['/dll', '/noentry', '/nodefaultlib', '/force', '/debug', `/pdb:${pdb}`, `/out:${output}`, object],
    { stdio: 'ignore' },
  );
  return pdb;
}

/** More members than a field list of 64 KiB can hold. */
const hugeStruct = `struct Huge { ${Array.from({ length: 9000 }, (_, i) => `int member${i} : ${1 + (i % 31)};`).join(' ')} };
  enum Many { ${Array.from({ length: 9000 }, (_, i) => `Enumerator${i} = ${i * 7919 - 30_000_000}`).join(', ')} };
  Huge huge; Many many; int (*(*handlers[3][4])(Huge *, const volatile char *const &, ...))[5]; int Huge::*none;`;

/** Index → its lines, the first being `LF_…`, without the names that llvm-pdbutil adds to indices. */
type Dump = Map<number, string[]>;

function dump(pdb: string, what: readonly string[]): Dump {
  const text = run('llvm-pdbutil', ['dump', ...what, pdb], {});
  const found: Dump = new Map();
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    const head = /^ +0x([0-9A-F]+) \| (LF_.*)$/.exec(line);
    if (head) {
      lines = [head[2]!];
      found.set(parseInt(head[1]!, 16), lines);
    } else if (lines.length > 0 && line.trim() !== '') lines.push(normal(line.trim()));
  }
  return found;
}

/** Without simple types' names behind their numbers, and options in one order. */
function normal(line: string): string {
  return line
    .replace(/\b(0x0[0-9A-F]{3}) \((?:[^()]|\([^()]*\))*\)/g, '$1')
    .replace(/(^options: |, options = |, opts = )([^,]*)/, (_, lead: string, list: string) => {
      return lead + list.trim().split(' | ').sort().join(' | ');
    });
}

const index = (type: number): string =>
  type === 0 ? '<no type>' : `0x${type.toString(16).toUpperCase().padStart(4, '0')}`;

const flagsOf = (raw: number, names: Readonly<Record<number, string>>): string =>
  Object.entries(names)
    .filter(([bit]) => (raw & Number(bit)) !== 0)
    .map(([, name]) => name)
    .join(' | ');

const tagOptions = {
  1: 'packed',
  2: 'has ctor / dtor',
  4: 'overloaded operator',
  8: 'is nested',
  0x10: 'contains nested class',
  0x20: 'overloaded operator=',
  0x40: 'conversion operator',
  0x80: 'forward ref',
  0x100: 'scoped',
  0x200: 'has unique name',
  0x400: 'sealed',
  0x2000: 'intrin',
};
const functionOptions = { 1: 'returns cxx udt', 2: 'constructor', 4: 'constructor with virtual bases' };
const conventions: Readonly<Record<number, string>> = {
  0: 'cdecl',
  4: 'fastcall',
  7: 'stdcall',
  11: 'thiscall',
  24: 'vectorcall',
};
const pointerModes = {
  pointer: 'pointer',
  lvalueReference: 'ref',
  rvalueReference: 'rvalue ref',
  dataMember: 'data member pointer',
  functionMember: 'member fn pointer',
};
const methodWords = {
  vanilla: '',
  virtual: ' virtual',
  static: ' static',
  friend: ' friend',
  introducing: ' intro virtual',
  pureVirtual: ' pure virtual',
  pureIntroducing: ' pure intro virtual',
};

const attributes = ({ access, method, raw }: MemberAttributes): string =>
  access +
  methodWords[method] +
  ((raw & 0x100) !== 0 ? ' compiler-generated' : '') +
  ((raw & 0x200) !== 0 ? ' sealed' : '');

function memberLines(member: Member): string[] {
  switch (member.kind) {
    case 'field':
      return [
        `- LF_MEMBER [name = \`${member.name}\`, Type = ${index(member.type)}, offset = ${member.offset}, attrs = ${attributes(member.attributes)}]`,
      ];
    case 'static':
      return [
        `- LF_STMEMBER [name = \`${member.name}\`, type = ${index(member.type)}, attrs = ${attributes(member.attributes)}]`,
      ];
    case 'enumerator':
      return [`- LF_ENUMERATE [${member.name} = ${member.value}]`];
    case 'base':
      return [
        '- LF_BCLASS',
        `type = ${index(member.type)}, offset = ${member.offset}, attrs = ${attributes(member.attributes)}`,
      ];
    case 'virtualBase':
      return [
        member.indirect ? '- LF_IVBCLASS' : '- LF_VBCLASS',
        `base = ${index(member.type)}, vbptr = ${index(member.pointerType)}, vbptr offset = ${member.pointerOffset}, vtable index = ${member.tableIndex}`,
        `attrs = ${attributes(member.attributes)}`,
      ];
    case 'vtablePointer':
      return [`- LF_VFUNCTAB type = ${index(member.type)}`];
    case 'nested':
      return [`- LF_NESTTYPE [name = \`${member.name}\`, parent = ${index(member.type)}]`];
    case 'method':
      return [
        `- LF_ONEMETHOD [name = \`${member.name}\`]`,
        `type = ${index(member.type)}, vftable offset = ${member.vtableOffset}, attrs = ${attributes(member.attributes)}`,
      ];
    case 'overloads':
      return [
        `- LF_METHOD [name = \`${member.name}\`, # overloads = ${member.count}, overload list = ${index(member.list)}]`,
      ];
    case 'continued':
      return [`- LF_INDEX continuation = ${index(member.list)}`];
    case 'friend':
      return ['(never seen)'];
  }
}

/** A type as llvm-pdbutil dumps it: the leaf's name, what stands on its line, the lines below. */
function typeLines(record: TypeRecord): [leaf: string, tail: string, ...lines: string[]] {
  switch (record.kind) {
    case 'class':
    case 'struct':
    case 'interface':
    case 'union':
    case 'enum': {
      const leaf = {
        class: 'LF_CLASS',
        struct: 'LF_STRUCTURE',
        interface: 'LF_INTERFACE',
        union: 'LF_UNION',
        enum: 'LF_ENUM',
      };
      const options = `options: ${flagsOf(record.properties.raw, tagOptions)}${record.kind === 'enum' ? '' : `, sizeof ${record.size}`}`;
      const fields = `field list: ${index(record.fieldList)}`;
      const middle =
        record.kind === 'union'
          ? fields
          : record.kind === 'enum'
            ? `${fields}, underlying type: ${index(record.underlying)}`
            : `vtable: ${index(record.vtableShape)}, base list: ${index(record.derivedFrom)}, ${fields}`;
      const unique = record.uniqueName === '' ? [] : [`unique name: \`${record.uniqueName}\``];
      return [leaf[record.kind], ` \`${record.name}\``, ...unique, middle, options];
    }
    case 'pointer': {
      const options = [
        record.isConst && 'const',
        record.isVolatile && 'volatile',
        record.unaligned && '__unaligned',
        record.restrict && 'restrict',
      ].filter((word) => word !== false);
      return [
        'LF_POINTER',
        '',
        `referent = ${index(record.to)}, mode = ${pointerModes[record.mode]}, opts = ${options.join(' | ') || 'None'}, kind = ${record.pointerKind === 12 ? 'ptr64' : 'ptr32'}`,
      ];
    }
    case 'modifier': {
      const words = [
        record.isConst && 'const',
        record.isVolatile && 'volatile',
        record.unaligned && 'unaligned',
      ];
      return [
        'LF_MODIFIER',
        '',
        `referent = ${index(record.type)}, modifiers = ${words.filter((word) => word !== false).join(' | ')}`,
      ];
    }
    case 'procedure':
    case 'memberFunction': {
      const result = `return type = ${index(record.result)}, # args = ${record.parameterCount}, param list = ${index(record.parameters)}`;
      const convention = `calling conv = ${conventions[record.callingConvention]}, options = ${flagsOf(record.options, functionOptions) || 'None'}`;
      if (record.kind === 'procedure') return ['LF_PROCEDURE', '', result, convention];
      const classes = `class type = ${index(record.classType)}, this type = ${index(record.thisType)}, this adjust = ${record.thisAdjust}`;
      return ['LF_MFUNCTION', '', result, classes, convention];
    }
    case 'array':
      return [
        'LF_ARRAY',
        '',
        `size: ${record.size}, index type: ${index(record.indexType)}, element type: ${index(record.element)}`,
      ];
    case 'bitfield':
      return [
        'LF_BITFIELD',
        '',
        `type = ${index(record.type)}, bit offset = ${record.position}, # bits = ${record.length}`,
      ];
    case 'arguments':
      return ['LF_ARGLIST', '', ...record.types.map(index)];
    case 'fieldList':
      return ['LF_FIELDLIST', '', ...record.members.flatMap(memberLines)];
    case 'methodList':
      return [
        'LF_METHODLIST',
        '',
        ...record.methods.map(
          (one) =>
            `- Method [type = ${index(one.type)}, vftable offset = ${one.vtableOffset}, attrs = ${attributes(one.attributes)}]`,
        ),
      ];
    case 'vtableShape':
      return ['LF_VTSHAPE', ''];
    case 'label':
    case 'derived':
    case 'vtable':
    case 'unknown':
      return [record.kind, ''];
  }
}

function idLines(record: IdRecord): [leaf: string, tail: string, ...lines: string[]] {
  switch (record.kind) {
    case 'functionId':
      return [
        'LF_FUNC_ID',
        '',
        `name = ${record.name}, type = ${index(record.type)}, parent scope = ${index(record.scope)}`,
      ];
    case 'memberFunctionId':
      return [
        'LF_MFUNC_ID',
        '',
        `name = ${record.name}, type = ${index(record.type)}, class type = ${index(record.classType)}`,
      ];
    case 'stringId':
      return ['LF_STRING_ID', ` ID: ${index(record.substrings)}, String: ${record.text}`];
    case 'substringList':
      return ['LF_SUBSTR_LIST', '', ...record.strings.map(index)];
    case 'buildInfo':
      return ['LF_BUILDINFO', '', ...record.strings.map(index)];
    case 'typeSource':
      return record.module === undefined
        ? ['LF_UDT_SRC_LINE', '', `udt = ${index(record.type)}, file = ${record.file}, line = ${record.line}`]
        : [
            'LF_UDT_MOD_SRC_LINE',
            '',
            `udt = ${index(record.type)}, mod = ${record.module}, file = ${record.file}, line = ${record.line}`,
          ];
    case 'unknown':
      return ['unknown', ''];
  }
}

/** Lists of indices come with texts behind them, which are of other records. */
const withoutTexts = (lines: readonly string[]): string[] =>
  lines.map((line, i) =>
    i > 0 && /^LF_(ARGLIST|SUBSTR_LIST|BUILDINFO)/.test(lines[0]!)
      ? line.replace(/^(0x[0-9A-F]+|<no type>).*$/s, '$1')
      : line,
  );

function compare(
  theirs: Dump,
  ours: (index: number) => { size: number; lines: [string, string, ...string[]] },
): string[] {
  const differing: string[] = [];
  for (const [type, lines] of theirs) {
    const { size, lines: mine } = ours(type);
    const [leaf, tail, ...rest] = mine;
    const written = [`${leaf} [size = ${size}]${tail}`, ...rest].map((line) => normal(line.trim()));
    const wanted = withoutTexts(lines).map((line) => line.trimEnd());
    const at = written.findIndex((line, i) => line !== wanted[i]);
    if (at < 0 && written.length === wanted.length) continue;
    differing.push(`${index(type)}: ours “${written[at]}”, theirs “${wanted[at] ?? wanted[written.length]}”`);
    if (differing.length > 10) break;
  }
  return differing;
}

/** Sizes and members, by llvm-pdbutil's text alone. */
class TextTypes {
  constructor(
    private readonly dumped: Dump,
    private readonly definitions: ReadonlyMap<number, number>,
  ) {}

  sizeOf(type: number, depth = 0): number {
    assert.ok(depth < 32);
    if (type < 0x1000) {
      const pointer = [0, 2, 4, 4, 4, 6, 8][type >> 8]!;
      return pointer || (simpleSizes[type & 0xff] ?? 0);
    }
    const lines = this.dumped.get(this.definitions.get(type) ?? type)!;
    const text = lines.join('\n');
    const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
    switch (/^LF_[A-Z]+/.exec(text)![0]) {
      case 'LF_MODIFIER':
        return this.sizeOf(number(/referent = (0x[0-9A-F]+)/), depth + 1);
      case 'LF_POINTER':
        // Pointers to members, whose sizes it does not tell, are members of none of these.
        assert.ok(!text.includes('member'));
        return text.includes('ptr64') ? 8 : 4;
      case 'LF_ARRAY':
        return number(/size: (\d+)/);
      case 'LF_BITFIELD':
        return this.sizeOf(number(/type = (0x[0-9A-F]+)/), depth + 1);
      case 'LF_ENUM':
        return this.sizeOf(number(/underlying type: (0x[0-9A-F]+)/), depth + 1);
      case 'LF_CLASS':
      case 'LF_STRUCTURE':
      case 'LF_UNION':
        return number(/sizeof (\d+)/);
      default:
        return 0;
    }
  }

  /** `offset name type size bits`, bases first dissolved. */
  layout(type: number, at = 0): string[] {
    const found: string[] = [];
    for (const line of this.fieldLines(type)) {
      const field = /LF_MEMBER \[name = `(.*)`, Type = (0x[0-9A-F]+), offset = (\d+),/.exec(line);
      if (field) {
        const fieldType = Number(field[2]);
        const bits = this.dumped
          .get(fieldType)
          ?.join('\n')
          .match(/^LF_BITFIELD[^]*type = (0x[0-9A-F]+), bit offset = (\d+), # bits = (\d+)/);
        const shown = bits ? Number(bits[1]) : fieldType;
        found.push(
          `${at + Number(field[3])} ${field[1]} ${index(shown)} ${this.sizeOf(fieldType)} ${bits ? `${bits[2]}:${bits[3]}` : ''}`,
        );
      }
      const base = /^type = (0x[0-9A-F]+), offset = (\d+), attrs/.exec(line);
      if (base) found.push(...this.layout(Number(base[1]), at + Number(base[2])));
      const vtable = /LF_VFUNCTAB type = (0x[0-9A-F]+)/.exec(line);
      if (vtable) found.push(`${at} __VFN_table ${index(Number(vtable[1]))} 8 `);
    }
    return found;
  }

  enumerators(type: number): string[] {
    const bits = this.sizeOf(type) * 8;
    return this.fieldLines(type).flatMap((line) => {
      const one = /LF_ENUMERATE \[(.*) = (-?\d+)\]/.exec(line);
      return one ? [`${one[1]} ${BigInt.asUintN(bits, BigInt(one[2]!))}`] : [];
    });
  }

  private fieldLines(type: number): string[] {
    const lines = this.dumped.get(this.definitions.get(type) ?? type)!.join('\n');
    const list = /field list: (0x[0-9A-F]+)/.exec(lines);
    return list ? this.listLines(Number(list[1])) : [];
  }

  private listLines(list: number): string[] {
    const lines = this.dumped.get(list)!;
    const next = /continuation = (0x[0-9A-F]+)/.exec(lines.join('\n'));
    return next ? [...lines, ...this.listLines(Number(next[1]))] : lines;
  }
}

const simpleSizes: Readonly<Record<number, number>> = {
  0x08: 4,
  0x10: 1,
  0x11: 2,
  0x12: 4,
  0x13: 8,
  0x20: 1,
  0x21: 2,
  0x22: 4,
  0x23: 8,
  0x30: 1,
  0x40: 4,
  0x41: 8,
  0x68: 1,
  0x69: 1,
  0x70: 1,
  0x71: 2,
  0x72: 2,
  0x73: 2,
  0x74: 4,
  0x75: 4,
  0x76: 8,
  0x77: 8,
  0x7a: 2,
  0x7b: 4,
  0x7c: 1,
};

const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-types-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const everyKind = readFileSync('test/fixtures/decorated.cpp', 'latin1')
  .replace(/ void thrower.*$/m, '')
  .replaceAll('thread_local', '');
const ours = [built(folder, 'huge', hugeStruct), built(folder, 'kinds', everyKind)];

for (const pdb of [...pdbs, ...ours]) {
  describe(pdb, () => {
    const msf = openMsf(memorySource(readFileSync(pdb), pdb));
    const types = new TypeTable(msf, readInfo(msf).hasIpi);
    const dumped = dump(pdb, ['-types', '--dont-resolve-forward-refs']);

    it('has every type record', (t) => {
      t.diagnostic(`${dumped.size} types`);
      assert.equal(dumped.size, types.types.end - types.types.begin);
      const differing = compare(dumped, (type) => ({
        size: types.types.record(type).length + 2,
        lines: typeLines(types.record(type)),
      }));
      assert.deepEqual(differing, []);
    });

    it('has every id record', () => {
      const ids = dump(pdb, ['-ids']);
      assert.ok(ids.size > 0);
      const differing = compare(ids, (id) => {
        const record = types.id(id);
        assert.ok(record);
        // Its size is not ours to know here.
        return { size: Number(/\[size = (\d+)\]/.exec(ids.get(id)![0]!)![1]), lines: idLines(record) };
      });
      assert.deepEqual(differing, []);
    });

    it('resolves declarations, finds definitions by name, lays structures out, names enumerators', (t) => {
      const resolved = new Map<number, number>();
      for (const [type, lines] of dump(pdb, ['-types'])) {
        const found = /forward ref \((?:->|<-|=) (0x[0-9A-F]+)\)/.exec(lines.join('\n'));
        if (found) resolved.set(type, Number(found[1]));
      }
      for (const [type, definition] of resolved)
        assert.equal(types.definition(type), definition, index(type));
      const text = new TextTypes(dumped, resolved);
      let layouts = 0;
      let enums = 0;
      let fields = 0;
      let withoutName = 0;
      for (const [type, lines] of dumped) {
        const head = /^LF_(CLASS|STRUCTURE|UNION|ENUM) \[size = \d+\] `(.*)`$/.exec(lines[0]!);
        if (!head || lines.join('\n').includes('forward ref')) continue;
        const [, sort, name] = head;
        const unique = /^unique name: `(.*)`$/.exec(lines[1]!)?.[1];
        // Local types go by their unique names; types without a name by none.
        const scoped = lines.at(-1)!.includes('scoped');
        const anonymous = /(^|::)<unnamed-tag>$|(^|::)__unnamed$/.test(name!);
        if (anonymous || (scoped && unique === undefined)) withoutName++;
        else assert.ok(types.find(scoped ? unique! : name!).includes(type), name);
        if (sort === 'ENUM') {
          enums++;
          const bits = types.sizeOf(type) * 8;
          const ours = enumeratorsOf(types, type)!.map(
            (one) => `${one.name} ${BigInt.asUintN(bits, one.value)}`,
          );
          assert.deepEqual(ours, text.enumerators(type), name);
          continue;
        }
        layouts++;
        const layout = layoutOf(types, type)!;
        assert.equal(layout.size, text.sizeOf(type));
        const ours = layout.fields.map(
          (field) =>
            `${field.offset} ${field.name} ${index(field.type)} ${field.size} ${field.bits ? `${field.bits.position}:${field.bits.length}` : ''}`,
        );
        assert.deepEqual(ours, text.layout(type), name);
        fields += ours.length;
      }
      t.diagnostic(
        `${resolved.size} declarations, ${layouts} layouts of ${fields} fields, ${enums} enums; ` +
          `${withoutName} without a name`,
      );
      assert.ok(withoutName <= 40, `${withoutName}`);
      assert.ok(layouts > 0);
    });
  });
}

it('gives the bench of symbols something to measure', () => {
  const { pdb } = msvcSamples[0]!;
  const cold = coldTypeMs(pdb, '_EXCEPTION_RECORD');
  const warm = warmTypeUs(pdb);
  // The goals are 5 ms and 50 us; a machine may be busy.
  assert.ok(cold > 0 && cold < 500, `${cold} ms`);
  assert.ok(warm > 0 && warm < 5000, `${warm} us`);
});
