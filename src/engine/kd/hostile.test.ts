// test-limit: 400 s
/** A million packets that no sane peer sends: nothing but typed protocol errors, in bounded memory. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import { breakInStop, plainCreate } from '../../../test/fixtures/modelTarget';
import { virtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { decodeControlAnswer, encodeControlRequest } from './controlRequest';
import { decodePromptAnswer, encodeDebugIo } from './debugIo';
import { describePacket } from './describe';
import { decodeFileAnswer, encodeFileRequest } from './fileIo';
import { PacketScanner, PacketType, encodeDataPacket, initialPacketId, type DataType } from './framing';
import { manipulateApi, manipulateApis } from './manipulate';
import { encodeManipulate, readManipulateHead } from './manipulate/message';
import { getVersion, interpretVersion } from './manipulate/version';
import { decodeTargetPacket, type KdPacket } from './packet';
import { encodeStateChange, readControlReport } from './stateChange';
import { encodeTraceIo } from './traceIo';

const packets = 1_000_000;

const from = { processorLevel: 6, processor: 0 };
const samples: readonly KdPacket[] = [
  { type: PacketType.StateChange64, payload: encodeStateChange(breakInStop) },
  {
    type: PacketType.StateChange64,
    payload: encodeStateChange({
      ...breakInStop,
      kind: 'loadSymbols',
      path: 'x.sys',
      base: virtualAddress(1n),
      processId: 0n,
      checkSum: 0,
      sizeOfImage: 1,
      unload: false,
    }),
  },
  {
    type: PacketType.StateChange64,
    payload: encodeStateChange({ ...breakInStop, kind: 'commandString', name: 'a', command: 'b' }),
  },
  { type: PacketType.DebugIo, payload: encodeDebugIo({ kind: 'print', ...from, text: 'hello' }) },
  {
    type: PacketType.DebugIo,
    payload: encodeDebugIo({ kind: 'prompt', ...from, prompt: 'hello', maxAnswer: 80 }),
  },
  {
    type: PacketType.FileIo,
    payload: encodeFileRequest({ kind: 'create', name: '\\x', ...plainCreate }),
  },
  {
    type: PacketType.FileIo,
    payload: encodeFileRequest({ kind: 'read', handle: 1n, offset: 0n, length: 512 }),
  },
  {
    type: PacketType.FileIo,
    payload: encodeFileRequest({ kind: 'write', handle: 1n, offset: 0n, data: new Uint8Array(9) }),
  },
  { type: PacketType.TraceIo, payload: encodeTraceIo({ ...from, data: new Uint8Array(12) }) },
  { type: PacketType.ControlRequest, payload: encodeControlRequest({ kind: 'request', number: 3 }) },
  ...manipulateApis('x64').map((api) => ({
    type: PacketType.StateManipulate,
    payload: encodeManipulate(api.reply, { apiNumber: api.number }, {}, new Uint8Array(24)),
  })),
];
const types = [1, 2, 3, 7, 9, 10, 11] as const satisfies DataType[];

function hostilePacket(random: Random): KdPacket {
  if (random.chance(0.2)) return { type: random.pick(types), payload: random.bytes(random.below(300)) };
  const sample = random.pick(samples);
  const length = random.chance(0.3) ? random.below(sample.payload.length + 1) : sample.payload.length;
  const payload = sample.payload.slice(0, length);
  for (let flips = random.below(6); flips > 0 && length > 0; flips--) {
    const interesting = [0x00, 0xff, 0x7f, 0x80, random.below(256)];
    payload[random.below(length)] = random.pick(interesting);
  }
  return { type: random.chance(0.1) ? random.pick(types) : sample.type, payload };
}

/** All decoders, of either side, that take such bytes. */
function decodeEverywhere(packet: KdPacket, refusals: Map<string, number>): void {
  const attempt = (name: string, decode: () => unknown): void => {
    try {
      decode();
    } catch (error) {
      assert.ok(error instanceof VmkdError, `${name}: ${String(error)}`);
      assert.ok(
        ['protocol-violation', 'target-32bit-protocol', 'target-unsupported'].includes(error.code),
        error.code,
      );
      refusals.set(name, (refusals.get(name) ?? 0) + 1);
    }
  };
  const { payload } = packet;
  attempt('target packet', () => {
    const message = decodeTargetPacket(packet);
    if (message.family !== 'stateChange') return;
    readControlReport(message.change, 'x64');
    readControlReport(message.change, 'x86');
  });
  attempt('manipulate', () => {
    const api = manipulateApi(readManipulateHead(payload).apiNumber, 'x64');
    api?.request.read(payload);
    api?.reply.read(payload);
  });
  attempt('version', () => interpretVersion(getVersion.reply.read(payload)));
  attempt('prompt answer', () => decodePromptAnswer(payload));
  attempt('file answer', () => decodeFileAnswer(payload));
  attempt('control answer', () => decodeControlAnswer(payload));
}

void it(`${packets} random and mutated packets through every decoder`, (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed);
  const refusals = new Map<string, number>();
  let delivered = 0;
  const scanner = new PacketScanner({
    onData: () => delivered++,
    onControl: () => undefined,
    onBreakIn: () => undefined,
    onDamaged: () => undefined,
    onGarbage: () => undefined,
  });
  globalThis.gc?.();
  const before = process.memoryUsage();
  for (let i = 0; i < packets; i++) {
    const packet = hostilePacket(random);
    decodeEverywhere(packet, refusals);
    if (i % 8 === 0) {
      assert.equal(typeof describePacket(packet, random.chance(0.5) ? 'debugger' : 'target'), 'string');
      if (packet.payload.length > 0) {
        const framed = encodeDataPacket(packet.type, initialPacketId, packet.payload);
        framed[random.below(framed.length)] = random.below(256);
        scanner.push(framed);
      }
    }
  }
  const after = process.memoryUsage();
  assert.ok(delivered > 0);
  for (const name of [
    'target packet',
    'manipulate',
    'version',
    'prompt answer',
    'file answer',
    'control answer',
  ]) {
    assert.ok(
      (refusals.get(name) ?? 0) > packets / 100,
      `${name} refused only ${refusals.get(name) ?? 0}: is it tested at all?`,
    );
  }
  // The decoders keep nothing; what grows is the collector's slack.
  assert.ok(
    after.rss - before.rss < 256 * 1024 * 1024,
    `resident memory grew by ${after.rss - before.rss} bytes`,
  );
});
