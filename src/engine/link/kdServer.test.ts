/** The target's side over KDCOM; in virtual time. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelTarget, modelBase } from '../../../test/fixtures/modelTarget';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { VmkdError } from '../core/errors';
import type {} from './link';
import { memoryLinkPair } from './memoryLink';
import {
  PacketType,
  encodeControlPacket,
  encodeDataPacket,
  initialPacketId,
  syncPacketId,
} from '../kd/framing';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { encodeManipulate } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import { ack, attach, fails, rawPeer, withTarget } from '../../../test/fixtures/peers';

void describe('the target side', () => {
  /** A raw debugger; the server's packets as `kind id`. */
  function withDebugger() {
    const clock = new VirtualClock();
    const [near, far] = memoryLinkPair(clock);
    const target = new ModelTarget(far, clock);
    const seen: string[] = [];
    let acknowledging = true;
    rawPeer(near, (kind, id) => {
      seen.push(`${kind} ${id.toString(16)}`);
      if (acknowledging && kind.startsWith('data')) near.write(ack((id & ~syncPacketId) >>> 0));
    });
    const setAcknowledging = (on: boolean): void => {
      acknowledging = on;
    };
    return { clock, near, target, seen, setAcknowledging };
  }

  void it('answers many queued RESETs once, and repeats its stop', async () => {
    const { clock, near, target, seen } = withDebugger();
    target.breakNow();
    await clock.advance(1);
    near.write(Buffer.concat(Array.from({ length: 30 }, () => encodeControlPacket(PacketType.Reset, 0))));
    await clock.advance(1);
    assert.equal(seen.filter((line) => line.startsWith('control 6')).length, 1);
    assert.equal(seen.at(-1), 'data 7 80800000');
  });

  void it('begins with SYNC, and again after it gave a debugger up', async () => {
    const { clock, target, seen, setAcknowledging } = withDebugger();
    await clock.run(target.server.print('one'));
    setAcknowledging(false);
    await assert.rejects(clock.run(target.server.print('two', 0, 3)), fails('target-not-acknowledging'));
    setAcknowledging(true);
    await clock.run(target.server.print('three'));
    assert.deepEqual(seen, [
      'data 3 80800800',
      'data 3 80800001',
      'data 3 80800001',
      'data 3 80800001',
      'data 3 80800800',
    ]);
  });

  void it('waits for a debugger for ever with an exception', async () => {
    const { clock, target, seen, setAcknowledging } = withDebugger();
    setAcknowledging(false);
    target.breakNow();
    await clock.advance(3_600_000);
    assert.ok(seen.length > 1000);
    assert.equal(target.orders.length, 0);
  });

  void it('hears nothing but break-ins while it runs', async () => {
    const { clock, near, target, seen } = withDebugger();
    const request = encodeManipulate(getVersion.request, { apiNumber: getVersion.number }, {});
    near.write(encodeControlPacket(PacketType.Reset, 0));
    near.write(encodeDataPacket(PacketType.StateManipulate, initialPacketId, request));
    await clock.advance(100);
    assert.deepEqual(seen, []);
    assert.equal(target.served, 0);
    near.write(Uint8Array.of(0x62));
    await clock.advance(1);
    assert.equal(seen[0], 'data 7 80800800');
  });

  void it('says a question again after a RESET, and refuses a second one', async () => {
    const { clock, near, target, seen } = withDebugger();
    const asked = assert.rejects(target.server.prompt('?', 4), VmkdError);
    await clock.advance(1);
    await assert.rejects(target.server.file({ kind: 'close', handle: 1n }), fails('internal'));
    near.write(encodeControlPacket(PacketType.Reset, 0));
    await clock.advance(1);
    assert.deepEqual(seen, ['data 3 80800800', 'control 6 0', 'data 3 80800000']);
    near.close();
    await clock.run(asked);
  });

  void it('passes what it does not know to whoever serves the rest, whole', async () => {
    const { clock, near, target } = withDebugger();
    target.breakNow();
    await clock.advance(1);
    near.write(encodeControlPacket(PacketType.Reset, 0));
    await clock.advance(1);
    let request: Uint8Array | undefined;
    target.server.serveRest((payload) => {
      request = payload;
      return Promise.resolve(payload.slice().fill(0x77, 16, 20));
    });
    const unknown = new Uint8Array(80).fill(0xab);
    new DataView(unknown.buffer).setUint32(0, 0x3199, true);
    near.write(encodeDataPacket(PacketType.StateManipulate, initialPacketId, unknown));
    await clock.advance(1);
    assert.deepEqual(request && [...request], [...unknown]);
  });

  void it('does not serve in one stop what was asked in another', async () => {
    const { clock, near, target } = withDebugger();
    target.breakNow();
    await clock.advance(1);
    near.write(encodeControlPacket(PacketType.Reset, 0));
    await clock.advance(1);
    const served: number[] = [];
    target.server.serveRest((payload) => {
      served.push(payload[0]!);
      return new Promise((resolve) => clock.after(10, () => resolve('go')));
    });
    const order = (api: number): Uint8Array => new Uint8Array(56).fill(0x31).fill(api, 0, 1).fill(0, 2, 4);
    near.write(
      Buffer.concat([
        encodeDataPacket(PacketType.StateManipulate, initialPacketId, order(0x98)),
        encodeDataPacket(PacketType.StateManipulate, (initialPacketId ^ 1) >>> 0, order(0x99)),
      ]),
    );
    await clock.advance(5);
    await clock.advance(5);
    target.breakNow();
    await clock.advance(100);
    assert.deepEqual(served, [0x98]);
  });

  void it('answers C0000001 where its handler fails, and says so', async () => {
    const { clock, client, target } = withTarget();
    const errors: string[] = [];
    target.server.onError = ({ message }) => errors.push(message);
    target.server.serve(readVirtualMemory, () => {
      throw new Error('no such page');
    });
    await clock.run(client.attach(attach));
    const { status } = await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 4 }));
    assert.equal(status, 0xc0000001);
    assert.deepEqual(errors, ['no such page']);
  });

  void it('cuts a reply to what a packet carries', async () => {
    const { clock, client, target } = withTarget();
    target.server.serve(readVirtualMemory, ({ count }) => ({
      fields: { actual: count },
      data: new Uint8Array(count),
    }));
    await clock.run(client.attach(attach));
    const { data } = await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 5000 }));
    assert.equal(data.length, 3944);
  });
});
