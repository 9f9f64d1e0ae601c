/**
 * Virtual unwinding of one x64 frame: from the registers of a function to those of its caller, by its unwind data.
 *
 *   rip in the prologue        undo the instructions behind which it stands
 *   rip in an epilogue         do the rest of the epilogue
 *   elsewhere                  undo the whole prologue
 *   then, if chained           undo all of what this part continues
 *   then                       pop the return address, unless a machine frame gave rip and rsp
 *   no unwind data (a leaf)    pop the return address
 *
 * A register of which nothing is known is undefined: the volatile ones after a call, and those whose place on the stack
 * is absent. Source: learn.microsoft.com/cpp/build/exception-handling-x64.
 */

import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import { readMemory, readPointer, type VirtualMemory } from '../memory/virtualMemory';
import type { ContextX64 } from './contextX64';
import { stuck } from './stackWalk';
import {
  decodeEpilogue,
  longestBegin,
  longestEpilogue,
  mayBeEpilogue,
  type Epilogue,
} from './unwindEpilogue';
import {
  longestChain,
  readUnwindInfo,
  resolveRow,
  type RuntimeFunction,
  type UnwindCode,
  type UnwindInfo,
  type XdataReader,
} from './unwindInfo';

export interface FrameRegisters {
  readonly rip: VirtualAddress;
  readonly rsp: VirtualAddress;
  /** By the hardware's numbers (4 is rsp, unused here). Undefined: not known. */
  readonly general: readonly (bigint | undefined)[];
  /**
   * Those of xmm6 … xmm15 that were found saved, or were given; undefined where they were saved but cannot be read. What is not
   * in it is what the processor still has.
   */
  readonly xmm: ReadonlyMap<number, Uint8Array | undefined>;
  /** rip is where the processor stood, not a return address. */
  readonly exact: boolean;
}

/** The image that holds an address. */
export interface CodeImage {
  readonly imageBase: VirtualAddress;
  /** Undefined: a leaf. */
  readonly row: RuntimeFunction | undefined;
  readonly xdata: XdataReader;
}

export interface UnwindSource {
  readonly memory: VirtualMemory;
  /** Where code is read, a few bytes at a time; `memory` if absent. */
  readonly codeMemory?: VirtualMemory;
  /** Undefined: the address lies in no known image. */
  functionAt(rip: VirtualAddress): CodeImage | undefined | Promise<CodeImage | undefined>;
}

export type UnwindMethod = 'leaf' | 'prologue' | 'body' | 'epilogue';

export interface Unwound {
  readonly caller: FrameRegisters;
  readonly method: UnwindMethod;
  readonly machineFrame: boolean;
  /** By a machine frame, or because rsp came from a frame register: the function may have switched stacks. */
  readonly switchesStack: boolean;
}

/** By the hardware's numbers. */
export const generalNames = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
] as const;
const volatile = [0, 1, 2, 8, 9, 10, 11];
const rspNumber = 4;
export const firstPreservedXmm = 6;
/** Of xmm0 in the FXSAVE area. */
const xmmOffset = 160;

/** Of a processor. @param context With its FXSAVE area or without: then `xmmOf` has to be told where that is. */
export function registersOf(
  context: Omit<ContextX64, 'floatSave' | 'mxCsr'> & Partial<Pick<ContextX64, 'floatSave'>>,
): FrameRegisters {
  const { rip, rsp, floatSave } = context;
  const xmm = new Map<number, Uint8Array>();
  for (let i = firstPreservedXmm; floatSave !== undefined && i < 16; i++) xmm.set(i, xmmIn(floatSave, i));
  const general = generalNames.map((name) => context[name]);
  return { rip, rsp: virtualAddress(rsp), general, xmm, exact: true };
}

const xmmIn = (floatSave: Uint8Array, number: number): Uint8Array =>
  floatSave.slice(xmmOffset + number * 16, xmmOffset + number * 16 + 16);

/**
 * An xmm register as it was in a caller's frame. Undefined: not known.
 * @param floatSave The FXSAVE area of the processor at which the walk began; asked only if the register was not saved since.
 */
export async function xmmOf(
  { xmm }: FrameRegisters,
  number: number,
  floatSave: () => Promise<Uint8Array>,
): Promise<Uint8Array | undefined> {
  if (number < firstPreservedXmm || xmm.has(number)) return xmm.get(number);
  return xmmIn(await floatSave(), number);
}

/**
 * The caller's registers.
 * @param image What `source.functionAt` says of rip, or, if rip is a return address, of the byte before it.
 * @throws memory-unreadable (no return address), file-damaged, file-unsupported, unwind-stuck
 */
export async function unwindFrame(
  source: UnwindSource,
  image: CodeImage | undefined,
  registers: FrameRegisters,
): Promise<Unwound> {
  const work = new Working(source.memory, registers);
  if (image?.row === undefined) return work.finish('leaf');
  const { xdata, imageBase } = image;
  let row = await resolveRow(xdata, image.row);
  let info = await readUnwindInfo(xdata, row.unwindInfo);
  const offset = Number(BigInt.asIntN(53, registers.rip - plus(imageBase, row.begin)));

  let method: UnwindMethod = 'body';
  if (offset < info.prologSize) {
    method = 'prologue';
  } else if (registers.exact) {
    const epilogue = await epilogueAt(source, image, row, info, registers.rip);
    if (epilogue) {
      await work.apply(epilogue, info.frameRegister);
      return work.finish('epilogue');
    }
  }
  let done = method === 'prologue' ? offset : Infinity;
  for (let i = 0; ; i++) {
    await work.undo(info, done);
    if (!info.parent) return work.finish(method);
    if (i === longestChain) throw stuck(`unwind data is chained more than ${longestChain} times`);
    row = await resolveRow(xdata, info.parent);
    info = await readUnwindInfo(xdata, row.unwindInfo);
    done = Infinity;
  }
}

/** The registers of a frame while they become those of its caller. */
class Working {
  readonly #general: (bigint | undefined)[];
  readonly #xmm: Map<number, Uint8Array | undefined>;
  #rsp: VirtualAddress;
  #machine: VirtualAddress | undefined;
  #usedFrameRegister = false;

  constructor(
    private readonly memory: VirtualMemory,
    registers: FrameRegisters,
  ) {
    this.#general = [...registers.general];
    this.#xmm = new Map(registers.xmm);
    this.#rsp = registers.rsp;
  }

  /** Undoes the codes of `info` that stand at most `done` bytes into the prologue. */
  async undo(info: UnwindInfo, done: number): Promise<void> {
    const codes = info.codes.filter((code) => code.prologOffset <= done);
    // Behind the prologue, and in a part whose parent set it, the frame register holds without a code that says so.
    const holds = info.frameRegister !== 0 && (done === Infinity || info.parent !== undefined);
    const offset =
      codes.find((code) => code.kind === 'set-frame')?.offset ?? (holds ? info.frameOffset : undefined);
    const base = offset === undefined ? this.#rsp : this.#frame(info.frameRegister, offset);
    for (const code of codes) {
      // What lies under the machine frame is the interrupted code's.
      if (this.#machine !== undefined) return;
      await this.#undoOne(code, base);
    }
  }

  async #undoOne(code: UnwindCode, base: VirtualAddress): Promise<void> {
    switch (code.kind) {
      case 'push':
        await this.#pop(code.register);
        break;
      case 'allocate':
        this.#rsp = plus(this.#rsp, code.bytes);
        break;
      case 'set-frame':
        this.#usedFrameRegister = true;
        this.#rsp = base;
        break;
      case 'save':
        this.#general[code.register] = await this.#word(plus(base, code.offset));
        break;
      case 'save-xmm': {
        const bytes = await this.memory.readPartial(plus(base, code.offset), 16);
        this.#xmm.set(code.register, bytes.length === 16 ? bytes.slice() : undefined);
        break;
      }
      case 'machine-frame': {
        // rip, cs, eflags, rsp, ss, as the processor pushed them.
        const at = code.errorCode ? plus(this.#rsp, 8) : this.#rsp;
        const frame = await readMemory(this.memory, at, 32);
        const view = new DataView(frame.buffer, frame.byteOffset, 32);
        this.#machine = virtualAddress(view.getBigUint64(0, true));
        this.#rsp = virtualAddress(view.getBigUint64(24, true));
        break;
      }
    }
  }

  async apply(epilogue: Epilogue, frameRegister: number): Promise<void> {
    const { stack } = epilogue;
    if (stack) {
      this.#rsp =
        stack.from === 'rsp'
          ? plus(this.#rsp, stack.bytes)
          : plus(this.#frame(frameRegister, 0), stack.bytes);
      this.#usedFrameRegister = stack.from === 'frame';
    }
    for (const register of epilogue.pops) await this.#pop(register);
  }

  /** @throws memory-unreadable */
  async finish(method: UnwindMethod): Promise<Unwound> {
    const machineFrame = this.#machine !== undefined;
    let rip = this.#machine;
    if (rip === undefined) {
      rip = await readPointer(this.memory, this.#rsp, 8);
      this.#rsp = plus(this.#rsp, 8);
    }
    for (const number of volatile) this.#general[number] = undefined;
    this.#general[rspNumber] = this.#rsp;
    for (let i = 0; i < firstPreservedXmm; i++) this.#xmm.delete(i);
    return {
      caller: { rip, rsp: this.#rsp, general: this.#general, xmm: this.#xmm, exact: machineFrame },
      method,
      machineFrame,
      switchesStack: machineFrame || this.#usedFrameRegister,
    };
  }

  async #pop(register: number): Promise<void> {
    const at = this.#rsp;
    this.#rsp = plus(at, 8);
    if (register !== rspNumber) this.#general[register] = await this.#word(at);
  }

  #frame(register: number, offset: number): VirtualAddress {
    const value = register === rspNumber ? this.#rsp : this.#general[register];
    if (value === undefined) throw stuck(`the frame register ${generalNames[register]!} is not known`);
    return plus(virtualAddress(value), -offset);
  }

  /** Undefined if it is absent. */
  async #word(at: VirtualAddress): Promise<bigint | undefined> {
    const bytes = await this.memory.readPartial(at, 8);
    if (bytes.length < 8) return undefined;
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }
}

/** The rest of the epilogue that rip stands in. */
async function epilogueAt(
  source: UnwindSource,
  image: CodeImage,
  row: RuntimeFunction,
  info: UnwindInfo,
  rip: VirtualAddress,
): Promise<Epilogue | undefined> {
  const rva = Number(BigInt.asIntN(53, rip - image.imageBase));
  if (info.version === 2) {
    const { length, beforeEnd } = info.epilogues;
    const inside = beforeEnd.some((distance) => {
      const begin = row.end - distance;
      return rva >= begin && rva < begin + length;
    });
    if (!inside) return undefined;
  }
  const code = await remainingCode(source.codeMemory ?? source.memory, rip);
  const epilogue = code && decodeEpilogue(code, info.frameRegister);
  if (info.version === 2 || epilogue?.ending.kind !== 'jump') return epilogue;
  return (await leaves(source, image, row, info, plus(rip, epilogue.ending.offset))) ? epilogue : undefined;
}

/** The code at rip, if it looks like the rest of an epilogue. A stop tells its first bytes, and they mostly show that it does not. */
async function remainingCode(memory: VirtualMemory, rip: VirtualAddress): Promise<Uint8Array | undefined> {
  const begin = await memory.readPartial(rip, longestBegin);
  if (!mayBeEpilogue(begin)) return undefined;
  return memory.readPartial(rip, longestEpilogue);
}

/** Whether a jump goes to another function: not within its own, nor to another part of it. */
async function leaves(
  source: UnwindSource,
  image: CodeImage,
  row: RuntimeFunction,
  info: UnwindInfo,
  to: VirtualAddress,
): Promise<boolean> {
  const rva = BigInt.asIntN(64, to - image.imageBase);
  // A jump to its own begin is a call of itself in tail position.
  if (rva === BigInt(row.begin)) return info.parent === undefined;
  if (rva > BigInt(row.begin) && rva < BigInt(row.end)) return false;
  const target = await source.functionAt(to);
  if (target?.row === undefined || target.imageBase !== image.imageBase) return true;
  const theirs = await primaryOf(target.xdata, await resolveRow(target.xdata, target.row));
  return theirs !== (await primaryOf(image.xdata, row)) || rva === BigInt(theirs);
}

/** Where the function begins whose part this is. */
async function primaryOf(xdata: XdataReader, part: RuntimeFunction): Promise<number> {
  let row = part;
  for (let i = 0; i < longestChain; i++) {
    const { parent } = await readUnwindInfo(xdata, row.unwindInfo);
    if (!parent) break;
    row = await resolveRow(xdata, parent);
  }
  return row.begin;
}
