/**
 * Which VMware machines run, and in which process: each has a vmware-vmx of its own.
 *
 *   Linux     its last argument is the .vmx
 *   macOS     so it is, but ps shows arguments without saying where one ends
 *   Windows   command lines are for administrators. But a running machine locks its files, with a folder beside each:
 *             564d….vmem.lck\M12345.lck, one line of text whose second word tells who holds the lock:
 *
 *               uuid=bf-ef-… 25156-134219857720971604(vmware-vmx.exe) 1 X …
 *                            PID   when it was started  program
 *
 * Known: the words of a lock (open-vm-tools, lib/file/fileLockPrimitive.c; a file of Workstation on Windows). The lock of the
 * .vmx itself is often the GUI's. A machine without a .vmem has locks of its disks. A lock may outlive its process.
 */

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Host } from '../host';
import { linuxProcesses, listing } from '../processes';
import { readSmallFile } from '../vmx/readDictionary';

/** A running machine. */
export interface RunningMachine {
  readonly vmxPath: string;
  readonly pid: number;
}

const isVmx = (program: string): boolean => /^vmware-vmx(?:-debug|-stats)?(?:\.exe)?$/i.test(program);

/** @param known Paths of .vmx files that may be the ones: Windows tells of no others. */
export async function runningMachines(host: Host, known: readonly string[]): Promise<RunningMachine[]> {
  switch (host.platform) {
    case 'linux': {
      const processes = await linuxProcesses(host, isVmx);
      return processes.flatMap(({ pid, args }) => {
        const last = args.at(-1) ?? '';
        return path.posix.isAbsolute(last) && /\.vmx$/i.test(last)
          ? [{ pid, vmxPath: path.posix.normalize(last) }]
          : [];
      });
    }
    case 'darwin':
      return machinesOfPs(await listing('/bin/ps', ['-axww', '-o', 'pid=,command=']), isFile);
    case 'win32':
      return machinesByLocks(known, await livingProcesses());
  }
}

/** Whether a process lives, and is a machine's as far as the system tells. */
type IsAlive = (pid: number) => boolean;

async function livingProcesses(): Promise<IsAlive> {
  // Windows would look for its bare name in the folder that we are in, whosever that is.
  const program = path.win32.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', 'tasklist.exe');
  const list = await listing(program, ['/FO', 'CSV', '/NH', '/FI', 'IMAGENAME eq vmware-vmx*']);
  // Even if there is none it says so. Where it is forbidden, that some process has the number must do.
  if (list.trim() === '') return exists;
  const pids = vmxProcesses(list);
  return (pid) => pids.has(pid);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const isFile = async (file: string): Promise<boolean> =>
  (await stat(file).catch(() => undefined))?.isFile() === true;

/** How many beginnings of a path are tried in one command line. */
const mostGuesses = 32;

/** @param text What `ps -o pid=,command=` prints. @param exists Whether there is such a file. */
export async function machinesOfPs(
  text: string,
  exists: (file: string) => Promise<boolean>,
): Promise<RunningMachine[]> {
  const found: RunningMachine[] = [];
  for (const line of text.split('\n')) {
    const match = /^ *(\d{1,10}) (.*\.vmx) *$/i.exec(line);
    if (match === null) continue;
    const [, pid = '', command = ''] = match;
    const program = /^(.*?\/vmware-vmx(?:-debug|-stats)?)(?= |$)/.exec(command)?.[1];
    if (program === undefined || !isVmx(path.posix.basename(program))) continue;
    // Its folders may have blanks in their names, so that it may begin at any blank with a slash behind it.
    let at = command.indexOf(' /', program.length);
    for (let guess = 0; at >= 0 && guess < mostGuesses; guess++, at = command.indexOf(' /', at + 1)) {
      const vmxPath = command.slice(at + 1);
      if (!(await exists(vmxPath))) continue;
      found.push({ pid: Number(pid), vmxPath });
      break;
    }
  }
  return found;
}

/** Numbers of the processes in tasklist's CSV: `"vmware-vmx.exe","4711","Console","1","1,234 K"`. */
export function vmxProcesses(csv: string): Set<number> {
  const pids = new Set<number>();
  for (const [, program = '', pid] of csv.matchAll(/^"([^"]*)","(\d{1,10})",/gm))
    if (isVmx(program)) pids.add(Number(pid));
  return pids;
}

/** The process that a lock file names, if it is a machine's. */
export function lockHolder(text: string): number | undefined {
  const [, pid, program = ''] = /^\S+ (\d{1,10})-\d{1,20}\(([^()]{1,64})\)/.exec(text) ?? [];
  return pid !== undefined && isVmx(program) ? Number(pid) : undefined;
}

/** Bytes: they have 512. */
const largestLock = 4096;
const mostLocks = 64;

async function machinesByLocks(known: readonly string[], isAlive: IsAlive): Promise<RunningMachine[]> {
  const found: RunningMachine[] = [];
  for (const vmxPath of known) {
    const pid = await processByLocks(path.dirname(vmxPath), isAlive);
    if (pid !== undefined) found.push({ vmxPath, pid });
  }
  return found;
}

/** The living process that holds a lock in a machine's folder. */
export async function processByLocks(folder: string, isAlive: IsAlive): Promise<number | undefined> {
  const entries = await readdir(folder).catch(() => []);
  const locks = entries.filter((name) => name.endsWith('.lck')).slice(0, mostLocks);
  for (const lock of locks) {
    const members = await readdir(path.join(folder, lock)).catch(() => []);
    for (const member of members.filter((name) => /^M\d+\.lck$/.test(name)).slice(0, mostLocks)) {
      const bytes = await readSmallFile(path.join(folder, lock, member), largestLock).catch(() => undefined);
      const pid = bytes && lockHolder(Buffer.from(bytes).toString('latin1'));
      if (pid !== undefined && isAlive(pid)) return pid;
    }
  }
  return undefined;
}
