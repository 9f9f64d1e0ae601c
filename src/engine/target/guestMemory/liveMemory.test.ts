/** Memory of a kernel that runs, on page tables in an array: whether it is believed that this kernel still runs. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  KernelInRam,
  data,
  dataFrame,
  headerFrame,
  pageSize,
  tick,
} from '../../../../test/fixtures/kernelInRam';
import { plus, virtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { ClientState } from '../../kd/clientState';
import { LiveMemory } from './liveMemory';

function aKernel() {
  const kernel = new KernelInRam();
  const { guest, client, clock } = kernel;
  const live = new LiveMemory(guest, client, clock, (_, part) => {
    // An int3 of ours.
    part.forEach((byte, i) => byte === 0xcc && (part[i] = 0x90));
  });
  return Object.assign(kernel, { live, read: (count = 4) => [...live.read(data, count)] });
}

const fails = (code: string) => (thrown: unknown) => thrown instanceof VmkdError && thrown.code === code;

void describe('live memory', () => {
  void it('is of this moment, without int3s of ours, as far as it is there', async () => {
    const kernel = aKernel();
    kernel.tick();
    assert.deepEqual(kernel.read(), [0, 0, 0, 0]);
    kernel.bytes.set([1, 0xcc, 3, 4], dataFrame * pageSize);
    assert.deepEqual(kernel.read(), [1, 0x90, 3, 4]);
    await kernel.later(1000);
    assert.equal((await kernel.live.readPartial(plus(data, 4090), 100)).length, 6);
    // The kernel may map it elsewhere at any moment.
    kernel.builder.map(data, dataFrame + 2);
    kernel.bytes.set([9, 8, 7, 6], (dataFrame + 2) * pageSize);
    assert.deepEqual(kernel.read(), [9, 8, 7, 6]);
    assert.throws(() => kernel.live.read(virtualAddress(0x10000n), 4), fails('memory-unreadable'));
  });

  void it('is refused when the clock stands still, until it goes again', async () => {
    const kernel = aKernel();
    kernel.tick();
    kernel.read();
    await kernel.later(1900, false);
    kernel.read();
    await kernel.later(200, false);
    assert.throws(() => kernel.read(), fails('ram-still'));
    kernel.tick();
    kernel.read();
    // Nobody has looked for an hour: one tick is no proof, but nothing speaks against it.
    await kernel.later(3_600_000);
    kernel.read();
    // In a stop it stands still, of course.
    await kernel.later(5000, false);
    kernel.client.state = { kind: 'stopped' } as ClientState;
    kernel.read();
  });

  void it('is refused when another kernel is there, or none', async () => {
    const kernel = aKernel();
    kernel.tick(1000n);
    kernel.read();
    await kernel.later(100);
    // The clock has begun anew, and something else is where the kernel was.
    kernel.time = tick;
    kernel.read();
    kernel.time = 0n;
    kernel.bytes[headerFrame * pageSize + 5] = 0;
    assert.throws(() => kernel.read(), fails('ram-moved'));
    // Its tables are overwritten.
    const other = aKernel();
    other.bytes.fill(0, other.builder.tablesFrom * pageSize);
    assert.throws(() => other.read(), fails('ram-moved'));
    // A clock that jumps is none.
    const mad = aKernel();
    mad.tick();
    mad.read();
    mad.bytes[headerFrame * pageSize] = 0;
    mad.time = 1n << 60n;
    assert.throws(() => mad.read(), fails('ram-moved'));
  });

  void it('says why there is none', () => {
    const kernel = aKernel();
    kernel.guest.state = { kind: 'refused', reason: new VmkdError('ram-layout', 'wrong') };
    assert.throws(() => kernel.read(), fails('ram-layout'));
    kernel.guest.state = { kind: 'verified', way: 'an array' };
    kernel.client.state = { kind: 'lost', error: new VmkdError('link-lost', 'gone') };
    assert.throws(() => kernel.read(), fails('link-lost'));
    kernel.client.state = { kind: 'running' };
    kernel.guest.proven = { ...kernel.guest.proven!, proof: { ...kernel.guest.proven!.proof, lasts: false } };
    assert.throws(() => kernel.read(), fails('ram-unproven'));
  });

  void it('tells of RAM that is lost', () => {
    const kernel = aKernel();
    const lost = new VmkdError('ram-lost', 'it was cut short');
    kernel.guest.proven!.ram.read = () => {
      throw lost;
    };
    assert.throws(() => kernel.read(), lost);
    assert.deepEqual(kernel.guest.failures, [lost]);
  });
});
