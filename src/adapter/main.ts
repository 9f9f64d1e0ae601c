/**
 * The debug adapter as a program: DAP on stdin and stdout, or with `--server PORT` on a loopback port, one session a
 * connection. `--folder FOLDER`: what relative paths in configurations are of; else it is where the program was started.
 *
 * Whatever ends this process — a signal, a client that is gone, an error that nobody caught — first lets the kernel go; what
 * cannot be seen from inside is the business of a second process (engine/target/guard). stdout belongs to DAP; what else there is to
 * say goes to stderr.
 */

import { createServer, type Socket } from 'node:net';
import { guardianRole } from '../engine/target/guard/guardian';
import { serveClient, type ServedClient } from './serveClient';

/** Milliseconds for the guest to be let go, when there is nobody left who could wait for it. */
const leaveLimit = 10_000;

const clients = new Set<ServedClient>();
let ending = false;

async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(code), leaveLimit).unref();
  await Promise.all([...clients].map((client) => client.end()));
  // Not before the last response is out.
  process.stdout.write('', () => process.exit(code));
}

function fail(thrown: unknown): void {
  process.stderr.write(
    `vmkd: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`,
  );
  void end(1);
}

function serveStreams(): void {
  const client = serveClient(process.stdin, process.stdout, () => {
    clients.delete(client);
    setImmediate(() => void end(0));
  });
  clients.add(client);
}

function serveSocket(socket: Socket): void {
  socket.setNoDelay(true);
  // A reset connection is a client that has gone; `close` follows.
  socket.on('error', () => undefined);
  socket.once('data', (first: Buffer) => {
    // Web pages can make a browser send requests to any port of this machine, and HTTP's headers hold what DAP's do.
    if (!first.toString('latin1').startsWith('Content-'.slice(0, first.length))) {
      socket.destroy();
      return;
    }
    socket.pause();
    socket.unshift(first);
    const client = serveClient(socket, socket, () => {
      clients.delete(client);
      setImmediate(() => socket.end());
    });
    clients.add(client);
  });
}

const usage = 'usage: adapter.js [--folder FOLDER] [--server PORT]\n';

/** @returns The other arguments */
function enterFolder(args: readonly string[]): readonly string[] {
  const [option, folder, ...others] = args;
  if (option !== '--folder' || folder === undefined) return args;
  process.chdir(folder);
  return others;
}

function main(given: readonly string[]): void {
  if (guardianRole(given, process.stdin, (code) => process.exit(code))) return;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void end(0));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  const args = enterFolder(given);
  const [option, value] = args;
  if (option === undefined) {
    serveStreams();
    return;
  }
  const port = Number(value);
  if (option !== '--server' || !Number.isInteger(port) || port < 0 || port > 65535 || args.length > 2) {
    process.stderr.write(usage);
    process.exit(2);
  }
  const server = createServer(serveSocket);
  server.on('error', fail);
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    // Port 0 is any: who started us wants to know which.
    if (typeof address === 'object' && address !== null)
      process.stderr.write(`listening on ${address.port}\n`);
  });
}

main(process.argv.slice(2));
