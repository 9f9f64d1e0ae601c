/**
 * A second process, for the end that a debugger cannot see: a kill, a crash of the runtime. It holds the other end of a
 * pipe. If that closes without a word, the debugger (the adapter, the bridge) is dead; then the guardian resumes the machine if
 * it was parked, attaches, takes out what the dead session left in the kernel, lets it run, and ends.
 *
 *   debugger ── orders ──▶ guardian       … ── “done” ──▶ ends                     an orderly end
 *      └ launcher ┘                       … ── (closed) ─▶ attach, clean, release   a death
 *
 * Some editors end an adapter with all its descendants (in Windows VS Code does: taskkill /F /T). So the guardian is none: a
 * launcher starts it, hands the pipe on, and ends at once. Both are the program that asks for them, started again: its `main`
 * hands its arguments to `guardianRole` first.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { createEndpoint } from '../../link/endpoint';
import { ParkedNote } from '../../machine/parkedNote';
import { letGo } from './letGo';

interface Orders {
  readonly link: string;
  /** Where sessions note what they write into a kernel's code, and that its machine is parked. */
  readonly stateFolder: string;
  /** Only the machine is resumed; the kernel may stand. */
  readonly leaveStopped?: boolean;
}

/** Milliseconds for the link to be free again, and for the kernel to answer. */
const linkLimit = 10_000;
const attachLimit = 30_000;
/** For a guardian that has only just begun to start. */
const dismissLimit = 5000;
/** The launcher's file descriptor of the pipe: stdin would end with the launcher. */
const pipe = 3;

export class Guardian {
  readonly #pipe: Socket | undefined;

  constructor(orders: Orders) {
    const launcher = startAgain(
      ['--launch-guard', String(process.pid)],
      ['ignore', 'ignore', 'ignore', 'pipe'],
    );
    this.#pipe = launcher.stdio[pipe] as Socket | undefined;
    // A guardian that is dead is not written to; and its end is seen only by reading.
    this.#pipe
      ?.on('error', () => undefined)
      .resume()
      .unref();
    this.#pipe?.write(`${JSON.stringify(orders)}\n`);
  }

  /** The kernel was let go, or is left as it is on purpose. Resolves when the guardian has gone, or is too slow to. */
  async dismiss(): Promise<void> {
    if (this.#pipe === undefined || this.#pipe.destroyed) return;
    const ended = once(this.#pipe, 'close').catch(() => undefined);
    this.#pipe.end('done\n');
    await Promise.race([ended, setTimeout(dismissLimit, undefined, { ref: false })]);
  }
}

/**
 * @param args Of the program. @param input Its standard input. @param end Ends it.
 * @returns Whether it was started to be a guardian, or its launcher: then it has nothing else to do.
 */
export function guardianRole(args: readonly string[], input: Readable, end: (code: number) => void): boolean {
  const [role, ...rest] = args;
  if (role === '--guard') {
    guard(input).then(
      () => end(0),
      () => end(1),
    );
  } else if (role === '--launch-guard') {
    // Whom it guards is for people who look at processes.
    startAgain(['--guard', ...rest], [pipe, 'ignore', 'ignore']);
  } else return false;
  return true;
}

function startAgain(args: readonly string[], stdio: ('ignore' | 'pipe' | number)[]): ChildProcess {
  const child = spawn(process.execPath, [process.argv[1]!, ...args], {
    stdio,
    windowsHide: true,
    // In Windows Node's children die with it, unless they are detached.
    detached: process.platform === 'win32',
  });
  // Without it all works as well, but for the end that it is for.
  child.on('error', () => undefined);
  child.unref();
  return child;
}

/** The guardian's own life. Rejects if it could not let the kernel go. */
async function guard(input: Readable): Promise<void> {
  // A terminal's Ctrl-C is meant for the debugger, whose death is then to be seen.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  let orders: Orders | undefined;
  for await (const line of createInterface({ input })) {
    if (line === 'done') return;
    orders = JSON.parse(line) as Orders;
  }
  if (orders === undefined) return;
  const endpoint = createEndpoint(orders.link);
  try {
    // A machine that cannot be resumed may run all the same.
    const [resumed] = await Promise.allSettled([new ParkedNote(orders.stateFolder, orders.link).resume()]);
    if (orders.leaveStopped !== true)
      await letGo(endpoint, orders.stateFolder, { link: linkLimit, attach: attachLimit });
    if (resumed.status === 'rejected') throw resumed.reason;
  } finally {
    await endpoint.dispose();
  }
}
