/**
 * TRACE_IO (packet type 9): trace data from the running target; acknowledged, never answered.
 *
 *   0 u32 api (3330)   4 u16 processorLevel   6 u16 processor   8 u32 lengthOfData   … data at 64
 */

import { VmkdError } from '../core/errors';
import { hex32, layout, u16, u32 } from '../core/layout';

const headSize = 64;
const head = layout(headSize, {
  api: [0, hex32],
  processorLevel: [4, u16],
  processor: [6, u16],
  length: [8, u32],
});

export const traceIoApi = 0x3330;

export interface TraceMessage {
  readonly processorLevel: number;
  readonly processor: number;
  readonly data: Uint8Array;
}

/** @throws protocol-violation */
export function decodeTraceIo(payload: Uint8Array): TraceMessage {
  const { api, processorLevel, processor, length } = head.read(payload);
  if (api !== traceIoApi || length > payload.length - headSize) {
    throw new VmkdError(
      'protocol-violation',
      `Not a TRACE_IO packet (api 0x${api.toString(16)}, ${length} bytes)`,
    );
  }
  return { processorLevel, processor, data: payload.slice(headSize, headSize + length) };
}

/** What a target sends. */
export function encodeTraceIo(message: TraceMessage): Uint8Array {
  const { data, ...from } = message;
  const payload = new Uint8Array(headSize + data.length);
  head.write(payload, { api: traceIoApi, ...from, length: data.length });
  payload.set(data, headSize);
  return payload;
}
