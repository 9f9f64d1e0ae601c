// Builds vmkd.sys, the guest module, for x64 and x86, each with its PDB.
//
//   node native/guest/build.mjs [--out DIR] [--quiet]
//
// Needs clang and lld-link and nothing else; Node built-ins only, because it runs before any `npm ci`. What lands in
// DIR/x64 and DIR/x86 (default build/guest) is made again when a source, the build itself, or a compiler has changed.
// The same sources make the same bytes: no time stamp is in them. Nothing is signed: see native/guest/install/README.md.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { makeImportLibrary, readDefinition } from './importLibrary.mjs';

const folder = path.dirname(fileURLToPath(import.meta.url));
const defaultOut = path.resolve(folder, '../../build/guest');
const runTool = promisify(execFile);

const targets = { x64: 'x86_64-pc-windows-msvc', x86: 'i686-pc-windows-msvc' };

const compileFlags = [
  '-std=gnu17',
  '-ffreestanding',
  '-fno-builtin',
  '-fno-stack-protector',
  '-fno-strict-aliasing',
  '-mno-stack-arg-probe',
  '-mgeneral-regs-only', // KD's calls may come while a thread's floating-point state is in the registers
  '-fasynchronous-unwind-tables',
  '-O2',
  '-g',
  '-gcodeview',
  '-Wall',
  '-Wextra',
  '-Werror',
];

const linkFlags = [
  '/nologo',
  '/nodefaultlib',
  '/driver',
  '/subsystem:native,6.0',
  '/version:1.0',
  '/dynamicbase',
  '/nxcompat',
  '/fixed:no',
  '/debug',
  '/Brepro',
  '/opt:ref',
  '/incremental:no',
  '/pdbaltpath:vmkd.pdb',
];

/** @returns the folder of each machine's vmkd.sys and vmkd.pdb, and whether anything was made. */
export async function buildGuestModule({ out = defaultOut, log = () => undefined } = {}) {
  const state = path.join(out, 'made-from');
  const made = await fingerprint();
  const folders = { x64: path.join(out, 'x64'), x86: path.join(out, 'x86') };
  const isThere = Object.values(folders).every((one) => fs.existsSync(path.join(one, 'vmkd.sys')));
  if (isThere && fs.existsSync(state) && fs.readFileSync(state, 'utf8') === made)
    return { folders, made: false };
  fs.rmSync(state, { force: true });
  for (const machine of Object.keys(targets)) {
    log(`vmkd.sys for ${machine}`);
    await buildFor(machine, folders[machine]);
  }
  fs.writeFileSync(state, made);
  return { folders, made: true };
}

const sources = () =>
  fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.c'))
    .sort();

/** Of everything that the result depends on. */
async function fingerprint() {
  const hash = createHash('sha256');
  for (const name of fs.readdirSync(folder).sort())
    if (/\.(c|h|def|mjs)$/.test(name)) hash.update(name).update(fs.readFileSync(path.join(folder, name)));
  for (const tool of ['clang', 'lld-link']) hash.update(await tryTool(tool, ['--version']));
  return hash.digest('hex');
}

async function buildFor(machine, out) {
  const objects = path.join(out, 'obj');
  fs.mkdirSync(objects, { recursive: true });
  const library = path.join(objects, 'ntoskrnl.lib');
  const definition = readDefinition(fs.readFileSync(path.join(folder, 'imports.def'), 'utf8'));
  fs.writeFileSync(library, makeImportLibrary(definition, machine));

  const compiled = await Promise.all(
    sources().map(async (name) => {
      const object = path.join(objects, `${name}.obj`);
      const source = path.join(folder, name);
      await tryTool('clang', [`--target=${targets[machine]}`, ...compileFlags, '-c', source, '-o', object]);
      return object;
    }),
  );
  const image = path.join(out, 'vmkd.sys');
  await tryTool('lld-link', [
    ...linkFlags,
    `/machine:${machine}`,
    `/entry:${machine === 'x86' ? 'DriverEntry@8' : 'DriverEntry'}`,
    ...(machine === 'x86' ? ['/safeseh:no'] : []),
    `/out:${image}`,
    `/pdb:${path.join(out, 'vmkd.pdb')}`,
    ...compiled,
    library,
  ]);
  const bytes = fs.readFileSync(image);
  setChecksum(bytes);
  fs.writeFileSync(image, bytes);
}

/**
 * The PE checksum, which Windows demands of drivers: the 16-bit words of the file added up with end-around carry, then
 * the file's length. lld-link leaves it 0.
 */
function setChecksum(image) {
  const field = image.readUInt32LE(0x3c) + 24 + 64;
  image.writeUInt32LE(0, field);
  let sum = 0;
  for (let at = 0; at < image.length; at += 2) {
    sum += at + 1 < image.length ? image.readUInt16LE(at) : image[at];
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  image.writeUInt32LE(sum + image.length, field);
}

async function tryTool(tool, args) {
  try {
    return (await runTool(tool, args)).stdout;
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new Error(`${tool} is not installed. On Debian: apt-get install -y clang lld`, { cause: error });
    throw new Error(`${tool} failed:\n${error.stdout ?? ''}${error.stderr ?? ''}`, { cause: error });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(path.resolve(process.argv[1])).href) {
  const options = { log: (line) => console.log(line) };
  const args = process.argv.slice(2);
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg === '--quiet') options.log = () => undefined;
    else if (arg === '--out' && args.length > 0) options.out = path.resolve(args.shift());
    else {
      console.error('usage: node native/guest/build.mjs [--out DIR] [--quiet]');
      process.exit(2);
    }
  }
  buildGuestModule(options).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
