/**
 * A virtual machine that runs the demo kernel: QEMU with file-backed RAM, KD on COM1, the console on COM2, QMP.
 *
 *   machine.stop() in a finally, and failing that a hook at the exit of this process, end QEMU and remove what it
 *   left. If this process is killed, the system kills QEMU with it (setpriv --pdeathsig).
 *
 * Invariants: everything lives in folders of the machine's own; every wait has a limit; an error carries what QEMU
 * and the kernel last said.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Qmp } from '../../src/engine/machine/qemu/qmp';
import { KernelConsole } from './console';

export type KdPort =
  /** QEMU listens on a Unix socket (the default), or on a free TCP port of 127.0.0.1. */
  | 'unix'
  | 'tcp'
  /** QEMU listens on this Unix socket. */
  | { kind: 'unix-server'; path: string }
  /** QEMU connects to a Unix socket on which somebody listens. */
  | { kind: 'unix-client'; path: string }
  /** QEMU connects to a TCP listener on this machine. */
  | { kind: 'tcp-client'; port: number };

/**
 * How guests use a host that tests share, where `npm test` says so. A guest that stands in its debugger spins: it goes behind
 * the rest of its test file. Its frozen processors spin too: with `in turn` all share one thread of the host. A file about
 * processors that do something at the same time has `at once`, by a comment; see scripts/testing/run-file.mjs.
 */
const guests = process.env['VMKD_GUESTS'] as 'in turn' | 'at once' | undefined;

export interface DemoKernelOptions {
  /** Guest RAM, at least 32. */
  memoryMiB?: number;
  /** What holds it: `ramFile`, a file without a name, or nothing but QEMU's own memory. */
  memory?: 'file' | 'memfd' | 'anonymous';
  /** 1 to 8. */
  cpus?: number;
  /** File name of the kernel: kernels get renamed. Its export directory still says ntoskrnl.exe. */
  kernelName?: string;
  /** Kernel switches: `nodebug`, `break`... */
  cmdline?: string;
  /** Where images land: a seed, or 'off'; random if absent. */
  kaslrSeed?: number | 'off';
  /** KVM is never the default: that of cloud machines can be slow or broken. */
  accel?: 'tcg' | 'kvm';
  machine?: 'pc' | 'q35';
  kd?: KdPort;
  /** More images to load at boot (paths), e.g. a driver under test. */
  drivers?: readonly string[];
  /** vmkd.sys, loaded at boot, or by the console's `load vmkd.sys`; absent if absent. */
  guestModule?: 'boot' | 'later';
  /**
   * When to resolve: 'console': commands are served (the default); 'start': the kernel runs; 'paused': before its first
   * instruction, so that a debugger can be there (then `qmp('cont')`).
   */
  until?: 'console' | 'start' | 'paused';
  bootLimitMs?: number;
  /** A guest reset ends QEMU (`exited`) instead of booting again. */
  noReboot?: boolean;
  /** More arguments for QEMU. */
  qemuArgs?: readonly string[];
}

export interface MachineEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

export interface DemoMachine {
  readonly pid: number;
  /** Where a debugger attaches: `unix:/path` or `tcp:127.0.0.1:port`. */
  readonly kdLink: string;
  /** Guest RAM, where a file holds it: guest-physical address = file offset up to the hole below 4 GiB. */
  readonly ramFile: string;
  readonly imagesDir: string;
  readonly console: KernelConsole;
  /** Settles when QEMU has ended, whoever ended it. */
  readonly exited: Promise<MachineEnd>;
  qmp(command: string, args?: Record<string, unknown>): Promise<unknown>;
  /** Hard reset; resolves when the console serves again. */
  reset(): Promise<void>;
  /** Ends QEMU and removes its files. Never rejects; may be called again. */
  stop(): Promise<void>;
}

const connectLimitMs = 10_000;
const defaultBootLimitMs = 30_000;
const buildLimitMs = 300_000;
const abandonedAfterMs = 3_600_000;
const running = new Set<{ endNow(): void }>();

export async function bootDemoKernel(options: DemoKernelOptions = {}): Promise<DemoMachine> {
  const kernelName = options.kernelName ?? 'ntoskrnl.exe';
  const imagesDir = await builtImages(kernelName);
  const machine = new Machine(options, kernelName, imagesDir);
  try {
    await machine.boot();
    return machine;
  } catch (error) {
    const said = machine.stderr.trim();
    await machine.stop();
    throw new Error(
      `The demo kernel did not boot: ${(error as Error).message}${said === '' ? '' : `\nQEMU said: ${said}`}`,
      { cause: error },
    );
  }
}

class Machine implements DemoMachine {
  readonly imagesDir: string;
  readonly ramFile: string;
  readonly exited: Promise<MachineEnd>;
  kdLink = '';
  stderr = '';
  readonly #options: DemoKernelOptions;
  readonly #folder: string;
  readonly #ramFolder: string;
  readonly #child: ChildProcess;
  readonly #qmpServer: Promise<Socket>;
  readonly #consoleServer: Promise<Socket>;
  readonly #servers: Server[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #qmp: Qmp | undefined;
  #console: KernelConsole | undefined;

  constructor(options: DemoKernelOptions, kernelName: string, imagesDir: string) {
    this.#options = options;
    this.imagesDir = imagesDir;
    this.#folder = privateFolder(tmpdir());
    this.#ramFolder = existsSync('/dev/shm') ? privateFolder('/dev/shm') : this.#folder;
    this.ramFile = join(this.#ramFolder, 'ram');
    this.#qmpServer = this.#accept('qmp');
    this.#consoleServer = this.#accept('console');
    // They settle with boot(); a failure before it waits there must not be an unhandled one.
    this.#qmpServer.catch(() => undefined);
    this.#consoleServer.catch(() => undefined);
    endAtExit(this);
    const [command, args] = qemuCommand(
      qemuArguments(options, kernelName, imagesDir, this.#folder, this.ramFile),
    );
    this.#child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      this.stderr = (this.stderr + bytes.toString()).slice(-16_384);
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        const hint = error.code === 'ENOENT' ? ' (on Debian: apt-get install -y qemu-system-x86)' : '';
        this.stderr += `${error.message}${hint}`;
        resolve({ code: null, signal: null, stderr: this.stderr });
      });
      this.#child.once('close', (code, signal) => resolve({ code, signal, stderr: this.stderr }));
    });
    void this.exited.then(() => this.#cleanUp());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get console(): KernelConsole {
    if (this.#console === undefined) throw new Error('The machine has not started');
    return this.#console;
  }

  async boot(): Promise<void> {
    const limitMs = this.#options.bootLimitMs ?? defaultBootLimitMs;
    this.#console = new KernelConsole(await this.#orEnd(this.#consoleServer));
    this.#qmp = new Qmp(await this.#orEnd(this.#qmpServer), 'of the test machine');
    await this.#orEnd(this.#qmp.start());
    this.kdLink = await this.#findKdLink();
    // QEMU starts paused, so that the socket of a debugger is known before the first instruction.
    const until = this.#options.until ?? 'console';
    if (until !== 'paused') await this.#qmp.execute('cont');
    if (until === 'console') await this.#orEnd(this.#served(limitMs, 0));
  }

  async qmp(command: string, args?: Record<string, unknown>): Promise<unknown> {
    if (this.#qmp === undefined) throw new Error('The machine has not started');
    return this.#qmp.execute(command, args);
  }

  async reset(): Promise<void> {
    const from = this.console.lines.length;
    await this.qmp('system_reset');
    await this.#orEnd(this.#served(this.#options.bootLimitMs ?? defaultBootLimitMs, from));
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
    this.#cleanUp();
  }

  /** At the exit of this process, where nothing can be awaited. */
  endNow(): void {
    this.#child.kill('SIGKILL');
    this.#cleanUp();
  }

  async #findKdLink(): Promise<string> {
    const kd = this.#options.kd ?? 'unix';
    if (kd === 'unix') return `unix:${this.#folder}/kd`;
    if (kd !== 'tcp') return 'path' in kd ? `unix:${kd.path}` : `tcp:127.0.0.1:${kd.port}`;
    const devices = (await this.qmp('query-chardev')) as { label: string; filename: string }[];
    const port = /tcp:127\.0\.0\.1:(\d+)/.exec(
      devices.find(({ label }) => label === 'kd')?.filename ?? '',
    )?.[1];
    if (port === undefined) throw new Error('QEMU does not say on which port it listens for a debugger');
    return `tcp:127.0.0.1:${port}`;
  }

  /** Resolves to the one connection that QEMU makes to this socket of ours. */
  #accept(name: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        clearTimeout(timer);
        server.close();
        resolve(socket);
      });
      const timer = setTimeout(() => {
        server.close();
        reject(new Error(`QEMU did not connect its ${name} within ${connectLimitMs / 1000} s`));
      }, connectLimitMs);
      this.#timers.push(timer);
      server.on('error', reject);
      server.listen(join(this.#folder, name));
      this.#servers.push(server);
    });
  }

  async #served(limitMs: number, from: number): Promise<void> {
    const line = await this.console.waitFor(
      /^(console ready$|loader: cannot start|\*\*\* STOP)/,
      limitMs,
      from,
    );
    if (line !== 'console ready') throw new Error(this.console.lines.slice(from).join('\n'));
  }

  async #orEnd<T>(wanted: Promise<T>): Promise<T> {
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`QEMU ended (${signal ?? `exit code ${code}`})`);
    });
    return Promise.race([wanted, ended]);
  }

  #cleanUp(): void {
    running.delete(this);
    this.#qmp?.close();
    this.#console?.close();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const server of this.#servers) server.close();
    rmSync(this.#ramFolder, { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function qemuArguments(
  options: DemoKernelOptions,
  kernelName: string,
  imagesDir: string,
  folder: string,
  ramFile: string,
): string[] {
  const images = [kernelName, 'kdcom.dll', 'vmkdemo.sys', 'vmkondem.sys', 'vmkuser.exe'];
  if (options.guestModule !== undefined) images.push('vmkd.sys');
  const modules = [...images.map((name) => join(imagesDir, name)), ...(options.drivers ?? [])];
  const memory = `${options.memoryMiB ?? 256}M`;
  const kaslr = options.kaslrSeed === undefined ? '' : `kaslr=${options.kaslrSeed}`;
  const demand = options.guestModule === 'later' ? 'demand=vmkd.sys' : '';
  return [
    ...['-machine', `${options.machine ?? 'pc'},memory-backend=ram`],
    ...['-accel', options.accel ?? (guests === 'in turn' ? 'tcg,thread=single' : 'tcg')],
    ...['-object', `${memoryBackend(options.memory ?? 'file', ramFile)},id=ram,size=${memory}`],
    ...['-m', memory, '-smp', String(options.cpus ?? 2), '-cpu', options.accel === 'kvm' ? 'host' : 'max'],
    ...['-nodefaults', '-display', 'none', '-S'],
    ...['-chardev', `${kdChardev(options.kd ?? 'unix', folder)},id=kd`, '-serial', 'chardev:kd'],
    ...['-chardev', `socket,id=console,path=${folder}/console`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=qmp,path=${folder}/qmp`, '-mon', 'chardev=qmp,mode=control'],
    ...(options.noReboot === true ? ['-no-reboot'] : []),
    ...['-kernel', join(imagesDir, 'boot.bin'), '-initrd', modules.join(',')],
    ...['-append', [kaslr, demand, options.cmdline ?? ''].filter((option) => option !== '').join(' ')],
    ...(options.qemuArgs ?? []),
  ];
}

function memoryBackend(kind: 'file' | 'memfd' | 'anonymous', ramFile: string): string {
  switch (kind) {
    case 'file':
      return `memory-backend-file,mem-path=${ramFile},share=on`;
    case 'memfd':
      return 'memory-backend-memfd';
    case 'anonymous':
      return 'memory-backend-ram';
  }
}

function kdChardev(kd: KdPort, folder: string): string {
  if (kd === 'unix') return `socket,path=${folder}/kd,server=on,wait=off`;
  if (kd === 'tcp') return 'socket,host=127.0.0.1,port=0,server=on,wait=off';
  switch (kd.kind) {
    case 'unix-server':
      return `socket,path=${kd.path},server=on,wait=off`;
    case 'unix-client':
      return `socket,path=${kd.path},server=off`;
    case 'tcp-client':
      return `socket,host=127.0.0.1,port=${kd.port},server=off`;
  }
}

/**
 * A folder that carries our process id in its name. Folders of processes that were killed an hour ago and more are
 * removed on the way: RAM files in /dev/shm are memory.
 */
export function privateFolder(parent: string): string {
  for (const name of readdirSync(parent)) {
    const owner = /^vmkd-vm-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined) removeIfAbandoned(join(parent, name), Number(owner));
  }
  return mkdtempSync(join(parent, `vmkd-vm-${process.pid}-`));
}

function removeIfAbandoned(folder: string, owner: number): void {
  try {
    const { uid, mtimeMs } = statSync(folder);
    if (uid !== process.getuid?.() || Date.now() - mtimeMs < abandonedAfterMs || isAlive(owner)) return;
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Somebody else removed it, or may not be touched: not our machine's concern.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** QEMU, ended when we are; behind the rest of a test, where there is nice. */
export function qemuCommand(args: string[]): [string, string[]] {
  const qemu = 'qemu-system-x86_64';
  const nice = guests === undefined ? undefined : programOnPath('nice');
  return nice === undefined
    ? withParentDeathSignal(qemu, args)
    : withParentDeathSignal(nice, ['-n', '10', qemu, ...args]);
}

/** util-linux's setpriv has the system kill QEMU when we die; where it is missing, the exit hooks must do. */
export function withParentDeathSignal(command: string, args: string[]): [string, string[]] {
  const setpriv = programOnPath('setpriv');
  return setpriv === undefined ? [command, args] : [setpriv, ['--pdeathsig', 'KILL', command, ...args]];
}

function programOnPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => isExecutable(file));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Ends a machine when this process ends, however that happens. @returns what to call when the machine has ended. */
export function endAtExit(machine: { endNow(): void }): () => void {
  installExitHooks();
  running.add(machine);
  return () => running.delete(machine);
}

let hooked = false;

function installExitHooks(): void {
  if (hooked) return;
  hooked = true;
  const endAll = (): void => {
    for (const machine of [...running]) machine.endNow();
  };
  process.on('exit', endAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      endAll();
      process.kill(process.pid, signal); // the handler is gone: now it has its usual effect
    });
  }
}

const builds = new Map<string, Promise<string>>();

/** The folder with up-to-date images; each kernel name is built once per process. */
function builtImages(kernelName: string): Promise<string> {
  let build = builds.get(kernelName);
  if (build === undefined) {
    build = buildImages(kernelName);
    builds.set(kernelName, build);
  }
  return build;
}

async function buildImages(kernelName: string): Promise<string> {
  const root = repositoryRoot();
  const script = join(root, 'test/kernel/build.mjs');
  const args = [script, '--quiet', '--kernel-name', kernelName];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: buildLimitMs });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`The demo kernel cannot be built:\n${output.trim()}`);
  return join(root, 'build/kernel/images');
}

/** This file may run from a bundle elsewhere in the repository. */
function repositoryRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'test/kernel/build.mjs'))) return folder;
    if (folder === dirname(folder)) throw new Error('test/kernel/build.mjs is not above this file');
  }
}
