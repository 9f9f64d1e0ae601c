// Builds the native part, native/host, for Linux and (cross-compiled) for Windows, and the programs of its tests.
//
//   node scripts/native.mjs [--tests]
//
//   prebuilds/linux-x64/vmkd-host.napi.node   the addon, laid out as prebuildify does; never committed
//   prebuilds/win32-x64/vmkd-host.napi.node
//   build/native/…                            --tests: stand-ins for VMware's process, programs with sanitizers
//
// Invariants: one binary a system does for every version of Node, Electron and the C library: no library is linked on Linux, no
// name of a program is imported on Windows (native/host/nodeapi.h). A product appears whole or not at all, and is made anew only
// when its sources, headers or command have changed.

import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { bootstrap, main, say } from './bootstrap.mjs';
import { root, run } from './process.mjs';

const limitMs = 120_000;
const host = 'native/host';
const mingw = '/usr/x86_64-w64-mingw32';

const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Werror'];
const language = ['-std=c11', ...warnings];
const linux = ['-D_GNU_SOURCE', '-fstack-protector-strong'];
const windows = [
  '--target=x86_64-w64-windows-gnu',
  '-isystem',
  `${mingw}/include`,
  `-L${mingw}/lib`,
  '-D_WIN32_WINNT=0x0A00',
  '-fuse-ld=lld',
  '-nostdlib',
  '-Wl,--no-insert-timestamp,-s',
  // There is nobody who would grow a stack by more than a page.
  ...['-mno-stack-arg-probe', '-Wframe-larger-than=3072'],
];
const windowsLibraries = ['-lkernel32', '-ladvapi32', '-lntdllcrt', '-lntdll'];
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g', '-O1'];
const addon = ['-O2', '-shared', '-nostdlib', '-fvisibility=hidden', '-fuse-ld=lld'];

/**
 * `sources`: folders (all .c in them, not below) or files; `napi`: with the headers of Node-API; `tests`: for tests only, in
 * build/native.
 */
const products = [
  {
    out: 'prebuilds/linux-x64/vmkd-host.napi.node',
    sources: [host, `${host}/linux`],
    napi: true,
    command: ['clang', ...language, ...linux, ...addon, '-fPIC', '-Wl,-z,now,-z,relro,-z,nodelete,-s'],
  },
  {
    out: 'prebuilds/win32-x64/vmkd-host.napi.node',
    sources: [host, `${host}/windows`],
    napi: true,
    command: ['clang', ...language, ...windows, ...addon],
    libraries: windowsLibraries,
  },
  {
    out: 'build/native/check',
    tests: true,
    sources: [
      'test/fixtures/native/check.c',
      ...['ranges', 'mapped_window', 'watch'].map((name) => `${host}/${name}.c`),
      ...['file', 'guard', 'process', 'system'].map((name) => `${host}/linux/${name}.c`),
    ],
    command: ['gcc', ...language, ...linux, ...sanitizers],
    libraries: ['-lm', '-lpthread'],
  },
  {
    out: 'build/native/vmware-vmx',
    tests: true,
    sources: ['test/fixtures/native/standInLinux.c'],
    command: ['clang', ...language, ...linux, '-O1'],
    libraries: ['-lpthread'],
  },
  {
    out: 'build/native/vmware-vmx.exe',
    tests: true,
    sources: ['test/fixtures/native/standInWindows.c'],
    command: ['clang', ...language, ...windows, '-O1', '-Wl,-e,begin,--subsystem,console'],
    libraries: [...windowsLibraries, '-lshell32'],
  },
  {
    out: 'build/native/pipe-access.exe',
    tests: true,
    sources: ['test/fixtures/native/pipeAccess.c'],
    command: ['clang', ...language, ...windows, '-O1', '-Wl,-e,begin,--subsystem,console'],
    libraries: [...windowsLibraries, '-lshell32'],
  },
];

const sourceFiles = (source) =>
  source.endsWith('.c')
    ? [source]
    : readdirSync(path.join(root, source))
        .filter((name) => name.endsWith('.c'))
        .sort()
        .map((name) => `${source}/${name}`);

/** Everything that may be included by them. */
const headerFiles = (sources) => {
  const folders = new Set([host, ...sources.map((source) => path.posix.dirname(source))]);
  return [...folders].flatMap((folder) =>
    readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith('.h'))
      .map((name) => `${folder}/${name}`),
  );
};

/** Makes a product unless it is there already. @returns undefined, or what went wrong */
async function make({ out, sources, napi = false, command, libraries = [] }) {
  const files = sources.flatMap(sourceFiles);
  const includes = napi ? ['-I', (await import('node-api-headers')).default.include_dir] : [];
  const [tool, ...args] = [...command, ...includes, ...files, ...libraries];
  const made = createHash('sha256').update(JSON.stringify([tool, ...args]));
  for (const file of [...files, ...headerFiles(files)]) made.update(readFileSync(path.join(root, file)));
  const stamp = made.digest('hex');
  const stampFile = path.join(root, 'build/native', `${out.replaceAll('/', '-')}.stamp`);
  const target = path.join(root, out);
  if (readIfThere(stampFile) === stamp && readIfThere(target) !== undefined) return undefined;

  mkdirSync(path.dirname(stampFile), { recursive: true });
  mkdirSync(path.dirname(target), { recursive: true });
  // Under its own name, which a Windows library knows.
  const folder = mkdtempSync(path.join(root, 'build/native/making-'));
  const unfinished = path.join(folder, path.basename(target));
  try {
    const result = await run(tool, [...args, '-o', unfinished], { limitMs });
    if (result.failedToStart !== undefined) return `${tool}: ${result.failedToStart.message}`;
    if (result.code !== 0) return `${out} cannot be built:\n${result.output.trim()}`;
    renameSync(unfinished, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  writeFileSync(stampFile, stamp);
  say(`built ${out}`);
  return undefined;
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Why nothing can be built on this system; undefined where it can. */
export const nativeComplaint = (platform = process.platform) =>
  platform === 'linux' ? undefined : 'native/host is built on Linux only, for Windows too';

/**
 * Builds what is missing of the addon, and with `tests` the programs of its tests. The tools of the set `native` must be there.
 * @returns undefined, or what went wrong
 */
export async function buildNative({ tests = false } = {}) {
  for (const product of products) {
    if (product.tests === true && !tests) continue;
    const problem = await make(product);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

if (process.argv[1] === import.meta.filename) {
  await main(async (args) => {
    await bootstrap(['native']);
    const problem = nativeComplaint() ?? (await buildNative({ tests: args.includes('--tests') }));
    if (problem !== undefined) say(problem);
    return problem === undefined ? 0 : 1;
  });
}
