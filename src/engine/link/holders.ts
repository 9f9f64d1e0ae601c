/**
 * Who else holds the listening end that we are connected to. VMware and QEMU serve one client at a time: a second one
 * connects, as far as it can see, but its connection waits unaccepted in the listener's queue, and no byte ever comes.
 * Linux shows that queue:
 *
 *   /proc/net/unix   Num RefCount Protocol Flags Type St Inode [Path]      one row for the listener and for each of its
 *                                                                          connections; ours shows without the path
 *       St 01 listening, 02 waiting (then Inode is 0), 03 accepted
 *   /proc/net/tcp    sl local_address rem_address st … uid timeout inode   addresses in hex, each 32-bit word as the
 *       st 0A listening, 01 established, 08 peer closed; inode 0: waiting  processor stores it; port in plain hex
 *
 * A row of /proc/net/unix does not tell whose it is. So a look is taken before we connect: who was there then and is
 * there still has the port, if any connection waits. Rows of TCP name both ends, and ours is known by its port.
 *
 * Source: proc_net(5), proc(5); seen with QEMU, which leaves a second client waiting until the first one goes.
 */

import { readFile } from 'node:fs/promises';

/** What the queue of a Unix listener held. */
export interface UnixQueue {
  readonly listening: boolean;
  /** Inodes of accepted connections. */
  readonly accepted: ReadonlySet<string>;
  readonly waiting: number;
}

const emptyQueue: UnixQueue = { listening: false, accepted: new Set(), waiting: 0 };

/** Other systems, and a /proc that is not there, show nothing: an empty queue. */
export async function readUnixQueue(path: string): Promise<UnixQueue> {
  const table = await readTable('/proc/net/unix');
  return table === '' ? emptyQueue : parseUnixQueue(table, path);
}

/** @param table The text of /proc/net/unix. */
export function parseUnixQueue(table: string, path: string): UnixQueue {
  const accepted = new Set<string>();
  let listening = false;
  let waiting = 0;
  for (const row of table.split('\n')) {
    if (!row.endsWith(` ${path}`)) continue;
    const [, state, inode, rowPath] = /^\S+ +\S+ +\S+ +\S+ +\S+ +(\S+) +(\d+) (.*)$/.exec(row) ?? [];
    if (rowPath !== path || inode === undefined) continue;
    if (state === '01') listening = true;
    if (state === '02' && inode === '0') waiting++;
    if (state === '03' && inode !== '0') accepted.add(inode);
  }
  return { listening, accepted, waiting };
}

/**
 * Whether somebody who came before us has the port while we wait. Those who waited before us are served before us.
 * @param before The queue just before we connected; `now`: while our connection is open and silent.
 */
export function isHeldByAnother(before: UnixQueue, now: UnixQueue): boolean {
  if (now.waiting === 0 || now.accepted.size === 0) return false;
  return before.waiting > 0 || [...now.accepted].some((inode) => before.accepted.has(inode));
}

/** The ends of a TCP connection of ours to a listener on this machine. */
export interface TcpEnds {
  readonly localPort: number;
  readonly remotePort: number;
}

/** Whether our connection waits in the queue of a loopback listener that another client has. */
export async function isTcpHeldByAnother(ends: TcpEnds): Promise<boolean> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readTable));
  return isTcpRowHeldByAnother(tables.join('\n'), ends);
}

/** @param table The text of /proc/net/tcp and /proc/net/tcp6. */
export function isTcpRowHeldByAnother(table: string, { localPort, remotePort }: TcpEnds): boolean {
  let oursWaits = false;
  let otherAccepted = false;
  const pattern =
    /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) (\w\w) \S+ \S+ \S+ +\d+ +\d+ (\d+) /gm;
  for (const [, host, port, peerHost, peerPort, state, inode] of table.matchAll(pattern)) {
    if (Number(`0x${port ?? ''}`) !== remotePort || (state !== '01' && state !== '08')) continue;
    if (!isLoopback(host ?? '')) continue;
    const ours = Number(`0x${peerPort ?? ''}`) === localPort && isLoopback(peerHost ?? '');
    if (ours && inode === '0') oursWaits = true;
    if (!ours && inode !== '0') otherAccepted = true;
  }
  return oursWaits && otherAccepted;
}

/** 127/8, ::1 and ::ffff:127/8 as a little-endian kernel prints them; big-endian ones just look unknown. */
function isLoopback(hex: string): boolean {
  return (
    /^(?:0000000000000000FFFF0000)?[0-9A-F]{6}7F$/.test(hex) || hex === '00000000000000000000000001000000'
  );
}

async function readTable(file: string): Promise<string> {
  if (process.platform !== 'linux') return '';
  // No /proc, or one that is closed to us, is no error: it is the answer “cannot tell”.
  return readFile(file, 'latin1').catch(() => '');
}
