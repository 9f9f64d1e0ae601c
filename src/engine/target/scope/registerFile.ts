/**
 * Registers of one x64 frame by name. In the innermost frame they are the processor's own, all of them, and can be set; in
 * a caller's only those that unwinding recovered.
 */

import { VmkdError } from '../../core/errors';
import type { ContextX64, SpecialRegistersX64 } from '../../cpu/contextX64';
import { generalNames, xmmOf, type FrameRegisters } from '../../cpu/unwindX64';
import type { Register } from '../../expr/context';
import { registerNamed } from '../../symbols/locals/registers';
import type { GeneralContext, TargetProcessor } from '../target';

type ContextName = Exclude<keyof ContextX64, 'floatSave'>;
type GeneralName = Exclude<keyof GeneralContext, 'floatSave' | 'mxCsr'>;

/** In the FXSAVE area. */
const xmmAt = 160;
const xmmSize = 16;

const contextNames: Readonly<Record<string, { readonly field: ContextName; readonly size: number }>> = {
  ...Object.fromEntries([...generalNames, 'rip' as const].map((name) => [name, { field: name, size: 8 }])),
  ...Object.fromEntries(
    (['cs', 'ds', 'es', 'fs', 'gs', 'ss'] as const).map((name) => [name, { field: name, size: 2 }]),
  ),
  eflags: { field: 'eflags', size: 4 },
  mxcsr: { field: 'mxCsr', size: 4 },
};

const specialNames: Readonly<
  Record<string, { readonly field: keyof SpecialRegistersX64; readonly size: number }>
> = Object.fromEntries(
  (
    [
      ['cr0', 'cr0', 8],
      ['cr2', 'cr2', 8],
      ['cr3', 'cr3', 8],
      ['cr4', 'cr4', 8],
      ['cr8', 'cr8', 8],
      ['dr0', 'dr0', 8],
      ['dr1', 'dr1', 8],
      ['dr2', 'dr2', 8],
      ['dr3', 'dr3', 8],
      ['dr6', 'dr6', 8],
      ['dr7', 'dr7', 8],
      ['gdtr', 'gdtBase', 8],
      ['gdtl', 'gdtLimit', 2],
      ['idtr', 'idtBase', 8],
      ['idtl', 'idtLimit', 2],
      ['tr', 'tr', 2],
      ['ldtr', 'ldtr', 2],
    ] as const
  ).map(([name, field, size]) => [name, { field, size }]),
);

const aliases: Readonly<Record<string, string>> = {
  efl: 'eflags',
  rflags: 'eflags',
  eip: 'rip',
  pc: 'rip',
  sp: 'rsp',
};

/** A part of a whole register. */
interface Named {
  readonly full: string;
  readonly size: number;
  readonly offset: number;
}

export class RegisterFile {
  /** @param caller What unwinding recovered; undefined: the frame's registers are the processor's own. */
  constructor(
    private readonly processor: TargetProcessor,
    private readonly caller: FrameRegisters | undefined,
  ) {}

  /** A whole register; undefined if this frame does not know it. @throws what the target throws */
  async whole(full: string): Promise<bigint | undefined> {
    if (this.caller) return this.#recovered(this.caller, full);
    const inContext = contextNames[full];
    if (full === 'mxcsr') return BigInt((await this.processor.context()).mxCsr);
    if (inContext !== undefined)
      return BigInt((await this.processor.general())[inContext.field as GeneralName]);
    const special = specialNames[full];
    if (special !== undefined) return BigInt((await this.processor.special())[special.field]);
    const xmm = xmmNumber(full);
    if (xmm === undefined) return undefined;
    const { floatSave } = await this.processor.context();
    return numberOf(floatSave.subarray(xmmAt + xmm * xmmSize, xmmAt + (xmm + 1) * xmmSize));
  }

  /** By any name, in lower letters. Undefined: there is no such register. */
  async read(name: string): Promise<Register | undefined> {
    const named = registerOf(name);
    if (named === undefined) return undefined;
    const whole = await this.whole(named.full);
    return {
      size: named.size,
      value: whole && BigInt.asUintN(named.size * 8, whole >> BigInt(named.offset * 8)),
    };
  }

  /** @throws value-out-of-range: there is none such, or not in this frame; what the target throws */
  async write(name: string, value: bigint): Promise<void> {
    const named = registerOf(name);
    if (named === undefined) throw new VmkdError('value-out-of-range', `There is no register ${name}`);
    if (this.caller) {
      throw new VmkdError(
        'value-out-of-range',
        `${name} belongs to a caller here: only registers of the innermost frame can be set`,
      );
    }
    mustBeFree(named.full);
    const { full, offset, size } = named;
    const whole = (await this.whole(full)) ?? 0n;
    const mask = ((1n << BigInt(size * 8)) - 1n) << BigInt(offset * 8);
    // As the CPU does it: writing the low 32 bits clears the upper ones.
    const kept = size === 4 && offset === 0 && contextNames[full]?.size === 8 ? 0n : whole & ~mask;
    await this.#setWhole(full, kept | ((value << BigInt(offset * 8)) & mask));
  }

  async #recovered(caller: FrameRegisters, full: string): Promise<bigint | undefined> {
    if (full === 'rip') return caller.rip;
    if (full === 'rsp') return caller.rsp;
    const general = generalNames.indexOf(full as (typeof generalNames)[number]);
    if (general >= 0) return caller.general[general];
    const xmm = xmmNumber(full);
    if (xmm === undefined) return undefined;
    const bytes = await xmmOf(caller, xmm, async () => (await this.processor.context()).floatSave);
    return bytes && numberOf(bytes);
  }

  async #setWhole(full: string, value: bigint): Promise<void> {
    const inContext = contextNames[full];
    const special = specialNames[full];
    const xmm = xmmNumber(full);
    if (inContext !== undefined) {
      const typed = inContext.size === 8 ? value : Number(value);
      await this.processor.setContext({ [inContext.field]: typed });
    } else if (special !== undefined) {
      const typed = special.size === 8 ? value : Number(value);
      await this.processor.setSpecial({ [special.field]: typed });
    } else if (xmm !== undefined) {
      const floatSave = (await this.processor.context()).floatSave.slice();
      for (let i = 0; i < xmmSize; i++)
        floatSave[xmmAt + xmm * xmmSize + i] = Number((value >> BigInt(i * 8)) & 0xffn);
      await this.processor.setContext({ floatSave });
    }
  }
}

/**
 * Breakpoints have the debug registers: what somebody else writes there would be gone at the next continue, or move one.
 * @throws target-refused
 */
export function mustBeFree(register: string): void {
  if (!/^dr[0-37]$/.test(register)) return;
  throw new VmkdError('target-refused', `${register} is shared out by vmkd`, {
    nextStep: 'To watch memory, set a data breakpoint; to stop in code, a breakpoint in mode “hardware”.',
  });
}

function registerOf(name: string): Named | undefined {
  const known = aliases[name] ?? name;
  const size = contextNames[known]?.size ?? specialNames[known]?.size;
  if (size !== undefined) return { full: known, size, offset: 0 };
  const part = registerNamed('x64', known);
  if (part === undefined || (xmmNumber(part.full) === undefined && contextNames[part.full] === undefined))
    return undefined;
  return part;
}

function xmmNumber(name: string): number | undefined {
  const number = /^xmm(\d|1[0-5])$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
