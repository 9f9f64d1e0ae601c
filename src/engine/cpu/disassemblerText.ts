/**
 * The text of an instruction as WinDbg writes it, from iced's MASM formatter:
 *
 *   call    nt!KeBugCheckEx (fffff803`12345678)         branch targets and addresses by name, the address behind it
 *   mov     rax,qword ptr [nt!PsInitialSystemProcess (fffff803`12345678)]
 *   mov     eax,dword ptr fs:[00000124h]                x86: absolute addresses have eight digits
 *   jmp     dword ptr nt!KiTable (80541234)[eax*4]      x86: a table's name before its index
 *   push    offset nt!Handler (80541234)                an immediate that is an address (32 bits on x86, 64 on x64)
 *   rep movs dword ptr es:[edi],dword ptr [esi]         string instructions with their operands
 *
 * Invariant: the common instruction (registers and small displacements) costs nothing beyond iced: what needs more is
 * known from its Code, once for each, and from a digit behind the bracket.
 */

import type * as Iced from 'iced-x86';
import { formatAddress, signExtend32, virtualAddress, type VirtualAddress } from '../core/addresses';

/** What stands at an address: `nt!KeBugCheckEx+0x12`. Undefined if that is not known. */
export type AddressNamer = (address: VirtualAddress) => string | undefined;

/** What an instruction's text needs besides its memory operand. */
type CodeKind = 'plain' | 'branch' | 'immediate32' | 'immediate64' | 'string';

/** Lower values are counts and flags; no module lies in the first 64 KiB. */
const lowestNamed = 0x10000n;

export class WindbgText {
  readonly #iced: typeof Iced;
  readonly #x86: boolean;
  readonly #nameOf: AddressNamer | undefined;
  readonly #formatter: Iced.Formatter;
  readonly #kinds: (CodeKind | undefined)[] = [];

  constructor(iced: typeof Iced, machine: 'x64' | 'x86', nameOf: AddressNamer | undefined) {
    this.#iced = iced;
    this.#x86 = machine === 'x86';
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
    const kind = (this.#kinds[code] ??= this.#kindOf(instruction));
    switch (kind) {
      case 'plain':
        return this.#withMemory(text, instruction);
      case 'branch':
        return this.#withBranch(text, this.#address(instruction.nearBranchTarget));
      case 'immediate32':
        return this.#withImmediate(this.#withMemory(text, instruction), BigInt(instruction.immediate(immediateOperand(this.#iced, instruction))));
      case 'immediate64':
        return text;
      case 'string':
        return this.#stringInstruction(text, instruction);
    }
  }
}
