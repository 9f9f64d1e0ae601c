/**
 * Processes of this computer that may be machines, by their command lines.
 *
 *   Linux     /proc/PID/cmdline: the arguments, each ended by a NUL; readable whoever owns the process
 *   macOS     ps: the arguments with blanks between them, so that where one ends is a guess
 *   Windows   tasklist: names and numbers only; command lines are for administrators
 *
 * Invariant: what processes say of themselves is bounded, and that one ends meanwhile is no error.
 */

import { execFile } from 'node:child_process';
import { open, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { Host } from './host';

export interface HostProcess {
  readonly pid: number;
  /** With the program. */
  readonly args: readonly string[];
  /** Where it runs; undefined if that may not be known. */
  readonly folder: string | undefined;
}

/** Bytes of a command line that are looked at: enough for the program of each, and for all that a machine is told. */
const firstPart = 4096;
const longestCommandLine = 1 << 20;
/** Milliseconds and bytes for a program that lists processes. */
const listLimit = 10_000;
const listBytes = 16 << 20;

/** @param wanted Whether a program of that name, without its folder, is looked for. */
export async function linuxProcesses(
  { processFolder }: Host,
  wanted: (program: string) => boolean,
): Promise<HostProcess[]> {
  const names = await readdir(processFolder).catch(() => []);
  const found: HostProcess[] = [];
  for (const name of names) {
    if (!/^\d{1,10}$/.test(name)) continue;
    const folder = path.join(processFolder, name);
    const args = await commandLine(path.join(folder, 'cmdline'), wanted).catch(() => undefined);
    if (args === undefined) continue;
    found.push({
      pid: Number(name),
      args,
      folder: await readlink(path.join(folder, 'cwd')).catch(() => undefined),
    });
  }
  return found;
}

/** Undefined: of no program that is wanted. */
async function commandLine(
  file: string,
  wanted: (program: string) => boolean,
): Promise<string[] | undefined> {
  const handle = await open(file);
  try {
    let bytes = Buffer.alloc(firstPart);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      length += bytesRead;
      const args = bytes.toString('utf8', 0, length).replace(/\0$/, '').split('\0');
      if (!wanted(path.posix.basename(args[0]!))) return undefined;
      if (bytesRead === 0 || length >= longestCommandLine) return args;
      if (length === bytes.length) bytes = Buffer.concat([bytes], longestCommandLine);
    }
  } finally {
    await handle.close();
  }
}

/** What `program` prints, or nothing if it fails or takes too long. */
export function listing(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      { timeout: listLimit, maxBuffer: listBytes, windowsHide: true, encoding: 'utf8' },
      (error, stdout) => resolve(error === null ? stdout : ''),
    );
  });
}
