/**
 * Every decorated name in MSVC's PDBs and images (the npm package node-pty) and in a C++ file that uses every kind of
 * declaration (compiled by clang for x64 and x86), undecorated by us and by llvm-undname: the same, but for what
 * `agreement` lists.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { it, type TestContext } from 'node:test';
import { undecorate } from '../../src/engine/symbols/undecorate';

const prebuilds = path.join('node_modules', 'node-pty', 'prebuilds');
const skip = process.platform === 'linux' ? false : 'not on Debian: llvm-undname of another version differs';

/** Runs of characters that begin like a decorated name. Some are cut by the blocks of the file: they count too. */
function namesIn(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(/\.?\?[\w?@$<>~-]{3,}/g) ?? [];
}

function msvcNames(): Set<string> {
  const names = new Set<string>();
  for (const folder of ['win32-x64', 'win32-arm64']) {
    for (const entry of readdirSync(path.join(prebuilds, folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(pdb|node|dll|exe)$/.test(entry)) continue;
      for (const name of namesIn(readFileSync(path.join(prebuilds, folder, entry)))) names.add(name);
    }
  }
  return names;
}

function run(command: string, argv: readonly string[], input: string | Buffer): Buffer {
  const { stdout, error } = spawnSync(command, argv, { input, maxBuffer: 1 << 29, timeout: 60_000 });
  if (error) throw error;
  return stdout;
}

function clangNames(): Set<string> {
  const source = readFileSync('test/fixtures/decorated.cpp');
  const names = new Set<string>();
  for (const target of ['x86_64', 'i686']) {
    const argv = [
      `--target=${target}-pc-windows-msvc`,
      '-std=c++20',
      '-w',
      '-S',
      '-o',
      '-',
      '-x',
      'c++',
      '-',
    ];
    const listing = run('clang', argv, source).toString('latin1');
    for (const name of listing.match(/\?[^"\s,]+(?=")/g) ?? []) names.add(name);
  }
  return names;
}

/** Name → llvm-undname's answer; undefined where it has none. */
function askLlvm(names: readonly string[]): Map<string, string | undefined> {
  const lines = run('llvm-undname', [], `${names.join('\n')}\n`)
    .toString('latin1')
    .split('\n');
  const answers = new Map<string, string | undefined>();
  let at = 0;
  for (const name of names) {
    assert.equal(lines[at++], name);
    const answer = lines[at++];
    answers.set(name, answer === '' ? undefined : answer);
    if (answer !== '') at++;
  }
  return answers;
}

/** Where llvm-undname 14 is wrong or knows less, its text made ours. */
const corrected = (text: string): string =>
  text
    // It separates words by a blank after letters and digits only.
    .replace(/_ (?!_)/g, '_')
    // It shows the key of an anonymous namespace that is referred to.
    .replace(/\b0x[0-9a-fA-F]{8}(?=::)/g, "`anonymous namespace'");

type Agreement = 'same' | 'untouched' | 'corrected' | 'unknown to it' | 'a cut name' | 'literal' | 'table';

/** How the two agree; undefined if they do not. */
function agreement(name: string, ours: string, theirs: string | undefined): Agreement | undefined {
  if (ours === (theirs ?? name)) return theirs === undefined ? 'untouched' : 'same';
  // `_P` is `auto`, `$M` a template argument for `auto`: it knows neither.
  if (theirs === undefined) return /_P|\$M/.test(name) ? 'unknown to it' : undefined;
  // It does not mind what follows a name: `?f@@YAXXZ$0` is the end of the name of some unwind data, `f.lam` a local
  // label, `??@@@AAABBCCC…` a table of letters.
  if (ours === name) return /[@Z9A]\$\d$|\.lam$|^\?\?@@@A/.test(name) ? 'a cut name' : undefined;
  // MSVC leaves the closing NUL of a literal out; it takes that for a cut, and a cut for an end.
  if (name.startsWith('??_C@')) {
    const [mine, llvm] = [ours, theirs].map((text) => text.replace(/"(\.\.\.)?$/, ''));
    return mine!.startsWith(llvm!) && mine!.length - llvm!.length <= 4 ? 'literal' : undefined;
  }
  // It reads the first target of a table only.
  if (/^\?\?_[78S]/.test(name) && ours.includes("'s `"))
    return ours.startsWith(theirs.replace(/'\}$/, '')) ? 'table' : undefined;
  return corrected(ours) === corrected(theirs) ? 'corrected' : undefined;
}

interface Comparison {
  readonly tally: ReadonlyMap<Agreement, number>;
  readonly differing: readonly string[];
}

function compare(names: ReadonlySet<string>): Comparison {
  const list = [...names];
  const answers = askLlvm(list);
  const differing: string[] = [];
  const tally = new Map<Agreement, number>();
  for (const name of list) {
    const ours = undecorate(name);
    const how = agreement(name, ours, answers.get(name));
    if (how === undefined)
      differing.push(`${name}\n  ours   ${ours}\n  theirs ${answers.get(name) ?? '(none)'}`);
    else tally.set(how, (tally.get(how) ?? 0) + 1);
  }
  return { tally, differing };
}

/** No difference; so many names alike to the letter, and no more than so many alike but for what is known. */
function check(
  names: ReadonlySet<string>,
  t: TestContext,
  atLeast: number,
  known: Record<string, number>,
): void {
  const { tally, differing } = compare(names);
  t.diagnostic([...tally].map(([how, count]) => `${how}: ${count}`).join(', '));
  assert.deepEqual(differing, []);
  assert.ok((tally.get('same') ?? 0) > atLeast);
  for (const [how, count] of tally) {
    if (how === 'same' || how === 'untouched') continue;
    assert.ok(count <= (known[how] ?? 0), `${how}: ${count}`);
  }
}

it('says of names by MSVC what llvm-undname says', { skip }, (t) => {
  check(msvcNames(), t, 4000, {
    literal: 1000,
    'unknown to it': 250,
    corrected: 80,
    'a cut name': 30,
    table: 10,
  });
});

it('says of names by clang what llvm-undname says', { skip }, (t) => {
  check(clangNames(), t, 250, { corrected: 3, 'unknown to it': 3, 'a cut name': 1, table: 3 });
});
