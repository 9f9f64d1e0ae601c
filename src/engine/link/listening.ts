/**
 * The end that listens: for a virtual serial port that is the “client”, or for WinDbg on the companion pipe.
 *
 * Invariants: it listens from the first `open` until `dispose`; one client at a time: a second one is closed after a
 * moment if the first still lives then (some moments, if nobody reads the first), with a word of refusal if there is one; a client that comes when nobody has called `open`
 * is kept, unread, for the next call. A socket file belongs to its user alone (0600), is put in place of a file that is a socket nobody listens on, of
 * nothing else, and goes at `dispose`. A named pipe is its user's and the system's.
 */

import { chmodSync, type Stats } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { systemClock, type Clock, type Timer } from '../core/clock';
import { VmkdError } from '../core/errors';
import { nativePart } from '../core/nativeHost';
import { readUnixQueue } from './holders';
import type { ByteLink, LinkEndpoint, OpenOptions } from './link';
import { cancelledError, errnoOf, linkError } from './osErrors';
import { SocketLink } from './socketLink';
import type { ListenSpec } from './spec';
import { after } from '../core/waiting';

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting'; readonly started: Promise<Server> }
  | { readonly kind: 'listening'; readonly server: Server }
  | { readonly kind: 'disposed' };

interface Waiter {
  readonly take: (socket: Socket) => void;
  readonly fail: (error: VmkdError) => void;
}

/** Time for a client that is there already to be seen, when the wait is 0. */
const oneLook = 20;
/** Milliseconds for the end of a client to be seen when the next one is there already. */
const lastMoments = 250;
/** The same, if it is not being read: whoever has it, or will have it, is busy. */
const lastMomentsUnread = 10_000;
/** Clients that wait for that; more are refused at once. */
const mostHeld = 6;
/** Milliseconds for a client that is refused to take the reason. */
const refusalMilliseconds = 500;

export interface ListeningOptions {
  /** What a client is sent that comes while another is there. */
  readonly refusal?: Uint8Array;
  /** It listens, and others than its user may come: why. */
  readonly onExposed?: (why: VmkdError) => void;
}

export class ListeningEndpoint implements LinkEndpoint {
  readonly spec: string;
  readonly #target: ListenSpec;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #phase: Phase = { kind: 'idle' };
  readonly #held = new Set<Socket>();
  /** The one client: taken by a link, or kept for the next `open`. */
  #client: { readonly socket: Socket; taken: boolean } | undefined;

  constructor(
    spec: string,
    target: ListenSpec,
    clock: Clock = systemClock,
    private readonly options: ListeningOptions = {},
  ) {
    this.spec = spec;
    this.#target = target;
    this.#clock = clock;
  }

  async open({ signal, waitMilliseconds }: OpenOptions): Promise<ByteLink> {
    if (signal?.aborted === true) throw cancelledError(this.spec);
    await this.listen();
    return new Promise<ByteLink>((resolve, reject) => {
      const settle = () => {
        stopTimer();
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        take: (socket) => {
          settle();
          resolve(new SocketLink(socket, this.spec, this.#clock));
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = () => waiter.fail(cancelledError(this.spec));
      const stopTimer = after(this.#clock, Math.max(waitMilliseconds, oneLook), () => {
        waiter.fail(
          new VmkdError('link-timeout', `Nobody connected to ${this.spec} within ${waitMilliseconds} ms.`),
        );
      });
      signal?.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
      if (signal?.aborted === true || this.#phase.kind === 'disposed') onAbort();
      else this.#serve();
    });
  }

  async listen(): Promise<void> {
    switch (this.#phase.kind) {
      case 'listening':
        return;
      case 'disposed':
        throw cancelledError(this.spec);
      case 'starting':
        await this.#phase.started;
        return;
      case 'idle': {
        const started = this.#start();
        this.#phase = { kind: 'starting', started };
        await started;
      }
    }
  }

  async dispose(): Promise<void> {
    const phase = this.#phase;
    this.#phase = { kind: 'disposed' };
    for (const waiter of [...this.#waiters]) waiter.fail(cancelledError(this.spec));
    if (this.#client?.taken === false) this.#client.socket.destroy();
    for (const socket of this.#held) socket.destroy();
    // A server that is still starting is closed by who started it.
    if (phase.kind === 'starting') await phase.started.catch(() => undefined);
    if (phase.kind === 'listening') phase.server.close();
  }

  /** Idle → starting → listening, or idle again if it fails; disposed comes first. */
  async #start(): Promise<Server> {
    try {
      const server = await this.#bindInPlace();
      if (this.#isDisposed()) {
        server.close();
        throw cancelledError(this.spec);
      }
      server.on('error', (error) => {
        for (const waiter of [...this.#waiters]) waiter.fail(this.#failed(error));
      });
      this.#phase = { kind: 'listening', server };
      return server;
    } catch (error) {
      if (!this.#isDisposed()) this.#phase = { kind: 'idle' };
      throw (await this.#missingFolder(error)) ?? this.#failed(error);
    }
  }

  #isDisposed(): boolean {
    return this.#phase.kind === 'disposed';
  }

  /** Listens, in place of a socket file that its owner left behind if need be. */
  async #bindInPlace(): Promise<Server> {
    try {
      return await this.#bind();
    } catch (error) {
      if (errnoOf(error) !== 'EADDRINUSE' || this.#target.kind !== 'unix-listen') throw error;
      await removeStaleSocket(this.#target.path, this.spec);
      return await this.#bind();
    }
  }

  /** libuv says EACCES for a folder that is not there, as Windows would. */
  async #missingFolder(error: unknown): Promise<VmkdError | undefined> {
    if (this.#target.kind !== 'unix-listen' || errnoOf(error) !== 'EACCES') return undefined;
    const folder = dirname(this.#target.path);
    const errno = await lstat(folder).then(() => undefined, errnoOf);
    if (errno !== 'ENOENT') return undefined;
    const nextStep = `Make the folder ${folder}, or give another name.`;
    return new VmkdError('link-failed', `The folder for ${this.spec} does not exist.`, { nextStep });
  }

  #failed(error: unknown): VmkdError {
    return error instanceof VmkdError ? error : linkError(this.spec, 'listen', error);
  }

  #bind(): Promise<Server> {
    const target = this.#target;
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#arrived(socket));
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', () => {
        server.off('error', reject);
        resolve(server);
      });
      if (target.kind === 'tcp-listen')
        server.listen({ host: target.host, port: target.port, exclusive: true });
      else if (target.kind === 'pipe-listen')
        listenToUser(server, target.path, (why) => this.options.onExposed?.(why));
      else listenPrivately(server, target.path);
    });
  }

  #arrived(socket: Socket): void {
    socket.on('error', () => {
      // Its link reports it; who has no link yet is simply gone.
    });
    if (this.#phase.kind === 'disposed') socket.destroy();
    else if (!this.#occupied()) this.#admit(socket);
    else if (this.#client && this.#held.size < mostHeld) this.#holdBack(socket, this.#client.socket);
    else this.#refuse(socket);
  }

  /**
   * The first client may have gone just before this one came: its end is seen a moment later, on Windows after some turns.
   * Another that came before this one, and may have gone as well, is the first then.
   * @param since When it came, on the clock.
   */
  #holdBack(socket: Socket, first: Socket, since = this.#clock.now()): void {
    let timer: Timer;
    this.#held.add(socket);
    const isTooLong = (): boolean => this.#clock.now() - since >= lastMomentsUnread;
    const decide = (): void => {
      timer.cancel();
      first.off('close', decide);
      this.#held.delete(socket);
      const other = this.#client?.socket;
      if (this.#phase.kind === 'disposed') socket.destroy();
      else if (other === undefined || other.destroyed) this.#admit(socket);
      else if (other !== first && !isTooLong()) this.#holdBack(socket, other, since);
      else this.#refuse(socket);
    };
    const look = (): void => {
      if (first.destroyed) return; // and `decide` was called
      if (first.isPaused() && !isTooLong()) wait();
      else decide();
    };
    const wait = (): void => {
      // A process that was kept waiting comes to its timers before it reads: the end may be there, unread.
      timer = this.#clock.after(lastMoments, () => setImmediate(() => setImmediate(look)));
    };
    first.once('close', decide);
    wait();
  }

  #refuse(socket: Socket): void {
    const { refusal } = this.options;
    if (refusal === undefined) {
      socket.destroy();
      return;
    }
    const timer = this.#clock.after(refusalMilliseconds, () => socket.destroy());
    socket.once('close', () => timer.cancel());
    socket.end(refusal, () => socket.destroy());
  }

  #occupied(): boolean {
    return this.#client !== undefined && !this.#client.socket.destroyed;
  }

  #admit(socket: Socket): void {
    this.#client = { socket, taken: false };
    this.#serve();
  }

  /** Gives the kept client to who has waited longest. */
  #serve(): void {
    const [waiter] = this.#waiters;
    const client = this.#client;
    if (waiter === undefined || client === undefined || client.taken || client.socket.destroyed) return;
    client.taken = true;
    waiter.take(client.socket);
  }
}

/** Listens on a socket file that nobody but its user may open, not even in the moment of its making. */
function listenPrivately(server: Server, path: string): void {
  // Only the main thread may set the mask; elsewhere the chmod below comes a moment later.
  const mask = isMainThread ? process.umask(0o177) : undefined;
  try {
    server.prependOnceListener('listening', () => chmodSync(path, 0o600));
    server.listen({ path, exclusive: true });
  } finally {
    if (mask !== undefined) process.umask(mask);
  }
}

/**
 * Listens on a pipe that nobody but its user may open, or says why others may. Node gives it the system's default security,
 * which lets everybody read; it is replaced as soon as the pipe is ours, and before anything is said on it.
 */
function listenToUser(server: Server, path: string, onExposed: (why: VmkdError) => void): void {
  server.prependOnceListener('listening', () => {
    const native = nativePart();
    try {
      if (native.kind === 'absent') throw native.reason;
      native.host.keepPrivate(path);
    } catch (thrown) {
      onExposed(exposed(path, thrown));
    }
  });
  server.listen({ path, exclusive: true });
}

const exposed = (path: string, thrown: unknown): VmkdError =>
  new VmkdError(
    'link-exposed',
    `Other users of this computer may open ${path} for reading: ${(thrown as Error).message}`,
    { cause: thrown },
  );

/** @throws link-in-use unless `path` is a socket file on which nobody listens; then it is removed. */
async function removeStaleSocket(path: string, name: string): Promise<void> {
  const found = await lstat(path).catch(goneOr(name));
  if (found === undefined) return;
  if (!found.isSocket()) {
    const nextStep = 'Give another name: vmkd replaces no file but a socket that nobody uses.';
    throw new VmkdError('link-in-use', `${name} is taken: there is a file that is no socket.`, { nextStep });
  }
  // Where the system shows listeners, look first: to one that is alive, a probe would be a client that comes and goes.
  const errno = (await readUnixQueue(path)).listening ? undefined : await probe(path);
  if (errno === 'ENOENT') return;
  if (errno === 'EACCES' || errno === 'EPERM') throw linkError(name, 'listen', { code: errno });
  if (errno !== 'ECONNREFUSED') throw linkError(name, 'listen', { code: 'EADDRINUSE' });
  // Another of us may have put its own socket there meanwhile; that one stays.
  const now = await lstat(path).catch(goneOr(name));
  if (now?.ino !== found.ino) return;
  await unlink(path).catch(goneOr(name));
}

function goneOr(name: string): (error: unknown) => Stats | undefined {
  return (error) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw linkError(name, 'listen', error);
  };
}

/** The errno of connecting to a Unix socket; undefined if somebody listens. */
function probe(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error) => resolve(errnoOf(error)));
  });
}
