/**
 * CONTROL_REQUEST (packet type 10): the target asks the debugger to lend it a hardware breakpoint, or gives it back.
 *
 *   0 u32 api (4300 request, 4301 release)   4 u32 number (n of Drn)   8 u32 available / released
 *
 * Answered by the debugger with the same type and size. No source shows a real exchange; fields are named as in the public
 * headers, and both sides of ours agree on them.
 */

import { VmkdError } from '../core/errors';
import { hex32, layout, u32 } from '../core/layout';

const body = layout(12, { api: [0, hex32], number: [4, u32], granted: [8, u32] });

export const ControlRequestApi = { Request: 0x4300, Release: 0x4301 } as const;

export interface ControlRequest {
  readonly kind: 'request' | 'release';
  /** n of Drn, 0 to 3; hostile: it may be anything. */
  readonly number: number;
}

/** 12 bytes. @throws protocol-violation */
export function decodeControlRequest(payload: Uint8Array): ControlRequest {
  const { api, number } = body.read(payload);
  if (api === ControlRequestApi.Request) return { kind: 'request', number };
  if (api === ControlRequestApi.Release) return { kind: 'release', number };
  throw new VmkdError('protocol-violation', `Unknown CONTROL_REQUEST api 0x${api.toString(16)}`);
}

/** @param granted In an answer only: the register was lent, or taken back. */
export function encodeControlRequest(request: ControlRequest, granted = false): Uint8Array {
  const payload = new Uint8Array(body.size);
  const api = request.kind === 'request' ? ControlRequestApi.Request : ControlRequestApi.Release;
  body.write(payload, { api, number: request.number, granted: Number(granted) });
  return payload;
}

/** For the target side. @throws protocol-violation */
export function decodeControlAnswer(payload: Uint8Array): ControlRequest & { readonly granted: boolean } {
  return { ...decodeControlRequest(payload), granted: body.read(payload).granted !== 0 };
}
