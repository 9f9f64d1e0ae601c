/** What a stop is, case by case: also when another processor's continue has zeroed what Dr6 said. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { breakInStop } from '../../../../test/fixtures/modelTarget';
import { plus, virtualAddress } from '../../core/addresses';
import type { StoppedState } from '../../kd/clientState';
import { NtStatus } from '../../kd/ntstatus';
import { encodeControlReport } from '../../kd/stateChange';
import { CodeSites } from '../breakpoints/codeSites';
import { DebugSlots } from '../breakpoints/debugSlots';
import { noJournal } from '../breakpoints/journal';
import { Passing, type PassingTarget } from './passing';
import { eventOf, type StopEvent } from './stopEvent';

const place = virtualAddress(0xfffff80000001000n);
const elsewhere = plus(place, 0x100);
const thread = virtualAddress(0xffffe00000000100n);
const other = virtualAddress(0xffffe00000000200n);
const owner = { who: 'the place' };
const watcher = { who: 'the register' };
const stepped = 0x4000n;

function ours() {
  const nothing = () => Promise.resolve(new Uint8Array());
  const sites = new CodeSites({
    table: {
      set: () => Promise.reject(new Error('unused')),
      remove: () => Promise.resolve(true),
      removeAll: () => Promise.resolve(0),
    },
    raw: { readPartial: nothing, write: () => Promise.resolve() },
    journal: noJournal,
  });
  sites.memory = {
    readPartial: () => Promise.resolve(Uint8Array.of(0x55)),
    isPresent: () => Promise.resolve(true),
  };
  const slots = new DebugSlots();
  const passing = new Passing({ slots } as unknown as PassingTarget);
  return { sites, slots, passing };
}

function stopAt(
  code: number,
  more: { dr6?: bigint; bytes?: number[]; thread?: bigint; at?: bigint } = {},
): StoppedState {
  const report = encodeControlReport(
    {
      dr6: more.dr6 ?? 0n,
      dr7: 0x400n,
      eflags: 0x202,
      instructionCount: more.bytes?.length ?? 1,
      reportFlags: 3,
      instructionStream: Uint8Array.from(more.bytes ?? [0x55]),
      ...{ segCs: 0x10, segDs: 0x2b, segEs: 0x2b, segFs: 0x53 },
    },
    'x64',
  );
  const programCounter = virtualAddress(more.at ?? place);
  const change = {
    ...breakInStop,
    code,
    report,
    programCounter,
    thread: virtualAddress(more.thread ?? thread),
  };
  return { kind: 'stopped', change, version: { machine: 'x64' } as StoppedState['version'] };
}

const places = (owners: object[], trapped = false): StopEvent => ({ kind: 'places', owners, trapped });

void describe('an int3', () => {
  void it('is ours, the code’s, or one that is gone already', async () => {
    const parts = ours();
    const at = (bytes: number[]): StopEvent => eventOf(stopAt(NtStatus.Breakpoint, { bytes }), parts, 0n);
    assert.deepEqual(at([0xcc]), { kind: 'code-breakpoint' });
    assert.deepEqual(at([0x55]), { kind: 'stale' });
    await parts.sites.claim(place, owner);
    assert.deepEqual(at([0x55]), places([owner]));
    // It was hit before it was wanted no more: the thread has nothing to do with it now.
    parts.sites.release(place, owner);
    assert.deepEqual(at([0x55]), places([]));
  });
});

void describe('a debug trap', () => {
  const trap = (
    parts: ReturnType<typeof ours>,
    more: Parameters<typeof stopAt>[1] = {},
    held = 0n,
  ): StopEvent => eventOf(stopAt(NtStatus.SingleStep, more), parts, held);

  void it('is the register’s that Dr6 names', () => {
    const parts = ours();
    parts.slots.claim({ address: elsewhere, kind: 'write', size: 4, owner: watcher });
    assert.deepEqual(trap(parts, { dr6: 1n }), places([watcher]));
    assert.deepEqual(trap(parts, {}, 1n), places([watcher]));
    assert.deepEqual(trap(parts, { dr6: 2n }), { kind: 'stale' });
    assert.deepEqual(trap(parts), { kind: 'stale' });
  });

  void it('of execution is known by its address, whatever Dr6 says', () => {
    const parts = ours();
    parts.slots.claim({ address: place, kind: 'execute', size: 1, owner: watcher });
    assert.deepEqual(trap(parts, { dr6: 1n }), places([watcher]));
    assert.deepEqual(trap(parts), places([watcher]));
    assert.deepEqual(trap(parts, { dr6: 1n, at: elsewhere }), { kind: 'stale' });
  });

  void it('ends the instruction that a thread was let run, wherever that led', async () => {
    const parts = ours();
    const site = await parts.sites.claim(place, owner);
    parts.passing.owe(thread, place, site);
    parts.slots.guard(site);
    assert.equal(site.suspended, 1);
    assert.deepEqual(trap(parts, { dr6: stepped, at: elsewhere }), places([], true));
    // Zeroed: it has moved, so it has run.
    assert.deepEqual(trap(parts, { at: elsewhere }), places([], true));
    // Still there: the guard caught it itself.
    assert.deepEqual(trap(parts, { dr6: 8n }), { kind: 'again', site });
    assert.deepEqual(trap(parts), { kind: 'again', site });
    // Another thread at the guard has hit the place.
    assert.deepEqual(trap(parts, { dr6: 8n, thread: other }), places([owner]));
    parts.passing.pay(thread);
    assert.equal(site.suspended, 0);
    assert.equal(parts.passing.owed, 0);
  });

  void it('that ends on a place has hit it too', async () => {
    const parts = ours();
    await parts.sites.claim(elsewhere, owner);
    parts.passing.owe(thread, place);
    assert.deepEqual(trap(parts, { dr6: stepped, at: elsewhere }), places([owner], true));
  });

  void it('of a repetition is none: the instruction is not over', async () => {
    const parts = ours();
    const site = await parts.sites.claim(place, owner);
    parts.passing.owe(thread, place, site, true);
    assert.deepEqual(trap(parts, { dr6: stepped }), { kind: 'again', site });
    assert.deepEqual(trap(parts, { dr6: stepped, at: plus(place, 2) }), places([], true));
  });
});

void describe('traps that are owed', () => {
  void it('are paid the last first: a fault may lead elsewhere before the first is over', async () => {
    const { sites, passing } = ours();
    const [first, second] = [await sites.claim(place, owner), await sites.claim(elsewhere, owner)];
    passing.owe(thread, place, first);
    passing.owe(thread, elsewhere, second);
    passing.pay(thread);
    assert.deepEqual([first.suspended, second.suspended], [1, 0]);
    // One that never got anywhere is not owed twice.
    passing.owe(thread, place, first);
    passing.owe(thread, place);
    passing.pay(thread);
    assert.deepEqual([first.suspended, passing.owed], [0, 0]);
  });
});

void describe('other stops', () => {
  void it('are what they say', () => {
    const parts = ours();
    const { change, version } = stopAt(0xc0000005);
    assert.deepEqual(eventOf({ kind: 'stopped', change, version }, parts, 0n), { kind: 'exception', change });
    const as = (kind: object): StopEvent =>
      eventOf({ kind: 'stopped', change: { ...change, ...kind }, version }, parts, 0n);
    assert.equal(as({ kind: 'loadSymbols' }).kind, 'module');
    assert.equal(as({ kind: 'targetGone' }).kind, 'gone');
    assert.equal(as({ kind: 'commandString' }).kind, 'command');
  });
});
