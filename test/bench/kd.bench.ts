/**
 * KD itself: the codecs, a round trip in one process, and KDCOM over the demo kernel's UART, which is the baseline that
 * every faster transport is measured against.
 *
 * The client's overhead is what it takes beyond the bytes: the very bytes of a read are recorded, then replayed over the
 * same pipe to the same kernel by a loop that does nothing but wait for as many bytes as came the first time.
 */

import { plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { systemClock } from '../../src/engine/core/clock';
import { VmkdError } from '../../src/engine/core/errors';
import { contextX64 } from '../../src/engine/cpu/contextX64';
import { KdClient } from '../../src/engine/kd/client';
import { encodeDebugIo } from '../../src/engine/kd/debugIo';
import { PacketScanner, PacketType, encodeDataPacket, initialPacketId } from '../../src/engine/kd/framing';
import { getContext } from '../../src/engine/kd/manipulate/context';
import { manipulateApi } from '../../src/engine/kd/manipulate';
import { readVirtualMemory } from '../../src/engine/kd/manipulate/memory';
import { encodeManipulate, manipulateData, readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { decodeTargetPacket, type KdPacket } from '../../src/engine/kd/packet';
import type { Sender } from '../../src/engine/kd/describe';
import { encodeStateChange, readControlReport } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { KdcomChannel } from '../../src/engine/link/kdcomChannel';
import type { ByteLink } from '../../src/engine/link/link';
import { memoryLinkPair } from '../../src/engine/link/memoryLink';
import { traceEvents, type TraceChunk } from '../../src/engine/link/trace';
import { LiveTarget } from '../../src/engine/target/liveTarget';
import { ModelTarget, modelBase } from '../fixtures/modelTarget';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import type { Bench, Figure } from './bench';

/** 1 MiB in all. Each piece is read, then replayed at once, so that a machine whose speed drifts is fair to both. */
const pieces = 64;
const pieceBytes = 16 * 1024;
/** Milliseconds within which the guest answers, however busy the machine. */
const replayLimit = 5000;

const bench: Bench = {
  needsKernel: true,
  async figures() {
    const { figures, recording } = await uart();
    return [codec(recording), await roundTrip(), ...figures];
  },
};
export default bench;

/** A packet of a recorded session, and who sent it. */
interface Recorded {
  readonly packet: KdPacket;
  readonly sender: Sender;
}

/** Finds, decodes, encodes again and frames the packets of a real session, over and over. */
function codec(recording: readonly Recorded[]): Figure {
  const packets = 200_000;
  const frames = recording.map(({ packet }) =>
    encodeDataPacket(packet.type, initialPacketId, packet.payload),
  );
  let sender: Sender = 'target';
  let done = 0;
  let bytes = 0;
  const scanner = new PacketScanner({
    onData(type, _id, payload) {
      const again = recode({ type, payload }, sender);
      if (again.length !== payload.length)
        throw new VmkdError('internal', 'a packet came back with another length');
      bytes += encodeDataPacket(type, initialPacketId, again).length;
      done++;
    },
    onControl: () => undefined,
    onBreakIn: () => undefined,
    onDamaged: (reason) => {
      throw new VmkdError('internal', `the bench's own packet is damaged: ${reason}`);
    },
    onGarbage: () => undefined,
  });
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      sender = recording[i % recording.length]!.sender;
      scanner.push(frames[i % frames.length]!);
    }
  };
  run(packets / 10);
  done = bytes = 0;
  const seconds = timed(() => run(packets));
  if (done !== packets || bytes === 0)
    throw new VmkdError('internal', `${done} of ${packets} packets were decoded`);
  return {
    id: 'kd.codec.packets_per_s',
    value: packets / seconds,
    unit: 'packets/s',
    goal: { atLeast: 100_000 },
  };
}

/** From bytes to meaning and back. */
function recode({ type, payload }: KdPacket, sender: Sender): Uint8Array {
  if (type === PacketType.StateManipulate) {
    const head = readManipulateHead(payload);
    const api = manipulateApi(head.apiNumber, 'x64');
    if (!api) return payload;
    const structure = sender === 'debugger' ? api.request : api.reply;
    const data = manipulateData(payload);
    if (api.number === getContext.number && data.length > 0) contextX64.read(data);
    return encodeManipulate(structure, head, structure.read(payload), data, payload);
  }
  const message = decodeTargetPacket({ type, payload });
  if (message.family === 'debugIo') return encodeDebugIo(message.message);
  if (message.family !== 'stateChange') return payload;
  readControlReport(message.change, 'x64');
  return encodeStateChange(message.change);
}

async function roundTrip(): Promise<Figure> {
  const [near, far] = memoryLinkPair(systemClock);
  const target = new ModelTarget(far, systemClock);
  target.breakNow();
  const client = new KdClient({
    clock: systemClock,
    open: (owner) => Promise.resolve(new KdcomChannel(near, owner, { role: 'debugger', clock: systemClock })),
  });
  await client.attach({ breakIn: true, milliseconds: 10_000 });
  const times: number[] = [];
  for (let i = 0; i < 30_000; i++) {
    const started = performance.now();
    await client.request(readVirtualMemory, { address: modelBase, count: 16 });
    if (i >= 3000) times.push(performance.now() - started);
  }
  client.detach();
  return { id: 'kd.roundtrip.inprocess_us_p50', value: median(times) * 1000, unit: 'us' };
}

async function uart(): Promise<{ figures: Figure[]; recording: Recorded[] }> {
  const machine = await bootDemoKernel({});
  const endpoint = createEndpoint(machine.kdLink);
  try {
    const recorder = new Recorder();
    const target = new LiveTarget({
      endpoint: {
        ...endpoint,
        spec: endpoint.spec,
        dispose: () => endpoint.dispose(),
        open: async (options) => recorder.wrap(await endpoint.open(options)),
      },
      linkMilliseconds: 10_000,
    });
    await target.attach({ breakIn: true, milliseconds: 30_000 });
    const [kernel] = await target.modules();
    if (!kernel) throw new VmkdError('internal', 'the demo kernel has no modules');
    const piecesInKernel = Math.floor(kernel.size / pieceBytes);
    const recording = await recordSession(target, machine, recorder);
    const pairs: { client: number; bare: number }[] = [];
    for (let attempt = 0; pairs.length < pieces; attempt++) {
      if (attempt === 3 * pieces)
        throw new VmkdError('internal', 'the machine is too busy: packets are lost all the time');
      const disturbances = disturbancesOf(target);
      const { seconds, turns } = await readPiece(
        target,
        recorder,
        plus(kernel.base, (pairs.length % piecesInKernel) * pieceBytes),
      );
      // Bytes that were sent twice cannot be replayed; that piece says nothing about the client.
      if (disturbancesOf(target) !== disturbances) continue;
      const bare = await recorder.replay(turns);
      if (bare !== undefined) pairs.push({ client: seconds, bare });
    }
    const seconds = pairs.reduce((sum, { client }) => sum + client, 0);
    await target.release();
    const figures: Figure[] = [
      { id: 'kd.uart.read_kb_per_s', value: (pieces * pieceBytes) / 1024 / seconds, unit: 'KB/s' },
      {
        id: 'kd.uart.client_overhead_pct',
        value: (median(pairs.map(({ client, bare }) => client / bare)) - 1) * 100,
        unit: '%',
        goal: { atMost: 20 },
      },
    ];
    return { figures, recording };
  } finally {
    await endpoint.dispose();
    await machine.stop();
  }
}

/** What a look around sends and gets: registers, modules, memory, steps, prints. */
async function recordSession(
  target: LiveTarget,
  machine: DemoMachine,
  recorder: Recorder,
): Promise<Recorded[]> {
  recorder.chunks = [];
  for (let i = 0; i < 5; i++) {
    await target.modules();
    for (const processor of [0, 1]) {
      await target.registers.context(processor);
      await target.registers.special(processor);
    }
    await target.memory.readPartial(target.stopped.version.kernelBase, 8192);
    for (let step = 0; step < 5; step++) await target.step(10_000);
    await target.resume();
    await machine.console.command('print 10');
    await target.breakIn(10_000);
  }
  const { chunks } = recorder;
  recorder.chunks = undefined;
  return [...traceEvents(chunks)].flatMap(({ sender, what }) =>
    what.kind === 'packet' ? [{ sender, packet: what.packet }] : [],
  );
}

/** Packets that the line or a busy machine lost. */
function disturbancesOf({ client }: LiveTarget): number {
  const { retransmissions = 0, duplicates = 0, damaged = 0 } = client.statistics ?? {};
  return retransmissions + duplicates + damaged;
}

async function readPiece(target: LiveTarget, recorder: Recorder, address: VirtualAddress) {
  recorder.start();
  const started = performance.now();
  const got = (await target.memory.readPartial(address, pieceBytes)).length;
  if (got !== pieceBytes) throw new VmkdError('internal', `only ${got} of ${pieceBytes} bytes could be read`);
  // An even number of requests leaves the packet ids as they were, so that they can be replayed.
  if (recorder.requests % 2 !== 0) await target.memory.readPartial(address, 16);
  return { seconds: (performance.now() - started) / 1000, turns: recorder.end() };
}

/** What was written at one go, and how many bytes came before the next write. */
interface Turn {
  readonly written: Uint8Array;
  received: number;
}

/** Stands between client and link: records turns, and replays them without the client. */
class Recorder {
  #link: ByteLink | undefined;
  #turns: Turn[] | undefined;
  /** Everything that passes, while it is there. */
  chunks: TraceChunk[] | undefined;
  #toClient: (chunk: Uint8Array) => void = () => undefined;
  #onBytes: (chunk: Uint8Array) => void = () => undefined;

  wrap(link: ByteLink): ByteLink {
    this.#link = link;
    return {
      name: link.name,
      get queuedBytes() {
        return link.queuedBytes;
      },
      attach: (handlers) => {
        this.#toClient = (chunk) => {
          this.chunks?.push({ milliseconds: 0, sender: 'target', bytes: chunk.slice() });
          const turn = this.#turns?.at(-1);
          if (turn) turn.received += chunk.length;
          handlers.onBytes(chunk);
        };
        this.#onBytes = this.#toClient;
        link.attach({
          onBytes: (chunk) => this.#onBytes(chunk),
          onClosed: (error) => handlers.onClosed(error),
        });
      },
      write: (bytes) => {
        this.chunks?.push({ milliseconds: 0, sender: 'debugger', bytes: bytes.slice() });
        this.#turns?.push({ written: bytes.slice(), received: 0 });
        link.write(bytes);
      },
      close: () => link.close(),
    };
  }

  start(): void {
    this.#turns = [];
  }

  end(): Turn[] {
    const turns = this.#turns ?? [];
    this.#turns = undefined;
    return turns;
  }

  /** Requests recorded since `start`. */
  get requests(): number {
    return this.#turns?.filter(({ written }) => isRequest(written)).length ?? 0;
  }

  /** Sends the same packets again, ids and all. @returns Seconds; undefined if bytes stayed away. */
  async replay(turns: readonly Turn[]): Promise<number | undefined> {
    const link = this.#link!;
    let awaited = 0;
    let arrived: (whole: boolean) => void = () => undefined;
    this.#onBytes = (chunk) => {
      awaited -= chunk.length;
      if (awaited <= 0) arrived(true);
    };
    try {
      const started = performance.now();
      for (const { written, received } of turns) {
        awaited += received;
        link.write(written);
        if (awaited <= 0) continue;
        const whole = new Promise<boolean>((resolve) => (arrived = resolve));
        const limit = setTimeout(() => arrived(false), replayLimit);
        const came = await whole;
        clearTimeout(limit);
        if (!came) return undefined;
      }
      return (performance.now() - started) / 1000;
    } finally {
      this.#onBytes = this.#toClient;
    }
  }
}

/** A write may hold an acknowledgement and then the request. */
function isRequest(written: Uint8Array): boolean {
  let found = false;
  const scanner = new PacketScanner({
    onData: (_type, _id, payload) => {
      found = readManipulateHead(payload).apiNumber !== 0;
    },
    onControl: () => undefined,
    onBreakIn: () => undefined,
    onDamaged: () => undefined,
    onGarbage: () => undefined,
  });
  scanner.push(written);
  return found;
}

function timed(action: () => void): number {
  const started = performance.now();
  action();
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
