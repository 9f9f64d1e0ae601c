/** Memory panes: bytes at addresses, read as far as they are there, written as a whole. */

import { plus, type VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import type { Cancellation } from '../../engine/expr/access';
import type { VirtualMemory } from '../../engine/memory/virtualMemory';
import { memoryNow } from '../live';
import { addressOf, memoryReference } from '../memoryReferences';
import type { Family } from '../protocol';
import type { Session } from '../session';

const pageSize = 4096;
/** One request's worth; a pane that wants more asks again. */
const mostBytes = 1 << 20;
const pieceBytes = 16 << 10;
/** How many absent pages are tried in search of one that is there: each is a round trip. */
const mostProbes = 16;
const endOfMemory = 1n << 64n;

export const memory: Family = {
  capabilities: ({ execution }) => ({
    supportsReadMemoryRequest: true,
    supportsWriteMemoryRequest: execution,
  }),
  requests: {
    async readMemory(session, { memoryReference: reference, offset = 0, count }, call) {
      const address = addressOf(reference, offset);
      const wanted = wantedAt(address, count);
      const { bytes, absent, live } = await readNow(session, address, wanted, call);
      session.memoryViews.seen(reference, offset, wanted);
      return {
        address: memoryReference(address),
        ...(bytes.length > 0 ? { data: base64(bytes) } : {}),
        ...(absent > 0 ? { unreadableBytes: absent } : {}),
        // Not DAP's: its parts may be of different moments.
        ...(live ? { live } : {}),
      };
    },

    async writeMemory(session, { memoryReference: reference, offset = 0, data, allowPartial = false }) {
      session.mustBeStopped();
      const address = addressOf(reference, offset);
      const { memory: part } = session.target;
      if (part.write === undefined)
        throw new VmkdError('target-unsupported', 'The memory of this target cannot be written');
      let bytes: Uint8Array = Buffer.from(data, 'base64');
      if (allowPartial) bytes = bytes.subarray(0, (await part.readPartial(address, bytes.length)).length);
      if (bytes.length > 0) await part.write(address, bytes);
      await session.memoryWritten(address, bytes.length);
      return { bytesWritten: bytes.length };
    },
  },
};

/** One request's worth, and not beyond the end of memory. */
export const wantedAt = (address: VirtualAddress, count: number): number =>
  Math.max(0, Math.min(count, mostBytes, Number(endOfMemory - address)));

interface ReadNow {
  readonly bytes: Uint8Array;
  /** So many behind them are not there. */
  readonly absent: number;
  /** The kernel runs: parts may be of different moments. */
  readonly live: boolean;
}

/** What the processor that stopped sees, or the kernel that runs. @throws target-running, cancelled and others */
export async function readNow(
  session: Session,
  address: VirtualAddress,
  wanted: number,
  call: Cancellation,
): Promise<ReadNow> {
  const { memory, live } = memoryNow(session);
  const bytes = await readInPieces((at, length) => memory.readPartial(at, length), address, wanted, call);
  const missing = wanted - bytes.length;
  const absent = missing > 0 ? await absentBytes(memory, plus(address, bytes.length), missing) : 0;
  return { bytes, absent, live };
}

export const base64 = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('base64');

/**
 * A serial port takes its time for a large range: in pieces, others get their turn, and who gives up is heard.
 * @throws cancelled
 */
export async function readInPieces(
  read: (address: VirtualAddress, length: number) => Promise<Uint8Array>,
  address: VirtualAddress,
  length: number,
  signal: Cancellation,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let done = 0; done < length; done += pieceBytes) {
    if (signal.aborted) throw new VmkdError('cancelled', 'Reading memory was cancelled');
    const wanted = Math.min(pieceBytes, length - done);
    const piece = await read(plus(address, done), wanted);
    pieces.push(piece);
    if (piece.length < wanted) break;
  }
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

/** How many bytes from `address` on are absent, before a page that is there. */
async function absentBytes(memory: VirtualMemory, address: VirtualAddress, length: number): Promise<number> {
  let absent = pageSize - Number(address % BigInt(pageSize));
  for (let probe = 0; absent < length && probe < mostProbes; probe++) {
    const there = await memory.readPartial(plus(address, absent), 1);
    if (there.length > 0) return absent;
    absent += pageSize;
  }
  return Math.min(absent, length);
}
