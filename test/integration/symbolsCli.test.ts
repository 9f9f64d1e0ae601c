// test-limit: 240 s
/** `vmkd symbols` on PDBs and images of MSVC and clang, against what LLVM's tools say of the same files. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { buildCli, vmkd, vmkdError, vmkdJson } from '../fixtures/cli';
import { buildOverloads } from '../fixtures/overloads';
import { allSamples, demoKernel, llvm, msvcSamples, type PdbSample } from '../fixtures/pdbSamples';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { scriptedServer, sends, stalls } from '../fixtures/symbolHttpServer';
import { tempFolder } from '../fixtures/tempFolder';

before(buildCli);

const demo = demoKernel[2]!;
const kernel = demoKernel[0]!;
const small = msvcSamples[2]!;
const conpty = msvcSamples[0]!;
const nowhere = ['--symbol-path', ''];
const symbols = (file: string, ...args: string[]) => ['symbols', file, ...args];

interface Files<T> {
  readonly files: readonly T[];
}
const ask = async <T>(file: string, ...args: string[]): Promise<T> =>
  (await vmkdJson<Files<T>>(symbols(file, ...args))).files[0]!;
const text = async (file: string, ...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await vmkd(symbols(file, ...args));
  assert.equal(code, 0, stderr);
  return stdout;
};

interface PdbInfo {
  readonly guid: string;
  readonly age: number;
  readonly infoAge: number;
  readonly key: string;
  readonly machine: string;
  readonly streams: number;
  readonly modules: number;
  readonly publics: number;
  readonly types: number;
  readonly sourceFiles: number;
  readonly optionalStreams: Record<string, number>;
}
interface Info {
  readonly kind: string;
  readonly quality: string;
  readonly pdb?: PdbInfo;
  readonly image?: {
    readonly timeDateStamp: number;
    readonly sizeOfImage: number;
    readonly key: string;
    readonly exports: number;
    readonly functions: number;
    readonly sections: readonly { name: string; rva: number; size: number }[];
  };
  readonly names?: { guid: string; age: number; key: string; found?: string; refused?: string };
}

const field = (dump: string, name: string): string => new RegExp(`${name}: (.+)`).exec(dump)?.[1] ?? '';

void describe('vmkd symbols FILE', () => {
  for (const sample of allSamples) {
    void it(`${sample.name}: the PDB as llvm-pdbutil summarises it`, async () => {
      const { kind, quality, pdb } = await ask<Info>(sample.pdb);
      const dump = (...what: string[]): string => llvm('llvm-pdbutil', ['dump', ...what, sample.pdb]);
      const summary = dump('--summary');
      assert.equal(kind, 'pdb');
      assert.equal(quality === 'public', field(summary, 'Is stripped') === 'true');
      assert.equal(pdb!.guid, field(summary, 'GUID'));
      assert.equal(String(pdb!.infoAge), field(summary, 'Age'));
      assert.equal(String(pdb!.streams), field(summary, 'Number of streams'));
      assert.equal(pdb!.machine, sample.machine);
      assert.equal(pdb!.modules, dump('--modules').match(/^\s*Mod \d+ \|/gm)?.length);
      assert.equal(pdb!.publics, dump('--publics').match(/\| S_PUB32/g)?.length);
      const files = [...dump('--files').matchAll(/^- \(.*?\) (.+)$/gm)].map(([, file]) => file);
      assert.equal(pdb!.sourceFiles, new Set(files).size);
      const sections = /\((\s*\d+) bytes\): \[Section Header Data\]/.exec(dump('--streams'))?.[1];
      assert.equal(pdb!.optionalStreams['sections'], Number(sections));
    });

    void it(`${sample.name}: the image as llvm-readobj has it, and its PDB beside it`, async () => {
      const { kind, image, names, pdb } = await ask<Info>(sample.image, ...nowhere);
      const headers = llvm('llvm-readobj', ['--file-headers', '--coff-debug-directory', sample.image]);
      const exported = llvm('llvm-readobj', ['--coff-exports', sample.image]);
      const sections = [
        ...llvm('llvm-readobj', ['--sections', sample.image]).matchAll(/VirtualAddress: 0x(\w+)/g),
      ].map(([, rva]) => parseInt(rva!, 16));
      assert.equal(kind, 'image');
      const stamp = /TimeDateStamp: .*\(0x(\w+)\)/.exec(headers)![1]!;
      assert.equal(image!.timeDateStamp, parseInt(stamp, 16));
      assert.equal(String(image!.sizeOfImage), field(headers, 'SizeOfImage'));
      assert.equal(image!.key, stamp.padStart(8, '0') + image!.sizeOfImage.toString(16));
      // Ordinals that nothing was given have no address.
      assert.equal(image!.exports, exported.match(/RVA: 0x(?!0$)/gm)?.length ?? 0);
      assert.deepEqual(
        image!.sections.map(({ rva }) => rva),
        sections,
      );
      assert.equal(names!.age, Number(field(headers, 'PDBAge')));
      assert.equal(names!.found, sample.pdb);
      assert.equal(names!.key, pdb!.key);
    });
  }

  void it('says in words what it is, and what serves as symbols', async (t) => {
    assert.match(await text(small.pdb), /a PDB\n.*MSF 7\.00(.|\n)*private: types, lines, locals/);
    assert.match(await text(small.image), /a PE image\n(.|\n)*out of .*conpty_console_list\.pdb/);
    const alone = path.join(tempFolder(t), 'alone.node');
    copyFileSync(small.image, alone);
    assert.match(
      await text(alone, ...nowhere),
      /No PDB: exports serve as symbols\. conpty_console_list\.pdb 491DA6CC\w+: it was not found/,
    );
  });

  void it('several files, one after the other', async () => {
    const { files } = await vmkdJson<Files<Info>>(['symbols', small.pdb, demo.image]);
    assert.deepEqual(
      files.map(({ kind }) => kind),
      ['pdb', 'image'],
    );
  });
});

void describe('the PDB of an image', () => {
  const key = '491DA6CC4CC3403194C24DFDF69E31A51';
  const pdbName = 'conpty_console_list.pdb';

  /** A copy of the image alone in a folder. */
  function alone(folder: string): string {
    const image = path.join(folder, 'image.node');
    copyFileSync(small.image, image);
    return image;
  }
  const qualityOf = async (image: string, ...args: string[]): Promise<string> =>
    (await ask<Info>(image, ...args)).quality;

  void it('is used if it lies beside the image and is the right one', async (t) => {
    const folder = tempFolder(t);
    const image = alone(folder);
    assert.equal(await qualityOf(image, ...nowhere), 'exports');
    copyFileSync(conpty.pdb, path.join(folder, pdbName));
    assert.match(await text(image, ...nowhere), /No PDB: exports serve.*another build/);
    copyFileSync(small.pdb, path.join(folder, pdbName));
    assert.equal(await qualityOf(image, ...nowhere), 'private');
  });

  void it('is found on the symbol path, also that of the environment', async (t) => {
    const folder = tempFolder(t);
    const image = alone(folder);
    const store = path.join(folder, 'store');
    mkdirSync(path.join(store, pdbName, key), { recursive: true });
    copyFileSync(small.pdb, path.join(store, pdbName, key, pdbName));
    assert.equal(await qualityOf(image, '--symbol-path', `srv*${store}`), 'private');
    const { stdout } = await vmkd(symbols(image, '--json'), 60_000, { _NT_SYMBOL_PATH: store });
    assert.equal((JSON.parse(stdout) as Files<Info>).files[0]!.quality, 'private');
  });

  void it('is never opened where a path in the image leads', async (t) => {
    const folder = tempFolder(t);
    const elsewhere = path.join(tempFolder(t), pdbName);
    copyFileSync(small.pdb, elsewhere);
    const bytes = readFileSync(small.image);
    const at = bytes.indexOf('D:\\a\\_work\\1\\s\\build\\Release\\conpty_console_list.pdb');
    assert.ok(at > 0 && elsewhere.length < 53, elsewhere);
    bytes.fill(0, at, at + 53).write(elsewhere, at);
    const image = path.join(folder, 'hostile.node');
    writeFileSync(image, bytes);
    const { quality, names } = await ask<Info & { names: { path: string } }>(image, ...nowhere);
    assert.equal(names.path, elsewhere, 'the image does name it');
    assert.equal(quality, 'exports');
    // And a name that is none is refused, not searched.
    bytes.fill(0, at, at + 53).write('C:\\..', at);
    writeFileSync(image, bytes);
    assert.match((await ask<Info>(image, ...nowhere)).names!.refused!, /not the name of a symbol file/);
  });

  void it('is fetched from a server with --download only, with progress, and kept', async (t) => {
    const server = await scriptedServer(t);
    server.on(`/${pdbName}/${key}/${pdbName}`, sends(readFileSync(small.pdb)));
    const folder = tempFolder(t);
    const image = alone(folder);
    const cache = path.join(folder, 'cache');
    const symbolPath = ['--symbol-path', `srv*${cache}*${server.url}`];
    assert.equal(await qualityOf(image, ...symbolPath), 'exports');
    assert.deepEqual(server.asked, []);
    const { stdout, stderr } = await vmkd(symbols(image, ...symbolPath, '--download', '--json'));
    assert.equal((JSON.parse(stdout) as Files<Info>).files[0]!.quality, 'private');
    assert.match(stderr, /conpty_console_list\.pdb: 0\.0 of 4\.3 MB\n/);
    assert.ok(existsSync(path.join(cache, pdbName, key, pdbName)));
    assert.equal(await qualityOf(image, ...symbolPath), 'private', 'out of the cache');
    assert.equal(server.asked.length, 1);
  });

  void it('Ctrl-C cancels a download', async (t) => {
    const server = await scriptedServer(t);
    server.on(`/${pdbName}/${key}/${pdbName}`, stalls(readFileSync(small.pdb)));
    const folder = tempFolder(t);
    const path_ = `srv*${path.join(folder, 'cache')}*${server.url}`;
    const command = symbols(alone(folder), '--symbol-path', path_, '--download', '--json');
    const child = spawn(process.execPath, ['dist/vmkd.js', ...command], { timeout: 60_000 });
    let stdout = '';
    child.stdout.on('data', (piece) => (stdout += String(piece)));
    const ended = once(child, 'close');
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    assert.deepEqual(await ended, [1, null]);
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, 'cancelled');
  });
});

interface Found {
  readonly total: number;
  readonly symbols: readonly {
    name: string;
    undecorated: string;
    rva: number;
    address: string;
    kind: string;
    type?: string;
  }[];
}

void describe('vmkd symbols --search', () => {
  for (const sample of [kernel, conpty]) {
    void it(`${sample.name}: every public that llvm-pdbutil lists, and procedures where llvm-symbolizer has them`, async () => {
      const { symbols: found, total } = await ask<Found>(sample.image, '--search', '*e*');
      const all = await ask<Found>(sample.image, '--search', '*e*', '--limit', '1000000');
      assert.equal(found.length, Math.min(1000, total));
      assert.equal(all.symbols.length, total);
      const rvas = new Set(all.symbols.map(({ rva }) => rva));
      const bases = sectionBases(sample);
      let checked = 0;
      for (const [, name, section, offset] of llvm('llvm-pdbutil', [
        'dump',
        '--publics',
        sample.pdb,
      ]).matchAll(/S_PUB32 \[size = \d+\] `(.+)`\n +flags = .*, addr = (\d+):(\d+)/g)) {
        const base = bases[Number(section) - 1];
        if (base === undefined || !/e/i.test(name!)) continue;
        checked++;
        assert.ok(rvas.has(base + Number(offset)), name);
      }
      assert.ok(checked > 100, `${checked}`);
      const procedures = all.symbols.filter(({ kind }) => kind === 'procedure');
      const theirs = symbolize(
        sample,
        procedures.map(({ rva }) => rva),
      );
      let same = 0;
      procedures.forEach(({ name }, i) => (same += theirs[i]!.at(-1)!.FunctionName === name ? 1 : 0));
      // Where the linker folded functions, LLVM knows one of their names.
      assert.ok(same > 0.8 * procedures.length, `${same} of ${procedures.length}`);
    });
  }

  void it('reads like x: addresses, module, parameters or type, decorated publics folded', async (t) => {
    const { image, pdb } = buildOverloads(tempFolder(t), 'x64');
    const [int, long] = ['?Over@@YAHH@Z', '?Over@@YAHJ@Z'].map((name) =>
      publicOffset(pdb, name).toString(16),
    );
    assert.equal(
      await text(image, '--search', 'x64!Over'),
      `00000001\`80001${int}          x64!Over (int)\n00000001\`80001${long}          x64!Over (long)\n`,
    );
    const rows = (await text(image, '--search', '*', '--undecorate')).split('\n');
    assert.ok(rows.some((row) => row.endsWith(' x64!Table : int [4]')));
    assert.ok(rows.some((row) => row.endsWith(' x64!shapes::Box<int>::Add (int)')));
    assert.ok(rows.some((row) => row.endsWith(" x64!Derived::`vftable' : <no type information>")));
    assert.ok(!rows.some((row) => row.includes('?Over@@')), 'the publics of typed symbols');
  });

  void it('limits rows and counts the rest', async () => {
    const rows = (await text(kernel.image, '--search', 'nt!Ke*', '--limit', '3')).trim().split('\n');
    assert.equal(rows.length, 4);
    assert.match(rows[3]!, /^… and \d+ more/);
  });

  void it('takes the base that it is told', async () => {
    const base = ['--base', 'fffff803`12340000'];
    const { symbols: found } = await ask<Found>(demo.image, '--search', 'VmkDemoWork', ...base);
    assert.equal(BigInt(found[0]!.address), 0xfffff803_12340000n + BigInt(found[0]!.rva));
    assert.match(await text(demo.image, '--search', 'VmkDemoWork', ...base), /^fffff803`1234/);
  });

  void it('finds exports where there is no PDB, and says so', async (t) => {
    const alone = path.join(tempFolder(t), 'alone.sys');
    copyFileSync(demo.image, alone);
    const { code, stdout, stderr } = await vmkd(symbols(alone, '--search', '*DemoWork', ...nowhere));
    assert.equal(code, 0);
    assert.match(stdout, /alone!VmkDemoWork \(<no parameter info>\)\n$/);
    assert.match(stderr, /No PDB: exports serve as symbols/);
  });
});

interface TheirFrame {
  readonly FunctionName: string;
  readonly FileName: string;
  readonly Line: number;
}

function symbolize(sample: PdbSample, rvas: readonly number[]): TheirFrame[][] {
  const input = rvas.map((rva) => `0x${rva.toString(16)}\n`).join('');
  const args = ['--relative-address', '--functions=short', '--no-demangle', '--output-style=JSON'];
  // LLVM 14 dies on some inline chains of MSVC's.
  const inlines = sample.compiler === 'clang' ? '--inlines' : '--no-inlines';
  return llvm('llvm-symbolizer', [`--obj=${sample.image}`, ...args, inlines], input)
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { Symbol: TheirFrame[] }).Symbol);
}

/** Of a public in the first section, which begins at 0x1000. */
function publicOffset(pdb: string, name: string): number {
  const publics = llvm('llvm-pdbutil', ['dump', '--publics', pdb]);
  const at = publics.indexOf(`\`${name}\``);
  return Number(/addr = 0001:(\d+)/.exec(publics.slice(at))![1]);
}

const sectionBases = (sample: PdbSample): number[] =>
  [...llvm('llvm-readobj', ['--sections', sample.image]).matchAll(/VirtualAddress: 0x(\w+)/g)].map(
    ([, rva]) => parseInt(rva!, 16),
  );

interface AddressAnswers {
  readonly answers: readonly {
    readonly rva: number;
    readonly symbol?: { name: string; displacement: number };
    readonly frames: readonly { name?: string; inlined: boolean; source?: { path: string; line: number } }[];
    readonly locals: readonly {
      readonly name: string;
      readonly inlined: boolean;
      readonly locals: readonly { name: string; declaration: string; place: string; parameter: boolean }[];
    }[];
  }[];
}

void describe('vmkd symbols --address', () => {
  void it('names, lines and inline chains as llvm-symbolizer has them', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const { symbols: functions } = await ask<Found>(demo.image, '--search', '*');
    const code = functions.filter(({ kind }) => kind === 'procedure');
    const rvas = Array.from({ length: 150 }, () => random.pick(code).rva + random.below(16));
    const { answers } = await ask<AddressAnswers>(
      demo.image,
      ...rvas.flatMap((rva) => ['--address', `0x${rva.toString(16)}`]),
    );
    const theirs = symbolize(demo, rvas);
    answers.forEach(({ frames, rva }, i) => {
      assert.equal(rva, rvas[i]);
      assert.deepEqual(
        frames.map(({ name, source }) => `${name} ${source?.path}:${source?.line}`),
        // Padding behind a short function: LLVM has a frame of nothing.
        theirs[i]!.filter((frame) => frame.FunctionName !== '').map(
          (frame) => `${frame.FunctionName} ${frame.FileName}:${frame.Line}`,
        ),
      );
    });
  });

  void it('reads like ln, with what was inlined, and the locals of each frame', async () => {
    const { answers } = await ask<AddressAnswers>(demo.image, '--address', 'VmkDemoShared');
    assert.equal(answers[0]!.symbol!.displacement, 0);
    const inside = await text(demo.image, '--address', 'vmkdemo!VmkDemoWork+20');
    assert.match(
      inside,
      /^\(00000001`\w{8}\) {3}vmkdemo!VmkDemoWork\+0x20\n +vmkdemo!VmkDemoWork \[.*work\.c @ \d+\]\n/,
    );
    assert.match(inside, /prv param {2}@rsp\+0x\w+ +unsigned long Value\n/);
  });

  void it('places locals where llvm-pdbutil does, and not yet in the prolog', async () => {
    const dump = llvm('llvm-pdbutil', ['dump', '--symbols', conpty.pdb]);
    const procedure = /`sprintf_s`(?:.|\n)*?S_END/.exec(dump)![0];
    const prolog = Number(/debug start = (\d+)/.exec(procedure)![1]);
    const offset = Number(/`_Format`\n.*register = RSP, offset = (\d+)/.exec(procedure)![1]);
    const { answers } = await ask<AddressAnswers>(
      conpty.image,
      ...[1, prolog - 1, prolog].flatMap((at) => ['--address', `sprintf_s+${at.toString(16)}`]),
    );
    const places = answers.map(
      ({ locals }) => locals[0]!.locals.find(({ name }) => name === '_Format')!.place,
    );
    const place = `@rsp+0x${offset.toString(16)}`;
    assert.deepEqual(places, [`${place} in the body`, `${place} in the body`, place]);
  });

  void it('says so where nothing is known', async () => {
    assert.match(await text(demo.image, '--address', '10'), /no symbol/);
  });
});

void describe('vmkd symbols --type', () => {
  void it('reads like dt, with the offsets that llvm-pdbutil has', async () => {
    const dump = llvm('llvm-pdbutil', ['dump', '--types', demo.pdb]);
    const list = /`_VMK_LARGE`\n.*field list: (0x\w+)/.exec(dump)![1]!;
    const body = new RegExp(`${list} \\| LF_FIELDLIST.*\\n((?: +- .*\\n)+)`).exec(dump)![1]!;
    const theirs = [...body.matchAll(/name = `(\w+)`, .*offset = (\d+)/g)].map(
      ([, name, offset]) => `+0x${Number(offset).toString(16).padStart(3, '0')} ${name}`,
    );
    assert.ok(theirs.length > 100);
    const rows = (await text(demo.pdb, '--type', 'vmkdemo!_VMK_LARGE')).trimEnd().split('\n');
    assert.equal(rows[0], 'vmkdemo!_VMK_LARGE');
    const size = Number(/`_VMK_LARGE`\n.*\n.*sizeof ([1-9]\d*)/.exec(dump)![1]);
    assert.equal(rows[1], `struct _VMK_LARGE, ${theirs.length} elements, 0x${size.toString(16)} bytes`);
    assert.deepEqual(
      rows.slice(2).map((row) => /^ {3}(\S+ \w+) +: \S/.exec(row)?.[1]),
      theirs,
    );
  });

  void it('bit fields, enums, typedefs, pointers', async () => {
    const flags = await text(demo.pdb, '--type', 'struct _VMK_FLAGS');
    assert.match(flags, /^ {3}\+0x000 Ready {12}: Pos 0, 1 Bit$/m);
    assert.match(flags, /^ {3}\+0x000 Priority {9}: Pos 2, 5 Bits$/m);
    assert.match(await text(demo.pdb, '--type', '_VMK_NODE'), /^ {3}\+0x000 Link {13}: _LIST_ENTRY$/m);
    assert.equal(
      await text(demo.pdb, '--type', '_VMK_COLOUR'),
      'vmkdemo!_VMK_COLOUR\nEnum _VMK_COLOUR, 4 total enums, 0x4 bytes\n' +
        '   VmkRed = 0n1\n   VmkGreen = 0n2\n   VmkBlue = 0n4\n   VmkNoColour = 0n-1\n',
    );
    assert.match(await text(demo.pdb, '--type', 'PVMK_NODE'), /^vmkdemo!PVMK_NODE: Ptr64 _VMK_NODE\n/);
  });

  void it('bases and their fields, x86 as well', async (t) => {
    const { pdb } = buildOverloads(tempFolder(t), 'x86');
    const rows = (await text(pdb, '--type', 'Derived')).split('\n');
    assert.deepEqual(
      rows.slice(2, -1).map((row) => row.replace(/ +/g, ' ')),
      [
        ' +0x000 __VFN_table : Ptr32',
        ' +0x004 Weight : Int4B',
        ' +0x008 Big : Int8B',
        ' +0x010 Low : Pos 0, 3 Bits',
        ' +0x010 High : Pos 3, 7 Bits',
      ],
    );
  });

  void it('lists what matches', async () => {
    const listed = (await text(demo.pdb, '--type', '_VMK_*')).trimEnd().split('\n');
    const dump = llvm('llvm-pdbutil', ['dump', '--types', demo.pdb]);
    const defined = [...dump.matchAll(/LF_(?:STRUCTURE|UNION|ENUM) .*`(_VMK_.*)`\n.*\n(.*)/g)]
      .filter(([, , options]) => !options!.includes('forward ref'))
      .map(([, name]) => `          vmkdemo!${name}`);
    assert.deepEqual(listed, [...new Set(defined)].sort());
  });
});

interface LineAnswers {
  readonly matches: readonly {
    readonly path: string;
    readonly localPath?: string;
    readonly how: string;
    readonly checksum: string;
    readonly line: number;
    readonly code: readonly { rva: number; symbol: string }[];
  }[];
}

void describe('vmkd symbols --lines', () => {
  const source = path.resolve('test/kernel/drivers/vmkdemo/work.c');

  void it('finds the code that llvm-symbolizer has on that line', async () => {
    const { matches } = await ask<LineAnswers>(demo.image, '--lines', `${source}:18`);
    assert.equal(matches.length, 1);
    const { path: found, how, checksum, line, code } = matches[0]!;
    assert.deepEqual([found, how, checksum, line], [source, 'exact', 'match', 18]);
    const theirs = symbolize(
      demo,
      code.map(({ rva }) => rva),
    );
    for (const frames of theirs) assert.ok(frames.some((frame) => frame.Line === 18));
    assert.ok(code.some(({ symbol }) => symbol.startsWith('vmkdemo!VmkDemoFibonacci+')));
  });

  void it('maps paths, and tells another version of the file', async (t) => {
    const folder = tempFolder(t);
    const here = path.join(folder, 'work.c');
    writeFileSync(here, `${readFileSync(source, 'utf8')}\n`);
    const map = ['--source-map', `${path.dirname(source)}=${folder}`];
    const { matches } = await ask<LineAnswers>(demo.image, '--lines', `${here}:18`, ...map);
    const { how, checksum, localPath } = matches[0]!;
    assert.deepEqual([how, checksum, localPath], ['mapped', 'mismatch', here]);
    assert.match(
      await text(demo.image, '--lines', `${here}:18`, ...map),
      /work\.c @ 18\n {2}mapped path of .*; the file here is not the one that was compiled/,
    );
  });

  void it('goes to the next line that has code', async () => {
    assert.match(
      await text(demo.image, '--lines', 'Z:\\x\\work.c:20'),
      /work\.c @ 21 \(line 20 has no code\)\n {2}suffix/,
    );
  });
});

void describe('vmkd symbols, where it fails', () => {
  const failures: readonly (readonly [string, readonly string[], string, RegExp])[] = [
    ['no such file', ['absent.pdb'], 'file-unreadable', /absent\.pdb/],
    ['neither PDB nor image', ['README.md'], 'file-unsupported', /neither a PDB nor a PE image/],
    ['no such symbol', [demo.image, '--search', 'VmkDemoWrok'], 'name-unknown', /Near it: VmkDemoWork/],
    ['another module', [demo.image, '--search', 'nt!*'], 'name-unknown', /nt!\*/],
    ['no such place', [demo.image, '--address', 'VmkDemoWrok'], 'name-unknown', /Near it: VmkDemoWork/],
    [
      'outside the image',
      [demo.image, '--address', '7ffff000'],
      'value-out-of-range',
      /lies outside vmkdemo/,
    ],
    ['no such type', [demo.image, '--type', '_VMK_NODES'], 'name-unknown', /Near it: _VMK_NODE/],
    ['no such file of source', [demo.image, '--lines', 'wrok.c:1'], 'name-unknown', /Near it: work\.c/],
    ['no code behind', [demo.image, '--lines', 'work.c:9999'], 'name-unknown', /no code at line 9999/],
    ['a bad path', [demo.image, '--symbol-path', 'foo*bar'], 'symbol-path-bad', /foo\*bar/],
  ];
  for (const [what, args, code, message] of failures) {
    void it(`${code}: ${what}`, async () => {
      const error = await vmkdError(['symbols', ...args]);
      assert.equal(error.exit, 1);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.ok(error.nextStep.length > 10);
    });
  }

  void it('file-unsupported: compressed PDBs are named', async (t) => {
    const file = path.join(tempFolder(t), 'z.pdb');
    writeFileSync(file, Buffer.from('Microsoft MSFZ Container\r\n\x1aALD\0\0'.padEnd(200, '\0'), 'latin1'));
    const error = await vmkdError(['symbols', file]);
    assert.equal(error.code, 'file-unsupported');
    assert.match(error.message, /MSFZ/);
    assert.match(error.nextStep, /pdbtool/);
    writeFileSync(file, Buffer.from('MSCF\0\0\0\0'.padEnd(64, '\0'), 'latin1'));
    assert.match((await vmkdError(['symbols', file])).message, /cabinet/);
  });

  void it('file-damaged: a PDB cut short', async (t) => {
    const file = path.join(tempFolder(t), 'cut.pdb');
    writeFileSync(file, readFileSync(demo.pdb).subarray(0, 5000));
    assert.equal((await vmkdError(['symbols', file])).code, 'file-damaged');
  });

  void it('name-ambiguous: overloads are listed with their decorated names, which may be given', async (t) => {
    const { image, pdb } = buildOverloads(tempFolder(t), 'x64');
    const [int, long] = ['?Over@@YAHH@Z', '?Over@@YAHJ@Z'].map((name) => 0x1000 + publicOffset(pdb, name));
    const error = await vmkdError(symbols(image, '--address', 'Over'));
    assert.equal(error.code, 'name-ambiguous');
    const list = `: 0x${int!.toString(16)} ?Over@@YAHH@Z, 0x${long!.toString(16)} ?Over@@YAHJ@Z`;
    assert.ok(error.message.endsWith(list), error.message);
    const { answers } = await ask<AddressAnswers>(image, '--address', '?Over@@YAHJ@Z');
    assert.equal(answers[0]!.rva, long);
  });

  void it('names from files cannot drive the terminal', async (t) => {
    const file = path.join(tempFolder(t), 'rude.dll');
    const bytes = readFileSync(demo.image);
    // The name of an export, in its table.
    const at = bytes.indexOf('\0VmkDemoWork\0') + 1;
    assert.ok(at > 0);
    bytes.write('\x1b[31mEvil', at, 'latin1');
    writeFileSync(file, bytes);
    assert.match(await text(file, '--search', '*evil*', ...nowhere), /\\x1b\[31mEvil/);
  });

  void it('usage: ends with 2', async () => {
    for (const args of [
      [],
      [demo.pdb, '--search', 'x', '--type', 'y'],
      [demo.pdb, '--limit', '0'],
      [demo.pdb, '--lines', 'work.c'],
      [demo.pdb, '--base', 'xyz'],
      [demo.pdb, '--source-map', 'nothing'],
      [demo.pdb, kernel.pdb, '--address', '1000'],
    ]) {
      const { code, stderr } = await vmkd(['symbols', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, /\[usage\]/);
    }
  });
});

void it('what the README says works', async () => {
  const commands = [
    ...readFileSync('README.md', 'utf8').matchAll(
      /^node dist\/vmkd\.js ((?:symbols|unasm) .+?)\s*(?:#.*)?$/gm,
    ),
  ].map(([, words]) => words!.split(/\s+/).map((word) => word.replaceAll('"', '')));
  assert.ok(commands.length >= 6);
  for (const args of commands) {
    const { code, stdout, stderr } = await vmkd(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    assert.equal(stderr, '');
    assert.ok(stdout.length > 40);
  }
});
