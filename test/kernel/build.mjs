// Builds the demo kernel: the boot loader, ntoskrnl, kdcom, the drivers and the user program, as PE images with PDBs.
// The guest module, vmkd.sys, is built by native/guest/build.mjs; its x64 image, the one that users load, lands here too.
//
//   node test/kernel/build.mjs [--out DIR] [--kernel-name NAME] [--quiet]
//
// Needs clang and lld-link and nothing else; Node built-ins only, because it runs before any `npm ci`.
// Incremental: an object is made again when its source, a header it includes, or its command line has changed; an
// image when an object or its command line has. Images land in DIR/images (default build/kernel/images).
// Two builds at once are safe: the second waits for the first (an abstract socket is the lock, so a killed build
// releases it).

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildGuestModule } from '../../native/guest/build.mjs';

const KERNEL_DIR = path.dirname(fileURLToPath(import.meta.url));
const DEFAULT_OUT = path.resolve(KERNEL_DIR, '../../build/kernel');
const LOCK_LIMIT_MS = 120_000;

const FLAGS = [
  '--target=x86_64-pc-windows-msvc',
  '-ffreestanding',
  '-fno-builtin',
  '-fms-extensions',
  '-fno-stack-protector',
  '-fno-strict-aliasing',
  '-fno-delete-null-pointer-checks',
  '-mno-red-zone',
  '-mno-stack-arg-probe',
  '-fasynchronous-unwind-tables',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wno-microsoft-anon-tag',
  '-Wno-missing-field-initializers',
];
// Not for assembly: clang would put DWARF into the images.
const DEBUG_FLAGS = ['-g', '-gcodeview'];
const LANGUAGE_FLAGS = {
  '.c': ['-std=gnu17', ...DEBUG_FLAGS],
  '.cpp': ['-std=c++17', '-fno-exceptions', '-fno-rtti', ...DEBUG_FLAGS],
  '.S': [],
};
const GENERAL_REGISTERS = ['-mgeneral-regs-only'];
const LINK_FLAGS = [
  '/nologo',
  '/nodefaultlib',
  '/debug',
  '/Brepro',
  '/machine:x64',
  '/opt:noref',
  '/opt:noicf',
  '/incremental:no',
];

// What is built. `sources` are folders (all their files in a language of LANGUAGE_FLAGS) or files; `perFile` has other flags for single files.
function modules() {
  const native = ['/subsystem:native,10.0', '/version:10.0'];
  return [
    {
      name: 'boot.bin',
      sources: ['boot/boot.S', 'boot/loader.c', 'boot/memory.c', 'ntoskrnl/ldr/pe.c'],
      flags: ['-O1', ...GENERAL_REGISTERS, '-fno-zero-initialized-in-bss'],
      link: [
        '/subsystem:native',
        '/entry:LoaderEntry',
        '/base:0x100000',
        '/fixed',
        '/align:4096',
        '/filealign:4096',
        '/largeaddressaware:no',
        '/dynamicbase:no',
        '/driver',
      ],
    },
    {
      name: 'ntoskrnl.exe',
      sources: ['ntoskrnl'],
      defines: 'ntoskrnl/ntoskrnl.def',
      imports: ['ntoskrnl/kdcom.def'],
      flags: ['-O1', '-fno-omit-frame-pointer', ...GENERAL_REGISTERS],
      link: [...native, '/entry:KiSystemStartup', '/fixed:no', '/dynamicbase', '/section:INIT,ER'],
    },
    {
      name: 'kdcom.dll',
      sources: ['kdcom'],
      imports: ['ntoskrnl/ntoskrnl.def'],
      flags: ['-O1', ...GENERAL_REGISTERS],
      link: [...native, '/dll', '/noentry'],
    },
    {
      name: 'vmkdemo.sys',
      sources: ['drivers/vmkdemo'],
      imports: ['ntoskrnl/ntoskrnl.def'],
      flags: ['-O0', ...GENERAL_REGISTERS],
      perFile: { 'inlines.c': ['-O2', ...GENERAL_REGISTERS], 'floating.c': ['-O1'], 'frames.c': ['-O2'] },
      link: [
        ...native,
        '/entry:DriverEntry',
        '/fixed:no',
        '/dynamicbase',
        '/section:PAGE,ER',
        '/section:PAGEDATA,RW',
      ],
    },
    {
      name: 'vmkondem.sys',
      sources: ['drivers/vmkondem'],
      imports: ['ntoskrnl/ntoskrnl.def'],
      flags: ['-O1', ...GENERAL_REGISTERS],
      link: [...native, '/entry:DriverEntry', '/fixed:no', '/dynamicbase'],
    },
    {
      name: 'vmkuser.exe',
      sources: ['user'],
      flags: ['-O1'],
      link: ['/subsystem:console', '/entry:UserStart', '/base:0x140000000', '/fixed:no', '/dynamicbase'],
    },
  ];
}

export async function buildKernel({
  out = DEFAULT_OUT,
  kernelName = 'ntoskrnl.exe',
  log = () => undefined,
} = {}) {
  if (!/^[A-Za-z0-9_.-]{1,48}$/.test(kernelName))
    throw new Error(`Not a file name for a kernel: ${kernelName}`);
  const started = performance.now();
  const lock = await lockFolder(out, log);
  const build = new Build(out, log);
  try {
    for (const module of modules()) await build.module(module);
    if (kernelName !== 'ntoskrnl.exe') await build.renamed('ntoskrnl.exe', kernelName);
    const { folders } = await buildGuestModule({ out: path.join(out, 'guest'), log });
    for (const file of ['vmkd.sys', 'vmkd.pdb']) await build.copy(path.join(folders.x64, file), file);
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    log(
      build.made === 0
        ? `demo kernel: up to date (${seconds} s)`
        : `demo kernel: built in ${seconds} s, ${out}/images`,
    );
    return { imagesDir: path.join(out, 'images'), made: build.made };
  } finally {
    build.save(); // after a failure too: what was made is made
    lock?.close();
  }
}

class Build {
  made = 0;
  #out;
  #log;
  #state;
  #mtimes = new Map();

  constructor(out, log) {
    this.#out = out;
    this.#log = log;
    for (const folder of ['obj', 'lib', 'images']) fs.mkdirSync(path.join(out, folder), { recursive: true });
    try {
      this.#state = JSON.parse(fs.readFileSync(path.join(out, 'state.json'), 'utf8'));
    } catch {
      this.#state = {}; // no state, or one cut short: everything is made again
    }
  }

  save() {
    if (this.made === 0) return;
    const file = path.join(this.#out, 'state.json');
    fs.writeFileSync(`${file}.new`, JSON.stringify(this.#state));
    fs.renameSync(`${file}.new`, file);
  }

  async module(module) {
    const objects = await this.#objects(module);
    const libraries = [];
    for (const definition of module.imports ?? []) libraries.push(await this.#importLibrary(definition));
    const stem = module.name.replace(/\.[^.]*$/, '');
    const output = path.join(this.#out, 'images', module.name);
    const pdb = path.join(this.#out, 'images', `${stem}.pdb`);
    const args = [...LINK_FLAGS, ...module.link, `/out:${output}`, `/pdb:${pdb}`, `/pdbaltpath:${stem}.pdb`];
    const inputs = [...objects, ...libraries];
    if (module.defines) {
      const definition = path.join(KERNEL_DIR, module.defines);
      args.push(`/def:${definition}`, `/implib:${path.join(this.#out, 'obj', `${module.name}.unused.lib`)}`);
      inputs.push(definition);
    }
    await this.#make(
      output,
      inputs,
      'lld-link',
      [...args, ...objects, ...libraries],
      `link    ${module.name}`,
    );
  }

  /** A renamed kernel is the same file: its export directory and its PDB keep their names, as on Windows. */
  renamed(from, to) {
    return this.copy(path.join(this.#out, 'images', from), to);
  }

  async copy(source, to) {
    const target = path.join(this.#out, 'images', to);
    const copy = () => fs.copyFileSync(source, target);
    await this.#make(target, [source], copy, [source, target], `copy    ${to}`);
  }

  async #objects(module) {
    const jobs = [];
    const objects = [];
    for (const source of module.sources.flatMap(listSources)) {
      const relative = path.relative(KERNEL_DIR, source);
      const stem = module.name === 'boot.bin' ? 'boot' : 'high';
      const object = path.join(this.#out, 'obj', `${stem}-${relative.replaceAll(/[\\/]/g, '-')}.obj`);
      const flags = module.perFile?.[path.basename(source)] ?? module.flags;
      const include = ['-I', path.join(KERNEL_DIR, 'include'), '-I', path.dirname(source)];
      const args = [
        ...FLAGS,
        ...LANGUAGE_FLAGS[path.extname(source)],
        ...flags,
        ...include,
        '-MD',
        '-MF',
        `${object}.d`,
        '-c',
        source,
        '-o',
        object,
      ];
      objects.push(object);
      jobs.push(() =>
        this.#make(object, dependencies(`${object}.d`, source), 'clang', args, `compile ${relative}`),
      );
    }
    await inParallel(jobs, os.availableParallelism());
    return objects;
  }

  /**
   * lld 14 makes import libraries only while it links, so we link a stand-in that defines every name of the list
   * as a label, and keep the library.
   */
  async #importLibrary(definition) {
    const source = path.join(KERNEL_DIR, definition);
    const stem = path.basename(definition, '.def');
    const library = path.join(this.#out, 'lib', `${stem}.lib`);
    const standIn = path.join(this.#out, 'lib', stem);
    const compile = ['--target=x86_64-pc-windows-msvc', '-c', `${standIn}.S`, '-o', `${standIn}.obj`];
    const link = [
      '/nologo',
      '/dll',
      '/noentry',
      '/machine:x64',
      '/Brepro',
      `${standIn}.obj`,
      `/def:${source}`,
    ];
    await this.#make(
      library,
      [source],
      async () => {
        const names = definedNames(fs.readFileSync(source, 'utf8'));
        fs.writeFileSync(
          `${standIn}.S`,
          names.map((name) => `.globl ${name}\n${name}:\n`).join('') + '.byte 0\n',
        );
        await run('clang', compile);
        await run('lld-link', [...link, `/out:${standIn}.stand-in`, `/implib:${library}`]);
      },
      [...compile, ...link],
      `implib  ${stem}.lib`,
    );
    return library;
  }

  async #make(output, inputs, tool, args, what) {
    const command = createHash('sha256')
      .update([String(tool), ...args].join('\0'))
      .digest('hex');
    const outputTime = this.#mtime(output);
    const stale = (input) => !(this.#mtime(input) <= outputTime);
    if (this.#state[output] === command && inputs !== null && outputTime > 0 && !inputs.some(stale)) return;
    this.#log(what);
    await (typeof tool === 'string' ? run(tool, args) : tool());
    this.#mtimes.delete(output);
    this.#state[output] = command;
    this.made++;
  }

  /** Milliseconds; NaN if there is no such file, which compares as older and newer than nothing. */
  #mtime(file) {
    let time = this.#mtimes.get(file);
    if (time === undefined) {
      time = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN;
      this.#mtimes.set(file, time);
    }
    return time;
  }
}

function listSources(source) {
  const full = path.join(KERNEL_DIR, source);
  if (!fs.statSync(full).isDirectory()) return [full];
  return fs
    .readdirSync(full, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const relative = path.join(source, entry.name);
      if (entry.isDirectory()) return listSources(relative);
      return path.extname(entry.name) in LANGUAGE_FLAGS ? [path.join(KERNEL_DIR, relative)] : [];
    });
}

/** The files named in a make-style dependency file; null if it is not there. */
function dependencies(file, source) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
  const names =
    text
      .replaceAll('\\\n', ' ')
      .replace(/^.*?:\s/, '')
      .match(/(?:\\ |\S)+/g) ?? [];
  return [source, ...names.map((name) => name.replaceAll('\\ ', ' '))];
}

/** The symbols behind the EXPORTS of a module-definition file. */
function definedNames(text) {
  const lines = text.split('\n').map((line) => line.replace(/;.*/, '').trim());
  const exported = lines.slice(lines.indexOf('EXPORTS') + 1).filter((line) => line !== '');
  return [...new Set(exported.map((line) => /^(?:\S+\s*=\s*)?(\S+)/.exec(line)[1]))];
}

async function inParallel(jobs, width) {
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await job();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

function run(tool, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (output += text));
    child.on('error', (error) => {
      const missing = error.code === 'ENOENT';
      reject(
        missing ? new Error(`${tool} is not installed. On Debian: apt-get install -y clang lld`) : error,
      );
    });
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${tool} failed:\n${output}`))));
  });
}

/** Holds an abstract socket named after the folder until closed. Linux only: elsewhere builds do not overlap. */
async function lockFolder(out, log) {
  if (process.platform !== 'linux') return undefined;
  const name = `\0vmkd-kernel-${createHash('sha256').update(path.resolve(out)).digest('hex').slice(0, 32)}`;
  const deadline = Date.now() + LOCK_LIMIT_MS;
  for (let told = false; ; told = true) {
    const server = net.createServer();
    const held = await new Promise((resolve, reject) => {
      server.once('listening', () => resolve(true));
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      server.listen(name);
    });
    if (held) return new Lock(server);
    if (!told) log('demo kernel: another build runs; waiting for it');
    await otherBuildEnds(name, deadline - Date.now());
    if (Date.now() >= deadline)
      throw new Error(`Another build of the demo kernel has run for ${LOCK_LIMIT_MS / 1000} s`);
  }
}

class Lock {
  #server;
  #waiting = new Set();
  constructor(server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#waiting.add(socket);
      socket.on('error', () => this.#waiting.delete(socket));
    });
  }
  close() {
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
  }
}

function otherBuildEnds(name, limit) {
  return new Promise((resolve) => {
    const socket = net.connect(name);
    socket.setTimeout(Math.max(limit, 1), () => socket.destroy());
    socket.on('error', () => undefined); // it ended between our listen and our connect
    socket.on('close', resolve);
    socket.resume();
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(path.resolve(process.argv[1])).href) {
  const options = {
    log: (line) => console.log(line),
    kernelName: process.env.VMK_KERNEL_NAME || 'ntoskrnl.exe',
  };
  const args = process.argv.slice(2);
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg === '--quiet') options.log = () => undefined;
    else if (arg === '--out' && args.length > 0) options.out = path.resolve(args.shift());
    else if (arg === '--kernel-name' && args.length > 0) options.kernelName = args.shift();
    else {
      console.error('usage: node test/kernel/build.mjs [--out DIR] [--kernel-name NAME] [--quiet]');
      process.exit(2);
    }
  }
  buildKernel(options).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
