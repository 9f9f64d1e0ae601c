/**
 * A second process, for the end that the adapter cannot see: a kill, a crash of the runtime. It holds the other end of a
 * pipe. If that closes without a word, the adapter is dead; then the guardian attaches, takes out what the dead session left
 * in the kernel, lets it run, and ends.
 *
 *   adapter ── orders ──▶ guardian        … ── “done” ──▶ ends                     an orderly end
 *                                         … ── (closed) ─▶ attach, clean, release   a death
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { createEndpoint } from '../engine/link/endpoint';
import { letGo } from './letGo';

interface Orders {
  readonly link: string;
  /** Where sessions note what they write into a kernel's code. */
  readonly stateFolder: string;
}

/** Milliseconds for the link to be free again, and for the kernel to answer. */
const linkLimit = 10_000;
const attachLimit = 30_000;
/** For a guardian that has only just begun to start. */
const dismissLimit = 5000;

export class Guardian {
  readonly #child: ChildProcess;

  constructor(orders: Orders) {
    const program = process.argv[1]!;
    this.#child = spawn(process.execPath, [program, '--guard'], { stdio: ['pipe', 'ignore', 'ignore'] });
    // Without it all works as well, but for the end that it is for.
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.write(`${JSON.stringify(orders)}\n`);
    this.#child.unref();
  }

  /** The kernel was let go, or is left as it is on purpose. Resolves when the guardian has gone, or is too slow to. */
  async dismiss(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = once(child, 'exit');
    child.stdin?.end('done\n');
    await Promise.race([ended, setTimeout(dismissLimit, undefined, { ref: false })]);
  }
}

/** The guardian's own life. Rejects if it could not let the kernel go. */
export async function guard(input: Readable): Promise<void> {
  // A terminal's Ctrl-C is meant for the adapter, whose death is then to be seen.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  let orders: Orders | undefined;
  for await (const line of createInterface({ input })) {
    if (line === 'done') return;
    orders = JSON.parse(line) as Orders;
  }
  if (orders === undefined) return;
  const endpoint = createEndpoint(orders.link);
  try {
    await letGo(endpoint, orders.stateFolder, { link: linkLimit, attach: attachLimit });
  } finally {
    await endpoint.dispose();
  }
}
