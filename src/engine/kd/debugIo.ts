/**
 * DEBUG_IO (packet type 3): DbgPrint and DbgPrompt. Sent while the target runs, also between a request and its reply.
 *
 *   0 u32 api   4 u16 processorLevel   6 u16 processor
 *   Print   3230   8 u32 length                            text at 16 (no NUL at its end, may hold NULs)
 *   Prompt  3231   8 u32 promptLength   12 u32 maxAnswer    prompt at 16
 *   answer  3231   the same header, debugger → target;  12 u32 answerLength   text at 16
 *
 * A print needs the acknowledgement only, and the target goes on; a prompt holds the target until the answer.
 */

import { VmkdError } from '../core/errors';
import { hex32, layout, u16, u32 } from '../core/layout';
import { decodeAnsi, encodeAnsi } from '../core/text';

const headSize = 16;
/** NT takes packets of up to 4000 bytes. */
const longestAnswer = 4000 - headSize;
const head = layout(headSize, {
  api: [0, hex32],
  processorLevel: [4, u16],
  processor: [6, u16],
  length: [8, u32],
  answerLength: [12, u32],
});

export const DebugIoApi = { Print: 0x3230, Prompt: 0x3231 } as const;

interface From {
  readonly processorLevel: number;
  readonly processor: number;
}

export interface PrintMessage extends From {
  readonly kind: 'print';
  readonly text: string;
}

export interface PromptMessage extends From {
  readonly kind: 'prompt';
  readonly prompt: string;
  /** Bytes that the guest's buffer takes. */
  readonly maxAnswer: number;
}

export type DebugIoMessage = PrintMessage | PromptMessage;

/** @throws protocol-violation if the lengths exceed the packet, or the api is unknown. */
export function decodeDebugIo(payload: Uint8Array): DebugIoMessage {
  const { api, processorLevel, processor, length, answerLength } = head.read(payload);
  if (length > payload.length - headSize) {
    throw new VmkdError('protocol-violation', `A text of ${length} bytes in a packet of ${payload.length}`);
  }
  const text = decodeAnsi(payload.subarray(headSize, headSize + length));
  switch (api) {
    case DebugIoApi.Print:
      return { kind: 'print', processorLevel, processor, text };
    case DebugIoApi.Prompt:
      return { kind: 'prompt', processorLevel, processor, prompt: text, maxAnswer: answerLength };
    default:
      throw new VmkdError('protocol-violation', `Unknown DEBUG_IO api 0x${api.toString(16)}`);
  }
}

/** What a target sends. */
export function encodeDebugIo(message: DebugIoMessage): Uint8Array {
  const { processorLevel, processor } = message;
  const isPrint = message.kind === 'print';
  const text = encodeAnsi(isPrint ? message.text : message.prompt);
  const payload = new Uint8Array(headSize + text.length);
  head.write(payload, {
    api: isPrint ? DebugIoApi.Print : DebugIoApi.Prompt,
    processorLevel,
    processor,
    length: text.length,
    ...(isPrint ? {} : { answerLength: message.maxAnswer }),
  });
  payload.set(text, headSize);
  return payload;
}

/** The debugger's answer; cut to what the guest's buffer takes, and a packet that NT accepts. */
export function encodePromptAnswer(prompt: PromptMessage, answer: string): Uint8Array {
  const text = encodeAnsi(answer).subarray(0, Math.min(prompt.maxAnswer, longestAnswer));
  const payload = new Uint8Array(headSize + text.length);
  head.write(payload, {
    api: DebugIoApi.Prompt,
    processorLevel: prompt.processorLevel,
    processor: prompt.processor,
    length: prompt.prompt.length,
    answerLength: text.length,
  });
  payload.set(text, headSize);
  return payload;
}

/** For the target side. @throws protocol-violation */
export function decodePromptAnswer(payload: Uint8Array): string {
  const { api, answerLength } = head.read(payload);
  if (api !== DebugIoApi.Prompt || answerLength > payload.length - headSize) {
    throw new VmkdError(
      'protocol-violation',
      `Not an answer to a prompt (api 0x${api.toString(16)}, ${answerLength} bytes)`,
    );
  }
  return decodeAnsi(payload.subarray(headSize, headSize + answerLength));
}
