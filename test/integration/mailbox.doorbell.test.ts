/** What the guest says unasked reaches the mailbox by native code's thread, when the event loop has long ceased to look. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pageFrame } from '../../src/engine/core/addresses';
import { systemClock, type Clock, type Timer } from '../../src/engine/core/clock';
import { doorbellOf } from '../../src/engine/link/mailbox/watchedDoorbell';
import { guestLine, guestOffset } from '../../src/engine/link/mailbox/layout';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { notBuilt } from '../fixtures/nativeHost';
import { holeAt3GiB } from '../fixtures/physicalLayout';
import { tempFolder } from '../fixtures/tempFolder';

const page = 5;
const limit = 20_000;

/** Its time passes, its timers never fire: who waits for one sleeps for good. */
class TimerlessClock implements Clock {
  readonly now = (): number => systemClock.now();
  #timers = 0;
  #waiting: (() => void) | undefined;

  after(): Timer {
    this.#timers++;
    this.#waiting?.();
    return { cancel: () => this.#timers-- };
  }

  /** When somebody waits for a timer. */
  asleep(): Promise<void> {
    return within(
      new Promise((done) => {
        this.#waiting = done;
        if (this.#timers > 0) done();
      }),
      'it to fall asleep',
    );
  }
}

/** A watch keeps nobody waiting for ever; this does not let Node end before it. */
async function within(promise: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${limit} ms for ${what}`)), limit);
  });
  await Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}

test('a message is seen though no time passes for the event loop', { skip: notBuilt }, async (t) => {
  const path = join(tempFolder(t), 'ram');
  const layout = holeAt3GiB(64 * 1024);
  writeFileSync(path, new Uint8Array(layout.totalBytes));
  const file = openSync(path, 'r+');
  const ram = openGuestRam({ kind: 'file', path, layout });
  const window = ram.window([pageFrame(page)]);
  const clock = new TimerlessClock();
  const doorbell = doorbellOf(window, clock);
  let looks = 0;
  let looked: (() => void) | undefined;
  doorbell.start(() => {
    looks++;
    looked?.();
    return 'nothing';
  });
  try {
    for (const name of ['posted', 'taken', 'state', 'epoch', 'leftEpoch', 'pong'] as const) {
      await clock.asleep();
      const before = looks;
      for (let i = 0; i < 5; i++) await new Promise(setImmediate);
      assert.equal(looks, before, 'it looks by itself');
      const seen = within(new Promise<void>((done) => (looked = done)), `${name} to be seen`);
      writeSync(file, Uint32Array.of(7), 0, 4, page * 4096 + guestOffset + guestLine.fields[name][0]);
      await seen;
    }
  } finally {
    doorbell.stop();
    window.close();
    ram.close();
    closeSync(file);
  }
  const before = looks;
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  assert.equal(looks, before);
});
