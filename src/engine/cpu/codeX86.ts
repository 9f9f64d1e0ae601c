/**
 * What x86 code itself says of its frame, where unwind data says too little.
 *
 *   begin ──replay──▶ eip     what a prologue has pushed so far, and how far esp or ebp is from the return address
 *   eip ──run──▶ ret          where the return address is when the function returns, and what is popped before
 *
 * A run goes as the processor would, past conditional jumps, but along those it passes a second time: compilers leave the
 * stack the same whichever way one goes, and loops must end. It may go over calls of functions whose own way to `ret n`
 * says what they take off the stack.
 *
 * Invariants: a way is followed for at most `longestPath` instructions, and all of one walk for `mostInstructions`; an
 * answer is undefined rather than a guess, or says that it is not certain.
 */

import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import { longestInstruction, type Disassembler, type FollowedInstruction } from './disassembler';
import { Prolog, type ReplayedProlog } from './prologX86';
import { readDword } from './returnAddresses';
import { ebpNumber, espNumber, type StackEffect } from './stackEffect';

/** u32 by the hardware's numbers, as in stackEffect.ts. Undefined: not known. */
export type GeneralX86 = readonly (number | undefined)[];

export interface RunStart {
  readonly eip: VirtualAddress;
  readonly esp: number;
  readonly general: GeneralX86;
  /** Where the function ends, if that is known: no run gets there. */
  readonly end: VirtualAddress | undefined;
  /** Which calls it goes over: of functions that are known to take so much off the stack, or of any. */
  readonly calls: 'none' | 'known' | 'any';
  /** Whether an address is known to be another function's first. */
  isFunction(address: VirtualAddress): boolean;
}

/** When the function is about to return. */
export interface Returned {
  /** Where the return address lies. */
  readonly at: number;
  readonly general: GeneralX86;
  /** False: it went over calls of functions of which nothing is known. If one took something off, `at` is too low. */
  readonly certain: boolean;
}

interface Step {
  readonly at: VirtualAddress;
  /** Its bytes and some more. */
  readonly code: Uint8Array;
  readonly instruction: FollowedInstruction;
}

/** Instructions one behind the other, of which only the last may go elsewhere. */
type Block = readonly Step[];

const longestProlog = 512;
const longestBlock = 256;
const longestPath = 1000;
const mostInstructions = 50_000;

/** The code that one walk goes through. */
export class CodeX86 {
  #left = mostInstructions;
  readonly #blocks = new Map<VirtualAddress, Block>();
  /** By callee: bytes that it takes off the stack besides its return address; undefined: not known. */
  readonly #popped = new Map<VirtualAddress, number | undefined>();

  constructor(
    private readonly disassembler: Disassembler,
    private readonly memory: VirtualMemory,
  ) {}

  async replay(begin: VirtualAddress, end: VirtualAddress): Promise<ReplayedProlog | undefined> {
    const length = Number(BigInt.asIntN(64, end - begin));
    if (length < 0 || length > longestProlog) return undefined;
    const code = await this.memory.readPartial(begin, length);
    if (code.length < length) return undefined;
    const prolog = new Prolog();
    for (let at = 0; at < length;) {
      const instruction = this.disassembler.follow(code.subarray(at), plus(begin, at));
      if (instruction === undefined || !prolog.step(instruction)) return undefined;
      at += instruction.length;
    }
    return prolog;
  }

  async run(start: RunStart): Promise<Returned | undefined> {
    const run = new Run(start);
    for await (const block of this.#path(start.eip)) {
      for (const { at, instruction } of block)
        if (at === start.end || !run.step(instruction.stack)) return undefined;
      const { code, instruction } = block.at(-1)!;
      const { flow, memory } = instruction;
      switch (flow.kind) {
        case 'next':
        case 'conditional-branch':
          break;
        case 'branch':
          // The callee of a tail call returns to our caller.
          if (start.isFunction(flow.target)) return run.returned(this.memory);
          break;
        case 'return':
          return bytesOfReturn(code) === undefined ? undefined : run.returned(this.memory);
        case 'indirect-branch':
          // A switch, unless the frame is gone already.
          if (run.popped && memory?.index === undefined) return run.returned(this.memory);
          break;
        case 'call':
        case 'indirect-call': {
          if (start.calls === 'none') return undefined;
          const target = await this.#target(instruction);
          const bytes = target && (await this.poppedBy(target));
          if (bytes === undefined && start.calls === 'known') return undefined;
          run.called(bytes);
          break;
        }
        case 'system-call':
        case 'interrupt':
        case 'exception':
          return undefined;
      }
    }
    return undefined;
  }

  /** Bytes that a function takes off the stack besides its return address. */
  async poppedBy(target: VirtualAddress): Promise<number | undefined> {
    if (!this.#popped.has(target)) {
      // What is called in a circle is not known before it is known.
      this.#popped.set(target, undefined);
      this.#popped.set(target, await this.#findReturn(target));
    }
    return this.#popped.get(target);
  }

  /** What the call that ends at an address calls, if that is certain. */
  async calleeBefore(address: VirtualAddress): Promise<VirtualAddress | undefined> {
    for (const length of [5, 6]) {
      const at = plus(address, -length);
      const code = await this.memory.readPartial(at, length);
      const isCall = length === 5 ? code[0] === 0xe8 : code[0] === 0xff && code[1] === 0x15;
      const instruction = isCall ? this.disassembler.follow(code, at) : undefined;
      if (instruction) return this.#target(instruction);
    }
    return undefined;
  }

  async #findReturn(target: VirtualAddress): Promise<number | undefined> {
    // A helper that moves the stack pointer itself (_chkstk) takes nobody knows how much.
    let lost = false;
    for await (const block of this.#path(target)) {
      for (const { code, instruction } of block) {
        const { flow, stack } = instruction;
        if (flow.kind === 'return') return lost ? undefined : bytesOfReturn(code);
        if (stack.kind === 'lost') lost = true;
        else if (stack.kind === 'leave') lost = false;
        else if (stack.kind === 'set' && stack.target === espNumber && stack.source === ebpNumber)
          lost = false;
      }
    }
    return undefined;
  }

  /** From an address on, over calls, until it returns or nobody knows where it goes. */
  async *#path(from: VirtualAddress): AsyncGenerator<Block> {
    const passed = new Set<VirtualAddress>();
    let length = 0;
    let next: VirtualAddress | undefined = from;
    while (next !== undefined) {
      const block: Block = await this.#block(next);
      const last = block.at(-1);
      length += block.length;
      this.#left -= block.length;
      if (last === undefined || length > longestPath || this.#left < 0) return;
      yield block;
      const { at, instruction } = last;
      next = plus(at, instruction.length);
      switch (instruction.flow.kind) {
        case 'branch':
          next = instruction.flow.target;
          break;
        case 'conditional-branch':
          if (passed.has(at)) next = instruction.flow.target;
          passed.add(at);
          break;
        case 'indirect-branch':
          next = await this.#target(instruction);
          break;
        case 'return':
        case 'interrupt':
        case 'exception':
          return;
        case 'next':
        case 'call':
        case 'indirect-call':
        case 'system-call':
      }
    }
  }

  async #block(first: VirtualAddress): Promise<Block> {
    const known = this.#blocks.get(first);
    if (known) return known;
    const bytes = await this.memory.readPartial(first, longestBlock);
    const block: Step[] = [];
    for (let offset = 0; offset < bytes.length;) {
      const code = bytes.subarray(offset, offset + longestInstruction);
      const instruction = this.disassembler.follow(code, plus(first, offset));
      if (instruction === undefined) break;
      block.push({ at: plus(first, offset), code, instruction });
      offset += instruction.length;
      if (instruction.flow.kind !== 'next') break;
    }
    this.#blocks.set(first, block);
    return block;
  }

  /** Where a call or a jump goes, also if that stands at a fixed address, as an import does, or first in a table. */
  async #target({ flow, memory }: FollowedInstruction): Promise<VirtualAddress | undefined> {
    if ('target' in flow) return flow.target;
    if (memory === undefined || memory.base !== undefined) return undefined;
    const pointer = await readDword(this.memory, Number(BigInt.asUintN(32, memory.displacement)));
    return pointer === undefined ? undefined : signExtend32(pointer);
  }
}

/** n of a near `ret n`. */
function bytesOfReturn(code: Uint8Array): number | undefined {
  const at = code[0] === 0xf3 || code[0] === 0xf2 ? 1 : 0;
  if (code[at] === 0xc3) return 0;
  return code[at] === 0xc2 ? code[at + 1]! | (code[at + 2]! << 8) : undefined;
}

const preserved = [3, ebpNumber, 6, 7];

/** A number, or the dword at an address; undefined: not known. */
type Value = number | { readonly at: number } | undefined;

class Run {
  /** Whether the frame has begun to go. */
  popped = false;
  /** Undefined: lost, until ebp restores it. */
  #esp: number | undefined;
  #certain = true;
  readonly #general: Value[];
  /** Dwords that the run itself wrote. */
  readonly #written = new Map<number, Value>();

  constructor(private readonly start: RunStart) {
    this.#esp = start.esp;
    this.#general = [...start.general];
  }

  /** Undefined if a register that a function preserves is not what it was, or if the run wrote the return address. */
  async returned(memory: VirtualMemory): Promise<Returned | undefined> {
    if (this.#esp === undefined || this.#written.has(this.#esp)) return undefined;
    const general: (number | undefined)[] = [];
    for (const [i, value] of this.#general.entries()) {
      if (value === undefined && preserved.includes(i) && this.start.general[i] !== undefined)
        return undefined;
      general.push(typeof value === 'object' ? await readDword(memory, value.at) : value);
    }
    return { at: this.#esp, general, certain: this.#certain };
  }

  called(bytesPopped: number | undefined): void {
    if (bytesPopped === undefined) this.#certain = false;
    else if (this.#esp !== undefined) this.#esp = wrap(this.#esp + bytesPopped);
    for (const register of [0, 1, 2]) this.#general[register] = undefined;
  }

  /** False: it cannot be followed. */
  step(effect: StackEffect): boolean {
    switch (effect.kind) {
      case 'push':
        if (this.#esp === undefined) return true;
        this.#esp = wrap(this.#esp - 4);
        this.#written.set(
          this.#esp,
          effect.register === undefined ? undefined : this.#value(effect.register),
        );
        return true;
      case 'pop':
        return this.#pop(effect.register);
      case 'set': {
        const to = this.#plus(effect.source, effect.bytes);
        if (effect.target === espNumber) {
          this.#esp = to;
          this.popped ||= effect.source === ebpNumber || effect.bytes > 0;
        } else this.#general[effect.target] = to;
        return true;
      }
      case 'load':
        this.#general[effect.target] = this.#dword(this.#plus(effect.base, effect.bytes));
        return true;
      case 'leave':
        this.#esp = this.#plus(ebpNumber, 0);
        return this.#pop(ebpNumber);
      case 'none':
        for (const register of effect.written) this.#general[register] = undefined;
        return true;
      case 'lost':
        this.#esp = undefined;
        return true;
    }
  }

  #pop(register: number | undefined): boolean {
    if (this.#esp === undefined) return false;
    if (register !== undefined) this.#general[register] = this.#dword(this.#esp);
    this.#esp = wrap(this.#esp + 4);
    this.popped = true;
    return true;
  }

  #value(register: number): Value {
    return register === espNumber ? this.#esp : this.#general[register];
  }

  #plus(register: number, bytes: number): number | undefined {
    const value = this.#value(register);
    return typeof value === 'number' ? wrap(value + bytes) : undefined;
  }

  #dword(at: number | undefined): Value {
    if (at === undefined) return undefined;
    return this.#written.has(at) ? this.#written.get(at) : { at };
  }
}

const wrap = (value: number): number => value >>> 0;
