/**
 * FILE_IO (packet type 11): the target asks the debugger for a file (“kdfiles”: a driver replaced as it loads).
 *
 *   0 u32 api   4 u32 status   8 …
 *   Create 3430   8 u32 desiredAccess  12 fileAttributes  16 shareAccess  20 createDisposition  24 createOptions
 *                 32 u64 handle  40 u64 length      name (UTF-16, NUL) at 64
 *   Read   3431   8 u64 handle  16 u64 offset  24 u32 length      answer: data at 64
 *   Write  3432   the same, data at 64 in the request
 *   Close  3433   8 u64 handle
 *
 * The target waits for the answer (same type, same api, 64 bytes and data), so each one must be answered; who offers no
 * files answers Create with C000000F (no such file).
 */

import { VmkdError } from '../core/errors';
import { hex32, layout, u32, u64, type Fields, type Layout } from '../core/layout';
import { decodeUtf16z, encodeUtf16z } from '../core/text';
import { NtStatus } from './ntstatus';

const headSize = 64;
const head = layout(headSize, { api: [0, hex32], status: [4, hex32] });
const create = layout(headSize, {
  desiredAccess: [8, hex32],
  fileAttributes: [12, hex32],
  shareAccess: [16, hex32],
  createDisposition: [20, u32],
  createOptions: [24, hex32],
  handle: [32, u64],
  length: [40, u64],
});
const transfer = layout(headSize, { handle: [8, u64], offset: [16, u64], length: [24, u32] });
const close = layout(headSize, { handle: [8, u64] });

export const FileIoApi = { Create: 0x3430, Read: 0x3431, Write: 0x3432, Close: 0x3433 } as const;

/** The most file bytes that one packet carries: 4000 − 64. */
const maxFileData = 3936;

export interface FileCreate {
  readonly kind: 'create';
  /** As the guest names it: `\SystemRoot\system32\drivers\x.sys`. Hostile: never a host path. */
  readonly name: string;
  readonly desiredAccess: number;
  readonly fileAttributes: number;
  readonly shareAccess: number;
  readonly createDisposition: number;
  readonly createOptions: number;
}
export interface FileRead {
  readonly kind: 'read';
  readonly handle: bigint;
  /** Bytes from the file's start. */
  readonly offset: bigint;
  readonly length: number;
}
export interface FileWrite {
  readonly kind: 'write';
  readonly handle: bigint;
  readonly offset: bigint;
  readonly data: Uint8Array;
}
export interface FileClose {
  readonly kind: 'close';
  readonly handle: bigint;
}
export type FileRequest = FileCreate | FileRead | FileWrite | FileClose;

export interface FileAnswer {
  /** NTSTATUS. */
  readonly status: number;
  /** Of create. */
  readonly handle?: bigint;
  /** Of create: the file's size in bytes. */
  readonly length?: bigint;
  /** Of read: at most 3936 bytes. */
  readonly data?: Uint8Array;
  /** Of write: bytes written. */
  readonly written?: number;
}

/** What a debugger without kdfiles says. */
export const noSuchFile: FileAnswer = { status: NtStatus.NoSuchFile };

const structures: Record<number, Layout<Fields>> = {
  [FileIoApi.Create]: create,
  [FileIoApi.Read]: transfer,
  [FileIoApi.Write]: transfer,
  [FileIoApi.Close]: close,
};

/** The layout of the 64-byte header for an api; for the packet log. */
export const fileIoLayout = (api: number): Layout<Fields> | undefined => structures[api];

/** @throws protocol-violation */
export function decodeFileRequest(payload: Uint8Array): FileRequest {
  const { api } = head.read(payload);
  const data = payload.subarray(headSize);
  switch (api) {
    case FileIoApi.Create: {
      const { handle: _handle, length: _length, ...wishes } = create.read(payload);
      return { kind: 'create', name: decodeUtf16z(data), ...wishes };
    }
    case FileIoApi.Read:
      return { kind: 'read', ...transfer.read(payload) };
    case FileIoApi.Write: {
      const { handle, offset, length } = transfer.read(payload);
      if (length > data.length) {
        throw new VmkdError(
          'protocol-violation',
          `A file write of ${length} bytes in a packet of ${payload.length}`,
        );
      }
      return { kind: 'write', handle, offset, data: data.slice(0, length) };
    }
    case FileIoApi.Close:
      return { kind: 'close', ...close.read(payload) };
    default:
      throw new VmkdError('protocol-violation', `Unknown FILE_IO api 0x${api.toString(16)}`);
  }
}

/**
 * The answer, laid over the request as the target expects. Data beyond what a read asked for, or a packet carries, is left
 * out: the target asks for the rest. @param request The request's payload.
 */
export function encodeFileAnswer(request: Uint8Array, answer: FileAnswer): Uint8Array {
  const wanted = Math.min(
    head.read(request).api === FileIoApi.Read ? transfer.read(request).length : 0,
    maxFileData,
  );
  const data = answer.data?.subarray(0, wanted) ?? new Uint8Array();
  const payload = new Uint8Array(headSize + data.length);
  payload.set(request.subarray(0, headSize));
  payload.set(data, headSize);
  head.write(payload, { status: answer.status });
  const { api } = head.read(request);
  if (api === FileIoApi.Create) {
    create.write(payload, { handle: answer.handle ?? 0n, length: answer.length ?? 0n });
  } else if (api === FileIoApi.Read) {
    transfer.write(payload, { length: data.length });
  } else if (api === FileIoApi.Write) {
    transfer.write(payload, { length: answer.written ?? 0 });
  }
  return payload;
}

/** What a target sends. */
export function encodeFileRequest(request: FileRequest): Uint8Array {
  switch (request.kind) {
    case 'create': {
      return assemble(FileIoApi.Create, create, request, encodeUtf16z(request.name));
    }
    case 'read':
      return assemble(FileIoApi.Read, transfer, request);
    case 'write': {
      const { handle, offset, data } = request;
      return assemble(FileIoApi.Write, transfer, { handle, offset, length: data.length }, data);
    }
    case 'close':
      return assemble(FileIoApi.Close, close, request);
  }
}

function assemble(
  api: number,
  structure: Layout<Fields>,
  fields: object,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  const payload = new Uint8Array(headSize + data.length);
  head.write(payload, { api });
  structure.write(payload, fields);
  payload.set(data, headSize);
  return payload;
}

/** For the target side. @throws protocol-violation */
export function decodeFileAnswer(payload: Uint8Array): FileAnswer {
  const { api, status } = head.read(payload);
  switch (api) {
    case FileIoApi.Create: {
      const { handle, length } = create.read(payload);
      return { status, handle, length };
    }
    case FileIoApi.Read: {
      const { length } = transfer.read(payload);
      return {
        status,
        data: payload.slice(headSize, headSize + Math.min(length, payload.length - headSize)),
      };
    }
    case FileIoApi.Write:
      return { status, written: transfer.read(payload).length };
    case FileIoApi.Close:
      return { status };
    default:
      throw new VmkdError('protocol-violation', `Unknown FILE_IO api 0x${api.toString(16)}`);
  }
}
