/** Over to the mailbox and back, at every moment; in virtual time, against a guest in this process. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryRam, ModelGuest, TimerDoorbell, mailboxPages } from '../../../../test/fixtures/modelMailbox';
import { randomFrom, seedFromEnvironment, type Random } from '../../../../test/fixtures/random';
import { VirtualClock } from '../../../../test/fixtures/virtualClock';
import { VmkdError, asVmkdError } from '../../core/errors';
import type { Verdict } from '../../kd/channel';
import { PacketType } from '../../kd/framing';
import type { KdPacket } from '../../kd/packet';
import type { ByteLink } from '../link';
import { memoryLinkPair } from '../memoryLink';
import { HybridChannel, type Carrying } from './hybridChannel';
import { GuestState, LeftReason, guestLine } from './layout';

const hour = 3_600_000;

interface BenchOptions {
  readonly line?: boolean;
  readonly load?: boolean;
  readonly ram?: MemoryRam;
  readonly announced?: () => Promise<bigint | undefined>;
}

/** Looking through all of it shows nothing, as if that took for ever. */
class VastRam extends MemoryRam {
  override read(...[ranges, into]: Parameters<MemoryRam['read']>): void {
    super.read(ranges, into);
    if (into.length > 0x4000) into.fill(0);
  }
}

class Bench {
  readonly clock = new VirtualClock();
  readonly ram: MemoryRam;
  readonly received: KdPacket[] = [];
  readonly resets: boolean[] = [];
  readonly ways: Carrying[] = [];
  readonly reasons: (string | undefined)[] = [];
  readonly doorbells: TimerDoorbell[] = [];
  readonly guest: ModelGuest;
  readonly channel: HybridChannel;
  readonly guestLine: ByteLink;
  closed: { readonly error: VmkdError | undefined } | undefined;
  verdict: Verdict = 'accept';

  constructor(random: Random, options: BenchOptions = {}) {
    this.ram = options.ram ?? new MemoryRam(64);
    const [near, far] = memoryLinkPair(this.clock);
    this.guestLine = far;
    this.guest = new ModelGuest(this.clock, far, this.ram, random);
    if (options.load ?? true) this.guest.load();
    this.channel = new HybridChannel(
      {
        listens: () => true,
        judge: () => this.verdict,
        onPacket: (packet) => this.received.push(packet),
        onPeerReset: (restarted) => this.resets.push(restarted),
        onBreakIn: () => undefined,
        onClosed: (error) => (this.closed = { error }),
      },
      {
        clock: this.clock,
        ...((options.line ?? true) && { serial: near }),
        timing: { acknowledge: 100, withinPacket: 100, attempts: 20 },
        ram: this.ram,
        ...(options.announced && { announced: options.announced }),
        doorbell: () => {
          const doorbell = new TimerDoorbell(this.clock);
          this.doorbells.push(doorbell);
          return doorbell;
        },
        observer: {
          onCarrier: (carrying, why) => {
            this.ways.push(carrying);
            this.reasons.push(why?.code);
          },
        },
      },
    );
  }

  /** Lets time pass with a guest that only polls. @param until Ends it before. */
  async running(milliseconds: number, until: () => boolean = () => false): Promise<void> {
    for (let i = 0; i < milliseconds && !until(); i += 10) {
      this.guest.poll();
      await this.clock.advance(10);
    }
  }

  async untilMailbox(): Promise<void> {
    await this.running(20_000, () => this.ways.at(-1) === 'mailbox');
    assert.equal(this.ways.at(-1), 'mailbox');
  }

  /** A guest in step on the line, then on the mailbox. */
  async attach(): Promise<void> {
    await this.clock.run(this.guest.send(numbered(0)), hour);
    await this.untilMailbox();
  }
}

const numbered = (count: number): KdPacket => {
  const payload = new Uint8Array(56);
  new DataView(payload.buffer).setUint32(0, count, true);
  return { type: PacketType.StateManipulate, payload };
};
const numberOf = ({ payload }: KdPacket): number =>
  new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);

void describe('the way over', () => {
  void it('is taken when the line is in step, and not before', async () => {
    const bench = new Bench(randomFrom(1));
    await bench.running(5000);
    assert.deepEqual(bench.ways, [], 'nobody was called, nothing was heard');
    await bench.attach();
    const { bytesReceived } = bench.channel.statistics;
    await bench.clock.run(bench.guest.send(numbered(1)), hour);
    assert.deepEqual(bench.received.map(numberOf), [0, 1]);
    assert.equal(bench.channel.statistics.bytesReceived, bytesReceived + 56, 'it came by mailbox');
    assert.deepEqual(bench.resets, [true], 'the first packet of a new guest');
  });

  void it('waits for what is under way on the line', async () => {
    const bench = new Bench(randomFrom(2));
    await bench.clock.run(bench.guest.send(numbered(0)), hour);
    const sent = bench.channel.send(numbered(1));
    // Time enough to find the mailbox, and not so much that the packet is given up.
    await bench.running(1500);
    assert.deepEqual(bench.ways, [], 'the guest has not got it');
    const [got] = await Promise.all([bench.clock.run(bench.guest.receive(), hour), sent]);
    assert.equal(numberOf(got as KdPacket), 1);
    await bench.untilMailbox();
  });

  void it('does not wait for a line on which nobody is', async () => {
    const bench = new Bench(randomFrom(3));
    bench.channel.breakIn();
    bench.channel.requestReset();
    await bench.untilMailbox();
    assert.ok(bench.clock.now() > 3000);
  });

  void it('is found where the monitor says that the guest has it, without a search', async () => {
    const asked: Bench[] = [];
    const at = (bench: Bench): bigint => BigInt(bench.guest.mailbox!.frames[0]! * 4096);
    const answers: readonly ((bench: Bench) => Promise<bigint | undefined>)[] = [
      (bench) => Promise.resolve(at(bench)),
      () => Promise.resolve(undefined),
      () => Promise.reject(new VmkdError('machine-no-control', 'there is no vmrun')),
      // Nonsense, of an old boot or of somebody else.
      (bench) => Promise.resolve(at(bench) + 8n),
      () => Promise.resolve(0x7fff_ffff_f000n),
    ];
    for (const [which, answer] of answers.entries()) {
      const bench: Bench = new Bench(randomFrom(7), {
        ram: new VastRam(64),
        announced: () => {
          asked.push(bench);
          return answer(bench);
        },
      });
      await bench.running(1000);
      assert.equal(asked.length, which, 'nobody is asked before the line is in step');
      await bench.clock.run(bench.guest.send(numbered(0)), hour);
      await bench.running(15_000, () => bench.ways.length > 0);
      assert.deepEqual(bench.ways, which === 0 ? ['mailbox'] : [], `answer ${which}`);
      assert.equal(asked.length, which + 1);
      bench.channel.close();
    }
  });

  void it('is the only one if there is no line', async () => {
    const bench = new Bench(randomFrom(4), { line: false });
    bench.channel.breakIn();
    await bench.untilMailbox();
    await bench.running(100);
    assert.equal(bench.guest.brokenIn, 1, 'what was wanted meanwhile is done');
    const sent = bench.channel.send(numbered(1));
    assert.equal(numberOf((await bench.clock.run(bench.guest.receive(), hour)) as KdPacket), 1);
    assert.equal(await bench.clock.run(sent), 'acknowledged');
  });
});

void describe('a mailbox that another debugger uses', () => {
  void it('is left to him, with the reason, until he is gone', async () => {
    const first = new Bench(randomFrom(8));
    await first.attach();
    const ways: string[] = [];
    const second = new HybridChannel(
      {
        listens: () => true,
        judge: () => 'accept',
        onPacket: () => undefined,
        onPeerReset: () => undefined,
        onBreakIn: () => undefined,
        onClosed: () => undefined,
      },
      {
        clock: first.clock,
        ram: first.ram,
        doorbell: () => new TimerDoorbell(first.clock),
        observer: { onCarrier: (carrying, why) => ways.push(`${carrying} ${why?.code}`) },
      },
    );
    await first.running(30_000);
    assert.deepEqual(ways, ['serial target-second-debugger'], 'told once');
    assert.deepEqual(first.ways, ['mailbox']);
    await first.clock.run(first.guest.send(numbered(1)), hour);
    assert.deepEqual(first.received.map(numberOf), [0, 1]);
    first.channel.close();
    await first.running(70_000, () => ways.length > 1);
    assert.deepEqual(ways.slice(1), ['mailbox undefined']);
    second.close();
  });
});

void describe('on the mailbox', () => {
  void it('a reset makes void what the guest has not taken, and is answered', async () => {
    const bench = new Bench(randomFrom(5));
    await bench.attach();
    const sent = bench.channel.send(numbered(1));
    await bench.clock.advance(20);
    bench.channel.requestReset();
    assert.equal(await bench.clock.run(sent), 'reset');
    assert.equal(await bench.clock.run(bench.guest.receive(), hour), 'reset');
    await bench.clock.advance(20);
    assert.deepEqual(bench.resets, [true, false]);
    const again = bench.channel.send(numbered(2));
    assert.equal(numberOf((await bench.clock.run(bench.guest.receive(), hour)) as KdPacket), 2);
    assert.equal(await bench.clock.run(again), 'acknowledged');
  });

  void it('a packet that nobody takes has a limit', async () => {
    const bench = new Bench(randomFrom(6));
    await bench.attach();
    const sent = bench.channel.send(numbered(1));
    const outcome = sent.catch((thrown: unknown) => asVmkdError(thrown).code);
    await bench.running(10_000);
    assert.equal(await outcome, 'target-not-acknowledging');
    const next = bench.channel.send(numbered(2));
    assert.equal(numberOf((await bench.clock.run(bench.guest.receive(), hour)) as KdPacket), 2);
    await bench.clock.run(next);
  });

  void it('break-ins reach a running guest', async () => {
    const bench = new Bench(randomFrom(7));
    await bench.attach();
    bench.channel.breakIn();
    await bench.running(100);
    assert.equal(bench.guest.brokenIn, 1);
  });

  void it('a packet that makes no sense to its owner is not delivered, and holds nobody up', async () => {
    const bench = new Bench(randomFrom(8));
    await bench.attach();
    bench.verdict = 'damaged';
    await bench.clock.run(bench.guest.send(numbered(1)), hour);
    bench.verdict = 'accept';
    await bench.clock.run(bench.guest.send(numbered(2)), hour);
    assert.deepEqual(bench.received.map(numberOf), [0, 2]);
  });
});

void describe('the way back', () => {
  void it('brings a packet along that the guest has not taken', async () => {
    const bench = new Bench(randomFrom(9));
    await bench.attach();
    const sent = bench.channel.send(numbered(1));
    await bench.clock.advance(20);
    bench.guest.mailbox?.leave(LeftReason.Stuck);
    assert.equal(numberOf((await bench.clock.run(bench.guest.receive(), hour)) as KdPacket), 1);
    assert.equal(await bench.clock.run(sent), 'acknowledged');
    assert.equal(bench.reasons[1], 'mailbox-left');
    await bench.untilMailbox();
  });

  void it('is taken when the module goes, and the memory is not touched any more', async () => {
    const bench = new Bench(randomFrom(10));
    await bench.attach();
    await bench.clock.run(bench.guest.unload(), hour);
    assert.equal(bench.ways.at(-1), 'serial');
    const writes = bench.ram.writes.length;
    await bench.running(10_000);
    await bench.clock.run(bench.guest.send(numbered(1)), hour);
    assert.equal(bench.ram.writes.length, writes);
    assert.deepEqual(bench.received.map(numberOf), [0, 1]);
    bench.guest.load();
    await bench.running(70_000, () => bench.ways.at(-1) === 'mailbox');
    assert.equal(bench.ways.at(-1), 'mailbox', 'found again, though nobody announced it');
  });

  void it('is made up for where the mailbox was, however long it takes to look elsewhere', async () => {
    const bench: Bench = new Bench(randomFrom(16), {
      ram: new VastRam(64),
      announced: () => Promise.resolve(BigInt(bench.guest.mailbox!.frames[0]! * 4096)),
    });
    await bench.attach();
    const { mailbox } = bench.guest;
    mailbox?.say({ nonce: 0n });
    // The look that follows a loss finds nothing.
    await bench.running(4000);
    assert.equal(bench.reasons.at(-1), 'mailbox-gone');
    mailbox?.say({ nonce: mailbox.nonce });
    await bench.running(8000, () => bench.channel.carrying === 'mailbox');
    assert.equal(bench.channel.carrying, 'mailbox');
  });

  void it('is taken at once when the line speaks though the mailbox claims to be in use', async () => {
    const bench = new Bench(randomFrom(11));
    await bench.attach();
    const sent = bench.channel.send(numbered(7));
    await bench.clock.advance(20);
    // Another machine, which knows nothing of that mailbox.
    bench.guest.mailbox = undefined;
    const writes = bench.ram.writes.length;
    await bench.clock.run(bench.guest.send(numbered(1)), hour);
    await bench.clock.advance(5);
    assert.equal(bench.reasons.at(-1), 'mailbox-gone');
    assert.equal(await bench.clock.run(sent), 'reset');
    await bench.running(5000);
    assert.equal(bench.ram.writes.length, writes, 'an old mailbox is not written to');
    bench.guest.load();
    await bench.running(70_000, () => bench.ways.at(-1) === 'mailbox');
    assert.equal(bench.ways.at(-1), 'mailbox');
  });

  void it('without a line is a wait for another mailbox, which is another machine’s', async () => {
    const bench = new Bench(randomFrom(12), { line: false });
    await bench.untilMailbox();
    bench.guest.mailbox?.erase();
    bench.guest.mailbox = undefined;
    await bench.running(1000);
    assert.equal(bench.channel.carrying, undefined);
    bench.guest.load();
    await bench.running(70_000, () => bench.channel.carrying === 'mailbox');
    assert.deepEqual(bench.resets, [true]);
  });

  void it('is closed when the line is, unless the guest goes on by mailbox', async () => {
    const living = new Bench(randomFrom(13));
    await living.attach();
    living.guestLine.close();
    await living.running(3000);
    assert.equal(living.closed, undefined);
    await living.clock.run(living.guest.send(numbered(1)), hour);
    assert.deepEqual(living.received.map(numberOf), [0, 1]);

    const dead = new Bench(randomFrom(14));
    await dead.attach();
    dead.guestLine.close();
    await dead.clock.advance(3000);
    assert.equal(dead.closed?.error?.code, 'link-lost');
  });
});

void describe('no packet is lost or doubled', () => {
  void it('whatever guest and host do, and whenever they do it', async (t) => {
    const seed = seedFromEnvironment();
    const rounds = process.env['VMKD_SOAK'] === 'full' ? 60_000 : 1500;
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const bench = new Bench(random);
    const { clock, guest, channel } = bench;
    await bench.attach();
    let fromGuest = 0;
    let fromHost = 0;
    const got: number[] = [];
    const mayLeave = (): boolean => random.chance(0.002);
    for (let round = 0; round < rounds; round++) {
      const doorbell = bench.doorbells.at(-1)!;
      // A host that is away for a while; the guest may or may not wait for it.
      if (random.chance(0.05)) {
        doorbell.held = true;
        clock.after(random.below(300), () => (doorbell.held = false));
      }
      if (random.chance(0.02)) {
        if (guest.mailbox) await clock.run(guest.unload(), hour);
        else guest.load();
      }
      if (random.chance(0.5)) {
        await clock.run(guest.send(numbered(++fromGuest), mayLeave), hour);
      } else {
        const sent = channel.send(numbered(++fromHost), { attempts: Infinity });
        const before = got.length;
        while (got.length === before) {
          const received = await clock.run(guest.receive(mayLeave), hour);
          if (received !== undefined && received !== 'reset') got.push(numberOf(received));
        }
        assert.equal(await clock.run(sent, hour), 'acknowledged', `seed ${seed}, round ${round}`);
      }
      if (random.chance(0.2)) await bench.running(random.below(2000));
      assert.deepEqual(got.slice(-1), fromHost === 0 ? [] : [fromHost], `seed ${seed}, round ${round}`);
    }
    const expected = Array.from({ length: fromGuest + 1 }, (_, i) => i);
    assert.deepEqual(bench.received.map(numberOf), expected, `seed ${seed}`);
    assert.deepEqual(
      got,
      expected.slice(1, fromHost + 1).length === fromHost
        ? Array.from({ length: fromHost }, (_, i) => i + 1)
        : got,
    );
    t.diagnostic(
      `${fromGuest} from the guest, ${fromHost} to it, ${bench.ways.length} changes of way, ` +
        `${channel.statistics.duplicates} swallowed`,
    );
    assert.ok(bench.ways.length > rounds / 100);
  });

  void it('and nothing is written outside the host’s part of a living mailbox', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed + 1);
    const bench = new Bench(random);
    await bench.attach();
    for (let round = 0; round < 300; round++) {
      const { mailbox } = bench.guest;
      bench.ram.writes.length = 0;
      // Any of its own words turns into something else.
      if (mailbox && random.chance(0.5)) {
        const words = { [random.pick(Object.keys(guestLine.fields).slice(1))]: random.next() };
        mailbox.say(words);
      }
      await bench.running(random.below(60));
      for (const { frame, offset, length } of bench.ram.writes) {
        const page = mailbox?.frames.indexOf(frame) ?? -1;
        const at = page * 4096 + offset;
        const inLine = at >= 0x80 && at + length <= 0xc0;
        const inRing = at >= 0x1000 + 4 * 4352 && at + length <= 0x1000 + 8 * 4352;
        assert.ok(page >= 0 && (inLine || inRing), `seed ${seed}: ${length} bytes at ${at} of page ${page}`);
      }
      mailbox?.say({ state: GuestState.Ready, nonce: mailbox.nonce, epoch: mailbox.epoch });
    }
    assert.equal(bench.guest.mailbox?.frames.length, mailboxPages);
  });
});
