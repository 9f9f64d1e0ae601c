/**
 * The text of an instruction as WinDbg writes it, made from that of iced's MASM formatter:
 *
 *   call    nt!KeBugCheckEx (fffff803`12345678)         branch targets and addresses by name, the address behind it
 *   mov     rax,qword ptr [nt!PsInitialSystemProcess (fffff803`12345678)]
 *   mov     eax,dword ptr fs:[00000124h]                x86: absolute addresses have eight digits
 *   jmp     dword ptr nt!KiTable (80541234)[eax*4]      x86: a table's name before its index
 *   push    offset nt!Handler (80541234)                an immediate that is an address (32 bits on x86, 64 on x64)
 *   rep movs dword ptr es:[edi],dword ptr [esi]         string instructions with their operands
 *
 * Invariants: an instruction of registers and small displacements costs no more than iced's own text: what else one may
 * hold is known from its Code, found out once for each, and from a digit behind the bracket. No 64-bit number is
 * printed by iced: its WebAssembly (1.21.0) prints one whose low half is below ten as that half.
 */

import type * as Iced from 'iced-x86';
import { formatAddress, signExtend32, virtualAddress, type VirtualAddress } from '../core/addresses';

/** What stands at an address: `nt!KeBugCheckEx+0x12`. Undefined if that is not known. */
export type AddressNamer = (address: VirtualAddress) => string | undefined;

/** What an instruction's text needs, besides its memory operand. */
type CodeKind = 'plain' | 'branch' | 'immediate32' | 'immediate64' | 'string';

/** Lower values are counts and flags; no module lies in the first 64 KiB. */
const lowestNamed = 0x10000;

export class WindbgText {
  readonly #iced: typeof Iced;
  readonly #isX86: boolean;
  readonly #nameOf: AddressNamer;
  readonly #formatter: Iced.Formatter;
  /** By Code. */
  readonly #kinds: (CodeKind | undefined)[] = [];

  constructor(iced: typeof Iced, machine: 'x64' | 'x86', nameOf: AddressNamer = () => undefined) {
    this.#iced = iced;
    this.#isX86 = machine === 'x86';
    this.#nameOf = nameOf;
    this.#formatter = new iced.Formatter(iced.FormatterSyntax.Masm);
    this.#formatter.memorySizeOptions = iced.MemorySizeOptions.Always;
    this.#formatter.firstOperandCharIndex = 8;
    this.#formatter.showBranchSize = false;
  }

  free(): void {
    this.#formatter.free();
  }

  /** @param code `instruction.code`, which the caller has already. */
  format(instruction: Iced.Instruction, code: Iced.Code): string {
    const text = this.#formatter.format(instruction);
    switch ((this.#kinds[code] ??= this.#kindOf(instruction))) {
      case 'plain':
        return this.#withMemory(text, instruction);
      case 'branch':
        return text.slice(0, text.lastIndexOf(' ') + 1) + this.#location(instruction.nearBranchTarget);
      case 'immediate32':
        return this.#withImmediate32(this.#withMemory(text, instruction), instruction.immediate32);
      case 'immediate64':
        return withLastOperand(text, this.#immediate(instruction.immediate64));
      case 'string':
        return this.#withStrings(text, instruction);
    }
  }

  #kindOf(instruction: Iced.Instruction): CodeKind {
    const { OpKind } = this.#iced;
    if (instruction.isStringInstruction) return 'string';
    for (let i = 0; i < instruction.opCount; i++) {
      const kind = instruction.opKind(i);
      if (kind >= OpKind.NearBranch16 && kind <= OpKind.NearBranch64) return 'branch';
      if (kind === OpKind.Immediate32 && this.#isX86) return 'immediate32';
      if (kind === OpKind.Immediate64) return 'immediate64';
    }
    return 'plain';
  }

  #withMemory(text: string, instruction: Iced.Instruction): string {
    const open = text.indexOf('[');
    if (open < 0) return text;
    if (!isDigit(text.charCodeAt(open + 1)))
      return this.#isX86 ? this.#withTable(text, open, instruction) : text;
    const close = text.indexOf(']', open);
    const value = instruction.memoryDisplacement;
    const isSegment = text.charCodeAt(open - 1) === colon;
    const before = text.slice(0, open + 1);
    const behind = text.slice(close);
    if (this.#isX86) {
      const named = before.endsWith('ds:[') && this.#named(value);
      if (named) return `${before.slice(0, -4)}[${named}${behind}`;
      return `${before}${digits32(value).toUpperCase()}h${behind}`;
    }
    return before + (isSegment ? masmNumber(BigInt.asUintN(64, value)) : this.#location(value)) + behind;
  }

  /** `dword ptr [eax*4+80541234h]` as `dword ptr nt!KiTable (80541234)[eax*4]`, if the displacement has a name. */
  #withTable(text: string, open: number, instruction: Iced.Instruction): string {
    if (instruction.memoryDisplSize !== 4) return text;
    const close = text.indexOf(']', open);
    const sign = Math.max(text.lastIndexOf('+', close), text.lastIndexOf('-', close));
    const named = sign > open && this.#named(instruction.memoryDisplacement);
    if (!named) return text;
    return text.slice(0, open) + named + text.slice(open, sign) + text.slice(close);
  }

  #withImmediate32(text: string, value: number): string {
    const named = this.#named(BigInt(value));
    return named === undefined ? text : withLastOperand(text, `offset ${named}`);
  }

  #immediate(value: bigint): string {
    const named = this.#named(value);
    return named === undefined ? masmNumber(BigInt.asUintN(64, value)) : `offset ${named}`;
  }

  /** MASM leaves a string instruction's operands out, or writes a form of its own if there is a segment prefix. */
  #withStrings(text: string, instruction: Iced.Instruction): string {
    const parts = /^(.*?)(movs|cmps|stos|scas|lods|ins|outs)([bwdq]?)/.exec(text);
    if (parts === null) return text;
    const [, prefixes = '', operation = '', letter = ''] = parts;
    const bytes = this.#iced.MemorySizeExt.size(instruction.memorySize);
    const size = letter === '' ? sizeNames.get(bytes) : sizeNames.get(' bw d   q'.indexOf(letter));
    const width = this.#stringAddressWidth(instruction);
    const segment = this.#iced.Register[instruction.segmentPrefix].toLowerCase();
    const source = `${size} ptr ${segment === 'none' ? '' : `${segment}:`}[${width}si]`;
    const target = `${size} ptr ${this.#isX86 ? 'es:' : ''}[${width}di]`;
    const operands: Record<string, string> = {
      movs: `${target},${source}`,
      cmps: `${source},${target}`,
      stos: target,
      scas: target,
      lods: source,
      ins: `${target},dx`,
      outs: `dx,${source}`,
    };
    return `${`${prefixes}${operation}`.padEnd(7)} ${operands[operation]}`;
  }

  #stringAddressWidth(instruction: Iced.Instruction): string {
    const { OpKind } = this.#iced;
    for (let i = 0; i < instruction.opCount; i++) {
      const kind = instruction.opKind(i);
      if ([OpKind.MemorySegSI, OpKind.MemoryESDI].includes(kind)) return '';
      if ([OpKind.MemorySegESI, OpKind.MemoryESEDI].includes(kind)) return 'e';
    }
    return 'r';
  }

  /** By name if it has one, else the bare address. */
  #location(value: bigint): string {
    return this.#named(value) ?? (this.#isX86 ? digits32(value) : formatAddress(BigInt.asUintN(64, value)));
  }

  #named(value: bigint): string | undefined {
    const unsigned = BigInt.asUintN(this.#isX86 ? 32 : 64, value);
    if (unsigned < lowestNamed) return undefined;
    const address = this.#isX86 ? signExtend32(Number(unsigned)) : virtualAddress(unsigned);
    const name = this.#nameOf(address);
    if (name === undefined) return undefined;
    return `${name} (${this.#isX86 ? digits32(unsigned) : formatAddress(unsigned)})`;
  }
}

const colon = 0x3a;
const isDigit = (character: number): boolean => character >= 0x30 && character <= 0x39;

const sizeNames = new Map([
  [1, 'byte'],
  [2, 'word'],
  [4, 'dword'],
  [8, 'qword'],
]);

const withLastOperand = (text: string, operand: string): string =>
  text.slice(0, Math.max(text.lastIndexOf(','), text.lastIndexOf(' ')) + 1) + operand;

const digits32 = (value: bigint): string => BigInt.asUintN(32, value).toString(16).padStart(8, '0');

/** `0FFFFF78000000008h`, `9`. */
function masmNumber(value: bigint): string {
  if (value < 10n) return value.toString();
  const digits = value.toString(16).toUpperCase();
  return `${isDigit(digits.charCodeAt(0)) ? '' : '0'}${digits}h`;
}
