/**
 * The packet trace: every byte that passed a link, with its time and direction, in a file that can be mailed with a bug
 * report, read by people, and replayed.
 *
 * One JSON value a line. The first says what the file is; each other is one chunk of bytes:
 *   {"vmkdTrace":1,"link":"unix:/tmp/kd","started":"2026-01-31T12:00:00.000Z"}
 *   [12.345,">","626969…"]     milliseconds since the start, > to the target or < from it, bytes in hexadecimal
 *
 * Invariants: the file is opened before the session begins, so a place that cannot be written is an error then; every
 * chunk is in the file before its bytes are acted upon; bytes are recorded below the framing, damage and noise included.
 */

import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { VmkdError } from '../core/errors';
import type { Clock } from '../core/clock';
import { PacketScanner, PacketType, packetTypes, type ControlType } from '../kd/framing';
import { machineTypeOf, type MachineType } from '../kd/machineType';
import { manipulateSize, readManipulateHead } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import { describePacket, type Sender } from '../kd/describe';
import type { KdPacket } from '../kd/packet';
import type { ByteLink } from './link';

const formatVersion = 1;

export class TraceWriter {
  #file: number | undefined;
  /** Written under another name until the session has begun: an old trace outlives an attempt that never got anywhere. */
  #begun = false;
  readonly #started: number;

  /** @throws file-unwritable */
  constructor(
    readonly path: string,
    link: string,
    private readonly clock: Clock,
    /** Told once if the disk fills up in mid-session; the session goes on, untraced. */
    private readonly onFailure: (error: VmkdError) => void,
  ) {
    this.#started = clock.now();
    try {
      this.#file = openSync(this.#partPath, 'w', 0o600);
      const head = { vmkdTrace: formatVersion, link, started: new Date().toISOString() };
      writeSync(this.#file, `${JSON.stringify(head)}\n`);
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  /** @param direction > to the target, < from it. @param chunk Any number of bytes, packets or not. */
  record(direction: '>' | '<', chunk: Uint8Array): void {
    if (this.#file === undefined) return;
    const time = Math.round((this.clock.now() - this.#started) * 1000) / 1000;
    try {
      writeSync(this.#file, `[${time},"${direction}","${Buffer.from(chunk).toString('hex')}"]\n`);
      if (!this.#begun) renameSync(this.#partPath, this.path);
      this.#begun = true;
    } catch (cause) {
      this.close();
      this.onFailure(unwritable(this.path, cause));
    }
  }

  close(): void {
    if (this.#file === undefined) return;
    closeSync(this.#file);
    this.#file = undefined;
    if (!this.#begun) rmSync(this.#partPath, { force: true });
  }

  get #partPath(): string {
    return `${this.path}.part`;
  }
}

const unwritable = (path: string, cause: unknown): VmkdError =>
  new VmkdError('file-unwritable', `The trace ${path} cannot be written: ${(cause as Error).message}`, {
    cause,
  });

/** The same link, with every byte recorded on its way. @param peer What is at its other end. */
export function traced(link: ByteLink, writer: TraceWriter, peer: Sender = 'target'): ByteLink {
  const [from, to] = peer === 'target' ? (['<', '>'] as const) : (['>', '<'] as const);
  return {
    name: link.name,
    get queuedBytes() {
      return link.queuedBytes;
    },
    attach: (handlers) =>
      link.attach({
        onBytes(chunk) {
          writer.record(from, chunk);
          handlers.onBytes(chunk);
        },
        onClosed: (error) => handlers.onClosed(error),
      }),
    write(bytes) {
      writer.record(to, bytes);
      link.write(bytes);
    },
    close: () => link.close(),
  };
}

/** One thing that passed the link, framed again from the bytes. */
export interface TraceEvent {
  /** Since the start of the recording. */
  readonly milliseconds: number;
  readonly sender: Sender;
  readonly what:
    | { readonly kind: 'packet'; readonly packetId: number; readonly packet: KdPacket }
    | { readonly kind: 'control'; readonly packetId: number; readonly type: ControlType }
    | { readonly kind: 'breakIn' }
    | { readonly kind: 'damaged'; readonly reason: string }
    | { readonly kind: 'garbage'; readonly count: number }
    /** The recording ends within a packet. */
    | { readonly kind: 'unfinished' };
}

export interface TraceChunk {
  readonly milliseconds: number;
  readonly sender: Sender;
  readonly bytes: Uint8Array;
}

/**
 * What was recorded, in order. A damaged line ends it with an error only when it is reached: the beginning of a trace that
 * was cut short is worth having. @throws file-unreadable at once; trace-damaged, which names the line.
 */
export function* readTraceChunks(path: string): Generator<TraceChunk> {
  let lines: string[];
  try {
    lines = readFileSync(path, 'utf8').split('\n');
  } catch (cause) {
    throw new VmkdError('file-unreadable', `The trace ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const head = parseJson(lines[0] ?? '');
  if (!isRecord(head) || head['vmkdTrace'] !== formatVersion) {
    throw new VmkdError(
      'trace-damaged',
      `${path} does not begin as a vmkd trace of version ${formatVersion}`,
    );
  }
  for (const [i, line] of lines.entries()) {
    if (i > 0 && line !== '') yield parseChunk(line, `${path}:${i + 1}`);
  }
}

/** Frames the recorded bytes, each direction by itself. */
export function* traceEvents(chunks: Iterable<TraceChunk>): Generator<TraceEvent> {
  const found: TraceEvent[] = [];
  let milliseconds = 0;
  const scannerFor = (sender: Sender): PacketScanner => {
    const note = (what: TraceEvent['what']): void => void found.push({ milliseconds, sender, what });
    return new PacketScanner({
      onData: (type, packetId, payload) =>
        note({ kind: 'packet', packetId, packet: { type, payload: payload.slice() } }),
      onControl: (type, packetId) => note({ kind: 'control', packetId, type }),
      onBreakIn: () => note({ kind: 'breakIn' }),
      onDamaged: (reason) => note({ kind: 'damaged', reason }),
      onGarbage: (count) => note({ kind: 'garbage', count }),
    });
  };
  const scanners = { debugger: scannerFor('debugger'), target: scannerFor('target') };
  for (const chunk of chunks) {
    milliseconds = chunk.milliseconds;
    scanners[chunk.sender].push(chunk.bytes);
    yield* joinGarbage(found.splice(0));
  }
  for (const sender of ['debugger', 'target'] as const) {
    if (scanners[sender].midPacket) yield { milliseconds, sender, what: { kind: 'unfinished' } };
  }
}

/** Noise comes byte by byte; people want it in one piece. */
function joinGarbage(events: readonly TraceEvent[]): TraceEvent[] {
  const joined: TraceEvent[] = [];
  for (const event of events) {
    const last = joined.at(-1);
    if (event.what.kind === 'garbage' && last?.what.kind === 'garbage' && last.sender === event.sender) {
      joined[joined.length - 1] = {
        ...last,
        what: { kind: 'garbage', count: last.what.count + event.what.count },
      };
    } else {
      joined.push(event);
    }
  }
  return joined;
}

/** `  12.345 → Reset`: one line for people. @param machine Of the target, as far as it is known. */
export function formatTraceEvent({ milliseconds, sender, what }: TraceEvent, machine?: MachineType): string {
  const head = `${milliseconds.toFixed(3).padStart(12)} ${sender === 'debugger' ? '→' : '←'}`;
  switch (what.kind) {
    case 'packet':
      return `${head} ${what.packetId.toString(16)} ${describePacket(what.packet, sender, machine)}`;
    case 'control':
      return `${head} ${what.packetId.toString(16).padStart(8, '0')} ${packetTypes[what.type]}`;
    case 'breakIn':
      return `${head} break-in`;
    case 'damaged':
      return `${head} damaged packet (${what.reason})`;
    case 'garbage':
      return `${head} ${what.count} bytes that belong to no packet`;
    case 'unfinished':
      return `${head} a packet that never ended`;
  }
}

/** The machine that a GetVersion reply names; undefined for any other event. */
export function machineNamedBy({ sender, what }: TraceEvent): MachineType | undefined {
  if (what.kind !== 'packet' || sender !== 'target' || what.packet.type !== PacketType.StateManipulate)
    return undefined;
  const { payload } = what.packet;
  if (payload.length < manipulateSize || readManipulateHead(payload).apiNumber !== getVersion.number)
    return undefined;
  return machineTypeOf(getVersion.reply.read(payload).machineType);
}

function parseChunk(line: string, where: string): TraceChunk {
  const value = parseJson(line);
  if (Array.isArray(value)) {
    const [milliseconds, direction, digits] = value as unknown[];
    const isHex = typeof digits === 'string' && /^(?:[0-9a-f]{2})*$/.test(digits);
    if (typeof milliseconds === 'number' && (direction === '>' || direction === '<') && isHex) {
      return {
        milliseconds,
        sender: direction === '>' ? 'debugger' : 'target',
        bytes: Buffer.from(digits, 'hex'),
      };
    }
  }
  throw new VmkdError('trace-damaged', `${where} is no chunk of a trace`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
