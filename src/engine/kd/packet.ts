/**
 * Packets from a target, decoded by family. The one place that says which family a packet type carries, and whether a
 * payload can be of the type that its header claims: the header has no checksum, so a damaged type shows only here.
 */

import { VmkdError } from '../core/errors';
import { decodeControlRequest, type ControlRequest } from './controlRequest';
import { decodeDebugIo, type DebugIoMessage } from './debugIo';
import { decodeFileRequest, type FileRequest } from './fileIo';
import { PacketType, type DataType } from './framing';
import { readManipulateHead, type ManipulateHead } from './manipulate/message';
import { decodeStateChange, type StateChange } from './stateChange';
import { decodeTraceIo, type TraceMessage } from './traceIo';

/** One KD packet without its framing. */
export interface KdPacket {
  readonly type: DataType;
  readonly payload: Uint8Array;
}

export type TargetMessage =
  | { readonly family: 'stateChange'; readonly change: StateChange }
  | { readonly family: 'manipulate'; readonly head: ManipulateHead; readonly payload: Uint8Array }
  | { readonly family: 'debugIo'; readonly message: DebugIoMessage }
  | { readonly family: 'fileIo'; readonly request: FileRequest; readonly payload: Uint8Array }
  | { readonly family: 'traceIo'; readonly trace: TraceMessage }
  | { readonly family: 'controlRequest'; readonly request: ControlRequest };

/** @throws protocol-violation, or target-32bit-protocol for a packet that only NT 4 and older send. */
export function decodeTargetPacket({ type, payload }: KdPacket): TargetMessage {
  switch (type) {
    case PacketType.StateChange32:
      throw new VmkdError('target-32bit-protocol', 'The guest sent a state change of the 32-bit protocol');
    case PacketType.StateChange64:
      return { family: 'stateChange', change: decodeStateChange(payload) };
    case PacketType.StateManipulate:
      return { family: 'manipulate', head: readManipulateHead(payload), payload };
    case PacketType.DebugIo:
      return { family: 'debugIo', message: decodeDebugIo(payload) };
    case PacketType.FileIo:
      return { family: 'fileIo', request: decodeFileRequest(payload), payload };
    case PacketType.TraceIo:
      return { family: 'traceIo', trace: decodeTraceIo(payload) };
    case PacketType.ControlRequest:
      return { family: 'controlRequest', request: decodeControlRequest(payload) };
  }
}
