/**
 * A recorded session as a conversation, free of what the line did to it: ids, acknowledgements, and what was said twice.
 *
 *   said      a print, or trace data                   needs no answer
 *   asked     a prompt, a file, a debug register       and what the debugger answered
 *   stop      a state change, what was asked in it with the replies, and the order that ended it
 */

import { equalBytes } from '../../core/bytes';
import type { Sender } from '../../kd/describe';
import { PacketType } from '../../kd/framing';
import { manipulateApi } from '../../kd/manipulate';
import { letsGo } from '../../kd/manipulate/execution';
import { manipulateSize, readManipulateHead } from '../../kd/manipulate/message';
import type { KdPacket } from '../../kd/packet';
import type { TraceEvent } from '../trace';

export interface RecordedExchange {
  readonly request: Uint8Array;
  /** Undefined: it is only acknowledged, or the reply was not recorded. */
  reply: Uint8Array | undefined;
}

export type Scene =
  | { readonly kind: 'said'; readonly packet: KdPacket }
  | { readonly kind: 'asked'; readonly packet: KdPacket; answer: Uint8Array | undefined }
  | RecordedStop;

export interface RecordedStop {
  readonly kind: 'stop';
  readonly payload: Uint8Array;
  /** The debugger had broken in. */
  readonly wanted: boolean;
  readonly exchanges: RecordedExchange[];
  /** Undefined: the recording ends in this stop. */
  order: Uint8Array | undefined;
}

/** The scenes of a recording, in order. What makes no sense in a conversation is left out. */
export function scenesOf(events: Iterable<TraceEvent>): Scene[] {
  const scenes: Scene[] = [];
  const last: { [S in Sender]?: TraceEvent['what'] & { kind: 'packet' } } = {};
  let stop: RecordedStop | undefined;
  let wanted = false;
  for (const { sender, what } of events) {
    if (what.kind === 'breakIn' && sender === 'debugger') wanted = true;
    if (what.kind !== 'packet') continue;
    const { packet, packetId } = what;
    // Until it is acknowledged, a packet comes again with the same id.
    const before = last[sender];
    last[sender] = what;
    if (before?.packetId === packetId && isSame(before.packet, packet)) continue;
    if (sender === 'target') {
      const next = fromTarget(packet, stop, wanted);
      if (next === undefined) continue;
      scenes.push(next);
      if (next.kind !== 'stop') continue;
      stop = next;
      wanted = false;
    } else fromDebugger(packet, stop, scenes.at(-1));
  }
  return scenes;
}

/** @returns The scene that begins, if one does. */
function fromTarget(packet: KdPacket, stop: RecordedStop | undefined, wanted: boolean): Scene | undefined {
  const { type, payload } = packet;
  switch (type) {
    case PacketType.StateChange64:
      if (stop !== undefined && stop.order === undefined) {
        // Said again after a RESET; or another processor's, which the last request has brought about.
        if (equalBytes(stop.payload, payload)) return undefined;
        stop.order = stop.exchanges.pop()?.request;
      }
      return { kind: 'stop', payload, wanted, exchanges: [], order: undefined };
    case PacketType.StateManipulate: {
      const open = stop?.exchanges.find(
        ({ request, reply }) => reply === undefined && isAnsweredBy(request, payload),
      );
      if (open) open.reply = payload;
      return undefined;
    }
    case PacketType.TraceIo:
      return { kind: 'said', packet };
    case PacketType.DebugIo:
      return payload[0] === 0x30 ? { kind: 'said', packet } : { kind: 'asked', packet, answer: undefined };
    case PacketType.FileIo:
    case PacketType.ControlRequest:
      return { kind: 'asked', packet, answer: undefined };
    case PacketType.StateChange32:
      return undefined;
  }
}

function fromDebugger(
  { type, payload }: KdPacket,
  stop: RecordedStop | undefined,
  last: Scene | undefined,
): void {
  if (type !== PacketType.StateManipulate) {
    if (last?.kind === 'asked' && last.packet.type === type) last.answer ??= payload;
    return;
  }
  if (stop === undefined || stop.order !== undefined || payload.length < manipulateSize) return;
  if (letsGo.has(readManipulateHead(payload).apiNumber)) stop.order = payload;
  else stop.exchanges.push({ request: payload, reply: undefined });
}

const isSame = (one: KdPacket, other: KdPacket): boolean =>
  one.type === other.type && equalBytes(one.payload, other.payload);

const isAnsweredBy = (request: Uint8Array, reply: Uint8Array): boolean =>
  reply.length >= manipulateSize &&
  readManipulateHead(reply).apiNumber === readManipulateHead(request).apiNumber;

/** Whether a request has a reply at all. */
export const hasReply = (request: Uint8Array): boolean =>
  (manipulateApi(readManipulateHead(request).apiNumber, 'x64')?.answer ?? 'reply') === 'reply';
