/**
 * The x87 and SSE registers, out of a processor's FXSAVE area, as floating point and as integers:
 *
 *   0  u16 control  2 u16 status  4 u8 tags   18 u32 mxcsr   20 st0 … st7 (16 bytes each, 10 used)   a0 xmm0 … xmm15
 *
 * KD's CONTEXT ends there: the upper halves of the AVX registers are not in it.
 * Source: Intel SDM volume 1, chapters 10 and 13.
 */

import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { decodeFloat, encodeExtended } from './floats';
import { inBits, settable, type RegisterContext } from './integerRegisters';
import { listOf, type Container, type Shown } from './shown';

interface Slot {
  readonly name: string;
  readonly at: number;
  /** Bytes. */
  readonly size: number;
}

const slots = (prefix: string, count: number, at: number, size: number): Slot[] =>
  Array.from({ length: count }, (_, i) => ({ name: `${prefix}${i}`, at: at + i * 16, size }));

const x87Words: readonly Slot[] = [
  { name: 'fpcw', at: 0, size: 2 },
  { name: 'fpsw', at: 2, size: 2 },
  { name: 'fptw', at: 4, size: 1 },
];
const x87 = slots('st', 8, 0x20, 10);
const sse = slots('xmm', 16, 0xa0, 16);
const mxcsr: Slot = { name: 'mxcsr', at: 0x18, size: 4 };

/** How the bytes of an SSE register can be taken. */
interface Lanes {
  readonly name: string;
  readonly size: 4 | 8;
  readonly isFloat: boolean;
}

const lanes: readonly Lanes[] = [
  { name: 'float', size: 4, isFloat: true },
  { name: 'double', size: 8, isFloat: true },
  { name: 'uint32', size: 4, isFloat: false },
  { name: 'uint64', size: 8, isFloat: false },
];

export const x87Registers = (context: RegisterContext): Container => slotRows(context, [...x87, ...x87Words]);

/** Whoever looks for ymm0 shall not think that it is 0. */
const upperHalves: Shown = {
  name: 'ymm0 … ymm15',
  value: 'KD does not tell the upper halves: the kernel’s CONTEXT ends with xmm15',
  readOnly: true,
};

export function sseRegisters(context: RegisterContext): Container {
  const rows = slotRows(context, [...sse, mxcsr]);
  return { ...rows, children: async (page) => [...(await rows.children(page)), upperHalves] };
}

function slotRows(context: RegisterContext, rows: readonly Slot[]): Container {
  const show = async (slot: Slot): Promise<Shown> => describe(context, slot, await bytesOf(context, slot));
  return settable(
    () => Promise.all(rows.map(show)),
    async (name, text) => {
      const slot = rows.find((candidate) => candidate.name === name);
      if (slot === undefined) return undefined;
      await store(context, slot, await parse(context, slot, text));
      return show(slot);
    },
  );
}

function describe(context: RegisterContext, slot: Slot, bytes: Uint8Array): Shown {
  const raw = hex(unsigned(bytes), slot.size * 2);
  switch (slot.size) {
    case 10:
      return { name: slot.name, value: `${decodeFloat(bytes)} (${raw})`, type: '80 bits' };
    case 16:
      return {
        name: slot.name,
        value: raw,
        type: '128 bits',
        inside: listOf(() => lanes.map((lane) => describeLanes(context, slot, lane, bytes))),
      };
    default:
      return { name: slot.name, value: raw, type: `${slot.size * 8} bits` };
  }
}

function describeLanes(context: RegisterContext, slot: Slot, lane: Lanes, bytes: Uint8Array): Shown {
  const { name, size, isFloat } = lane;
  const parts = Array.from({ length: slot.size / size }, (_, i): Slot => ({
    name: `[${i}]`,
    at: slot.at + i * size,
    size,
  }));
  const valueOf = (part: Uint8Array): string =>
    isFloat ? String(decodeFloat(part)) : hex(unsigned(part), size * 2);
  const show = (part: Slot, from: Uint8Array): Shown => ({
    name: part.name,
    value: valueOf(from),
    type: name,
  });
  const slice = (part: Slot): Uint8Array => bytes.subarray(part.at - slot.at, part.at - slot.at + size);
  return {
    name,
    value: `{${parts.map((part) => valueOf(slice(part))).join(', ')}}`,
    type: `${name}[${parts.length}]`,
    readOnly: true,
    inside: settable(
      () => Promise.all(parts.map(async (part) => show(part, await bytesOf(context, part)))),
      async (wanted, text) => {
        const part = parts.find((candidate) => candidate.name === wanted);
        if (part === undefined) return undefined;
        const changed = isFloat ? floatBytes(text, size) : await integerBytes(context, part, text);
        await store(context, part, changed);
        return show(part, changed);
      },
    ),
  };
}

async function parse(context: RegisterContext, slot: Slot, text: string): Promise<Uint8Array> {
  return slot.size === 10 ? encodeExtended(numberIn(text)) : integerBytes(context, slot, text);
}

async function integerBytes(
  { numberOf }: RegisterContext,
  { size, name }: Slot,
  text: string,
): Promise<Uint8Array> {
  // Expressions have 64 bits; what is wider is written as it is shown.
  const value = size > 8 && /^\s*0x[0-9a-f]+\s*$/i.test(text) ? BigInt(text.trim()) : await numberOf(text);
  let rest = inBits(value, size * 8, name);
  return Uint8Array.from({ length: size }, () => {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    return byte;
  });
}

function floatBytes(text: string, size: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  if (size === 4) view.setFloat32(0, numberIn(text), true);
  else view.setFloat64(0, numberIn(text), true);
  return bytes;
}

/** @throws value-out-of-range */
function numberIn(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && (!Number.isNaN(value) || /^\s*nan\s*$/i.test(text))) return value;
  throw new VmkdError('value-out-of-range', `“${text}” is no floating-point number`);
}

async function bytesOf({ processor }: RegisterContext, { at, size }: Slot): Promise<Uint8Array> {
  return (await processor.context()).floatSave.subarray(at, at + size);
}

async function store({ processor }: RegisterContext, slot: Slot, bytes: Uint8Array): Promise<void> {
  const context = await processor.context();
  const floatSave = context.floatSave.slice();
  floatSave.set(bytes, slot.at);
  // The processor's state has MXCSR in two places.
  const isMxcsr = slot.name === mxcsr.name;
  await processor.setContext(isMxcsr ? { floatSave, mxCsr: Number(unsigned(bytes)) } : { floatSave });
}

const unsigned = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
