/** Answers from elsewhere than the target: what NT would say, or nothing. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { physicalAddress, virtualAddress } from '../core/addresses';
import { readPhysicalMemory, readVirtualMemory, searchMemory } from '../kd/manipulate/memory';
import { encodeManipulate, manipulateData, readManipulateHead } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import { NtStatus } from '../kd/ntstatus';
import { replyFrom, type MemorySource } from './memorySource';

const base = 0xfffff800_00000000n;
const memory = Uint8Array.from({ length: 0x5000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
/** The third page is absent, the fifth unknown. */
const source: MemorySource = {
  readVirtual(address, length) {
    const from = Number(address - base);
    if (from + length > 0x4000 && from < 0x5000) return undefined;
    if (from < 0 || from >= 0x4000 || (from >= 0x2000 && from < 0x3000)) return new Uint8Array();
    return memory.slice(from, Math.min(from + length, from < 0x2000 ? 0x2000 : 0x4000));
  },
  readPhysical: (address, length) =>
    address < 0x1000n ? memory.slice(Number(address), Number(address) + length) : undefined,
};

/** With junk where nothing is said. */
const junk = new Uint8Array(56).fill(0xab);

const readAt = (offset: number, count: number): Uint8Array =>
  encodeManipulate(
    readVirtualMemory.request,
    { apiNumber: readVirtualMemory.number, returnStatus: NtStatus.Pending, processor: 1 },
    { address: virtualAddress(base + BigInt(offset)), count },
    undefined,
    junk,
  );

const searchFrom = (offset: number, length: number | bigint, pattern: Uint8Array): Uint8Array =>
  encodeManipulate(
    searchMemory.request,
    { apiNumber: searchMemory.number },
    {
      start: virtualAddress(base + BigInt(offset)),
      length: BigInt(length),
      patternLength: pattern.length,
    },
    pattern,
    junk,
  );

void describe('a memory source', () => {
  void it('answers reads as NT does: laid over the request, at most 3944 bytes', async () => {
    const request = readAt(0x10, 0x20);
    const reply = await replyFrom(source, request);
    assert.ok(reply);
    const expected = Buffer.concat([request, memory.subarray(0x10, 0x30)]);
    expected.writeUInt32LE(0, 8);
    expected.writeUInt32LE(0x20, 28);
    assert.deepEqual(Buffer.from(reply), expected);
    assert.equal(manipulateData((await replyFrom(source, readAt(0, 0x1800)))!).length, 3944);
    const none = (await replyFrom(source, readAt(0, 0)))!;
    assert.equal(readManipulateHead(none).returnStatus, 0);
  });

  void it('answers C0000001 with what there is before an absent page', async () => {
    const reply = (await replyFrom(source, readAt(0x1ff0, 0x40)))!;
    assert.equal(readManipulateHead(reply).returnStatus, NtStatus.Unsuccessful);
    assert.equal(readVirtualMemory.reply.read(reply).actual, 0x10);
    assert.deepEqual(manipulateData(reply), memory.subarray(0x1ff0, 0x2000));
    const nothing = (await replyFrom(source, readAt(0x2800, 8)))!;
    assert.equal(readManipulateHead(nothing).returnStatus, NtStatus.Unsuccessful);
    assert.equal(manipulateData(nothing).length, 0);
  });

  void it('leaves to the target what it cannot say', async () => {
    assert.equal(await replyFrom(source, readAt(0x3ff0, 0x20)), undefined);
    assert.equal(await replyFrom({}, readAt(0, 8)), undefined);
    const version = encodeManipulate(getVersion.request, { apiNumber: getVersion.number }, {});
    assert.equal(await replyFrom(source, version), undefined);
    const physical = (address: bigint): Uint8Array =>
      encodeManipulate(
        readPhysicalMemory.request,
        { apiNumber: readPhysicalMemory.number },
        { address: physicalAddress(address), count: 8 },
      );
    const reply = await replyFrom(source, physical(0x100n));
    assert.deepEqual(manipulateData(reply!), memory.subarray(0x100, 0x108));
    assert.equal(await replyFrom(source, physical(0xfee0_0000n)), undefined);
  });

  void it('searches, over absent pages too, and across the borders of pages', async () => {
    const found = async (request: Uint8Array): Promise<number | undefined> => {
      const reply = (await replyFrom(source, request))!;
      const { returnStatus } = readManipulateHead(reply);
      if (returnStatus === NtStatus.NoMoreEntries) return undefined;
      assert.equal(returnStatus, 0);
      return Number(searchMemory.reply.read(reply).found - base);
    };
    const at = (offset: number, length: number): Uint8Array => memory.subarray(offset, offset + length);
    const first = (pattern: Uint8Array, from: number): number =>
      Buffer.from(memory.buffer).indexOf(pattern, from);
    for (const offset of [0, 5, 0xffa, 0x1ff0, 0x3000, 0x3210])
      assert.equal(await found(searchFrom(0, 0x4000, at(offset, 12))), first(at(offset, 12), 0));
    // Half of it is in the absent page.
    assert.equal(await found(searchFrom(0x1f00, 0x1200, at(0x1ffa, 12))), undefined);
    assert.equal(await found(searchFrom(0x10, 11, at(0x10, 12)).fill(12, 24, 25)), 0x10);
    assert.equal(await found(searchFrom(0x2000, 0x1000, at(0, 1))), undefined);
    for (const strange of [
      searchFrom(0, 4, at(0, 12)),
      searchFrom(0, 0x4000, new Uint8Array()),
      searchFrom(0, 1n << 33n, at(0, 4)),
      searchFrom(0, 0x5000, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ])
      assert.equal(await replyFrom(source, strange), undefined);
  });
});
