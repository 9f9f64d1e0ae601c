/**
 * Packets in words, one line each, for logs and `vmkd trace`. Everything is derived from the layouts that the codecs use.
 * Invariant: never throws; what cannot be decoded is shown as hexadecimal with the reason.
 */

import { asVmkdError } from '../core/errors';
import { formatAddress } from '../core/addresses';
import { hex, hexBytes } from '../core/hex';
import type { Fields, Layout } from '../core/layout';
import { PacketType, packetTypes } from './framing';
import { fileIoLayout } from './fileIo';
import { manipulateApi } from './manipulate';
import { manipulateData, readManipulateHead } from './manipulate/message';
import type { MachineType } from './machineType';
import { formatStatus } from './ntstatus';
import { decodeTargetPacket, type KdPacket } from './packet';
import { decodePromptAnswer } from './debugIo';
import { describeStateChange } from './stateChange';

export type Sender = 'debugger' | 'target';

const shownBytes = 16;

/** One line: the packet's type, its fields by name, and the beginning of its data. */
export function describePacket(packet: KdPacket, sender: Sender, machine: MachineType = 'x64'): string {
  const name = packetTypes[packet.type];
  try {
    return `${name} ${describeBody(packet, sender, machine)}`;
  } catch (thrown) {
    return `${name} [${asVmkdError(thrown).message}] ${hexBytes(packet.payload)}`;
  }
}

function describeBody(packet: KdPacket, sender: Sender, machine: MachineType): string {
  if (packet.type === PacketType.StateManipulate) return describeManipulate(packet.payload, sender, machine);
  if (sender === 'debugger') return describeAnswer(packet);
  const message = decodeTargetPacket(packet);
  switch (message.family) {
    case 'stateChange':
      return describeStateChange(message.change);
    case 'debugIo':
      return message.message.kind === 'print'
        ? JSON.stringify(message.message.text)
        : `prompt ${JSON.stringify(message.message.prompt)} (at most ${message.message.maxAnswer})`;
    case 'fileIo':
      return message.request.kind === 'create'
        ? `create ${JSON.stringify(message.request.name)}`
        : `${message.request.kind} ${describeFile(message.payload)}`;
    case 'traceIo':
      return describeData(message.trace.data);
    case 'controlRequest':
      return `${message.request.kind} Dr${message.request.number}`;
    case 'manipulate':
      return '';
  }
}

function describeAnswer({ type, payload }: KdPacket): string {
  if (type === PacketType.DebugIo) return `answer ${JSON.stringify(decodePromptAnswer(payload))}`;
  if (type === PacketType.FileIo) return `answer ${describeFile(payload)}`;
  return hexBytes(payload);
}

function describeFile(payload: Uint8Array): string {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const structure = fileIoLayout(view.getUint32(0, true));
  const fields = structure ? describeFields(structure, payload) : '';
  return `status ${formatStatus(view.getUint32(4, true))} ${fields}${describeData(payload.subarray(64))}`;
}

function describeManipulate(payload: Uint8Array, sender: Sender, machine: MachineType): string {
  const head = readManipulateHead(payload);
  const api = manipulateApi(head.apiNumber, machine);
  const status = sender === 'target' ? `${formatStatus(head.returnStatus)} ` : '';
  const structure = sender === 'target' ? api?.reply : api?.request;
  const fields = structure ? describeFields(structure, payload) : '';
  return `${api?.name ?? hex(head.apiNumber)} ${status}cpu ${head.processor} ${fields}${describeData(manipulateData(payload))}`.trimEnd();
}

function describeFields(structure: Layout<Fields>, payload: Uint8Array): string {
  const values = structure.read(payload) as Record<string, unknown>;
  return Object.entries(structure.fields)
    .map(([name, [, type]]) => `${name} ${formatField(values[name], type.notation)} `)
    .join('');
}

function formatField(value: unknown, notation: string): string {
  if (notation === 'address' && typeof value === 'bigint') return formatAddress(value);
  if (notation === 'hex' && (typeof value === 'bigint' || typeof value === 'number')) return hex(value);
  if (value instanceof Uint8Array) return hexBytes(value);
  return String(value);
}

function describeData(data: Uint8Array): string {
  if (data.length === 0) return '';
  const more = data.length > shownBytes ? ' …' : '';
  return `[${data.length} bytes: ${hexBytes(data.subarray(0, shownBytes))}${more}]`;
}
