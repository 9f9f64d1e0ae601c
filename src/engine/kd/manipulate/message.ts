/**
 * STATE_MANIPULATE (packet type 2): the debugger asks a stopped target, the target answers in the same shape.
 * DBGKD_MANIPULATE_STATE64; request and reply alike:
 *
 *    0 u32 ApiNumber   4 u16 ProcessorLevel   6 u16 Processor   8 u32 ReturnStatus   12 u32 padding
 *   16 .. 55  a union, one member per ApiNumber: the other files of this folder
 *   56 ..     data, if the API has any
 *
 * The target works in the request's own buffer, so whatever it does not set comes back as we sent it. We use that: the
 * padding carries a number that counts our requests, which tells a late reply from the awaited one (client.ts).
 * Invariants: unused fields mean nothing in either direction; data is bounded by the packet.
 * Source: real WinDbg exchanges with Windows 8.1 and the Windows 10 boot debugger; offsets checked with compilers.
 */

import { VmkdError } from '../../core/errors';
import { hex32, layout, u16, u32, type Fields, type Layout, type ValuesOf } from '../../core/layout';

export const manipulateSize = 56;
/** The most data that fits a packet that NT accepts or sends: 4000 − 56. */
export const maxManipulateData = 3944;
const unionOffset = 16;

export const manipulateHeader = layout(unionOffset, {
  apiNumber: [0, hex32],
  processorLevel: [4, u16],
  processor: [6, u16],
  returnStatus: [8, hex32],
  padding: [12, u32],
});

/** How the target answers: a manipulate reply, the acknowledgement alone, or by stopping anew. */
export type Answer = 'reply' | 'acknowledgement' | 'stateChange';

/** One member of the family. Field offsets are those of the whole 56-byte structure. */
export interface ManipulateApi<Request extends Fields = Fields, Reply extends Fields = Fields> {
  readonly number: number;
  readonly name: string;
  readonly request: Layout<Request>;
  readonly reply: Layout<Reply>;
  readonly answer: Answer;
  /** True if asking twice has the same effect and answer as asking once. */
  readonly repeatable: boolean;
}

interface Definition<Request extends Fields, Reply extends Fields> {
  readonly number: number;
  readonly name: string;
  readonly request?: Request;
  readonly reply?: Reply;
  readonly answer?: Answer;
  readonly repeatable?: boolean;
}

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- an API without fields has no fields
export function defineApi<const Request extends Fields = {}, const Reply extends Fields = {}>(
  definition: Definition<Request, Reply>,
): ManipulateApi<Request, Reply> {
  const { number, name, answer = 'reply', repeatable = true } = definition;
  const request = layout(manipulateSize, definition.request ?? ({} as Request));
  const reply = layout(manipulateSize, definition.reply ?? ({} as Reply));
  return { number, name, request, reply, answer, repeatable };
}

export interface ManipulateHead {
  readonly apiNumber: number;
  readonly processorLevel: number;
  readonly processor: number;
  readonly returnStatus: number;
  readonly padding: number;
}

/** The common head of any manipulate packet. @throws protocol-violation if it is shorter than 56 bytes. */
export function readManipulateHead(payload: Uint8Array): ManipulateHead {
  if (payload.length < manipulateSize) {
    throw new VmkdError(
      'protocol-violation',
      `A manipulate packet of ${payload.length} bytes; ${manipulateSize} are the least`,
    );
  }
  return manipulateHeader.read(payload);
}

export const manipulateData = (payload: Uint8Array): Uint8Array => payload.subarray(manipulateSize);

/**
 * @param base What unused bytes shall be: a reply is laid over its request, as NT does.
 * @param data At most 3944 bytes. @throws value-out-of-range if longer.
 */
export function encodeManipulate<F extends Fields>(
  structure: Layout<F>,
  head: Partial<ManipulateHead>,
  fields: Partial<ValuesOf<F>>,
  data: Uint8Array = none,
  base: Uint8Array = none,
): Uint8Array {
  if (data.length > maxManipulateData) {
    throw new VmkdError(
      'value-out-of-range',
      `${data.length} bytes do not fit one packet; ${maxManipulateData} do`,
    );
  }
  const payload = new Uint8Array(manipulateSize + data.length);
  if (base.length > 0) payload.set(base.subarray(0, manipulateSize));
  manipulateHeader.write(payload, head);
  structure.write(payload, fields);
  if (data.length > 0) payload.set(data, manipulateSize);
  return payload;
}

const none = new Uint8Array();
