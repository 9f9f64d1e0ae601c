/**
 * Memory of a stopped target by KD requests: the slowest way, and the one that always works.
 * A request brings at most 3,944 bytes, and fewer where a page is absent.
 */

import { formatAddress, plus, type PhysicalAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { KdClient, Reply } from '../kd/client';
import {
  readPhysicalMemory,
  readVirtualMemory,
  writePhysicalMemory,
  writeVirtualMemory,
} from '../kd/manipulate/memory';
import { maxManipulateData } from '../kd/manipulate/message';
import { formatStatus, isError } from '../kd/ntstatus';
import type { VirtualMemory } from '../memory/virtualMemory';

/** One read, at the slowest of 11 KB/s, that still ends on the same day. */
export const mostBytes = 256 * 1024 * 1024;

/** A target that sends less than this at a time wastes our time. */
const fairShare = 256;

type ReadReply =
  | Reply<(typeof readPhysicalMemory)['reply']['fields']>
  | Reply<(typeof readVirtualMemory)['reply']['fields']>;

export class KdMemory implements VirtualMemory {
  constructor(private readonly client: KdClient) {}

  /** @param length Bytes, at most 256 MiB. @throws value-out-of-range; target and link errors; never for absent memory. */
  readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    return readInPieces(length, (offset, count) =>
      this.client.request(readVirtualMemory, { address: plus(address, offset), count }),
    );
  }

  /** As `readPartial`, of physical memory; device memory may react to being read. */
  readPhysicalPartial(address: PhysicalAddress, length: number): Promise<Uint8Array> {
    return readInPieces(length, (offset, count) =>
      this.client.request(readPhysicalMemory, { address: plus(address, offset), count, cacheFlag: 0 }),
    );
  }

  /** All of it, or an error that says how far it came. @throws target-refused */
  async write(address: VirtualAddress, data: Uint8Array): Promise<void> {
    await writeInPieces(data, address, (at, part) =>
      this.client.request(writeVirtualMemory, { address: at, count: part.length }, { data: part }),
    );
  }

  async writePhysical(address: PhysicalAddress, data: Uint8Array): Promise<void> {
    await writeInPieces(data, address, (at, part) =>
      this.client.request(
        writePhysicalMemory,
        { address: at, count: part.length, cacheFlag: 0 },
        { data: part },
      ),
    );
  }
}

async function readInPieces(
  length: number,
  read: (offset: number, count: number) => Promise<ReadReply>,
): Promise<Uint8Array> {
  if (length > mostBytes) {
    throw new VmkdError(
      'value-out-of-range',
      `${length} bytes are more than the ${mostBytes} that are read at one go`,
    );
  }
  const whole = new Uint8Array(length);
  let done = 0;
  for (let tries = length / fairShare + 8; done < length && tries > 0; tries--) {
    const count = Math.min(length - done, maxManipulateData);
    const { status, fields, data } = await read(done, count);
    // A hostile target may claim more than it sent, or send more than was asked.
    const got = Math.min(fields.actual, data.length, count);
    whole.set(data.subarray(0, got), done);
    done += got;
    // An error status says that what follows is absent; a short reply alone, that the target sends less at a time.
    if (got === 0 || isError(status)) break;
  }
  return done === length ? whole : whole.slice(0, done);
}

async function writeInPieces<A extends VirtualAddress | PhysicalAddress>(
  data: Uint8Array,
  address: A,
  write: (
    at: A,
    part: Uint8Array,
  ) => Promise<Reply<{ actual: (typeof writeVirtualMemory)['reply']['fields']['actual'] }>>,
): Promise<void> {
  for (let done = 0; done < data.length;) {
    const part = data.subarray(done, done + maxManipulateData);
    const { status, fields } = await write(plus(address, done), part);
    done += Math.min(fields.actual, part.length);
    if (isError(status) || fields.actual === 0) {
      const message = `The target refused to write at ${formatAddress(plus(address, done))}: ${formatStatus(status)}`;
      throw new VmkdError('target-refused', message, {
        nextStep: 'Its page may be absent, or not to be written. Read it first: that shows which.',
      });
    }
  }
}
