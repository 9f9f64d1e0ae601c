/**
 * What a stepper must know of one instruction: its length, where it may go, which memory it touches, and whether it
 * does what makes single steps special.
 */

import type * as Iced from 'iced-x86';
import { signExtend32, virtualAddress, type VirtualAddress } from '../core/addresses';

/** Where execution goes from an instruction. `target` is set where it stands in the instruction itself. */
export type InstructionFlow =
  | { readonly kind: 'next' }
  | { readonly kind: 'branch'; readonly target: VirtualAddress }
  | { readonly kind: 'conditional-branch'; readonly target: VirtualAddress }
  | { readonly kind: 'call'; readonly target: VirtualAddress }
  /** Through a register or memory (see `memory`), or to another segment. */
  | { readonly kind: 'indirect-branch' }
  | { readonly kind: 'indirect-call' }
  /** syscall, sysenter, vmcall and their like: control comes back behind it. */
  | { readonly kind: 'system-call' }
  /** ret, iret, sysret, rsm. */
  | { readonly kind: 'return' }
  /** int n, int 3, into. */
  | { readonly kind: 'interrupt' }
  /** ud0, ud1, ud2. */
  | { readonly kind: 'exception' };

/** `segment:[base + index*scale + displacement]`; registers in lower case, undefined where there is none. */
export interface MemoryOperand {
  /** `fs` or `gs` matters; the others have base 0 on x64, and usually on x86. */
  readonly segment: string;
  /** Never `rip`: then `displacement` is the address itself. */
  readonly base: string | undefined;
  readonly index: string | undefined;
  /** 1, 2, 4 or 8. */
  readonly scale: number;
  /** Modulo 2^64; sign-extended on x86. */
  readonly displacement: VirtualAddress;
  /** Bytes; 0 if that is not known (lea, fxsave…). */
  readonly size: number;
}

export interface InstructionInfo {
  /** Bytes, 1 to 15. */
  readonly length: number;
  readonly flow: InstructionFlow;
  readonly memory: MemoryOperand | undefined;
  /** A rep prefix on a string instruction: a single step is one turn, not the whole. */
  readonly repeats: boolean;
  /** pushf: a single step would push the trap flag too. */
  readonly pushesFlags: boolean;
}

export function inspectInstruction(
  iced: typeof Iced,
  instruction: Iced.Instruction,
  machine: 'x64' | 'x86',
): InstructionInfo {
  const address = (value: bigint): VirtualAddress =>
    machine === 'x64' ? virtualAddress(value) : signExtend32(Number(BigInt.asUintN(32, value)));
  return {
    length: instruction.length,
    flow: flowOf(iced, instruction, address),
    memory: memoryOf(iced, instruction, address),
    repeats: instruction.isStringInstruction && (instruction.hasRepPrefix || instruction.hasRepnePrefix),
    pushesFlags: [iced.Mnemonic.Pushf, iced.Mnemonic.Pushfd, iced.Mnemonic.Pushfq].includes(
      instruction.mnemonic,
    ),
  };
}

function flowOf(
  iced: typeof Iced,
  instruction: Iced.Instruction,
  address: (value: bigint) => VirtualAddress,
): InstructionFlow {
  const { FlowControl, OpKind } = iced;
  const firstKind = instruction.opCount > 0 ? instruction.opKind(0) : OpKind.Register;
  const isNear = firstKind >= OpKind.NearBranch16 && firstKind <= OpKind.NearBranch64;
  const isFar = firstKind === OpKind.FarBranch16 || firstKind === OpKind.FarBranch32;
  switch (instruction.flowControl) {
    case FlowControl.Next:
      return { kind: 'next' };
    case FlowControl.UnconditionalBranch:
      if (!isNear) return { kind: 'indirect-branch' };
      return { kind: 'branch', target: address(instruction.nearBranchTarget) };
    case FlowControl.IndirectBranch:
      return { kind: 'indirect-branch' };
    case FlowControl.ConditionalBranch:
      return { kind: 'conditional-branch', target: address(instruction.nearBranchTarget) };
    case FlowControl.Return:
      return { kind: 'return' };
    case FlowControl.Call:
      if (isNear) return { kind: 'call', target: address(instruction.nearBranchTarget) };
      return { kind: isFar ? 'indirect-call' : 'system-call' };
    case FlowControl.IndirectCall:
      return { kind: 'indirect-call' };
    case FlowControl.Interrupt:
      return { kind: 'interrupt' };
    case FlowControl.XbeginXabortXend:
      // An abort goes to xbegin's target; xabort and xend have none.
      if (isNear) return { kind: 'conditional-branch', target: address(instruction.nearBranchTarget) };
      return { kind: 'next' };
    case FlowControl.Exception:
      return { kind: 'exception' };
  }
}

function memoryOf(
  iced: typeof Iced,
  instruction: Iced.Instruction,
  address: (value: bigint) => VirtualAddress,
): MemoryOperand | undefined {
  const { OpKind, Register } = iced;
  const nameOf = (register: Iced.Register): string | undefined =>
    register === Register.None ? undefined : Register[register].toLowerCase();
  const size = iced.MemorySizeExt.size(instruction.memorySize);
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    if (kind === OpKind.Memory) {
      const isAbsolute = instruction.isIpRelMemoryOperand;
      return {
        segment: nameOf(instruction.memorySegment) ?? 'ds',
        base: isAbsolute ? undefined : nameOf(instruction.memoryBase),
        index: nameOf(instruction.memoryIndex),
        scale: instruction.memoryIndexScale,
        displacement: address(instruction.memoryDisplacement),
        size,
      };
    }
    // String instructions: the first of their operands that is memory.
    const base = implicitBase(OpKind, kind);
    if (base !== undefined) {
      const segment = kind >= OpKind.MemoryESDI ? 'es' : (nameOf(instruction.memorySegment) ?? 'ds');
      return { segment, base, index: undefined, scale: 1, displacement: address(0n), size };
    }
  }
  return undefined;
}

/** Their kinds stand in a row: seg:si, esi, rsi, seg:di, edi, rdi, es:di, edi, rdi. */
function implicitBase(OpKind: typeof Iced.OpKind, kind: Iced.OpKind): string | undefined {
  if (kind < OpKind.MemorySegSI || kind > OpKind.MemoryESRDI) return undefined;
  return ['si', 'esi', 'rsi', 'di', 'edi', 'rdi', 'di', 'edi', 'rdi'][kind - OpKind.MemorySegSI];
}
