/**
 * What is known of code by its address: the function that holds it, the instruction that it is in, and where a function's
 * prologue is over. Symbols and unwind data answer first; the code itself is read and decoded only where they cannot.
 */

import { formatAddress, plus, type VirtualAddress } from '../core/addresses';
import { beginsWith } from '../core/bytes';
import { VmkdError } from '../core/errors';
import { longestInstruction, openDisassembler, type Disassembler } from '../cpu/disassembler';
import type { InstructionInfo } from '../cpu/disassemblerInfo';
import { longestChain, readUnwindInfo, resolveRow } from '../cpu/unwindInfo';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';
import type { ModuleSymbols } from '../windows/moduleSymbols';

/** [begin, end). */
export interface CodeRange {
  readonly begin: VirtualAddress;
  readonly end: VirtualAddress;
}

interface Inspected {
  readonly bytes: Uint8Array;
  readonly info: InstructionInfo;
}

/** No function is decoded any farther. */
const farthest = 256 * 1024;
/** Rows of the line table that a prologue may have. */
const mostPrologueRows = 16;
/** Instructions that are kept: many steps. */
const mostInspected = 4096;
const executable = 0x20000000;
/** `__try`s of one function. */
const mostScopes = 256;

export class Code {
  #disassembler: Promise<Disassembler> | undefined;
  /** Instructions that were decoded, with their bytes: good for as long as those are the same. */
  readonly #inspected = new Map<VirtualAddress, Inspected>();

  constructor(
    readonly memory: VirtualMemory,
    readonly symbols: KernelSymbols,
  ) {}

  disassembler(): Promise<Disassembler> {
    this.#disassembler ??= openDisassembler('x64', (address) => this.symbols.nameOf(address));
    return this.#disassembler;
  }

  /** The first instruction at an address. Undefined: there is none, or it is not all there. @throws what memory throws */
  async inspect(address: VirtualAddress): Promise<InstructionInfo | undefined> {
    const bytes = await this.memory.readPartial(address, longestInstruction);
    const before = this.#inspected.get(address);
    if (before !== undefined && beginsWith(bytes, before.bytes)) return before.info;
    const info = (await this.disassembler()).inspect(bytes, address);
    if (info === undefined) return undefined;
    if (this.#inspected.size >= mostInspected) this.#inspected.clear();
    this.#inspected.set(address, { bytes: bytes.slice(0, info.length), info });
    return info;
  }

  /**
   * The contiguous part of a function that holds an address, by symbols or unwind data. Undefined: nothing knows of one (a
   * leaf without symbols, code in no module).
   */
  async functionAt(address: VirtualAddress): Promise<CodeRange | undefined> {
    const module = this.symbols.moduleAt(address);
    if (module === undefined) return undefined;
    const rva = Number(address - module.base);
    const row = await rowAt(module, rva);
    if (row !== undefined) return { begin: plus(module.base, row.begin), end: plus(module.base, row.end) };
    const symbol = module.symbols?.symbolAt(rva);
    if (symbol?.size === undefined || symbol.kind === 'data' || symbol.separated) return undefined;
    return { begin: plus(module.base, symbol.rva), end: plus(module.base, symbol.rva + symbol.size) };
  }

  /** Whether an address may be code at all, by its section's flags. @throws memory-unreadable, file-damaged: who knows */
  async sectionAt(
    address: VirtualAddress,
  ): Promise<{ readonly name: string; readonly isCode: boolean } | undefined> {
    const module = this.symbols.moduleAt(address);
    if (module === undefined) return undefined;
    const rva = Number(address - module.base);
    const { image } = await module.identity();
    const section = image.sections.find((one) => rva >= one.rva && rva < one.rva + one.size);
    return section && { name: section.name, isCode: (section.characteristics & executable) !== 0 };
  }

  /**
   * Where the instruction begins that an address lies in, counted from the start of its function.
   * Undefined: it cannot be told.
   */
  async instructionAt(address: VirtualAddress): Promise<VirtualAddress | undefined> {
    const range = await this.functionAt(address);
    if (range === undefined || address - range.begin > farthest) return undefined;
    const code = await this.memory.readPartial(
      range.begin,
      Number(address - range.begin) + longestInstruction,
    );
    const disassembler = await this.disassembler();
    for (let at = 0; at < code.length;) {
      const length = disassembler.lengthAt(code.subarray(at));
      // Tables of jumps may stand in the code.
      if (length === 0) return undefined;
      const begin = plus(range.begin, at);
      if (address < plus(begin, length)) return begin;
      at += length;
    }
    return undefined;
  }

  /**
   * Where a function's parameters are what it was called with, and the debugger finds them: behind the prologue, at the
   * first line of the body; never behind a branch, for not every call comes there. Without lines it is the start: there
   * they are in registers, as the convention has it.
   */
  async bodyOf(start: VirtualAddress): Promise<VirtualAddress> {
    const module = this.symbols.moduleAt(start);
    if (module === undefined) return start;
    const rva = Number(start - module.base);
    const lines = linesOf(module, rva);
    if (lines.length === 0) return start;
    const prologue = await prologueSize(module, rva);
    const line = lines.find((one) => one > rva && one >= rva + prologue);
    for (const candidate of [line, rva + prologue]) {
      if (candidate !== undefined && (await this.#isStraight(start, plus(module.base, candidate))))
        return plus(module.base, candidate);
    }
    return start;
  }

  /**
   * Where the function at an address goes on when it catches an exception (`__except`): the targets of its scope table.
   * Other languages' tables are not read.
   */
  async catchTargets(address: VirtualAddress): Promise<VirtualAddress[]> {
    const module = this.symbols.moduleAt(address);
    if (module === undefined) return [];
    try {
      return (await scopeTargets(module, Number(address - module.base))).map((rva) => plus(module.base, rva));
    } catch (thrown) {
      if (isUnknown(thrown)) return [];
      throw thrown;
    }
  }

  /** No instruction of a range goes anywhere but on, and one ends just at its end. */
  async #isStraight(begin: VirtualAddress, end: VirtualAddress): Promise<boolean> {
    const code = await this.memory.readPartial(begin, Number(end - begin));
    const disassembler = await this.disassembler();
    let at = 0;
    while (at < code.length) {
      const info = disassembler.inspect(code.subarray(at), plus(begin, at));
      if (info === undefined || info.flow.kind !== 'next') return false;
      at += info.length;
    }
    return plus(begin, at) === end;
  }
}

/** Where rows of the line table begin, from a procedure's start on; only its own, not those of what was inlined. */
function linesOf(module: ModuleSymbols, start: number): number[] {
  const starts: number[] = [];
  for (let at = start; starts.length < mostPrologueRows;) {
    const source = module.symbols?.framesAt(at).find(({ inlined }) => !inlined)?.source;
    if (source === undefined || source.end <= at) break;
    starts.push(source.start);
    at = source.end;
  }
  return starts;
}

async function prologueSize(module: ModuleSymbols, rva: number): Promise<number> {
  try {
    const data = await module.unwindData();
    const row = await data.find(rva);
    if (row?.begin !== rva) return 0;
    return (await readUnwindInfo(data, (await resolveRow(data, row)).unwindInfo)).prologSize;
  } catch (thrown) {
    if (isUnknown(thrown)) return 0;
    throw thrown;
  }
}

/**
 * Behind UNWIND_INFO's slots, with flag 1 or 2: u32 handler RVA, then, if that is __C_specific_handler, its scope table:
 * u32 count, rows of u32 begin, end, filter, target (0: a __finally).
 */
async function scopeTargets(module: ModuleSymbols, rva: number): Promise<number[]> {
  const data = await module.unwindData();
  let row = await data.find(rva);
  for (let i = 0; row !== undefined && i < longestChain; i++) {
    row = await resolveRow(data, row);
    const info = await readUnwindInfo(data, row.unwindInfo);
    if (info.parent !== undefined) {
      row = info.parent;
      continue;
    }
    if ((info.flags & 3) === 0) return [];
    const at = row.unwindInfo + 4 + ((info.slots + 1) & ~1) * 2;
    const head = wordsOf(await data.read(at, 8));
    const handler = module.symbols?.symbolAt(head[0]!)?.name ?? '';
    const count = head[1]!;
    if (!handler.includes('C_specific_handler') || count > mostScopes) return [];
    const rows = wordsOf(await data.read(at + 8, count * 16));
    const targets = Array.from({ length: count }, (_, scope) => rows[scope * 4 + 3]!);
    return [...new Set(targets.filter((target) => target !== 0))];
  }
  return [];
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(i * 4, true));
}

async function rowAt(module: ModuleSymbols, rva: number) {
  try {
    return await (await module.unwindData()).find(rva);
  } catch (thrown) {
    if (isUnknown(thrown)) return undefined;
    throw thrown;
  }
}

const isUnknown = (thrown: unknown): boolean =>
  thrown instanceof VmkdError &&
  ['memory-unreadable', 'file-damaged', 'file-unsupported', 'file-unreadable'].includes(thrown.code);

/** What a person reads when an address is no instruction's. */
export const insideInstruction = (address: VirtualAddress, start: VirtualAddress, name: string): string =>
  `${formatAddress(address)} lies inside an instruction, which begins at ${formatAddress(start)} (${name}). Set it there.`;
