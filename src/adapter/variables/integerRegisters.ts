/** Registers that hold integers, as lines of the variables view, with their bits inside. */

import { virtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { mustBeFree } from '../../engine/target/scope/registerFile';
import type { TargetProcessor } from '../../engine/target/target';
import type { KernelSymbols } from '../../engine/windows/kernelSymbols';
import type { RegisterBits, RegisterHome, RegisterRow } from './registerTable';
import { listOf, type Container, type Shown } from './shown';

/** Understands what a person typed for a number: an expression of the frame. */
export type NumberReader = (text: string) => Promise<bigint>;

export interface RegisterContext {
  readonly processor: TargetProcessor;
  readonly symbols: KernelSymbols;
  readonly numberOf: NumberReader;
}

export function registerRows(context: RegisterContext, rows: readonly RegisterRow[]): Container {
  return settable(
    () => Promise.all(rows.map((row) => showRow(context, row))),
    async (name, text) => {
      const row = rows.find((candidate) => candidate.name === name);
      if (row === undefined) return undefined;
      await write(context.processor, row.home, inBits(await context.numberOf(text), row.bits, name));
      return showRow(context, row);
    },
  );
}

/** A list whose lines can be set by name. @param set Undefined: there is no such line. */
export function settable(
  lines: () => Promise<readonly Shown[]>,
  set: (name: string, text: string) => Promise<Shown | undefined>,
): Container {
  return {
    ...listOf(lines),
    async set(name, text) {
      const shown = await set(name, text);
      if (shown === undefined) throw new VmkdError('request-stale', `There is no ${name} here`);
      return shown;
    },
  };
}

async function showRow(context: RegisterContext, row: RegisterRow): Promise<Shown> {
  const value = await read(context.processor, row.home);
  const { parts } = row;
  return {
    ...integerLine(context.symbols, row.name, value, row.bits, row.isAddress === true),
    evaluateName: `@${row.name}`,
    ...(parts && {
      value: `${hex(value, row.bits / 4)} ${setBits(parts, value)}`.trimEnd(),
      inside: bitRows(context, row, parts),
    }),
  };
}

export function integerLine(
  symbols: KernelSymbols,
  name: string,
  value: bigint,
  bits: number,
  isAddress: boolean,
): Shown {
  const address = virtualAddress(value);
  const symbol = isAddress ? symbols.nameOf(address) : undefined;
  return {
    name,
    value: `${hex(value, bits / 4)}${symbol === undefined ? '' : ` ${symbol}`}`,
    type: `${bits} bits`,
    ...(isAddress ? { memory: address } : {}),
  };
}

/** Each flag on a line of its own, to be set one by one. */
function bitRows(context: RegisterContext, row: RegisterRow, parts: readonly RegisterBits[]): Container {
  const show = (part: RegisterBits, whole: bigint): Shown => ({
    name: part.name,
    value: field(part, whole).toString(),
    type: part.meaning,
  });
  return settable(
    async () => {
      const whole = await read(context.processor, row.home);
      return parts.map((part) => show(part, whole));
    },
    async (name, text) => {
      const part = parts.find((candidate) => candidate.name === name);
      if (part === undefined) return undefined;
      const value = inBits(await context.numberOf(text), part.length, name);
      const whole = await read(context.processor, row.home);
      const mask = ((1n << BigInt(part.length)) - 1n) << BigInt(part.position);
      const changed = (whole & ~mask) | (value << BigInt(part.position));
      await write(context.processor, row.home, changed);
      return show(part, changed);
    },
  );
}

const field = ({ position, length }: RegisterBits, whole: bigint): bigint =>
  (whole >> BigInt(position)) & ((1n << BigInt(length)) - 1n);

/** `zf pf if iopl=3`. */
const setBits = (parts: readonly RegisterBits[], value: bigint): string =>
  parts
    .filter((part) => field(part, value) !== 0n)
    .map((part) => (part.length === 1 ? part.name : `${part.name}=${field(part, value)}`))
    .join(' ');

/** Negative numbers as their two's complement. @throws value-out-of-range */
export function inBits(value: bigint, bits: number, name: string): bigint {
  if (value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1)))
    throw new VmkdError('value-out-of-range', `${name} has ${bits} bit${bits === 1 ? '' : 's'}`);
  return BigInt.asUintN(bits, value);
}

async function read(processor: TargetProcessor, home: RegisterHome): Promise<bigint> {
  const value =
    home.from === 'context'
      ? (await processor.general())[home.field]
      : (await processor.special())[home.field];
  return BigInt(value);
}

async function write(processor: TargetProcessor, home: RegisterHome, value: bigint): Promise<void> {
  mustBeFree(home.field);
  // The structures have numbers where 32 bits are enough.
  if (home.from === 'context') {
    const known = (await processor.context())[home.field];
    await processor.setContext({ [home.field]: typeof known === 'number' ? Number(value) : value });
  } else {
    const known = (await processor.special())[home.field];
    await processor.setSpecial({ [home.field]: typeof known === 'number' ? Number(value) : value });
  }
}
