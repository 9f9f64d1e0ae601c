// test-limit: 240 s
/** `vmkd unasm` on images of MSVC and clang, x64 and x86, against llvm-objdump and llvm-symbolizer. */

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { buildCli, vmkd, vmkdError, vmkdJson } from '../fixtures/cli';
import { exceptionDirectoryOf, type SampleImage } from '../fixtures/exceptionDirectory';
import { buildOverloads } from '../fixtures/overloads';
import { demoKernel, llvm, msvcArm64, msvcSamples } from '../fixtures/pdbSamples';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { tempFolder } from '../fixtures/tempFolder';

before(buildCli);

const demo = demoKernel[2]!;
const kernel = demoKernel[0]!;
const conpty = msvcSamples[0]!;
const nowhere = ['--symbol-path', ''];
const openConsole = path.join(path.dirname(conpty.image), 'conpty/OpenConsole.exe');

interface Line {
  readonly address: string;
  readonly rva: number;
  readonly bytes: string;
  readonly text: string;
  readonly status: string;
  readonly symbol?: string;
  readonly source?: { readonly path: string; readonly line: number };
}
interface Listing {
  readonly machine: string;
  readonly quality: string;
  readonly anchored: boolean;
  readonly blocks: readonly (readonly Line[])[];
}

const unasm = (...args: string[]): Promise<Listing> => vmkdJson<Listing>(['unasm', ...args]);
const linesOf = ({ blocks }: Listing): Line[] => blocks.flat();
async function text(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await vmkd(['unasm', ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

interface TheirLine {
  readonly rva: number;
  readonly bytes: string;
  readonly text: string;
}

/** What llvm-objdump has in [from, to). */
function objdump(image: string, from: number, to: number): TheirLine[] {
  const headers = llvm('llvm-readobj', ['--file-headers', image]);
  const base = BigInt(/ImageBase: (0x\w+)/.exec(headers)![1]!);
  const at = (rva: number): string => `0x${(base + BigInt(rva)).toString(16)}`;
  const output = llvm('llvm-objdump', [
    '-d',
    '-z',
    `--start-address=${at(from)}`,
    `--stop-address=${at(to)}`,
    image,
  ]);
  const found: TheirLine[] = [];
  let prefix: TheirLine | undefined;
  for (const [, address, bytes, words] of output.matchAll(
    /^\s*([0-9a-f]+): ((?:[0-9a-f]{2} )+)\s*\t(.*)$/gm,
  )) {
    const line = {
      rva: prefix?.rva ?? Number(BigInt(`0x${address}`) - base),
      bytes: (prefix?.bytes ?? '') + bytes!.replaceAll(' ', ''),
      text: words!.trim(),
    };
    // A prefix stands on a line of its own, before its instruction.
    prefix = /^(lock|rep|repne|data16|rex64|notrack)$/.test(line.text) ? line : undefined;
    if (prefix === undefined) found.push(line);
  }
  return found;
}

/** [begin, end) of procedures, by llvm-pdbutil; the code begins at RVA 0x1000. */
function procedures(pdb: string): { name: string; begin: number; end: number }[] {
  return [
    ...llvm('llvm-pdbutil', ['dump', '--symbols', pdb]).matchAll(
      /S_[GL]PROC32 \[.*?\] `(.+)`\n.*addr = 0001:(\d+), code size = (\d+)/g,
    ),
  ].map(([, name, offset, size]) => ({
    name: name!,
    begin: 0x1000 + Number(offset),
    end: 0x1000 + Number(offset) + Number(size),
  }));
}

const at = (rva: number): string => `0x${rva.toString(16)}`;

void describe('vmkd unasm --whole', () => {
  for (const sample of [kernel, demo, conpty]) {
    void it(`${sample.name}: the instructions that llvm-objdump has, with its branch targets`, async (t) => {
      const seed = seedFromEnvironment();
      t.diagnostic(`seed ${seed}`);
      const random = randomFrom(seed);
      const all = procedures(sample.pdb).filter(({ begin, end }) => end - begin > 16);
      let branches = 0;
      for (let i = 0; i < 12; i++) {
        const { name, begin, end } = random.pick(all);
        const ours = linesOf(await unasm(sample.image, at(begin + random.below(end - begin)), '--whole'));
        const theirs = objdump(sample.image, begin, end);
        assert.deepEqual(
          ours.map(({ rva, bytes }) => `${at(rva)} ${bytes}`),
          theirs.map(({ rva, bytes }) => `${at(rva)} ${bytes}`),
          name,
        );
        ours.forEach((line, n) => {
          const target = /^(?:call|j\w+)\s+(0x\w+)/.exec(theirs[n]!.text.replace('callq', 'call'))?.[1];
          if (target === undefined) return;
          branches++;
          const digits = target.slice(2).padStart(16, '0');
          const shown = `${digits.slice(0, 8)}\`${digits.slice(8)}`;
          assert.ok(
            line.text.endsWith(`(${shown})`) || line.text.endsWith(shown),
            `${line.text} ≠ ${target}`,
          );
        });
      }
      assert.ok(branches > 20, `${branches} branches`);
    });
  }

  void it('names what calls and operands mean as llvm-symbolizer does', async () => {
    const lines = linesOf(await unasm(demo.image, 'VmkDemoWork', '--whole'));
    const named = lines.flatMap(({ text: words }) => /vmkdemo!(\w+) \(00000001`(\w+)\)/.exec(words) ?? []);
    assert.ok(named.length > 10);
    for (let i = 0; i < named.length; i += 3) {
      const args = [`--obj=${demo.image}`, '--output-style=JSON', '--functions=short', '--no-demangle'];
      const address = `0x1${named[i + 2]}`;
      const [symbol] = (
        JSON.parse(llvm('llvm-symbolizer', args, `${address}\n`)) as { Symbol: { FunctionName: string }[] }
      ).Symbol;
      // Of data and import slots llvm-symbolizer knows no function.
      if (symbol!.FunctionName !== '') assert.equal(named[i + 1], symbol!.FunctionName);
    }
  });

  void it('reads like uf: blocks with labels', async () => {
    const rows = (await text(demo.image, 'VmkDemoFibonacci', '--whole')).trimEnd().split('\n');
    assert.match(rows[0]!, /^vmkdemo!VmkDemoFibonacci \[.*work\.c @ 16\]:$/);
    assert.match(rows[1]!, /^00000001`4000\w{4} \w+ +sub +rsp,\w+$/);
    const blocks = rows.join('\n').split('\n\n');
    assert.equal(blocks.length, 4, 'if, then, else, end');
    assert.match(
      rows.join('\n'),
      /jae +vmkdemo!VmkDemoFibonacci\+0x20 \(00000001`\w{8}\)\n\nvmkdemo!VmkDemoFibonacci\+0x13 /,
    );
    assert.match(blocks[3]!, /ret$/);
  });

  void it('joins what .pdata chains, as its rows say', async (t) => {
    const image = exceptionDirectoryOf(readFileSync(openConsole), openConsole);
    const parts = partsByPrimary(image);
    const several = [...parts].filter(([, rows]) => rows.length > 1);
    assert.ok(several.length > 300, `${several.length}`);
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    for (let i = 0; i < 10; i++) {
      const [, rows] = random.pick(several);
      const lines = linesOf(await unasm(openConsole, at(random.pick(rows).begin), '--whole', ...nowhere));
      assert.equal(lines[0]!.rva, Math.min(...rows.map(({ begin }) => begin)));
      const last = lines.at(-1)!;
      assert.equal(last.rva + last.bytes.length / 2, Math.max(...rows.map(({ end }) => end)));
    }
  });

  void it('goes on where the linker moved a part of the function', async (t) => {
    // Two functions that stand apart; the later is made a part of the earlier, as its row's last word can say.
    const folder = tempFolder(t);
    const image = path.join(folder, 'vmkdemo.sys');
    const bytes = readFileSync(demo.image);
    const original = exceptionDirectoryOf(bytes, demo.image);
    const [first, second] = [original.rows[1]!, original.rows[4]!];
    const headers = llvm('llvm-readobj', ['--file-headers', demo.image]);
    const pdata = parseInt(/ExceptionTableRVA: 0x(\w+)/.exec(headers)![1]!, 16);
    bytes.writeUInt32LE((pdata + 1 * 12) | 1, original.fileOffset(pdata) + 4 * 12 + 8);
    writeFileSync(image, bytes);
    copyFileSync(demo.pdb, path.join(folder, 'vmkdemo.pdb'));
    const expected = [first, second].flatMap(({ begin, end }) => objdump(demo.image, begin, end));
    for (const row of [first, second]) {
      const lines = linesOf(await unasm(image, at(row.begin), '--whole'));
      assert.deepEqual(
        lines.map(({ rva }) => rva),
        expected.map(({ rva }) => rva),
      );
    }
  });
});

/** By hand: which rows belong to the function that begins at a place. */
function partsByPrimary(image: SampleImage): Map<number, { begin: number; end: number }[]> {
  const found = new Map<number, { begin: number; end: number }[]>();
  for (const row of image.rows) {
    let [primary, info] = [row.begin, row.unwindInfo];
    for (;;) {
      const head = Buffer.from(image.read(info, 4));
      if ((head[0]! & 0x20) === 0) break;
      const parent = Buffer.from(image.read(info + 4 + ((head[2]! + 1) & ~1) * 2, 12));
      [primary, info] = [parent.readUInt32LE(0), parent.readUInt32LE(8)];
    }
    found.set(primary, [...(found.get(primary) ?? []), row]);
  }
  return found;
}

void describe('vmkd unasm', () => {
  void it('lists eight instructions from the entry point on, or as many as asked for', async () => {
    const lines = linesOf(await unasm(kernel.image));
    const entry = parseInt(
      /AddressOfEntryPoint: 0x(\w+)/.exec(llvm('llvm-readobj', ['--file-headers', kernel.image]))![1]!,
      16,
    );
    assert.equal(lines.length, 8);
    assert.equal(lines[0]!.rva, entry);
    assert.equal(linesOf(await unasm(kernel.image, 'nt!KeBugCheckEx', '--count', '30')).length, 30);
  });

  void it('lists what is before, anchored at functions', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const all = procedures(conpty.pdb).filter(({ begin, end }) => end - begin > 64);
    for (let i = 0; i < 8; i++) {
      const { begin, end } = random.pick(all);
      const listed = objdump(conpty.image, begin, end);
      const theirs = listed.map(({ rva }) => rva);
      // Jump tables may stand behind the last return.
      const last = listed.findLastIndex(({ text: words }) => /^(ret|jmp|int3)/.test(words));
      const index = 6 + random.below(Math.max(1, Math.min(last, listed.length - 1) - 6));
      const { blocks, anchored } = await unasm(
        conpty.image,
        at(theirs[index]!),
        '--before',
        '6',
        '--count',
        '1',
      );
      assert.ok(anchored);
      assert.deepEqual(
        blocks.map((block) => block.map(({ rva }) => rva)),
        [theirs.slice(index - 6, index), [theirs[index]!]],
      );
    }
  });

  void it('takes addresses of the image where it is loaded', async () => {
    const base = 0xfffff803_12340000n;
    const lines = linesOf(await unasm(demo.image, 'fffff803`12341000', '--base', 'fffff803`12340000'));
    assert.equal(lines[0]!.rva, 0x1000);
    assert.equal(BigInt(lines[0]!.address), base + 0x1000n);
    assert.match(await text(demo.image, 'DriverEntry', '--base', 'fffff80312340000'), /\nfffff803`1234/);
  });

  void it('shows bytes that are no instruction as such, and none twice', async () => {
    // Read-only data: strings and pointers.
    const rdata = llvm('llvm-readobj', ['--sections', kernel.image]);
    const rva = parseInt(/Name: \.rdata(?:.|\n)*?VirtualAddress: 0x(\w+)/.exec(rdata)![1]!, 16);
    const lines = linesOf(await unasm(kernel.image, at(rva), '--count', '300'));
    const invalid = lines.filter(({ status }) => status === 'invalid');
    assert.ok(invalid.length > 0);
    for (const { text: words, bytes } of invalid) assert.deepEqual([words, bytes.length], ['???', 2]);
    lines.forEach((line, i) => {
      if (i > 0) assert.equal(line.rva, lines[i - 1]!.rva + lines[i - 1]!.bytes.length / 2);
    });
  });

  void it('puts source lines between, as llvm-symbolizer has them', async () => {
    const listing = (await text(demo.image, 'VmkDemoFibonacci', '--whole', '--source')).trimEnd().split('\n');
    const source = readFileSync('test/kernel/drivers/vmkdemo/work.c', 'utf8').split('\n');
    assert.equal(listing[1], `; ${path.resolve('test/kernel/drivers/vmkdemo/work.c')}`);
    let current = 0;
    let checked = 0;
    for (const row of listing) {
      const [, number, words] = /^ {2,4}(\d+):(?: (.*))?$/.exec(row) ?? [];
      if (number !== undefined) {
        current = Number(number);
        assert.equal(words ?? '', source[current - 1]!.trimEnd());
      }
      const address = /^(\w{8})`(\w{8}) /.exec(row);
      if (address === null) continue;
      const args = [`--obj=${demo.image}`, '--output-style=JSON'];
      const answer = llvm('llvm-symbolizer', args, `0x${address[1]}${address[2]}\n`);
      assert.equal((JSON.parse(answer) as { Symbol: { Line: number }[] }).Symbol[0]!.Line, current);
      checked++;
    }
    assert.ok(checked > 10);
  });

  void it('finds moved sources by the map, and says if they changed or are not here', async (t) => {
    const folder = tempFolder(t);
    const { image, source } = buildOverloads(folder, 'x64');
    const elsewhere = tempFolder(t);
    const map = ['--source-map', `${folder}=${elsewhere}`];
    assert.match(await text(image, 'Sum', '--source', ...map), /is not here: --source-map/);
    writeFileSync(path.join(elsewhere, 'overloads.cpp'), readFileSync(source));
    const listing = await text(image, 'Sum', '--source', ...map);
    assert.match(listing, new RegExp(`; ${elsewhere}/overloads\\.cpp\n`));
    assert.match(listing, / {2,}\d+: {3}int Total = 0;\n/);
    writeFileSync(path.join(elsewhere, 'overloads.cpp'), `${readFileSync(source, 'utf8')}//`);
    assert.match(await text(image, 'Sum', '--source', ...map), /is not the file that was compiled/);
  });

  void it('x86: the instructions of llvm-objdump, eight digits, without a function table too', async (t) => {
    const { image, pdb } = buildOverloads(tempFolder(t), 'x86');
    const { begin, end } = procedures(pdb).find(({ name }) => name === 'Sum')!;
    const theirs = objdump(image, begin, end).map(({ rva, bytes }) => `${at(rva)} ${bytes}`);
    const withPdb = await unasm(image, 'Sum', '--whole');
    assert.deepEqual(
      linesOf(withPdb).map(({ rva, bytes }) => `${at(rva)} ${bytes}`),
      theirs,
    );
    assert.match(
      await text(image, 'StdSum', '--count', '16'),
      /^1000\w{4} \w+ +call +x86!Sum \(1000\w{4}\)$/m,
    );
    // A copy without its PDB: where the function ends, only its flow tells.
    const alone = path.join(tempFolder(t), 'alone.dll');
    copyFileSync(image, alone);
    const withoutPdb = await unasm(alone, 'Sum', '--whole', ...nowhere);
    assert.equal(withoutPdb.quality, 'exports');
    assert.deepEqual(
      linesOf(withoutPdb).map(({ rva, bytes }) => `${at(rva)} ${bytes}`),
      theirs,
    );
  });
});

void describe('vmkd unasm, where it fails', () => {
  const failures: readonly (readonly [string, readonly string[], string, RegExp])[] = [
    ['arm64', [msvcArm64[0]!.image], 'file-unsupported', /is for arm64/],
    ['a PDB', [demo.pdb], 'file-unsupported', /holds no code/],
    ['no such symbol', [demo.image, 'VmkDemoWrok'], 'name-unknown', /Near it: VmkDemoWork/],
    ['outside the image', [demo.image, '7ffff000'], 'value-out-of-range', /lies outside vmkdemo/],
    ['no bytes in the file', [demo.image, '4ff0'], 'value-out-of-range', /no bytes at RVA 0x4ff0/],
  ];
  for (const [what, args, code, message] of failures) {
    void it(`${code}: ${what}`, async () => {
      const error = await vmkdError(['unasm', ...args]);
      assert.equal(error.exit, 1);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.ok(error.nextStep.length > 10);
    });
  }

  void it('name-ambiguous: overloads', async (t) => {
    const { image } = buildOverloads(tempFolder(t), 'x86');
    assert.equal((await vmkdError(['unasm', image, 'Over'])).code, 'name-ambiguous');
    assert.match(await text(image, '?Over@@YAHJ@Z'), /^x86!Over /);
  });

  void it('usage: ends with 2', async () => {
    for (const args of [
      [],
      [demo.image, '1000', '2000'],
      [demo.image, '--count', '0'],
      [demo.image, '--before', 'x'],
      [demo.image, '--whole', '--count', '3'],
    ]) {
      const { code, stderr } = await vmkd(['unasm', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, /\[usage\]/);
    }
  });
});
