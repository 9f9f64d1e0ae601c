/**
 * What an x86 instruction does to the stack pointer and to the registers that a function preserves: enough to follow
 * prologues and epilogues by their code. Registers are numbers of the hardware: 3 ebx, 4 esp, 5 ebp, 6 esi, 7 edi; others are
 * of no account here.
 */

import type * as Iced from 'iced-x86';

export type StackEffect =
  /** None of these registers changes, except those written in ways that are not followed. */
  | { readonly kind: 'none'; readonly written: readonly number[] }
  | { readonly kind: 'push'; readonly register: number | undefined }
  | { readonly kind: 'pop'; readonly register: number | undefined }
  /** target = source + bytes, of esp and ebp: add esp; sub esp; lea; mov esp,ebp; mov ebp,esp */
  | { readonly kind: 'set'; readonly target: number; readonly source: number; readonly bytes: number }
  /** target = dword at [base + bytes], base being esp or ebp. */
  | { readonly kind: 'load'; readonly target: number; readonly base: number; readonly bytes: number }
  | { readonly kind: 'leave' }
  /** esp changes in a way that is not followed. */
  | { readonly kind: 'lost' };

export const espNumber = 4;
export const ebpNumber = 5;
const followed = [3, espNumber, ebpNumber, 6, 7];

export class StackEffects {
  readonly #factory: Iced.InstructionInfoFactory;

  constructor(private readonly iced: typeof Iced) {
    this.#factory = new iced.InstructionInfoFactory();
  }

  free(): void {
    this.#factory.free();
  }

  /** Of a 32-bit instruction. A branch, a call, a return have only what they do besides. */
  of(instruction: Iced.Instruction): StackEffect {
    const { Code, Mnemonic } = this.iced;
    const { mnemonic, stackPointerIncrement } = instruction;
    if (mnemonic === Mnemonic.Push) {
      if (stackPointerIncrement !== -4) return { kind: 'lost' };
      return { kind: 'push', register: this.#registerAt(instruction, 0) };
    }
    if (mnemonic === Mnemonic.Pop) {
      const register = this.#registerAt(instruction, 0);
      if (stackPointerIncrement !== 4 || register === espNumber) return { kind: 'lost' };
      return { kind: 'pop', register };
    }
    if (mnemonic === Mnemonic.Pushfd) return { kind: 'push', register: undefined };
    if (mnemonic === Mnemonic.Popfd) return { kind: 'pop', register: undefined };
    if (mnemonic === Mnemonic.Leave) return { kind: instruction.code === Code.Leaved ? 'leave' : 'lost' };
    return this.#move(instruction) ?? this.#others(instruction);
  }

  #move(instruction: Iced.Instruction): StackEffect | undefined {
    const { Mnemonic, OpKind } = this.iced;
    if (instruction.opCount !== 2) return undefined;
    const { mnemonic } = instruction;
    const target = this.#registerAt(instruction, 0);
    if (target === undefined || !followed.includes(target)) return undefined;
    const source = this.#registerAt(instruction, 1);
    const memory = instruction.opKind(1) === OpKind.Memory ? this.#stackOperand(instruction) : undefined;
    const isFrame = target === espNumber || target === ebpNumber;
    if (mnemonic === Mnemonic.Mov) {
      // mov edi,edi: room for a patch.
      if (source === target) return { kind: 'none', written: [] };
      if (isFrame && (source === espNumber || source === ebpNumber))
        return { kind: 'set', target, source, bytes: 0 };
      return memory && target !== espNumber ? { kind: 'load', target, ...memory } : undefined;
    }
    if (!isFrame) return undefined;
    if (mnemonic === Mnemonic.Lea)
      return memory && { kind: 'set', target, source: memory.base, bytes: memory.bytes };
    const isSum = mnemonic === Mnemonic.Add || mnemonic === Mnemonic.Sub;
    if (!isSum || ![OpKind.Immediate8to32, OpKind.Immediate32].includes(instruction.opKind(1)))
      return undefined;
    const bytes = Number(BigInt.asIntN(32, instruction.immediate(1)));
    return { kind: 'set', target, source: target, bytes: mnemonic === Mnemonic.Add ? bytes : -bytes };
  }

  #others(instruction: Iced.Instruction): StackEffect {
    const { FlowControl, OpAccess, RegisterExt, Register } = this.iced;
    // Calls and returns move esp, and where to is known to whoever asks.
    const flows = ![FlowControl.Next, FlowControl.ConditionalBranch].includes(instruction.flowControl);
    const info = this.#factory.info(instruction);
    try {
      const written = new Set<number>();
      for (const used of info.usedRegisters() as Iced.UsedRegister[]) {
        const { access } = used;
        const number = RegisterExt.fullRegister32(used.register) - Register.EAX;
        used.free();
        const writes =
          access === OpAccess.Write ||
          access === OpAccess.CondWrite ||
          access === OpAccess.ReadWrite ||
          access === OpAccess.ReadCondWrite;
        if (writes && followed.includes(number)) written.add(number);
      }
      if (written.delete(espNumber) && !flows) return { kind: 'lost' };
      return { kind: 'none', written: [...written] };
    } finally {
      info.free();
    }
  }

  /** [esp + n] or [ebp + n]. */
  #stackOperand(instruction: Iced.Instruction): { base: number; bytes: number } | undefined {
    const { Register } = this.iced;
    const base = instruction.memoryBase - Register.EAX;
    if (base !== espNumber && base !== ebpNumber) return undefined;
    if (instruction.memoryIndex !== Register.None) return undefined;
    return { base, bytes: Number(BigInt.asIntN(32, instruction.memoryDisplacement)) };
  }

  /** The number of a 32-bit register. */
  #registerAt(instruction: Iced.Instruction, operand: number): number | undefined {
    const { OpKind, Register } = this.iced;
    if (instruction.opKind(operand) !== OpKind.Register) return undefined;
    const register = instruction.opRegister(operand);
    return register >= Register.EAX && register <= Register.EDI ? register - Register.EAX : undefined;
  }
}
