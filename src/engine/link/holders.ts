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
 * A row of /proc/net/unix does not tell whose it is. So a look is taken before we connect: if one that was there then is
 * accepted now, and any still waits, we wait. Num is a row's identity from the first, unless the kernel hides it (zeros,
 * kernel.kptr_restrict); then Inode has to do, from acceptance on. Rows of TCP name both ends; ours is known by its port.
 *
 * Source: proc_net(5), proc(5); seen with QEMU, which leaves a second client waiting until the first one goes.
 */

import { readFile } from 'node:fs/promises';

/** A look at a Unix listener and its connections. */
export interface UnixQueue {
  readonly listening: boolean;
  /** Every connection that can be known again, waiting or accepted. */
  readonly known: ReadonlySet<string>;
  readonly accepted: ReadonlySet<string>;
  readonly waiting: number;
}

/** Other systems, and a /proc that is not there, show nothing: an empty queue. */
export async function readUnixQueue(path: string): Promise<UnixQueue> {
  return parseUnixQueue(await readTable('/proc/net/unix'), path);
}

/** @param table The text of /proc/net/unix. */
export function parseUnixQueue(table: string, path: string): UnixQueue {
  const known = new Set<string>();
  const accepted = new Set<string>();
  let listening = false;
  let waiting = 0;
  for (const row of table.split('\n')) {
    if (!row.endsWith(` ${path}`)) continue;
    const match = /^([0-9a-f]+): \S+ +\S+ +\S+ +\S+ +(\S+) +(\d+) (.*)$/.exec(row);
    const [, number = '', state = '', inode = '', rowPath] = match ?? [];
    if (rowPath !== path) continue;
    const key = /[^0]/.test(number) ? number : inode === '0' ? undefined : inode;
    if (state === '01') listening = true;
    else if (key !== undefined) known.add(key);
    if (state === '02' && inode === '0') waiting++;
    if (state === '03' && inode !== '0' && key !== undefined) accepted.add(key);
  }
  return { listening, known, accepted, waiting };
}

/**
 * Whether somebody who came before us has the port while we wait.
 * @param before The queue just before we connected; `now`: while our connection is open and silent.
 */
export function isHeldByAnother(before: UnixQueue, now: UnixQueue): boolean {
  return now.waiting > 0 && [...now.accepted].some((key) => before.known.has(key));
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
