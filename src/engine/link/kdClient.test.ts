/** Requests, orders and questions over KDCOM; in virtual time. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelTarget, breakInStop, modelBase } from '../../../test/fixtures/modelTarget';
import { plainCreate } from '../../../test/fixtures/modelTarget';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { plus } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { KdcomChannel } from './kdcomChannel';
import type {} from './link';
import { memoryLinkPair } from './memoryLink';
import { KdClient, type Relayed } from '../kd/client';
import { encodeDebugIo } from '../kd/debugIo';
import {
  PacketType,
  breakInByte,
  encodeControlPacket,
  encodeDataPacket,
  initialPacketId,
  syncPacketId,
  type DataType,
} from '../kd/framing';
import { continue2X64 } from '../kd/manipulate/execution';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { encodeManipulate, readManipulateHead } from '../kd/manipulate/message';
import { setContext } from '../kd/manipulate/context';
import { getVersion } from '../kd/manipulate/version';
import { encodeStateChange } from '../kd/stateChange';
import { ack, answerReset, attach, fails, rawPeer, setUp, withTarget } from '../../../test/fixtures/peers';

void describe('requests', () => {
  void it('need a stopped target', async () => {
    const { clock, client } = withTarget();
    await assert.rejects(client.request(getVersion, {}), fails('target-not-attached'));
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    await assert.rejects(client.request(getVersion, {}), fails('target-running'));
  });

  void it('wait for each other', async () => {
    const { clock, client, target } = withTarget();
    target.memory.set([1, 2, 3, 4, 5, 6, 7, 8]);
    await clock.run(client.attach(attach));
    const reads = Array.from({ length: 8 }, (_, i) =>
      client.request(readVirtualMemory, { address: plus(modelBase, i), count: 1 }),
    );
    const bytes = (await clock.run(Promise.all(reads))).map(({ data }) => data[0]);
    assert.deepEqual(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  void it('take no late reply to an earlier request, not even the first one', async () => {
    const { clock, client, far } = setUp();
    let stopId = initialPacketId;
    const versionReply = (request: Uint8Array, sequence: number): Uint8Array =>
      encodeManipulate(
        getVersion.reply,
        { ...readManipulateHead(request), padding: sequence, returnStatus: 0 },
        { machineType: 0x8664, protocolVersion: 6 },
      );
    let readSequence = 0;
    rawPeer(far, (kind, id, payload) => {
      if (kind === 'control 6') {
        far.write(encodeControlPacket(PacketType.Reset, 0));
        far.write(encodeDataPacket(PacketType.StateChange64, stopId, encodeStateChange(breakInStop)));
      }
      if (kind !== 'data 2') return;
      far.write(ack(id));
      stopId ^= 1;
      const { apiNumber, padding } = readManipulateHead(payload);
      if (apiNumber === getVersion.number) {
        // An older sequence number first, as if it had been under way for long: it is a reply to GetVersion, but not to this one.
        far.write(encodeDataPacket(PacketType.StateManipulate, stopId, versionReply(payload, padding - 3)));
        far.write(encodeDataPacket(PacketType.StateManipulate, stopId, versionReply(payload, padding)));
        return;
      }
      readSequence = padding;
      const reply = (count: number, sequence: number): Uint8Array =>
        encodeManipulate(
          readVirtualMemory.reply,
          { ...readManipulateHead(payload), padding: sequence, returnStatus: 0 },
          { actual: count },
          new Uint8Array(count).fill(count),
        );
      far.write(encodeDataPacket(PacketType.StateManipulate, stopId, reply(3, padding - 1)));
      far.write(encodeDataPacket(PacketType.StateManipulate, stopId, reply(5, padding)));
    });
    await clock.run(client.attach(attach));
    const { data } = await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 5 }));
    assert.deepEqual([...data], [5, 5, 5, 5, 5]);
    assert.ok(readSequence > 0);
  });

  void it('of another debugger that went out twice have one answer, and the other goes to nobody', async () => {
    const { clock, client, far } = setUp();
    let id = initialPacketId;
    const say = (type: DataType, payload: Uint8Array): void => {
      far.write(encodeDataPacket(type, id, payload));
      id = (id ^ 1) >>> 0;
    };
    const answer = (request: Uint8Array): void =>
      say(
        PacketType.StateManipulate,
        encodeManipulate(
          getVersion.reply,
          { ...readManipulateHead(request), returnStatus: 0 },
          { machineType: 0x8664, protocolVersion: 6 },
        ),
      );
    let first: Uint8Array | undefined;
    let late: Uint8Array | undefined;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6') {
        far.write(encodeControlPacket(PacketType.Reset, 0));
        id = initialPacketId;
        say(PacketType.StateChange64, encodeStateChange(breakInStop));
      }
      if (kind !== 'data 2') return;
      far.write(ack(packetId));
      if (readManipulateHead(payload).processor === 7 && first === undefined) {
        // It is slow: the answer comes after the one to the repetition.
        first = late = payload.slice();
        return;
      }
      if (readManipulateHead(payload).processor !== 7 && late !== undefined) {
        answer(late);
        late = undefined;
      }
      answer(payload);
    });
    await clock.run(client.attach(attach));
    const { state } = client;
    assert.ok(state.kind === 'stopped');
    for (const processor of [7, 8]) {
      const head = { apiNumber: getVersion.number, processor, padding: 0xcdcdcdcd };
      const relayed: Relayed = await clock.run(
        client.relay(encodeManipulate(getVersion.request, head, {}), state),
      );
      assert.ok(relayed.kind === 'reply');
      assert.equal(readManipulateHead(relayed.payload).processor, processor);
    }
    assert.equal(late, undefined);
  });

  void it('are not disturbed by prints in between', async () => {
    const printed: string[] = [];
    const { clock, client, target } = withTarget({ onPrint: ({ text }) => printed.push(text) });
    await clock.run(client.attach(attach));
    const prints = [target.server.print('one'), target.server.print('two')];
    await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 16 }));
    await clock.run(Promise.all(prints));
    assert.deepEqual(printed, ['one', 'two']);
  });
});

void describe('a machine that may be at rest', () => {
  void it('is awake for each exchange, and for nothing else', async () => {
    let users = 0;
    let asked = 0;
    const { clock, client, target } = withTarget(
      {},
      {
        whileAwake: async (action) => {
          asked++;
          users++;
          try {
            return await action();
          } finally {
            users--;
          }
        },
      },
    );
    target.server.serve(readVirtualMemory, () => {
      assert.equal(users, 1);
      return { fields: { actual: 0 }, status: 0 };
    });
    await clock.run(client.attach(attach));
    assert.equal(asked, 1);
    await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 1 }));
    await clock.run(client.continue());
    assert.deepEqual([asked, users], [3, 0]);
  });

  void it('that cannot be woken fails the request, and is asked again for the next', async () => {
    let broken = false;
    const { clock, client } = withTarget(
      {},
      {
        whileAwake: (action) =>
          broken ? Promise.reject(new VmkdError('machine-control-timeout', 'no')) : action(),
      },
    );
    await clock.run(client.attach(attach));
    broken = true;
    const read = () => client.request(readVirtualMemory, { address: modelBase, count: 1 });
    await assert.rejects(clock.run(read()), fails('machine-control-timeout'));
    await assert.rejects(clock.run(client.continue()), fails('machine-control-timeout'));
    broken = false;
    await clock.run(read());
    assert.equal(await clock.run(client.continue()), true);
  });
});

void describe('continuing', () => {
  void it('keeps hardware breakpoints: Dr7 is the one that the target reported', async () => {
    const { clock, client, target } = withTarget();
    const report = new Uint8Array(48);
    new DataView(report.buffer).setBigUint64(8, 0x455n, true);
    target.breakNow({ ...breakInStop, report });
    await clock.run(client.attach(attach));
    await clock.run(client.continue({ trace: true }));
    const order = target.orders[0];
    assert.ok(order);
    const { dr7, traceFlag, symbolStart } = continue2X64.request.read(order.payload);
    assert.deepEqual([dr7, traceFlag, symbolStart], [0x455n, 1, 1n]);
  });

  void it('sends no break-in byte to a target that runs but whose acknowledgement was lost', async () => {
    const { clock, client, far } = setUp();
    const continues: Buffer[] = [];
    let resets = 0;
    let id = initialPacketId;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6' && continues.length === 0) {
        answerReset(far);
        id = initialPacketId;
      } else if (kind === 'control 6') {
        resets++;
      }
      if (kind !== 'data 2') return;
      const head = readManipulateHead(payload);
      if (head.apiNumber === continue2X64.number) {
        continues.push(Buffer.from(encodeDataPacket(PacketType.StateManipulate, packetId, payload)));
        return;
      }
      far.write(ack(packetId));
      const reply = encodeManipulate(getVersion.reply, head, { machineType: 0x8664, protocolVersion: 6 });
      far.write(encodeDataPacket(PacketType.StateManipulate, (id ^= 1) >>> 0, reply));
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue({ status: 0x00010002, dr7: 0x400n }));
    assert.equal(client.state.kind, 'running');
    // It may have been lost, so it is sent again: a target that has had it knows it by its id.
    assert.ok(continues.length > 1);
    for (const packet of continues) {
      assert.deepEqual(packet, continues[0]);
      assert.ok(!packet.includes(breakInByte), 'a running target would take it for a break-in');
    }
    assert.equal(resets, 0);
  });

  void it('takes an acknowledgement that comes late, and the next request is not out of step', async () => {
    const { clock, client, far } = setUp();
    let id = initialPacketId;
    let expected = initialPacketId;
    let repeated = 0;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6' && repeated === 0 && expected === initialPacketId) {
        answerReset(far);
        id = initialPacketId;
      }
      if (kind !== 'data 2') return;
      const head = readManipulateHead(payload);
      if (packetId !== expected) {
        if (head.apiNumber !== continue2X64.number) repeated++;
        far.write(ack(packetId));
        return;
      }
      expected = (expected ^ 1) >>> 0;
      if (head.apiNumber === continue2X64.number) {
        clock.after(650, () => far.write(ack(packetId)));
        return;
      }
      const reply = encodeManipulate(getVersion.reply, head, { machineType: 0x8664, protocolVersion: 6 });
      far.write(
        Buffer.concat([ack(packetId), encodeDataPacket(PacketType.StateManipulate, (id ^= 1) >>> 0, reply)]),
      );
    });
    await clock.run(client.attach(attach));
    const started = clock.now();
    await clock.run(client.continue());
    assert.ok(clock.now() - started < 1000, `took ${clock.now() - started} ms`);
    const payload = encodeStateChange({ ...breakInStop, code: 0x80000004 });
    far.write(encodeDataPacket(PacketType.StateChange64, (id ^= 1) >>> 0, payload));
    await clock.run(client.waitForStop(1000));
    await clock.run(client.request(getVersion, {}));
    assert.equal(repeated, 0);
  });

  void it('takes a stop that equals the last one as a new one, when only the acknowledgement was lost', async () => {
    const { clock, client, far } = setUp();
    let id = initialPacketId;
    let continues = 0;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6' && continues === 0) {
        answerReset(far);
        id = initialPacketId;
      }
      if (kind !== 'data 2') return;
      const head = readManipulateHead(payload);
      id = (id ^ 1) >>> 0;
      if (head.apiNumber === continue2X64.number) {
        continues++;
        far.write(encodeDataPacket(PacketType.StateChange64, id, encodeStateChange(breakInStop)));
        return;
      }
      const reply = encodeManipulate(getVersion.reply, head, { machineType: 0x8664, protocolVersion: 6 });
      far.write(Buffer.concat([ack(packetId), encodeDataPacket(PacketType.StateManipulate, id, reply)]));
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    await clock.run(client.waitForStop(1000));
    assert.equal(continues, 1);
  });

  void it('notices a stop that comes in the same breath', async () => {
    const states: string[] = [];
    const { clock, client, far } = setUp({ onState: ({ kind }) => states.push(kind) });
    let id = initialPacketId;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6') {
        answerReset(far);
        id = initialPacketId;
      }
      if (kind !== 'data 2') return;
      id = (id ^ 1) >>> 0;
      const head = readManipulateHead(payload);
      const stop = encodeDataPacket(
        PacketType.StateChange64,
        id,
        encodeStateChange({ ...breakInStop, code: 0x80000004 }),
      );
      const version = encodeManipulate(getVersion.reply, head, { machineType: 0x8664, protocolVersion: 6 });
      const reply = encodeDataPacket(PacketType.StateManipulate, id, version);
      far.write(Buffer.concat([ack(packetId), head.apiNumber === getVersion.number ? reply : stop]));
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue({ trace: true }));
    const change = await clock.run(client.waitForStop(1000));
    assert.equal(change.kind === 'exception' && change.code, 0x80000004);
    assert.deepEqual(states.slice(-3), ['stopped', 'running', 'stopped']);
  });

  void it('asks who it is again after the target was restarted', async () => {
    const { clock, client, far } = setUp();
    let base = 0x1000n;
    let id = initialPacketId;
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6') {
        answerReset(far);
        id = initialPacketId;
      }
      if (kind !== 'data 2') return;
      far.write(ack(packetId));
      const head = readManipulateHead(payload);
      if (head.apiNumber !== getVersion.number) return;
      const fields = { machineType: 0x8664, protocolVersion: 6, kernelBase: plus(modelBase, base) };
      far.write(
        encodeDataPacket(
          PacketType.StateManipulate,
          (id ^= 1) >>> 0,
          encodeManipulate(getVersion.reply, head, fields),
        ),
      );
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    base = 0x2000n;
    id = initialPacketId;
    const { thread: _thread, ...rest } = breakInStop;
    const payload = encodeStateChange({ ...rest, thread: plus(modelBase, 8) });
    far.write(encodeDataPacket(PacketType.StateChange64, (initialPacketId | syncPacketId) >>> 0, payload));
    await clock.run(client.waitForStop(5000));
    assert.equal(client.state.kind === 'stopped' && client.state.version.kernelBase, plus(modelBase, 0x2000));
  });
});

void describe('a machine that is reset during a request', () => {
  const firstId = (initialPacketId | syncPacketId) >>> 0;

  /** Its kernel says this stop instead of an answer to the first write of registers. */
  function resetting(stop: Uint8Array) {
    const setting = setUp();
    const { far } = setting;
    let base = 0x1000;
    let id = initialPacketId;
    const seen: number[] = [];
    rawPeer(far, (kind, packetId, payload) => {
      if (kind === 'control 6') {
        answerReset(far);
        id = initialPacketId;
      }
      if (kind !== 'data 2') return;
      const head = readManipulateHead(payload);
      seen.push(head.apiNumber);
      if (head.apiNumber === setContext.number && base === 0x1000) {
        base = 0x2000;
        id = initialPacketId;
        far.write(encodeDataPacket(PacketType.StateChange64, firstId, stop));
        return;
      }
      const fields = { machineType: 0x8664, protocolVersion: 6, kernelBase: plus(modelBase, base) };
      const reply =
        head.apiNumber === getVersion.number
          ? encodeManipulate(getVersion.reply, head, fields)
          : encodeManipulate(setContext.reply, { ...head, returnStatus: 0 }, {});
      id = (id ^ 1) >>> 0;
      far.write(Buffer.concat([ack(packetId), encodeDataPacket(PacketType.StateManipulate, id, reply)]));
    });
    const writes = (): number => seen.filter((api) => api === setContext.number).length;
    return { ...setting, writes };
  }

  void it('is another kernel: it never gets what the first one was asked', async () => {
    const stop = encodeStateChange({ ...breakInStop, thread: plus(modelBase, 8) });
    const { clock, client, writes } = resetting(stop);
    await clock.run(client.attach(attach));
    const written = client.request(setContext, {}, { data: new Uint8Array(64) });
    await assert.rejects(clock.run(written), fails('target-running'));
    await clock.run(client.waitForStop(5000));
    assert.equal(client.state.kind === 'stopped' && client.state.version.kernelBase, plus(modelBase, 0x2000));
    await clock.advance(60_000);
    assert.equal(writes(), 1);
  });

  void it('was none, if its stop is the one that we know: a header was damaged', async () => {
    const { clock, client, writes } = resetting(encodeStateChange(breakInStop));
    await clock.run(client.attach(attach));
    const { status } = await clock.run(client.request(setContext, {}, { data: new Uint8Array(64) }));
    assert.equal(status, 0);
    assert.equal(writes(), 2);
  });
});

void describe('what the target asks', () => {
  void it('is answered by the observer', async () => {
    const { clock, client, target } = withTarget({
      onPrompt: ({ prompt }) => Promise.resolve(`${prompt}!`),
      onFile: (request) =>
        Promise.resolve(request.kind === 'create' ? { status: 0, handle: 7n, length: 99n } : { status: 0 }),
      onControlRequest: ({ number }) => number === 3,
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    assert.equal(await clock.run(target.server.prompt('well', 10)), 'well!');
    const created = await clock.run(target.server.file({ kind: 'create', name: 'x', ...plainCreate }));
    assert.deepEqual([created.handle, created.length], [7n, 99n]);
    assert.equal(await clock.run(target.server.control({ kind: 'request', number: 3 })), true);
  });

  void it('is answered with nothing by an observer that fails, and the failure is told', async () => {
    const errors: VmkdError[] = [];
    const { clock, client, target } = withTarget({
      onPrompt: () => Promise.reject(new Error('closed')),
      onPrint: () => {
        throw new Error('no room');
      },
      onError: (error) => errors.push(error),
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    const stop = client.waitForStop(5000);
    assert.equal(await clock.run(target.server.prompt('well', 10)), '');
    await clock.run(target.server.print('x'));
    target.breakNow();
    await clock.run(stop);
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['closed', 'no room'],
    );
  });

  void it('is not answered to another target than asked', async () => {
    const clock = new VirtualClock();
    const targets: ModelTarget[] = [];
    let answer: (text: string) => void = () => undefined;
    const client = new KdClient({
      clock,
      observer: { onPrompt: () => new Promise((resolve) => (answer = resolve)) },
      open: (owner) => {
        const [near, far] = memoryLinkPair(clock);
        targets.push(new ModelTarget(far, clock));
        return Promise.resolve(new KdcomChannel(near, owner, { role: 'debugger', clock }));
      },
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    const asked = assert.rejects(targets[0]!.server.prompt('a', 9), VmkdError);
    await clock.advance(10);
    client.detach();
    await clock.run(asked);
    await clock.run(client.attach(attach));
    const { packetsReceived } = targets[1]!.server.channel.statistics;
    answer('yes');
    await clock.advance(100);
    assert.equal(targets[1]!.server.channel.statistics.packetsReceived, packetsReceived);
  });

  void it('in words that nobody knows is asked for again, then dropped, and told', async () => {
    const errors: string[] = [];
    const { clock, client, far } = setUp({ onError: ({ code }) => errors.push(code) });
    const print = encodeDebugIo({ kind: 'print', processorLevel: 6, processor: 0, text: 'x' });
    new DataView(print.buffer).setUint32(0, 0x3232, true);
    const packet = encodeDataPacket(PacketType.DebugIo, initialPacketId, print);
    const heard: string[] = [];
    rawPeer(far, (kind) => {
      heard.push(kind);
      if (kind === 'control 5') far.write(packet);
    });
    const attempt = assert.rejects(client.attach(attach), VmkdError);
    await clock.advance(1);
    far.write(packet);
    await clock.advance(1000);
    assert.deepEqual(
      heard.filter((kind) => /control [45]/.test(kind)),
      ['control 5', 'control 5', 'control 4'],
    );
    assert.deepEqual(errors, ['protocol-violation']);
    await clock.run(attempt);
  });

  void it('a thousand times without listening is answered once', async () => {
    let asked = 0;
    const { clock, client, far } = setUp({
      onPrompt: () => {
        asked++;
        return Promise.resolve('x');
      },
    });
    rawPeer(far, () => undefined);
    const attempt = assert.rejects(client.attach(attach), VmkdError);
    await clock.advance(10);
    const sentBefore = client.statistics?.packetsSent ?? 0;
    const prompt = encodeDebugIo({
      kind: 'prompt',
      processorLevel: 6,
      processor: 0,
      prompt: '?',
      maxAnswer: 4,
    });
    const packets = [0, 1].map((n) => encodeDataPacket(PacketType.DebugIo, initialPacketId + n, prompt));
    far.write(Buffer.concat(Array.from({ length: 1000 }, (_, i) => packets[i & 1]!)));
    await clock.advance(10);
    assert.equal(asked, 1000);
    assert.ok((client.statistics?.packetsSent ?? 0) - sentBefore <= 2);
    await clock.run(attempt);
  });

  void it('is answered as a bare debugger would without one', async () => {
    const { clock, client, target } = withTarget();
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    assert.equal(await clock.run(target.server.prompt('well', 10)), '');
    const { status } = await clock.run(target.server.file({ kind: 'create', name: 'x', ...plainCreate }));
    assert.equal(status, 0xc000000f);
    assert.equal(await clock.run(target.server.control({ kind: 'request', number: 3 })), false);
  });
});

void describe('a target that is replaced', () => {
  /** A peer that stands, says what it is, and answers nothing else. @param atReset What it says to RESETs, in turn; at last its stop. */
  function standing(...atReset: readonly Uint8Array[]) {
    let restarts = 0;
    const all = setUp({ onRestart: () => restarts++ });
    const { far } = all;
    const said: string[] = [];
    const stop = encodeDataPacket(PacketType.StateChange64, initialPacketId, encodeStateChange(breakInStop));
    let answers: readonly Uint8Array[] = [];
    rawPeer(far, (kind, id, payload) => {
      said.push(kind);
      if (kind === 'control 6') {
        far.write(encodeControlPacket(PacketType.Reset, 0));
        far.write(answers[0] ?? stop);
        answers = answers.slice(1);
      }
      if (kind !== 'data 2') return;
      far.write(ack(id));
      const head = readManipulateHead(payload);
      if (head.apiNumber !== getVersion.number) return;
      const version = { machineType: 0x8664, protocolVersion: 6 };
      const reply = encodeManipulate(getVersion.reply, { ...head, returnStatus: 0 }, version);
      far.write(encodeDataPacket(PacketType.StateManipulate, initialPacketId ^ 1, reply));
    });
    return {
      ...all,
      said,
      restarts: () => restarts,
      isReplaced: () => {
        answers = atReset;
        all.client.replaced();
      },
    };
  }

  void it('does not get what the one before was asked, which fails at once', async () => {
    const { clock, client, said, restarts, isReplaced } = standing();
    await clock.run(client.attach(attach));
    const read = assert.rejects(
      client.request(readVirtualMemory, { address: modelBase, count: 4 }),
      fails('target-running'),
    );
    await clock.advance(100);
    const asked = (): number => said.filter((kind) => kind === 'data 2').length;
    const before = asked();
    const started = clock.now();
    isReplaced();
    await clock.run(read);
    assert.equal(clock.now(), started);
    assert.equal(restarts(), 1);
    // Its stop is the same, byte for byte, and is a stop all the same.
    await clock.run(client.waitForStop(5000));
    assert.equal(asked(), before + 1, 'who it is');
  });

  void it('is asked for its stop again if it repeats what it was saying', async () => {
    const reply = encodeManipulate(
      readVirtualMemory.reply,
      { apiNumber: readVirtualMemory.number, returnStatus: 0 },
      { actual: 0 },
    );
    const { clock, client, isReplaced } = standing(
      encodeDataPacket(PacketType.StateManipulate, initialPacketId, reply),
    );
    await clock.run(client.attach(attach));
    isReplaced();
    assert.equal(client.state.kind, 'running');
    await clock.run(client.waitForStop(5000));
  });

  void it('is asked a few times if it runs, then left alone, and its mailbox is welcome', async () => {
    const { clock, client, target } = withTarget();
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    const { controlReceived } = target.server.channel.statistics;
    client.replaced();
    await clock.advance(60_000);
    const resets = target.server.channel.statistics.controlReceived - controlReceived;
    assert.equal(resets, 4);
    assert.equal(clock.pending, 0);
    target.breakNow();
    await clock.run(client.waitForStop(30_000));
    assert.equal((await clock.run(client.request(getVersion, {}))).status, 0);
  });

  void it('does not get the answer to a question of the one before', async () => {
    let answer: (text: string) => void = () => undefined;
    const { clock, client, target } = withTarget({
      onPrompt: () => new Promise((resolve) => (answer = resolve)),
    });
    await clock.run(client.attach(attach));
    await clock.run(client.continue());
    target.server.prompt('a', 9).catch(() => undefined);
    await clock.advance(10);
    client.replaced();
    const { packetsReceived } = target.server.channel.statistics;
    answer('yes');
    await clock.advance(10_000);
    assert.equal(target.server.channel.statistics.packetsReceived, packetsReceived);
  });
});
