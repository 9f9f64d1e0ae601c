/** A kernel in an array that is taken back: what is seen of it, and what is not taken for it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headerFrame, KernelInRam, pageSize, sharedFrame, tick } from '../../../../test/fixtures/kernelInRam';
import { Listeners } from '../../core/listeners';
import { VmkdError } from '../../core/errors';
import type { ClientState } from '../../kd/clientState';
import type { GuestMemoryState } from './guestMemory';
import { RevertWatch } from './revertWatch';

const stopped = (): ClientState => ({ kind: 'stopped' }) as ClientState;

function watched() {
  const kernel = new KernelInRam();
  const onState = new Listeners<GuestMemoryState>();
  const guestMemory = Object.assign(kernel.guest, { onState });
  const [states, restarts] = [new Listeners<ClientState>(), new Listeners<undefined>()];
  const told: boolean[] = [];
  let replacements = 0;
  const client = Object.assign(kernel.client, {
    ...{ states, restarts, exchanges: 0, isAsking: false },
    replaced: () => {
      replacements++;
      restarts.tell(undefined);
      // As its owner has it: what was proven of one kernel says nothing of the next.
      become({ kind: 'unproven', reason: new VmkdError('ram-unproven', 'not yet') });
    },
  });
  new RevertWatch({
    ...{ guestMemory, client, clock: kernel.clock },
    onReplaced: (error, taken) => {
      assert.equal(error.code, 'target-replaced');
      told.push(taken);
    },
  });
  const become = (state: GuestMemoryState): void => {
    guestMemory.state = state;
    onState.tell(state);
  };
  kernel.time = 1000n * tick;
  become({ kind: 'verified', way: 'an array' });
  return {
    ...{ kernel, client, guestMemory, become, told },
    get replacements() {
      assert.equal(replacements, told.length);
      return replacements;
    },
    enter(state: ClientState): void {
      client.state = state;
      states.tell(state);
    },
  };
}

void describe('a kernel in guest RAM', () => {
  void it('that runs on is the same', async () => {
    const all = watched();
    for (let i = 0; i < 100; i++) await all.kernel.later(100);
    all.enter(stopped());
    for (let i = 0; i < 100; i++) await all.kernel.later(100, false);
    all.enter({ kind: 'running' });
    for (let i = 0; i < 100; i++) await all.kernel.later(100);
    assert.equal(all.replacements, 0);
  });

  void it('whose clock is earlier than it was, was taken back: told once', async () => {
    const all = watched();
    await all.kernel.later(1000);
    all.kernel.time -= 500n * tick;
    for (let i = 0; i < 40; i++) await all.kernel.later(50);
    assert.deepEqual(all.told, [true]);
    // Again, and while it stands.
    all.enter(stopped());
    all.become({ kind: 'verified', way: 'an array' });
    await all.kernel.later(1000, false);
    all.kernel.time -= 100n * tick;
    await all.kernel.later(1000, false);
    assert.deepEqual(all.told, [true, true]);
    assert.equal(all.replacements, 2);
  });

  void it('that stands, and was asked nothing, has a clock that stands', async () => {
    const all = watched();
    all.enter(stopped());
    await all.kernel.later(1000, false);
    // It was let go for a moment by a request, or may be.
    all.client.exchanges += 2;
    all.kernel.tick();
    await all.kernel.later(1000, false);
    all.client.isAsking = true;
    all.client.exchanges++;
    for (let i = 0; i < 10; i++) await all.kernel.later(250);
    all.client.isAsking = false;
    all.client.exchanges++;
    await all.kernel.later(1000, false);
    assert.equal(all.replacements, 0);
    all.kernel.tick(1_000_000n);
    await all.kernel.later(1000, false);
    assert.deepEqual(all.told, [true]);
  });

  void it('whose clock is being set is left alone, and what is seen only once', async () => {
    const all = watched();
    all.kernel.time = 0x1_ffff_fff0n;
    await all.kernel.later(1000, false);
    all.kernel.tearTime(5, 2);
    await all.kernel.later(2000, false);
    all.kernel.time = 0x2_0000_0005n;
    await all.kernel.later(1100, false);
    // A glimpse of another time, as of memory that is just being written.
    all.kernel.time = 7n;
    await all.kernel.later(160, false);
    all.kernel.time = 0x2_0000_0006n;
    await all.kernel.later(1000, false);
    assert.equal(all.replacements, 0);
  });

  void it('that is not where it was is given a second, then it is another start', async () => {
    const all = watched();
    const header = all.kernel.bytes.subarray(headerFrame * pageSize, headerFrame * pageSize + 0x200);
    await all.kernel.later(1000);
    header.fill(0);
    await all.kernel.later(600);
    header.fill(0x4d);
    await all.kernel.later(1000);
    assert.equal(all.replacements, 0);
    // A kernel that boots learns late what its folder is called.
    const name = all.kernel.bytes.subarray(sharedFrame * pageSize + 0x30);
    name.set(Buffer.from('X:\\Windows', 'utf16le'));
    await all.kernel.later(2000);
    assert.equal(all.replacements, 0);
    // Earlier, and no clock at all: it starts again, which is no revert.
    all.kernel.time = 0n;
    name.fill(0, 0, 0x208);
    await all.kernel.later(1500, false);
    assert.deepEqual(all.told, [false]);
  });

  void it('is not looked at when there is nothing to look at', async () => {
    const all = watched();
    await all.kernel.later(1000);
    all.become({ kind: 'unproven', reason: new VmkdError('ram-unproven', 'not yet') });
    all.kernel.time = tick;
    await all.kernel.later(5000);
    assert.equal(all.replacements, 0);
    // What was seen is remembered until it is proven again.
    all.become({ kind: 'verified', way: 'an array' });
    await all.kernel.later(1000, false);
    assert.deepEqual(all.told, [true]);
    all.enter({ kind: 'lost', error: new VmkdError('link-lost', 'off') });
    assert.equal(all.kernel.clock.pending, 0, 'nothing is looked at');
    all.kernel.time = 0n;
    await all.kernel.later(2000, false);
    all.enter({ kind: 'running' });
    all.become({ kind: 'verified', way: 'an array' });
    await all.kernel.later(2000);
    assert.equal(all.replacements, 1);
    const lost = new VmkdError('ram-lost', 'it was cut short');
    all.guestMemory.proven!.ram.read = () => {
      throw lost;
    };
    await all.kernel.later(300);
    assert.ok(all.guestMemory.failures.includes(lost));
  });
});
