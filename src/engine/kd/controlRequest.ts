/**
 * CONTROL_REQUEST (packet type 10): the target asks the debugger to lend it hardware breakpoints, or gives them back.
 *
 *   0 u32 api (4300 request, 4301 release)   4 u32 registers (bit n = Drn)   8 u32 available / released
 *
 * Answered by the debugger with the same type and size. No source shows a real exchange: the layout is that of the
 * public headers, the handling is ours.
 */

import { VmkdError } from '../core/errors';
import { hex32, layout } from '../core/layout';

const body = layout(12, { api: [0, hex32], registers: [4, hex32], granted: [8, hex32] });

export const ControlRequestApi = { Request: 0x4300, Release: 0x4301 } as const;

export interface ControlRequest {
  readonly kind: 'request' | 'release';
  /** Bit n stands for Drn. */
  readonly registers: number;
}

/** @throws protocol-violation */
export function decodeControlRequest(payload: Uint8Array): ControlRequest {
  const { api, registers } = body.read(payload);
  if (api === ControlRequestApi.Request) return { kind: 'request', registers };
  if (api === ControlRequestApi.Release) return { kind: 'release', registers };
  throw new VmkdError('protocol-violation', `Unknown CONTROL_REQUEST api 0x${api.toString(16)}`);
}

/** @param granted Of a request: the registers lent; of a release: those taken back. In an answer only. */
export function encodeControlRequest(request: ControlRequest, granted = 0): Uint8Array {
  const payload = new Uint8Array(body.size);
  const api = request.kind === 'request' ? ControlRequestApi.Request : ControlRequestApi.Release;
  body.write(payload, { api, registers: request.registers, granted });
  return payload;
}

/** For the target side. @throws protocol-violation */
export function decodeControlAnswer(payload: Uint8Array): ControlRequest & { readonly granted: number } {
  return { ...decodeControlRequest(payload), granted: body.read(payload).granted };
}
