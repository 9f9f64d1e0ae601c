/**
 * Virtual unwinding of one x86 frame. Nothing describes every instruction of x86 code, so it is asked in this order:
 *
 *   trap, tss     the row of FPO_DATA says that ebp points to a KTRAP_FRAME, or that a task gate was used
 *   code          where the processor stood itself: the code from there, if it returns before it calls; or the code up to
 *                 there, if that is the prologue
 *   frame-data    the program of the innermost row of FRAMEDATA
 *   fpo           FPO_DATA: sizes of locals and saved registers, then a search for the return address
 *   code          without rows: the code from there, also over calls
 *   ebp           [ebp] the caller's ebp, [ebp+4] the return address, if that may be one
 *   scan          the next dword of the stack that may be a return address: a guess
 *
 * Where rows leave the return address to a search, the code is asked before the stack. A register of which nothing is known
 * is undefined: the volatile ones after a call, and those that may have been saved where nobody knows.
 *
 * Source: winnt.h (FPO_DATA), cvinfo.h (FRAMEDATA), and what debuggers make of them.
 */

import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { CodeX86, GeneralX86, Returned, RunStart } from './codeX86';
import type { ContextX86 } from './contextX86';
import { registerNames, runFrameProgram } from './frameProgram';
import type { ReplayedProlog } from './prologX86';
import { mayBeReturnAddress, readDword, returnAddresses } from './returnAddresses';
import { ebpNumber, espNumber } from './stackEffect';
import { stuck, type UnwoundFrame } from './stackWalk';
import { readInterruptedTask, readTrapFrame, type InterruptedX86, type TaskTable } from './trapFrameX86';

export interface FrameRegistersX86 {
  readonly eip: VirtualAddress;
  readonly esp: VirtualAddress;
  readonly general: GeneralX86;
  /** eip is where the processor stood, not a return address. */
  readonly exact: boolean;
  /** The function that was called from here, and how many bytes of parameters it got on the stack, at esp. */
  readonly callee: Callee | undefined;
}

interface Callee {
  readonly begin: VirtualAddress | undefined;
  readonly parameterBytes: number;
}

/** A row of FRAMEDATA. RVAs of the image, sizes in bytes. */
export interface FrameDataRowX86 {
  readonly begin: number;
  readonly codeBytes: number;
  readonly localBytes: number;
  readonly parameterBytes: number;
  readonly mostPushedBytes: number;
  readonly prologBytes: number;
  readonly savedRegisterBytes: number;
  readonly program: string;
  /** Undefined if nobody says. */
  readonly functionBegin: number | undefined;
  readonly functionEnd: number | undefined;
}

/** A row of FPO_DATA. */
export interface FpoRowX86 {
  readonly begin: number;
  readonly codeBytes: number;
  readonly localBytes: number;
  readonly parameterBytes: number;
  readonly prologBytes: number;
  readonly savedRegisters: number;
  readonly usesEbp: boolean;
  readonly frame: 'fpo' | 'trap' | 'tss' | 'ebp';
}

/** The image that holds an address. */
export interface CodeImageX86 {
  readonly imageBase: VirtualAddress;
  isCode(rva: number): boolean;
  /** What its PDB says. */
  readonly frameData: { find(rva: number): FrameDataRowX86 | undefined } | undefined;
  readonly fpo: { find(rva: number): FpoRowX86 | undefined } | undefined;
}

export interface UnwindSourceX86 {
  readonly memory: VirtualMemory;
  /** Undefined: the address lies in no known image. */
  imageAt(address: VirtualAddress): CodeImageX86 | undefined | Promise<CodeImageX86 | undefined>;
  /** Of the thread's processor, for frames behind a task gate. */
  readonly tasks: TaskTable | undefined;
}

export type UnwindMethodX86 =
  | 'trap'
  | 'tss'
  | 'code'
  | 'frame-data'
  | 'fpo'
  | 'ebp'
  /** Found by chance, perhaps. */
  | 'scan';

export type UnwoundX86 = UnwoundFrame<FrameRegistersX86, UnwindMethodX86>;

const preserved = [3, ebpNumber, 6, 7];
/** Bytes looked at, if the compiler does not say how much is pushed. */
const longestSearch = 256;
/** Dwords. */
const longestScan = 1024;
/** Bytes from esp to ebp, at most, for ebp to be a frame's. */
const largestFrame = 1 << 20;

export function registersOfX86(context: ContextX86): FrameRegistersX86 {
  const general = registerNames.slice(0, 8).map((name) => context[name]);
  return {
    eip: signExtend32(context.eip),
    esp: signExtend32(context.esp),
    general,
    exact: true,
    callee: undefined,
  };
}

/**
 * The caller's registers.
 * @param image What `source.imageAt` says of eip, or, if eip is a return address, of the byte before it.
 * @throws memory-unreadable (no return address), file-damaged, unwind-stuck
 */
export async function unwindFrameX86(
  source: UnwindSourceX86,
  code: CodeX86,
  image: CodeImageX86 | undefined,
  registers: FrameRegistersX86,
): Promise<UnwoundX86> {
  return new Frame(source, code, image, registers).unwind();
}

/** What the PDB says of the code; one of them at most. */
interface Rows {
  readonly frameData: FrameDataRowX86 | undefined;
  readonly fpo: FpoRowX86 | undefined;
}

class Frame {
  readonly #memory: VirtualMemory;
  readonly #esp: number;
  readonly #general: GeneralX86;
  readonly #rows: Rows;

  constructor(
    private readonly source: UnwindSourceX86,
    private readonly code: CodeX86,
    private readonly image: CodeImageX86 | undefined,
    private readonly registers: FrameRegistersX86,
  ) {
    this.#memory = source.memory;
    this.#esp = low32(registers.esp);
    this.#general = registers.general;
    const rva =
      image && Number(BigInt.asIntN(53, registers.eip - image.imageBase)) - (registers.exact ? 0 : 1);
    const frameData = rva === undefined ? undefined : image?.frameData?.find(rva);
    const fpo = rva === undefined || frameData ? undefined : image?.fpo?.find(rva);
    this.#rows = { frameData, fpo };
  }

  async unwind(): Promise<UnwoundX86> {
    const { frameData, fpo } = this.#rows;
    if (fpo?.frame === 'trap') return this.#trap();
    if (fpo?.frame === 'tss') return this.#task();
    if (this.registers.exact) {
      const atEdge = (await this.#epilogue()) ?? (await this.#prologue());
      if (atEdge) return atEdge;
    }
    let failure: VmkdError | undefined;
    try {
      if (frameData) return await this.#frameData(frameData);
      if (fpo?.frame === 'fpo') return await this.#fpo(fpo);
    } catch (error) {
      // Damaged rows need not be the end: the stack may still be a chain.
      if (!(error instanceof VmkdError) || error.code !== 'unwind-stuck') throw error;
      failure = error;
    }
    const otherwise = (await this.#code()) ?? (await this.#ebpChain()) ?? (await this.#scan());
    if (otherwise) return otherwise;
    throw failure ?? stuck('no return address is near');
  }

  async #trap(): Promise<UnwoundX86> {
    const ebp = this.#general[ebpNumber];
    if (ebp === undefined) throw stuck('ebp, which points to the trap frame, is not known');
    return this.#interrupted(await readTrapFrame(this.#memory, signExtend32(ebp)), 'trap');
  }

  async #task(): Promise<UnwoundX86> {
    if (!this.source.tasks) throw stuck('the interrupted task is not known');
    return this.#interrupted(await readInterruptedTask(this.#memory, this.source.tasks), 'tss');
  }

  #interrupted({ eip, esp, general }: InterruptedX86, method: 'trap' | 'tss'): UnwoundX86 {
    const caller: FrameRegistersX86 = {
      eip: signExtend32(eip),
      esp: signExtend32(esp),
      general: general.map((value, i) => (i === espNumber ? esp : value)),
      exact: true,
      callee: undefined,
    };
    return { caller, method, switchesStack: true };
  }

  /** How the function returns from where it is. */
  #run(esp: number, calls: RunStart['calls']): Promise<Returned | undefined> {
    const { image } = this;
    const end = this.#rows.frameData ? this.#rows.frameData.functionEnd : endOf(this.#rows.fpo);
    return this.code.run({
      eip: this.registers.eip,
      esp,
      general: this.#general,
      end: image && end !== undefined ? plus(image.imageBase, end) : undefined,
      calls,
      isFunction: (address) => {
        const rva = image && Number(BigInt.asIntN(53, address - image.imageBase));
        if (image === undefined || rva === undefined || rva < 0) return false;
        return (image.frameData?.find(rva)?.functionBegin ?? image.fpo?.find(rva)?.begin) === rva;
      },
    });
  }

  async #epilogue(): Promise<UnwoundX86 | undefined> {
    const returned = await this.#run(this.#esp, 'none');
    return returned && this.#calledFrom(returned.at, returned.general, 'code');
  }

  async #code(): Promise<UnwoundX86 | undefined> {
    const returned = await this.#runOverCalls('known');
    return returned?.certain ? this.#calledFrom(returned.at, returned.general, 'code') : undefined;
  }

  /** Of the function, if that is known. */
  get #begin(): VirtualAddress | undefined {
    const rva = this.#rows.frameData ? this.#rows.frameData.functionBegin : this.#rows.fpo?.begin;
    return this.image && rva !== undefined ? plus(this.image.imageBase, rva) : undefined;
  }

  get #calleeParameterBytes(): number {
    return this.registers.callee?.parameterBytes ?? 0;
  }

  async #prologue(): Promise<UnwoundX86 | undefined> {
    const begin = await this.#prologBegin();
    const prolog = begin === undefined ? undefined : await this.code.replay(begin, this.registers.eip);
    if (!prolog) return undefined;
    const ebp = this.#general[ebpNumber];
    let at: number | undefined;
    if (prolog.esp !== undefined) at = this.#esp + prolog.esp;
    else if (prolog.ebp !== undefined && ebp !== undefined) at = ebp + prolog.ebp;
    return at === undefined
      ? undefined
      : this.#calledFrom(low(at), await this.#restored(prolog, low(at)), 'code');
  }

  /** Where the prologue begins that eip stands in. */
  async #prologBegin(): Promise<VirtualAddress | undefined> {
    const { eip } = this.registers;
    const row = this.#rows.frameData ?? this.#rows.fpo;
    if (this.image && row && this.#begin !== undefined) {
      const inside = eip < plus(this.image.imageBase, row.begin + row.prologBytes);
      return inside ? this.#begin : undefined;
    }
    // Nobody says where the function begins; but most begin alike, or were called just now.
    for (const back of [0, 1]) {
      const start = plus(eip, -back);
      if (looksLikeProlog(await this.#memory.readPartial(start, 5))) return start;
    }
    const top = await readDword(this.#memory, this.#esp);
    if (top === undefined || !(await mayBeReturnAddress(this.source, top))) return undefined;
    // No code was called just now, too.
    return !this.image || (await this.code.calleeBefore(signExtend32(top))) === eip ? eip : undefined;
  }

  /** The caller's registers, by what a prologue saved. */
  async #restored(prolog: ReplayedProlog, returnAddressAt: number): Promise<GeneralX86> {
    const general = [...this.#general];
    for (const register of prolog.overwritten) general[register] = undefined;
    for (const [register, below] of prolog.saved)
      general[register] = await readDword(this.#memory, low(returnAddressAt - below));
    return general;
  }

  async #frameData(row: FrameDataRowX86): Promise<UnwoundX86> {
    const { eip, esp, assigned, searched } = await runFrameProgram(row.program, {
      register: (name) => {
        if (name === 'eip') return low32(this.registers.eip);
        return name === 'esp' ? this.#esp : this.#general[registerNames.indexOf(name)];
      },
      constants: {
        cbLocals: row.localBytes,
        cbSavedRegs: row.savedRegisterBytes,
        cbParams: row.parameterBytes,
        cbProlog: row.prologBytes,
        cbStkMax: row.mostPushedBytes,
        cbCalleeParams: this.#calleeParameterBytes,
      },
      read: (address) => readDword(this.#memory, address),
      search: () => this.#search(row.localBytes + row.savedRegisterBytes, row.mostPushedBytes),
    });
    const general = this.#general.map((value, i) => {
      const name = registerNames[i]!;
      return assigned.has(name) ? assigned.get(name) : value;
    });
    const isKnown = eip === 0 || (await this.source.imageAt(signExtend32(eip))) !== undefined;
    if (isKnown && eip !== 0 && !(await mayBeReturnAddress(this.source, eip)))
      throw stuck(`${eip.toString(16)} is no return address`);
    return this.#returned(eip, esp, general, 'frame-data', !searched);
  }

  async #fpo(row: FpoRowX86): Promise<UnwoundX86> {
    const at = await this.#search(row.localBytes + row.savedRegisters * 4, 0);
    const prolog = await this.#replayOf(row);
    let general: GeneralX86;
    if (prolog) general = await this.#restored(prolog, at);
    else if (row.savedRegisters === 0) general = this.#general;
    else general = this.#general.map((value, i) => (i === ebpNumber && !row.usesEbp ? value : undefined));
    const eip = (await readDword(this.#memory, at)) ?? 0;
    return this.#returned(eip, low(at + 4), general, 'fpo', false);
  }

  /** The whole prologue of a row. */
  async #replayOf(row: FpoRowX86): Promise<ReplayedProlog | undefined> {
    if (!this.image) return undefined;
    const begin = plus(this.image.imageBase, row.begin);
    return this.code.replay(begin, plus(begin, row.prologBytes));
  }

  async #ebpChain(): Promise<UnwoundX86 | undefined> {
    const ebp = this.#general[ebpNumber];
    if (ebp === undefined) return undefined;
    // Where a chain of frames ends.
    if (ebp === 0 && !this.registers.exact) return this.#returned(0, low(this.#esp + 4), [], 'ebp', false);
    const distance = ebp - this.#esp;
    if (distance < 0 || distance > largestFrame || ebp % 4 !== 0) return undefined;
    const row = this.#rows.fpo;
    const prolog = row && (await this.#replayOf(row));
    const general = prolog
      ? [...(await this.#restored(prolog, low(ebp + 4)))]
      : this.#general.map((value, i) => (preserved.includes(i) ? undefined : value));
    const outer = await readDword(this.#memory, ebp);
    general[ebpNumber] = outer;
    // The outermost frame has neither; zeros elsewhere are no frame.
    if (outer !== 0 && (await readDword(this.#memory, low(ebp + 4))) === 0) return undefined;
    return this.#calledFrom(low(ebp + 4), general, 'ebp');
  }

  async #scan(): Promise<UnwoundX86 | undefined> {
    const start = low(this.#esp + this.#calleeParameterBytes);
    const first = await returnAddresses(this.source, start, longestScan).next();
    if (first.done) return undefined;
    const { at } = first.value;
    // A frame of ebp has its caller's just below; else ebp may still be that of a frame further up.
    const below = await readDword(this.#memory, low(at - 4));
    const isFrame = (ebp: number | undefined): ebp is number =>
      ebp !== undefined && ebp > at && ebp - at < largestFrame && ebp % 4 === 0;
    const known = this.#general[ebpNumber];
    const general: (number | undefined)[] = [];
    general[ebpNumber] = at !== start && isFrame(below) ? below : isFrame(known) ? known : undefined;
    return this.#calledFrom(at, general, 'scan');
  }

  /** The address of the return address, above a frame of `bytes`. @throws unwind-stuck */
  async #search(bytes: number, mostPushedBytes: number): Promise<number> {
    const above = low(this.#esp + bytes);
    return (await this.#searchCode(above)) ?? (await this.#searchStack(above, mostPushedBytes));
  }

  async #searchCode(above: number): Promise<number | undefined> {
    const returned = await this.#runOverCalls('any');
    if (!returned || returned.at < above) return undefined;
    const value = await readDword(this.#memory, returned.at);
    if (value === 0 && returned.certain) return returned.at;
    return value !== undefined && (await mayBeReturnAddress(this.source, value)) ? returned.at : undefined;
  }

  async #runOverCalls(calls: 'known' | 'any'): Promise<Returned | undefined> {
    if (this.registers.exact) return this.#run(this.#esp, calls);
    const callee = this.registers.callee?.begin ?? (await this.code.calleeBefore(this.registers.eip));
    const popped = callee && (await this.code.poppedBy(callee));
    const returned = await this.#run(low(this.#esp + (popped ?? 0)), calls);
    return returned && { ...returned, certain: returned.certain && popped !== undefined };
  }

  /**
   * By what lies on the stack. Parameters of the function called last lie below the frame if they were pushed, or in it;
   * and more may have been pushed since. In between may lie what functions that have returned left; so a return address
   * behind a call of this function is better than any, unless one stands where it is awaited.
   * @throws unwind-stuck
   */
  async #searchStack(above: number, mostPushedBytes: number): Promise<number> {
    const start = low(above + this.#calleeParameterBytes);
    for (const at of [start, above]) {
      const value = await readDword(this.#memory, at);
      if (value !== undefined && (await mayBeReturnAddress(this.source, value))) return at;
    }
    const most = (mostPushedBytes > 0 ? mostPushedBytes + 4 : longestSearch) + this.#calleeParameterBytes;
    let first: number | undefined;
    for await (const { at, value } of returnAddresses(this.source, above, Math.min(most / 4, longestScan))) {
      if (await this.#callsUs(value)) return at;
      if (at >= start) first ??= at;
    }
    if (first !== undefined) return first;
    // That of a thread's first function is 0.
    if ((await readDword(this.#memory, start)) === 0) return start;
    throw stuck(`no return address is near ${start.toString(16).padStart(8, '0')}`);
  }

  /** Whether a return address is behind a call of this very function. */
  async #callsUs(returnAddress: number): Promise<boolean> {
    if (this.#begin === undefined) return false;
    return (await this.code.calleeBefore(signExtend32(returnAddress))) === this.#begin;
  }

  /** 0 is one too, of a thread's first function. */
  async #isReturnAddressAt(at: number): Promise<boolean> {
    const value = await readDword(this.#memory, at);
    return value === 0 || (value !== undefined && (await mayBeReturnAddress(this.source, value)));
  }

  /** Undefined if what lies there is no return address, or below this frame. */
  async #calledFrom(
    at: number,
    general: GeneralX86,
    method: UnwindMethodX86,
  ): Promise<UnwoundX86 | undefined> {
    if (at < this.#esp || !(await this.#isReturnAddressAt(at))) return undefined;
    const eip = await readDword(this.#memory, at);
    return this.#returned(eip ?? 0, low(at + 4), general, method, false);
  }

  #returned(
    eip: number,
    esp: number,
    general: GeneralX86,
    method: UnwindMethodX86,
    switchesStack: boolean,
  ): UnwoundX86 {
    const row = this.#rows.frameData ?? this.#rows.fpo;
    const caller: FrameRegistersX86 = {
      eip: signExtend32(eip),
      esp: signExtend32(esp),
      general: Array.from({ length: 8 }, (_, i) => {
        if (i === espNumber) return esp;
        return preserved.includes(i) ? general[i] : undefined;
      }),
      exact: false,
      callee: row && { begin: this.#begin, parameterBytes: row.parameterBytes },
    };
    return { caller, method, switchesStack };
  }
}

const endOf = (row: FpoRowX86 | undefined): number | undefined => row && row.begin + row.codeBytes;

const low = (value: number): number => value >>> 0;
const low32 = (address: VirtualAddress): number => Number(BigInt.asUintN(32, address));

/** [mov edi,edi] push ebp; mov ebp,esp */
const looksLikeProlog = (code: Uint8Array): boolean => {
  const hex = Buffer.from(code.buffer, code.byteOffset, code.length).toString('hex');
  return /^(8bff)?55(8bec|89e5)/.test(hex);
};
