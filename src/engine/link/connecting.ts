/**
 * The end that connects. VMware creates its pipe at power-on and removes it at power-off, so the other end may well
 * not be there yet: `open` tries again until it is, gently (20 ms at first, 250 ms at most between attempts).
 *
 * No system says when a pipe or port begins to listen, so that polling is the rule. The one exception helps on top:
 * a Unix socket is a file, and a watch on its folder wakes us when it appears; where there is no watch to be had (the
 * folder itself is missing), the polling does alone.
 *
 * Source for Windows' pipes: libuv connects in the call itself unless every instance of the pipe is taken; then it
 * waits on a thread of its own for one to come free, for 30 s, and cannot be told to stop. So a pipe that has not
 * connected after a moment is held by another program. Giving up leaves that thread behind: should the pipe come free
 * within its 30 s, the holder sees one more client come and go.
 */

import { watch } from 'node:fs';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { systemClock, type Clock } from '../core/clock';
import { VmkdError, type ErrorCode } from '../core/errors';
import { isHeldByAnother, isTcpHeldByAnother, readUnixQueue, type UnixQueue } from './holders';
import type { ByteLink, LinkEndpoint, OpenOptions } from './link';
import { cancelledError, errnoOf, linkError } from './osErrors';
import { SocketLink } from './socketLink';
import { isLoopbackHost, type ConnectSpec } from './spec';
import { after } from '../core/waiting';

const firstPause = 20;
const longestPause = 250;
/** How long one attempt may take: a pipe is local, a TCP peer may be far. */
const attemptMilliseconds = { unix: 1000, pipe: 250, tcp: 5000 };
/** Even the last attempt of a wait gets this much, so that it does not fail for want of a moment. */
const shortestAttempt = 100;

/** What must be known of an open link to tell later why it is silent. */
type Origin =
  | { readonly kind: 'unix'; readonly path: string; readonly before: UnixQueue }
  | { readonly kind: 'tcp'; readonly localPort: number; readonly remotePort: number };

export class ConnectingEndpoint implements LinkEndpoint {
  readonly spec: string;
  readonly #target: ConnectSpec;
  readonly #clock: Clock;
  readonly #origins = new WeakMap<ByteLink, Origin>();
  readonly #disposed = new AbortController();

  constructor(spec: string, target: ConnectSpec, clock: Clock = systemClock) {
    this.spec = spec;
    this.#target = target;
    this.#clock = clock;
  }

  async open({ signal, waitMilliseconds }: OpenOptions): Promise<ByteLink> {
    const cancelled = AbortSignal.any([this.#disposed.signal, ...(signal === undefined ? [] : [signal])]);
    const deadline = this.#clock.now() + waitMilliseconds;
    const appearance = new Appearance(this.#target);
    try {
      for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
        if (cancelled.aborted) throw cancelledError(this.spec);
        const left = waitMilliseconds > 0 ? deadline - this.#clock.now() : undefined;
        const outcome = await this.#attempt(attemptLimit(this.#target, left), cancelled);
        if (!(outcome instanceof VmkdError)) return outcome;
        if (!mayPass(outcome)) throw outcome;
        const rest = deadline - this.#clock.now();
        if (rest <= 0) throw this.#gaveUp(outcome, waitMilliseconds);
        if (await this.#pause(Math.min(pause, rest), appearance, cancelled)) pause = firstPause;
      }
    } finally {
      appearance.close();
    }
  }

  /**
   * On Linux, for Unix sockets and TCP on this machine: whether another client has the port while we wait for it. Not
   * elsewhere: Windows tells at once (link-busy), and other systems do not tell.
   */
  async diagnoseSilence(link: ByteLink): Promise<VmkdError | undefined> {
    const origin = this.#origins.get(link);
    if (origin === undefined || !(await isHeld(origin))) return undefined;
    const message = `${this.spec} lets one client in at a time, and another program was there first.`;
    return new VmkdError('target-second-debugger', message);
  }

  async dispose(): Promise<void> {
    this.#disposed.abort();
  }

  /** One attempt: a link, or why there is none. */
  async #attempt(limit: number, cancelled: AbortSignal): Promise<ByteLink | VmkdError> {
    const target = this.#target;
    const before = target.kind === 'unix' ? await readUnixQueue(target.path) : undefined;
    return new Promise((resolve) => {
      const socket = connect(connectOptions(target));
      // Keeps Node from reading ahead of the link's reader.
      socket.pause();
      let settled = false;
      const settle = (outcome: ByteLink | VmkdError) => {
        if (settled) return;
        settled = true;
        stopTimer();
        cancelled.removeEventListener('abort', onAbort);
        if (outcome instanceof VmkdError) socket.destroy();
        resolve(outcome);
      };
      const onAbort = () => settle(cancelledError(this.spec));
      const stopTimer = after(this.#clock, limit, () => settle(this.#tooSlow(limit)));
      cancelled.addEventListener('abort', onAbort);
      socket.on('connect', () => {
        if (settled) return;
        const link = new SocketLink(socket, this.spec, this.#clock);
        const origin = originOf(target, socket, before);
        if (origin !== undefined) this.#origins.set(link, origin);
        settle(link);
      });
      // Stays for good: a socket that has been given up may still have something to say.
      socket.on('error', (error) => settle(linkError(this.spec, 'connect', error)));
      if (cancelled.aborted) onAbort();
    });
  }

  #tooSlow(limit: number): VmkdError {
    if (this.#target.kind === 'pipe') return linkError(this.spec, 'connect', { code: 'EBUSY' });
    return new VmkdError('link-timeout', `${this.spec} did not answer within ${Math.round(limit)} ms.`);
  }

  /** The last attempt's reason; as a time limit if the other end was never there. */
  #gaveUp(last: VmkdError, waitMilliseconds: number): VmkdError {
    const absent = last.code === 'link-not-found' || last.code === 'link-refused';
    if (waitMilliseconds <= 0 || !absent) return last;
    const message = `Waited ${Math.round(waitMilliseconds)} ms for ${this.spec}. At last: ${last.message}`;
    return new VmkdError('link-timeout', message, { cause: last });
  }

  /** Waits before the next attempt; true if the other end has just shown itself. */
  #pause(milliseconds: number, appearance: Appearance, cancelled: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (appeared: boolean) => {
        stopTimer();
        appearance.onAppeared = undefined;
        cancelled.removeEventListener('abort', onAbort);
        resolve(appeared);
      };
      const onAbort = () => settle(false);
      const stopTimer = after(this.#clock, milliseconds, () => settle(false));
      cancelled.addEventListener('abort', onAbort);
      appearance.watchFor(() => settle(true));
    });
  }
}

/** Whether another attempt may succeed without anybody changing rights or names. */
function mayPass(error: VmkdError): boolean {
  return passing.has(error.code) || (error.code === 'link-failed' && passingErrnos.has(errnoOf(error.cause)));
}

const passing = new Set<ErrorCode>(['link-not-found', 'link-refused', 'link-busy', 'link-timeout']);
const passingErrnos = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'EAI_AGAIN']);

/**
 * How long one attempt may take. `left`: of the whole wait, undefined if there is to be one attempt only. Windows' own
 * waiting for a busy pipe is worth all of it, since it wakes when the pipe comes free.
 */
function attemptLimit(target: ConnectSpec, left: number | undefined): number {
  const usual = attemptMilliseconds[target.kind];
  if (left === undefined) return usual;
  return Math.max(shortestAttempt, target.kind === 'pipe' ? left : Math.min(left, usual));
}

function connectOptions(target: ConnectSpec): NetConnectOpts {
  return target.kind === 'tcp'
    ? { host: target.host, port: target.port, noDelay: true }
    : { path: target.path };
}

function originOf(target: ConnectSpec, socket: Socket, before: UnixQueue | undefined): Origin | undefined {
  if (target.kind === 'unix') return before && { kind: 'unix', path: target.path, before };
  const { localPort, remoteAddress = '' } = socket;
  if (target.kind !== 'tcp' || localPort === undefined) return undefined;
  const local = isLoopbackHost(remoteAddress.replace(/^::ffff:/, ''));
  return local ? { kind: 'tcp', localPort, remotePort: target.port } : undefined;
}

async function isHeld(origin: Origin): Promise<boolean> {
  if (origin.kind === 'tcp') return isTcpHeldByAnother(origin);
  return isHeldByAnother(origin.before, await readUnixQueue(origin.path));
}

/** Watches for a Unix socket's file to appear, from the first pause on. */
class Appearance {
  onAppeared: (() => void) | undefined;
  readonly #target: ConnectSpec;
  #stop: (() => void) | undefined;

  constructor(target: ConnectSpec) {
    this.#target = target;
  }

  watchFor(onAppeared: () => void): void {
    this.onAppeared = onAppeared;
    if (this.#stop === undefined && this.#target.kind === 'unix') this.#start(this.#target.path);
  }

  close(): void {
    this.#stop?.();
  }

  #start(path: string): void {
    try {
      const watcher = watch(dirname(path), { persistent: false }, (_event, file) => {
        if (file === basename(path)) this.onAppeared?.();
      });
      this.#stop = () => watcher.close();
      watcher.on('error', () => {
        watcher.close();
        this.#stop = undefined;
      });
    } catch {
      // No folder, or no watch left in the system: the polling finds the socket all the same.
    }
  }
}
