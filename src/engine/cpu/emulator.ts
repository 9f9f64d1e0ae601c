/**
 * Carries out one simple instruction in the stead of a frozen x64 processor, so that a breakpoint on it can stay where it is
 * while a thread gets past it, and no other processor misses it meanwhile.
 *
 *   registers, instruction ─▶ new registers, and at most one store; or undefined: let the processor do it
 *
 * Memory is touched only where a thread's stack surely is, right at rsp: elsewhere a load may have side effects, and a store
 * may be one that the processor would refuse.
 *
 * Source: Intel SDM volume 2. The auxiliary carry of and, or, xor, test, which the SDM leaves undefined, comes out as 0.
 */

import { virtualAddress, type VirtualAddress } from '../core/addresses';
import type { OperandSize, SimpleInstruction, SimpleOperand } from './disassemblerSimple';

export interface EmulatedState {
  readonly rip: VirtualAddress;
  readonly eflags: number;
  /** By the hardware's numbers. */
  readonly general: readonly bigint[];
}

export interface Emulated {
  readonly state: EmulatedState;
  readonly store: { readonly address: VirtualAddress; readonly bytes: Uint8Array } | undefined;
}

/** Exactly `length` bytes of the stack; undefined where any is absent. */
export type StackReader = (address: VirtualAddress, length: number) => Promise<Uint8Array | undefined>;

const rsp = 4;
/** Bytes above rsp that are taken for stack: less than the rest of any stack that a kernel calls with. */
const reach = 0x800n;

const flag = { carry: 0x1, parity: 0x4, adjust: 0x10, zero: 0x40, sign: 0x80, overflow: 0x800 } as const;
const arithmeticFlags = Object.values(flag).reduce((all, bit) => all | bit, 0);
/** What pushf leaves out of its image: RF and VM. TF is the debugger's. */
const notPushed = 0x30100;
/** Set for the instruction that is now behind us. */
const resumeFlag = 0x10000;

/** @param length Bytes of the instruction. @throws what `read` throws */
export async function emulate(
  before: EmulatedState,
  instruction: SimpleInstruction,
  length: number,
  read: StackReader,
): Promise<Emulated | undefined> {
  const work = new Work(before, read);
  return (await work.carryOut(instruction)) ? work.result(length) : undefined;
}

class Work {
  readonly #general: bigint[];
  #eflags: number;
  #target: VirtualAddress | undefined;
  #store: Emulated['store'];

  constructor(
    private readonly before: EmulatedState,
    private readonly read: StackReader,
  ) {
    this.#general = [...before.general];
    this.#eflags = before.eflags & ~resumeFlag;
  }

  result(length: number): Emulated {
    const rip = this.#target ?? virtualAddress(this.before.rip + BigInt(length));
    return { state: { rip, eflags: this.#eflags, general: this.#general }, store: this.#store };
  }

  /** @returns False: it cannot be done here. */
  async carryOut(instruction: SimpleInstruction): Promise<boolean> {
    switch (instruction.kind) {
      case 'nothing':
        return true;
      case 'jump':
        if (instruction.condition === undefined || holds(instruction.condition, this.#eflags))
          this.#target = instruction.target;
        return true;
      case 'push': {
        const value = await this.#load(instruction.from, 8);
        return value !== undefined && this.#push(value);
      }
      case 'push-flags':
        return this.#push(BigInt(this.#eflags & ~notPushed));
      case 'pop': {
        const value = await this.#loadMemory(this.#stackPointer, 8);
        if (value === undefined) return false;
        this.#general[rsp] = BigInt.asUintN(64, this.#stackPointer + 8n);
        return this.#put(instruction.to, value);
      }
      case 'move':
        return this.#move(instruction);
      case 'arithmetic':
        return this.#arithmetic(instruction);
      case 'count': {
        const size = sizeOf(instruction.to);
        const value = await this.#load(instruction.to, size);
        if (value === undefined) return false;
        const carry = this.#eflags & flag.carry;
        const operation = instruction.by === 1 ? 'add' : 'subtract';
        const result = this.#calculate(operation, value, 1n, size);
        this.#eflags = (this.#eflags & ~flag.carry) | carry;
        return this.#put(instruction.to, result);
      }
    }
  }

  async #move({ how, to, from }: SimpleInstruction & { kind: 'move' }): Promise<boolean> {
    if (how === 'address') return from.kind === 'memory' && this.#put(to, this.#addressOf(from));
    const size = how === 'plain' ? sizeOf(to) : sizeOf(from);
    const value = await this.#load(from, size);
    if (value === undefined) return false;
    return this.#put(to, how === 'sign' ? BigInt.asIntN(size * 8, value) : value);
  }

  async #arithmetic(instruction: SimpleInstruction & { kind: 'arithmetic' }): Promise<boolean> {
    const { operation, to, from, keeps } = instruction;
    const size = sizeOf(to);
    const left = await this.#load(to, size);
    const right = await this.#load(from, size);
    if (left === undefined || right === undefined) return false;
    const result = this.#calculate(operation, left, right, size);
    return keeps || this.#put(to, result);
  }

  #calculate(
    operation: (SimpleInstruction & { kind: 'arithmetic' })['operation'],
    left: bigint,
    right: bigint,
    size: OperandSize,
  ): bigint {
    const bits = size * 8;
    const exact = {
      add: left + right,
      subtract: left - right,
      and: left & right,
      or: left | right,
      xor: left ^ right,
    }[operation];
    const result = BigInt.asUintN(bits, exact);
    const top = 1n << BigInt(bits - 1);
    let flags = parityOf(Number(result & 0xffn));
    if (result === 0n) flags |= flag.zero;
    if ((result & top) !== 0n) flags |= flag.sign;
    if (operation === 'add' || operation === 'subtract') {
      if (exact !== result) flags |= flag.carry;
      if (((left ^ right ^ result) & 0x10n) !== 0n) flags |= flag.adjust;
      const overflow =
        operation === 'add' ? (left ^ result) & (right ^ result) : (left ^ right) & (left ^ result);
      if ((overflow & top) !== 0n) flags |= flag.overflow;
    }
    this.#eflags = (this.#eflags & ~arithmeticFlags) | flags;
    return result;
  }

  get #stackPointer(): bigint {
    return this.#general[rsp]!;
  }

  #addressOf(operand: SimpleOperand & { kind: 'memory' }): bigint {
    const base = operand.base === undefined ? 0n : this.#general[operand.base]!;
    const index = operand.index === undefined ? 0n : this.#general[operand.index]! * BigInt(operand.scale);
    return BigInt.asUintN(64, base + index + operand.displacement);
  }

  /** Unsigned, `size` bytes. */
  async #load(operand: SimpleOperand, size: OperandSize): Promise<bigint | undefined> {
    switch (operand.kind) {
      case 'register':
        return BigInt.asUintN(size * 8, this.#general[operand.number]!);
      case 'immediate':
        return BigInt.asUintN(size * 8, operand.value);
      case 'memory':
        return this.#loadMemory(this.#addressOf(operand), size);
    }
  }

  async #loadMemory(address: bigint, size: OperandSize): Promise<bigint | undefined> {
    if (!this.#isStack(address, size)) return undefined;
    const bytes = await this.read(virtualAddress(address), size);
    return bytes?.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  #push(value: bigint): boolean {
    const address = BigInt.asUintN(64, this.#stackPointer - 8n);
    this.#general[rsp] = address;
    return this.#put(
      { kind: 'memory', base: rsp, index: undefined, scale: 1, displacement: 0n, size: 8 },
      value,
    );
  }

  #put(operand: SimpleOperand, value: bigint): boolean {
    switch (operand.kind) {
      case 'immediate':
        return false;
      case 'register': {
        const { number, size } = operand;
        const low = BigInt.asUintN(size * 8, value);
        // Of 4 bytes the upper half becomes 0; of fewer it stays.
        const kept = size >= 4 ? 0n : (this.#general[number]! >> BigInt(size * 8)) << BigInt(size * 8);
        this.#general[number] = kept | low;
        return true;
      }
      case 'memory': {
        const address = this.#addressOf(operand);
        if (!this.#isStack(address, operand.size)) return false;
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
        this.#store = { address: virtualAddress(address), bytes: bytes.slice(0, operand.size) };
        return true;
      }
    }
  }

  #isStack(address: bigint, size: number): boolean {
    const above = address - this.#stackPointer;
    return above >= 0n && above + BigInt(size) <= reach;
  }
}

const sizeOf = (operand: SimpleOperand): OperandSize => (operand.kind === 'immediate' ? 8 : operand.size);

function parityOf(byte: number): number {
  let ones = 0;
  for (let rest = byte; rest !== 0; rest >>= 1) ones += rest & 1;
  return (ones & 1) === 0 ? flag.parity : 0;
}

/** @param condition As in the low four bits of a jcc: an odd one is the contrary of the even one before it. */
function holds(condition: number, eflags: number): boolean {
  const is = (bit: number): boolean => (eflags & bit) !== 0;
  const less = is(flag.sign) !== is(flag.overflow);
  const even = [
    is(flag.overflow),
    is(flag.carry),
    is(flag.zero),
    is(flag.carry) || is(flag.zero),
    is(flag.sign),
    is(flag.parity),
    less,
    less || is(flag.zero),
  ][condition >> 1]!;
  return (condition & 1) === 1 ? !even : even;
}
