/**
 * Memory of a stopped target from elsewhere than the target: what makes the pipe fast. A read or search that it can answer in
 * full is answered as NT would, byte for byte; anything else is for the target itself.
 *
 *   request ─▶ source has all of it, or knows where it ends ─▶ reply laid over the request
 *          └─▶ it does not say                              ─▶ undefined: ask the target
 *
 * Source of what NT answers: a read brings at most 3944 bytes, and C0000001 with the bytes before an absent page; a search
 * steps over absent pages, and ends with 8000001A.
 */

import type { PhysicalAddress, VirtualAddress } from '../core/addresses';
import { plus } from '../core/addresses';
import type { StoppedState } from '../kd/clientState';
import { readPhysicalMemory, readVirtualMemory, searchMemory } from '../kd/manipulate/memory';
import {
  encodeManipulate,
  manipulateData,
  maxManipulateData,
  readManipulateHead,
  type ManipulateApi,
} from '../kd/manipulate/message';
import { NtStatus } from '../kd/ntstatus';

/** Bytes from an address on: fewer than were asked for only if nothing is behind them; undefined if it cannot say. */
export type Found = Uint8Array | undefined;

export interface MemorySource {
  /** The target has stopped. Whatever was known of it before is void. */
  enter?(stop: StoppedState): Promise<void>;
  /** In the address space of the processor that stopped. */
  readVirtual?(address: VirtualAddress, length: number): Found | Promise<Found>;
  readPhysical?(address: PhysicalAddress, length: number): Found | Promise<Found>;
}

/** A way to memory that does not have all of it, such as guest RAM. */
export interface PartialMemory {
  /** Whether it may be read now. */
  readonly isUsable: boolean;
  /** Fills `into` from its start. @returns bytes */
  read(address: VirtualAddress, into: Uint8Array): number;
  /** Nothing is there where the last read ended; else it has just not got it. */
  readonly endedAtNothing: boolean;
}

/** What of it is certain. */
export function readCertain(memory: PartialMemory, address: VirtualAddress, length: number): Found {
  if (!memory.isUsable) return undefined;
  const into = new Uint8Array(length);
  const done = memory.read(address, into);
  if (done === length) return into;
  return memory.endedAtNothing ? into.subarray(0, done) : undefined;
}

/** What a source may have an answer to. */
export const isMemoryRequest = (request: Uint8Array): boolean =>
  memoryRequests.has(readManipulateHead(request).apiNumber);

const memoryRequests: ReadonlySet<number> = new Set(
  [readVirtualMemory, readPhysicalMemory, searchMemory].map(({ number }) => number),
);

/** The reply to a request for memory; undefined if the target has to be asked. @throws what the source throws */
export async function replyFrom(source: MemorySource, request: Uint8Array): Promise<Uint8Array | undefined> {
  switch (readManipulateHead(request).apiNumber) {
    case readVirtualMemory.number: {
      const { address, count } = readVirtualMemory.request.read(request);
      const length = Math.min(count, maxManipulateData);
      return readReply(readVirtualMemory, request, length, await source.readVirtual?.(address, length));
    }
    case readPhysicalMemory.number: {
      const { address, count } = readPhysicalMemory.request.read(request);
      const length = Math.min(count, maxManipulateData);
      return readReply(readPhysicalMemory, request, length, await source.readPhysical?.(address, length));
    }
    case searchMemory.number:
      return search(source, request);
    default:
      return undefined;
  }
}

type ReadApi = typeof readVirtualMemory | typeof readPhysicalMemory;

function readReply(api: ReadApi, request: Uint8Array, length: number, found: Found): Uint8Array | undefined {
  if (found === undefined || found.length > length) return undefined;
  const status = found.length === length ? NtStatus.Success : NtStatus.Unsuccessful;
  return laidOver(api, request, status, { actual: found.length }, found);
}

const pageSize = 4096n;
/** What a search reads at a time: the debugger's break-in must be heard in between. */
const searchStep = 1 << 20;
/** Milliseconds. */
const longestTurn = 5;
/** The most that one request has searched here. */
const longestSearch = 1n << 32n;

async function search(source: MemorySource, request: Uint8Array): Promise<Uint8Array | undefined> {
  const { start, length, patternLength } = searchMemory.request.read(request);
  const pattern = Buffer.from(manipulateData(request).subarray(0, patternLength));
  // What makes no sense, or would take for ever, is for the target to refuse in its own way.
  if (patternLength === 0 || pattern.length < patternLength || length < BigInt(patternLength))
    return undefined;
  if (length > longestSearch || start + length - 1n > 0xffff_ffff_ffff_ffffn) return undefined;
  const end = start + length;
  let turnBegan = performance.now();
  for (let at: bigint = start; end - at >= BigInt(patternLength);) {
    const wanted = Number(end - at < BigInt(searchStep) ? end - at : BigInt(searchStep));
    const bytes = await source.readVirtual?.(plus(start, at - start), wanted);
    if (bytes === undefined) return undefined;
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(pattern);
    if (found >= 0) {
      const address = plus(start, at - start + BigInt(found));
      return laidOver(searchMemory, request, NtStatus.Success, { found: address });
    }
    // The pattern may lie across the border of two steps; not across a page that is not there.
    at =
      bytes.length === wanted
        ? at + BigInt(Math.max(1, wanted - patternLength + 1))
        : ((at + BigInt(bytes.length)) / pageSize + 1n) * pageSize;
    if (performance.now() - turnBegan > longestTurn) {
      await new Promise(setImmediate);
      turnBegan = performance.now();
    }
  }
  return laidOver(searchMemory, request, NtStatus.NoMoreEntries, {});
}

/** As NT does: in the request's own buffer. */
function laidOver(
  { reply }: ManipulateApi,
  request: Uint8Array,
  returnStatus: number,
  fields: object,
  data?: Uint8Array,
): Uint8Array {
  return encodeManipulate(reply, { returnStatus }, fields, data, request);
}
