/**
 * Machine code as text, and what a stepper must know of an instruction. iced-x86 (WebAssembly) decodes and formats;
 * the text is then made to read as in WinDbg (disassemblerText.ts). Nothing outside these files knows iced.
 *
 * Invariants: every byte of the code handed in belongs to exactly one line, in order; bytes that are no instruction
 * become lines of one byte; code is copied into WebAssembly memory in pieces, so that memory stays bounded. iced is
 * loaded when the first disassembler is opened, not before.
 *
 * Source: Intel SDM volume 2, AMD64 APM volume 3, as iced implements them.
 */

import type * as Iced from 'iced-x86';
import { formatAddress, plus, signExtend32, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { inspectInstruction, type InstructionInfo } from './disassemblerInfo';
import { simpleForm, type SimpleInstruction } from './disassemblerSimple';
import { WindbgText, type AddressNamer } from './disassemblerText';
import { StackEffects, type StackEffect } from './stackEffect';

export type CodeMachine = 'x64' | 'x86';

/** One line of a listing. */
export class InstructionLine {
  constructor(
    readonly code: Uint8Array,
    /** Of `code`'s first byte. */
    readonly codeAddress: VirtualAddress,
    /** In `code`. */
    readonly offset: number,
    /** Bytes, at least 1. */
    readonly length: number,
    /** `mov     rax,qword ptr [rcx+8]`; `???` if it is no instruction. */
    readonly text: string,
    /** `cut`: an instruction may begin here, but `code` ends before it does. */
    readonly status: 'whole' | 'invalid' | 'cut',
  ) {}

  get address(): VirtualAddress {
    return plus(this.codeAddress, this.offset);
  }

  /** Of the first byte behind it. */
  get end(): VirtualAddress {
    return plus(this.codeAddress, this.offset + this.length);
  }

  get bytes(): Uint8Array {
    return this.code.subarray(this.offset, this.offset + this.length);
  }
}

export interface Disassembler {
  readonly machine: CodeMachine;
  /** The instructions of `code`, which lies at `address`, from its first byte on; at most `limit`. */
  disassemble(code: Uint8Array, address: VirtualAddress, limit?: number): InstructionLine[];
  /** What the first instruction of `code` does. Undefined if it is none, or not whole. */
  inspect(code: Uint8Array, address: VirtualAddress): InstructionInfo | undefined;
  /** The same with what it does to the stack. x86 only. */
  follow(code: Uint8Array, address: VirtualAddress): FollowedInstruction | undefined;
  /** The first instruction of x64 `code`, if a debugger can carry it out by itself (emulator.ts). */
  simple(code: Uint8Array, address: VirtualAddress): SimpleInstruction | undefined;
  /** Length in bytes of the instruction at the start of `code`; 0 if it is none, or not whole. */
  lengthAt(code: Uint8Array): number;
  /** Gives WebAssembly memory back. Afterwards every method throws. */
  dispose(): void;
}

export interface FollowedInstruction extends InstructionInfo {
  readonly stack: StackEffect;
}

/** No instruction is longer. */
export const longestInstruction = 15;

/** As many bytes as one decoder gets at a time. */
const pieceSize = 64 * 1024;

/** @param nameOf What stands at an address, for operands and branch targets; none: plain addresses. */
export async function openDisassembler(machine: CodeMachine, nameOf?: AddressNamer): Promise<Disassembler> {
  return new IcedDisassembler(await import('iced-x86'), machine, nameOf);
}

class IcedDisassembler implements Disassembler {
  readonly #iced: typeof Iced;
  readonly #bitness: number;
  readonly #instruction: Iced.Instruction;
  readonly #text: WindbgText;
  #stackEffects: StackEffects | undefined;
  #disposed = false;

  constructor(
    iced: typeof Iced,
    readonly machine: CodeMachine,
    nameOf: AddressNamer | undefined,
  ) {
    this.#iced = iced;
    this.#bitness = machine === 'x64' ? 64 : 32;
    this.#instruction = new iced.Instruction();
    this.#text = new WindbgText(iced, machine, nameOf);
  }

  disassemble(code: Uint8Array, address: VirtualAddress, limit = Infinity): InstructionLine[] {
    const lines: InstructionLine[] = [];
    let offset = 0;
    while (offset < code.length && lines.length < limit) {
      const piece = code.subarray(offset, offset + pieceSize);
      const isLast = offset + piece.length === code.length;
      offset += this.#with(piece, plus(address, offset), (decoder) =>
        this.#disassemblePiece(decoder, piece.length, isLast, limit, (at, length, text, status) =>
          lines.push(new InstructionLine(code, address, offset + at, length, text, status)),
        ),
      );
    }
    return lines;
  }

  inspect(code: Uint8Array, address: VirtualAddress): InstructionInfo | undefined {
    return this.#with(code.subarray(0, longestInstruction), address, (decoder) => {
      decoder.decodeOut(this.#instruction);
      if (decoder.lastError !== this.#iced.DecoderError.None) return undefined;
      return inspectInstruction(this.#iced, this.#instruction, this.machine);
    });
  }

  follow(code: Uint8Array, address: VirtualAddress): FollowedInstruction | undefined {
    const info = this.inspect(code, address);
    if (info === undefined || this.machine !== 'x86') return undefined;
    this.#stackEffects ??= new StackEffects(this.#iced);
    return { ...info, stack: this.#stackEffects.of(this.#instruction) };
  }

  simple(code: Uint8Array, address: VirtualAddress): SimpleInstruction | undefined {
    return this.#with(code.subarray(0, longestInstruction), address, (decoder) => {
      decoder.decodeOut(this.#instruction);
      if (decoder.lastError !== this.#iced.DecoderError.None || this.machine !== 'x64') return undefined;
      return simpleForm(this.#iced, this.#instruction);
    });
  }

  lengthAt(code: Uint8Array): number {
    return this.#with(code.subarray(0, longestInstruction), 0n as VirtualAddress, (decoder) => {
      decoder.decodeOut(this.#instruction);
      return decoder.lastError === this.#iced.DecoderError.None ? this.#instruction.length : 0;
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#text.free();
    this.#stackEffects?.free();
    this.#instruction.free();
  }

  /** @returns how many bytes became lines: fewer than all if the piece ends amid an instruction and is not the last. */
  #disassemblePiece(
    decoder: Iced.Decoder,
    size: number,
    isLast: boolean,
    limit: number,
    emit: (at: number, length: number, text: string, status: InstructionLine['status']) => number,
  ): number {
    const instruction = this.#instruction;
    const { INVALID } = this.#iced.Code;
    for (let at = 0; at < size;) {
      decoder.decodeOut(instruction);
      const code = instruction.code;
      let length = 1;
      let count: number;
      if (code !== INVALID) {
        length = instruction.length;
        count = emit(at, length, this.#text.format(instruction, code), 'whole');
      } else if (decoder.lastError !== this.#iced.DecoderError.NoMoreBytes) {
        count = emit(at, length, '???', 'invalid');
        decoder.position = at + length;
        decoder.ip += BigInt(length - instruction.length);
      } else {
        if (isLast) emit(at, size - at, '???', 'cut');
        return isLast ? size : at;
      }
      at += length;
      if (count >= limit) return at;
    }
    return size;
  }

  #with<T>(code: Uint8Array, address: VirtualAddress, action: (decoder: Iced.Decoder) => T): T {
    if (this.#disposed) throw new VmkdError('internal', 'This disassembler was disposed of');
    const decoder = new this.#iced.Decoder(this.#bitness, code, this.#iced.DecoderOptions.None);
    try {
      decoder.ip = this.machine === 'x64' ? address : BigInt.asUintN(32, address);
      return action(decoder);
    } finally {
      decoder.free();
    }
  }
}

/** A row as WinDbg prints it: address, bytes, text. Addresses of x86 have eight digits. */
export function formatLine(line: InstructionLine, machine: CodeMachine): string {
  const bytes = Array.from(line.bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${formatCodeAddress(line.address, machine)} ${bytes.padEnd(15)} ${line.text}`;
}

const formatCodeAddress = (address: VirtualAddress, machine: CodeMachine): string =>
  machine === 'x64'
    ? formatAddress(address)
    : formatAddress(signExtend32(Number(address & 0xffff_ffffn))).slice(9);
