/** Mailboxes in memory: which are believed, and which are not. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryRam, ModelMailbox } from '../../../../test/fixtures/modelMailbox';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { physicalAddress } from '../../core/addresses';
import { systemClock } from '../../core/clock';
import { announcedByGuestInfo, announcedByPrint } from './announcement';
import { readDescription } from './description';
import { MailboxFinder } from './finder';
import { GuestState, framesOffset, pageBytes } from './layout';
import type { MailboxRam } from './ram';

const frames = [17, 3, 40, 41, 9, 63, 5, 50, 22, 30];
const { signal } = new AbortController();

void describe('a mailbox in memory', () => {
  void it('is described by its header, wherever its pages are', () => {
    const ram = new MemoryRam(64);
    const mailbox = new ModelMailbox(ram, frames, 0x1234_5678_9abc_def1n, 133_000_000_000_000_000n);
    const found = readDescription(ram, 17);
    assert.deepEqual(found, {
      ...{ nonce: mailbox.nonce, pages: frames, slotCount: 4, slotBytes: 4352, machine: 0x8664 },
      ...{ moduleBuild: 1, loaded: new Date('2022-06-18T04:26:40.000Z') },
    });
    assert.equal(readDescription(ram, 3), undefined);
  });

  void it('is none if any byte of its description is another', () => {
    const seed = seedFromEnvironment();
    const random = randomFrom(seed);
    const ram = new MemoryRam(64);
    new ModelMailbox(ram, frames, 1n);
    for (let at = 0; at < framesOffset + frames.length * 8; at++) {
      if (at === 0x40) at = framesOffset; // what lies between are words that change
      const place = 17 * pageBytes + at;
      const before = ram.bytes[place]!;
      ram.bytes[place] = before ^ (1 + random.below(255));
      assert.equal(readDescription(ram, 17), undefined, `byte ${at}, seed ${seed}`);
      ram.bytes[place] = before;
    }
    assert.notEqual(readDescription(ram, 17), undefined);
  });

  void it('is none if its pages are no RAM, or the same one twice, or begin elsewhere', () => {
    for (const bad of [
      [17, 3, 64, 41, 9, 12, 5, 50, 22, 30],
      [17, 3, 3, 41, 9, 12, 5, 50, 22, 30],
      [18, 3, 40, 41, 9, 12, 5, 50, 22, 30],
    ]) {
      const ram = new MemoryRam(80);
      new ModelMailbox(ram, bad, 1n);
      Object.assign(ram, { layout: { lowBytes: 64 * pageBytes, totalBytes: 64 * pageBytes } });
      ram.bytes.copyWithin(17 * pageBytes, bad[0]! * pageBytes, (bad[0]! + 1) * pageBytes);
      assert.equal(readDescription(ram, 17), undefined, bad.join());
    }
  });

  void it('may be above 4 GiB', () => {
    const low = new MemoryRam(64);
    const highFrames = frames.map((frame) => 2 ** 20 + frame);
    new ModelMailbox(low, frames, 1n);
    const high: MailboxRam = {
      layout: { lowBytes: 16 * pageBytes, totalBytes: 80 * pageBytes },
      read: (ranges, into) =>
        low.read(
          ranges.map(({ address, length }) => ({ address: physicalAddress(address - 2n ** 32n), length })),
          into,
        ),
      window: (pages) => low.window(pages),
    };
    assert.equal(readDescription(high, highFrames[0]!), undefined, 'its frames are those of low memory');
    const finder = new MailboxFinder(high, systemClock);
    assert.deepEqual(finder.frameAt(2n ** 32n + 17n * 4096n), [2 ** 20 + 17]);
    assert.deepEqual(finder.frameAt(17n * 4096n), [], 'the hole');
    assert.deepEqual(finder.frameAt(2n ** 32n + 17n * 4096n + 8n), []);
  });
});

void describe('the finder', () => {
  void it('takes the living one, and the newest of those', async () => {
    const ram = new MemoryRam(600);
    const stale = new ModelMailbox(ram, frames, 1n, 5n);
    const [old, young] = [100, 300].map(
      (first, i) =>
        new ModelMailbox(
          ram,
          frames.map((frame) => first + frame),
          BigInt(i + 2),
          BigInt(i + 10) * 1_000_000n,
        ),
    );
    const finder = new MailboxFinder(ram, systemClock);
    const timer = setInterval(() => {
      old!.look();
      young!.look();
    }, 3);
    try {
      const found = await finder.living(await finder.scan(signal), signal);
      assert.equal(found?.description.nonce, young!.nonce);
      assert.equal(await finder.living([stale.frames[0]!], AbortSignal.timeout(100)), undefined);
    } finally {
      clearInterval(timer);
    }
  });

  void it('does not look at every page that bears the signature', async () => {
    const ram = new MemoryRam(2000);
    new ModelMailbox(ram, frames, 1n);
    for (let page = 0; page < 2000; page++)
      ram.bytes.copyWithin(page * pageBytes, 17 * pageBytes, 17 * pageBytes + 64);
    assert.equal((await new MailboxFinder(ram, systemClock).scan(signal)).length, 64);
  });

  void it('hears of modules that could not start', async () => {
    const ram = new MemoryRam(64);
    const failed = new ModelMailbox(ram, [7], 1n);
    failed.say({ state: GuestState.Failed, status: 0xc0000354 });
    const finder = new MailboxFinder(ram, systemClock);
    const failures = finder.failures(await finder.scan(signal));
    assert.deepEqual(
      failures.map(({ words }) => words.status),
      [0xc0000354],
    );
    assert.equal(await finder.living([7], AbortSignal.timeout(50)), undefined);
  });
});

void it('announcements are taken as they are written, and nothing else', () => {
  assert.equal(
    announcedByPrint('vmkd: mailbox at 00000001`2345f000, nonce 01234567`89abcdef\n'),
    0x1_2345_f000n,
  );
  assert.equal(announcedByPrint('vmkd: mailbox at 12345f000, nonce 1'), undefined);
  assert.equal(announcedByGuestInfo('000000012345f000 0123456789abcdef\n'), 0x1_2345_f000n);
  assert.equal(announcedByGuestInfo('12345f000'), undefined);
});
