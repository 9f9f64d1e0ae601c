/** Commands that show memory: as bytes and words, as text, as pointers with their names, as code. */

import { formatAddress, plus, virtualAddress, type VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { hex, hexBytes } from '../../engine/core/hex';
import { decodeAnsiz, decodeUtf16z } from '../../engine/core/text';
import { rangeOf, type ConsoleCommand, type Run } from './command';

const rowBytes = 16;
const mostUnits = 4096;

/** Where the last command of a sort ended: the next one goes on there. */
const lastEnds = new WeakMap<object, Map<string, VirtualAddress>>();

function continued(
  run: Run,
  sort: string,
  first: () => Promise<VirtualAddress>,
): () => Promise<VirtualAddress> {
  return async () => lastEnds.get(run.session)?.get(sort) ?? (await first());
}

function remember({ session }: Run, sort: string, end: VirtualAddress): void {
  const ends = lastEnds.get(session) ?? new Map<string, VirtualAddress>();
  lastEnds.set(session, ends.set(sort, end));
}

const stackPointer = async (run: Run): Promise<VirtualAddress> =>
  (await run.frame()).frame.frame.registers.rsp;

/** All of it up to an absent page. */
async function read(run: Run, address: VirtualAddress, length: number): Promise<Uint8Array> {
  const bytes = await run.session.target.memory.readPartial(address, length);
  if (bytes.length > 0) return bytes;
  throw new VmkdError('memory-unreadable', `No memory at ${formatAddress(address)}`);
}

/** Below it, where the client shows that memory in a view: a link of its own, to which the address is added. */
function linked(rows: readonly string[], address: VirtualAddress): string {
  const link = process.env['VMKD_MEMORY_LINK'] ?? '';
  return [...rows, ...(link === '' ? [] : [`${link}${hex(address)}`])].join('\n');
}

/** Words of one size, sixteen bytes a row. */
function dump(name: string, size: number, what: string, count: number): ConsoleCommand {
  return {
    name,
    usage: `${name} [ADDRESS] [L COUNT]`,
    help: `Shows memory as ${what}; without an address, where the last one ended.`,
    completes: 'symbol',
    async run(run) {
      const range = await rangeOf(run, {
        address: continued(run, 'dump', () => stackPointer(run)),
        count,
        most: mostUnits,
      });
      const bytes = await read(run, range.address, range.count * size);
      remember(run, 'dump', plus(range.address, range.count * size));
      const rows: string[] = [];
      for (let at = 0; at < bytes.length; at += rowBytes) {
        const row = bytes.subarray(at, at + rowBytes);
        rows.push(`${formatAddress(plus(range.address, at))}  ${dumpRow(row, size)}`);
      }
      if (bytes.length < range.count * size)
        rows.push(`${formatAddress(plus(range.address, bytes.length))}  ??`);
      return linked(rows, range.address);
    },
  };
}

function dumpRow(row: Uint8Array, size: number): string {
  if (size === 1) {
    const text = Array.from(row, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    return `${hexBytes(row).padEnd(rowBytes * 3 - 1)}  ${text}`;
  }
  const words: string[] = [];
  for (let at = 0; at + size <= row.length; at += size) {
    const digits = Buffer.from(row.subarray(at, at + size))
      .reverse()
      .toString('hex');
    words.push(size === 8 ? `${digits.slice(0, 8)}\`${digits.slice(8)}` : digits);
  }
  return words.join(' ');
}

function text(name: string, what: string, unit: 1 | 2): ConsoleCommand {
  return {
    name,
    usage: `${name} ADDRESS [L COUNT]`,
    help: `Shows memory as ${what}, up to its NUL.`,
    completes: 'symbol',
    async run(run) {
      const range = await rangeOf(run, { address: () => stackPointer(run), count: 256, most: mostUnits });
      const bytes = await read(run, range.address, range.count * unit);
      const shown = JSON.stringify(unit === 1 ? decodeAnsiz(bytes) : decodeUtf16z(bytes));
      return linked([`${formatAddress(range.address)}  ${shown}`], range.address);
    },
  };
}

const pointers: ConsoleCommand = {
  name: 'dps',
  usage: 'dps [ADDRESS] [L COUNT]',
  help: 'Shows memory as pointers, with the names of what they point at; by default the stack.',
  completes: 'symbol',
  async run(run) {
    const range = await rangeOf(run, { address: () => stackPointer(run), count: 16, most: mostUnits });
    const bytes = await read(run, range.address, range.count * 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const rows: string[] = [];
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      const pointer = virtualAddress(view.getBigUint64(at, true));
      const name = run.session.target.symbols.nameOf(pointer);
      rows.push(
        `${formatAddress(plus(range.address, at))}  ${formatAddress(pointer)}${name ? ` ${name}` : ''}`,
      );
    }
    return linked(rows, range.address);
  },
};

const code: ConsoleCommand = {
  name: 'u',
  usage: 'u [ADDRESS] [L COUNT]',
  help: 'Shows code; without an address, where the last one ended, or where the frame stands.',
  completes: 'symbol',
  async run(run) {
    const range = await rangeOf(run, {
      address: continued(run, 'code', async () => (await run.frame()).frame.address),
      count: 8,
      most: mostUnits,
    });
    const listing = await run.session.listing();
    const rows = await listing.rows(range.address, 0, range.count + 1);
    const next = rows.pop();
    if (next !== undefined) remember(run, 'code', virtualAddress(BigInt(next.address)));
    return rows
      .map(({ address, instructionBytes = '', instruction }) => {
        const bytes = instructionBytes.replace(/ /g, '');
        return `${formatAddress(BigInt(address))}  ${bytes.padEnd(20)} ${instruction}`;
      })
      .join('\n');
  },
};

export const memoryCommands: readonly ConsoleCommand[] = [
  dump('db', 1, 'bytes and characters', 128),
  dump('dw', 2, 'words of 2 bytes', 64),
  dump('dd', 4, 'words of 4 bytes', 32),
  dump('dq', 8, 'words of 8 bytes', 16),
  text('da', 'text of one byte a character', 1),
  text('du', 'UTF-16 text', 2),
  pointers,
  code,
];
