/** Every manipulate API against the demo kernel's stub: what it answers, and what it refuses as NT does. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { physicalAddress, virtualAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { contextSizeX64, contextX64, specialRegistersX64 } from '../../src/engine/cpu/contextX64';
import type { KdClient } from '../../src/engine/kd/client';
import {
  clearAllInternalBreakpoints,
  getInternalBreakPoint,
  querySpecialCalls,
  restoreBreakPoint,
  restoreBreakPointEx,
  setInternalBreakPoint,
  setSpecialCall,
  writeBreakPointEx,
  writeCustomBreakpoint,
} from '../../src/engine/kd/manipulate/breakpoint';
import {
  ControlSpace,
  getContext,
  getContextEx,
  readControlSpace,
  setContext,
  setContextEx,
  writeControlSpace,
} from '../../src/engine/kd/manipulate/context';
import {
  getBusData,
  pciConfiguration,
  readIoSpace,
  readIoSpaceExtended,
  readMsr,
  setBusData,
  writeIoSpace,
  writeIoSpaceExtended,
  writeMsr,
} from '../../src/engine/kd/manipulate/io';
import {
  CacheFlags,
  FillFlags,
  checkLowMemory,
  fillMemory,
  pageIn,
  queryMemory,
  readPhysicalMemory,
  readVirtualMemory,
  searchMemory,
  writePhysicalMemory,
  writeVirtualMemory,
} from '../../src/engine/kd/manipulate/memory';
import { getVersion } from '../../src/engine/kd/manipulate/version';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { at, bootForDebugging, breakIn, readNumber, type Attached } from '../fixtures/attached';

let attached: Attached;
let client: KdClient;
/** A variable of vmkdemo.sys that we may write to: VmkDemoLarge, over 120 members. */
let scratch: VirtualAddress;

before(async () => {
  attached = await bootForDebugging();
  scratch = at(await attached.addressOf('vmkdemo.sys!VmkDemoLarge'), 256);
  await attached.target.attach(breakIn);
  client = attached.target.client;
});
after(() => attached.end());

const refused = 0xc0000001;
const pattern = Uint8Array.from({ length: 64 }, (_, i) => i * 3 + 1);
const nowhere = virtualAddress(0xfffff700_00000000n);

void describe('memory', () => {
  void it('ReadVirtualMemory, WriteVirtualMemory', async () => {
    const written = await client.demand(
      writeVirtualMemory,
      { address: scratch, count: 64 },
      { data: pattern },
    );
    assert.equal(written.fields.actual, 64);
    const read = await client.demand(readVirtualMemory, { address: scratch, count: 64 });
    assert.deepEqual([...read.data], [...pattern]);
    const absent = await client.request(readVirtualMemory, { address: nowhere, count: 16 });
    assert.deepEqual([absent.status, absent.fields.actual, absent.data.length], [refused, 0, 0]);
  });

  void it('ReadVirtualMemory is short where the memory ends', async () => {
    // The kernel's image ends within this range, and what follows is not mapped.
    const [kernel] = await attached.target.modules();
    const tail = at(at(kernel!.base, kernel!.size), -16);
    const { status, fields, data } = await client.request(readVirtualMemory, { address: tail, count: 3944 });
    assert.equal(status, refused);
    assert.equal(fields.actual, data.length);
    assert.ok(data.length >= 16 && data.length < 3944, `${data.length} bytes`);
  });

  void it('ReadPhysicalMemory, WritePhysicalMemory, with cache flags', async () => {
    const address = physicalAddress(0x1000n);
    const { data } = await client.demand(readPhysicalMemory, {
      address,
      count: 32,
      cacheFlag: CacheFlags.Default,
    });
    const cached = await client.request(readPhysicalMemory, {
      address,
      count: 32,
      cacheFlag: CacheFlags.Cached,
    });
    assert.ok(cached.status === refused || Buffer.from(cached.data).equals(data));
    const back = await client.demand(
      writePhysicalMemory,
      { address, count: 32, cacheFlag: 0 },
      { data: data.slice() },
    );
    assert.equal(back.fields.actual, 32);
  });

  void it('SearchMemory finds a pattern, and says when there is none', async () => {
    await client.demand(writeVirtualMemory, { address: scratch, count: 64 }, { data: pattern });
    const needle = pattern.slice(20, 36);
    const range = { start: scratch, length: 64n, patternLength: needle.length };
    assert.equal((await client.demand(searchMemory, range, { data: needle })).fields.found, at(scratch, 20));
    const none = await client.request(searchMemory, range, { data: new Uint8Array(16).fill(0xf7) });
    assert.equal(none.status, NtStatus.NoMoreEntries);
  });

  void it('FillMemory', async () => {
    const fill = { address: scratch, length: 10, flags: FillFlags.Virtual, patternLength: 3 };
    const { fields } = await client.demand(fillMemory, fill, { data: Uint8Array.of(1, 2, 3) });
    assert.equal(fields.filled, 10);
    const { data } = await client.demand(readVirtualMemory, { address: scratch, count: 10 });
    assert.deepEqual([...data], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
  });

  void it('QueryMemory knows kernel and user space', async () => {
    const kernel = await client.demand(queryMemory, { address: scratch, space: 0 });
    assert.equal(kernel.fields.space, 2);
    const user = await client.demand(queryMemory, { address: virtualAddress(0x10000n), space: 0 });
    assert.equal(user.fields.space, 0);
    const bad = await client.request(queryMemory, { address: scratch, space: 1 });
    assert.equal(bad.status, NtStatus.InvalidParameter);
  });

  void it('PageIn and CheckLowMemory answer', async () => {
    assert.equal((await client.request(pageIn, { address: scratch })).status, refused);
    await client.request(checkLowMemory, {});
  });
});

void describe('registers', () => {
  void it('GetContext, SetContext', async () => {
    const { data } = await client.demand(getContext, {});
    const before = contextX64.read(data);
    const changed = data.slice();
    contextX64.write(changed, { r15: 0x1122334455667788n });
    await client.demand(setContext, {}, { data: changed });
    assert.equal(contextX64.read((await client.demand(getContext, {})).data).r15, 0x1122334455667788n);
    contextX64.write(changed, { r15: before.r15 });
    await client.demand(setContext, {}, { data: changed });
  });

  void it('GetContextEx, SetContextEx: in pieces, taken over with the last', async () => {
    const pieces = [];
    for (let offset = 0; offset < contextSizeX64; offset += 512) {
      const count = Math.min(512, contextSizeX64 - offset);
      const { fields, data } = await client.demand(getContextEx, { offset, count });
      assert.equal(fields.copied, count);
      pieces.push(data.slice());
    }
    const whole = Buffer.concat(pieces);
    const { rbx, rip } = contextX64.read(whole);
    assert.equal(rip, attached.target.stopped.change.programCounter);
    contextX64.write(whole, { rbx: 0x5555n });
    const send = async (): Promise<void> => {
      for (let offset = 0; offset < contextSizeX64; offset += 512) {
        const data = whole.subarray(offset, offset + 512);
        await client.demand(setContextEx, { offset, count: data.length, total: contextSizeX64 }, { data });
      }
    };
    await send();
    assert.equal((await attached.target.registers.context()).rbx, 0x5555n);
    contextX64.write(whole, { rbx });
    await send();
  });

  void it('ReadControlSpace: KPCR, KPRCB, special registers, KTHREAD; others are refused', async () => {
    const pointer = async (base: bigint): Promise<VirtualAddress> => {
      const { data } = await client.demand(readControlSpace, { base, count: 8 });
      return virtualAddress(Buffer.from(data).readBigUInt64LE());
    };
    const kpcr = await pointer(ControlSpace.Kpcr);
    const kprcb = await pointer(ControlSpace.Kprcb);
    assert.equal(kprcb, at(kpcr, 0x180));
    assert.equal(await readNumber(attached.target, at(kpcr, 0x18)), kpcr);
    assert.equal(await pointer(ControlSpace.Kthread), attached.target.stopped.change.thread);
    assert.equal((await client.request(readControlSpace, { base: 4n, count: 8 })).status, refused);
    assert.equal(
      (await client.request(writeControlSpace, { base: 0n, count: 8 }, { data: new Uint8Array(8) })).status,
      refused,
    );
  });

  void it('WriteControlSpace changes special registers', async () => {
    const { target } = attached;
    const { dr1 } = await target.registers.special();
    await target.registers.setSpecial({ dr1: scratch });
    assert.equal((await target.registers.special()).dr1, scratch);
    await target.registers.setSpecial({ dr1 });
    assert.equal(specialRegistersX64.size, 0xe0);
  });
});

void describe('the machine', () => {
  void it('ReadIoSpace, WriteIoSpace, and extended', async () => {
    // The scratch register of COM1 holds what it is told; the CMOS says the same twice.
    const port = 0x3ffn;
    const { value } = (await client.demand(readIoSpace, { port, size: 1 })).fields;
    await client.demand(writeIoSpace, { port, size: 1, value: 0x3c });
    assert.equal((await client.demand(readIoSpace, { port, size: 1 })).fields.value & 0xff, 0x3c);
    const extended = { size: 1, interfaceType: 1, busNumber: 0, addressSpace: 1, port };
    await client.demand(writeIoSpaceExtended, { ...extended, value: 0xc3 });
    assert.equal((await client.demand(readIoSpaceExtended, extended)).fields.value & 0xff, 0xc3);
    await client.demand(writeIoSpace, { port, size: 1, value });
    assert.notEqual((await client.request(readIoSpace, { port, size: 3 })).status, 0);
  });

  void it('ReadMsr, WriteMsr; a register that is not there harms nobody', async () => {
    const lstar = 0xc0000082;
    const { low, high } = (await client.demand(readMsr, { msr: lstar })).fields;
    assert.ok(high >>> 16 === 0xffff, `LSTAR ${high.toString(16)}`);
    await client.demand(writeMsr, { msr: lstar, low, high });
    // QEMU's TCG reads every MSR as 0, so whether this one is refused depends on the machine.
    await client.request(readMsr, { msr: 0x4fffffff });
    await client.demand(getVersion, {});
  });

  void it('GetBusData, SetBusData: PCI configuration of the host bridge', async () => {
    const bridge = { busDataType: pciConfiguration, busNumber: 0, slotNumber: 0, offset: 0, length: 4 };
    const { data, fields } = await client.demand(getBusData, bridge);
    assert.equal(fields.length, 4);
    assert.equal(Buffer.from(data).readUInt16LE(0), 0x8086);
    const latency = { ...bridge, offset: 0xd, length: 1 };
    const before = (await client.demand(getBusData, latency)).data.slice();
    await client.demand(setBusData, latency, { data: before });
  });
});

void describe('what modern NT has no use for', () => {
  void it('is answered, and the stub lives on', async () => {
    const answers = [
      await client.request(writeBreakPointEx, { count: 1 }, { data: new Uint8Array(16) }),
      await client.request(restoreBreakPointEx, { count: 1 }, { data: new Uint8Array(4) }),
      await client.request(querySpecialCalls, {}),
      await client.request(setSpecialCall, { call: scratch }),
      await client.request(setInternalBreakPoint, { address: scratch }),
      await client.request(getInternalBreakPoint, { address: scratch }),
      await client.request(writeCustomBreakpoint, { address: scratch, size: 1 }),
      await client.request(restoreBreakPoint, { handle: 33 }),
      await client.request(restoreBreakPoint, { handle: 0 }),
    ];
    for (const { status } of answers.slice(-2)) assert.equal(status, refused);
    await client.tell(clearAllInternalBreakpoints, {});
    assert.equal((await client.demand(getVersion, {})).fields.machineType, 0x8664);
  });
});
