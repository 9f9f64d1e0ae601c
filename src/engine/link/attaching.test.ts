/** Attaching and detaching, to peers that behave well, oddly, and not at all; in virtual time. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelTarget, breakInStop, modelBase } from '../../../test/fixtures/modelTarget';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { VmkdError, type ErrorCode } from '../core/errors';
import { KdcomChannel } from './kdcomChannel';
import type { ByteLink } from './link';
import { memoryLinkPair } from './memoryLink';
import { KdClient } from '../kd/client';
import { PacketType, encodeDataPacket, initialPacketId } from '../kd/framing';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { encodeManipulate } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import { encodeStateChange } from '../kd/stateChange';
import { attach, fails, kindOf, rawPeer, setUp, withTarget } from '../../../test/fixtures/peers';

void describe('attaching', () => {
  void it('stops a running target', async () => {
    const { clock, client } = withTarget();
    const change = await clock.run(client.attach(attach));
    assert.equal(change?.kind, 'exception');
    assert.equal(kindOf(client), 'stopped');
    assert.equal(client.state.kind === 'stopped' && client.state.version.build, 19041);
  });

  void it('finds a target that is stopped already', async () => {
    const { clock, client, target } = withTarget();
    target.breakNow();
    await clock.run(client.attach(attach));
    assert.equal(kindOf(client), 'stopped');
  });

  void it('without breaking in, takes a silent target as running, and notices its stop', async () => {
    const { clock, client, target } = withTarget();
    assert.equal(await clock.run(client.attach({ ...attach, breakIn: false })), undefined);
    assert.equal(client.state.kind, 'running');
    target.breakNow();
    const change = await clock.run(client.waitForStop(5000));
    assert.equal(change.kind, 'exception');
  });

  void it('without breaking in, sees that a target is stopped', async () => {
    const { clock, client, target } = withTarget();
    target.breakNow();
    assert.equal((await clock.run(client.attach({ ...attach, breakIn: false })))?.kind, 'exception');
  });

  void it('can be repeated after the link was lost, and after detaching', async () => {
    const clock = new VirtualClock();
    const ends: ByteLink[] = [];
    const client = new KdClient({
      clock,
      open: (owner) => {
        const [near, far] = memoryLinkPair(clock);
        ends.push(far);
        new ModelTarget(far, clock);
        return Promise.resolve(new KdcomChannel(near, owner, { role: 'debugger', clock }));
      },
    });
    await clock.run(client.attach(attach));
    ends[0]?.close();
    await clock.advance(1);
    assert.equal(kindOf(client), 'lost');
    await clock.run(client.attach(attach));
    client.detach();
    assert.equal(kindOf(client), 'idle');
    await clock.run(client.attach(attach));
    assert.equal(kindOf(client), 'stopped');
  });

  void it('can be cancelled', async () => {
    const { clock, client, far } = setUp();
    rawPeer(far, () => undefined);
    const abort = new AbortController();
    const attempt = client.attach({ ...attach, signal: abort.signal });
    clock.after(500, () => abort.abort());
    await assert.rejects(clock.run(attempt), fails('cancelled'));
  });
});

void describe('detaching', () => {
  function withSlowOpen() {
    const clock = new VirtualClock();
    const targets: ModelTarget[] = [];
    const client = new KdClient({
      clock,
      open: async (owner) => {
        const [near, far] = memoryLinkPair(clock);
        targets.push(new ModelTarget(far, clock));
        await new Promise<void>((resolve) => clock.after(1000, resolve));
        return new KdcomChannel(near, owner, { role: 'debugger', clock });
      },
    });
    return { clock, client, targets };
  }

  void it('ends an attach whose channel is still being opened, and stops nobody', async () => {
    const { clock, client, targets } = withSlowOpen();
    const attempt = assert.rejects(client.attach(attach), VmkdError);
    client.detach();
    await clock.run(attempt);
    await clock.advance(5000);
    assert.equal(kindOf(client), 'idle');
    assert.equal(targets[0]?.served, 0);
    assert.equal(clock.pending, 0);
  });

  void it('lets the next attach alone', async () => {
    const { clock, client } = withSlowOpen();
    const first = assert.rejects(client.attach({ ...attach, milliseconds: 500 }), VmkdError);
    client.detach();
    const second = client.attach({ ...attach, milliseconds: 20_000 });
    await clock.run(first);
    await clock.run(second);
    assert.equal(kindOf(client), 'stopped');
  });

  void it('is needed before the next attach', async () => {
    const { clock, client } = withTarget();
    const first = client.attach(attach);
    await assert.rejects(client.attach(attach), fails('target-attached'));
    await clock.run(first);
    assert.equal(kindOf(client), 'stopped');
  });
});

void describe('a peer that is no sane target ends in a typed error, in bounded time', () => {
  const cases: [ErrorCode, string, (far: ByteLink, clock: VirtualClock) => void][] = [
    ['target-silent', 'says nothing', (far) => rawPeer(far, () => undefined)],
    [
      'target-garbage',
      'sends garbage for ever',
      (far, clock) => {
        rawPeer(far, () => undefined);
        const babble = (): void => {
          far.write(new Uint8Array(1000).fill(0x81));
          clock.after(10, babble);
        };
        babble();
      },
    ],
    [
      'target-garbage',
      'sends half a packet',
      (far) => {
        rawPeer(far, () => undefined);
        far.write(
          encodeDataPacket(
            PacketType.StateChange64,
            initialPacketId,
            encodeStateChange(breakInStop),
          ).subarray(0, 99),
        );
      },
    ],
    [
      'target-garbage',
      'announces 64 KB',
      (far) => {
        rawPeer(far, () => undefined);
        const packet = encodeDataPacket(
          PacketType.StateChange64,
          initialPacketId,
          encodeStateChange(breakInStop),
        );
        new DataView(packet.buffer).setUint16(6, 0xffff, true);
        far.write(packet);
      },
    ],
    [
      'target-not-acknowledging',
      'stops, and acknowledges nothing',
      (far) => {
        rawPeer(far, (kind) => {
          if (kind === 'break-in') {
            far.write(
              encodeDataPacket(PacketType.StateChange64, initialPacketId, encodeStateChange(breakInStop)),
            );
          }
        });
      },
    ],
    [
      'target-32bit-protocol',
      'is Windows NT 4',
      (far) => {
        rawPeer(far, (kind) => {
          const sends = kind === 'break-in' || kind === 'control 5';
          if (sends) far.write(encodeDataPacket(1, initialPacketId, new Uint8Array(200)));
        });
      },
    ],
    [
      'target-second-debugger',
      'answers another debugger',
      (far, clock) => {
        rawPeer(far, () => undefined);
        let n = 0;
        const answer = (): void => {
          const payload = encodeManipulate(readVirtualMemory.reply, { apiNumber: 0x3130 }, { count: n++ });
          far.write(encodeDataPacket(PacketType.StateManipulate, initialPacketId + (n & 1), payload));
          clock.after(50, answer);
        };
        answer();
      },
    ],
    [
      'protocol-violation',
      'stops in a way that nobody knows, and obeys every RESEND',
      (far) => {
        const stop = encodeStateChange(breakInStop);
        new DataView(stop.buffer).setUint32(0, 0x3033, true);
        const packet = encodeDataPacket(PacketType.StateChange64, initialPacketId, stop);
        rawPeer(far, (kind) => {
          if (kind === 'break-in' || kind === 'control 5') far.write(packet);
        });
      },
    ],
  ];
  for (const [code, what, play] of cases) {
    void it(`${code}: it ${what}`, async () => {
      const { clock, client, far } = setUp();
      play(far, clock);
      const started = clock.now();
      await assert.rejects(clock.run(client.attach(attach)), fails(code));
      assert.ok(clock.now() - started <= 30_000, `took ${clock.now() - started} ms`);
      assert.equal(client.state.kind, 'lost');
    });
  }

  void it('target-no-reply: it acknowledges a request and never answers', async () => {
    const { clock, client, target } = withTarget();
    await clock.run(client.attach(attach));
    target.server.serveSilently(readVirtualMemory, () => 'silent');
    const started = clock.now();
    await assert.rejects(
      clock.run(client.request(readVirtualMemory, { address: modelBase, count: 4 })),
      fails('target-no-reply'),
    );
    assert.ok(clock.now() - started <= 17_000, `took ${clock.now() - started} ms`);
  });

  void it('link-lost: the link breaks in mid-request', async () => {
    const { clock, client, far, target } = withTarget();
    await clock.run(client.attach(attach));
    target.server.serveSilently(readVirtualMemory, () => {
      far.close();
      return 'silent';
    });
    await assert.rejects(
      clock.run(client.request(readVirtualMemory, { address: modelBase, count: 4 })),
      fails('link-lost'),
    );
    assert.equal(client.state.kind, 'lost');
    await assert.rejects(client.request(getVersion, {}), fails('link-lost'));
  });
});
