/**
 * Instructions so simple that a debugger can carry them out itself (emulator.ts): described without any word of iced.
 * Whatever is not described exactly is not simple: prefixes, segments with a base, parts of registers like ah.
 */

import type * as Iced from 'iced-x86';
import { virtualAddress, type VirtualAddress } from '../core/addresses';

export type OperandSize = 1 | 2 | 4 | 8;

export type SimpleOperand =
  /** By the hardware's number; the low `size` bytes of it. */
  | { readonly kind: 'register'; readonly number: number; readonly size: OperandSize }
  /** Sign-extended to 64 bits. */
  | { readonly kind: 'immediate'; readonly value: bigint }
  /** `[base + index*scale + displacement]`; registers by number, undefined where there is none. */
  | {
      readonly kind: 'memory';
      readonly base: number | undefined;
      readonly index: number | undefined;
      readonly scale: number;
      readonly displacement: bigint;
      readonly size: OperandSize;
    };

export type SimpleInstruction =
  | {
      readonly kind: 'move';
      readonly how: 'plain' | 'zero' | 'sign' | 'address';
      readonly to: SimpleOperand;
      readonly from: SimpleOperand;
    }
  | { readonly kind: 'push'; readonly from: SimpleOperand }
  | { readonly kind: 'pop'; readonly to: SimpleOperand }
  | { readonly kind: 'push-flags' }
  /** `keeps`: only the flags change (cmp, test). */
  | {
      readonly kind: 'arithmetic';
      readonly operation: 'add' | 'subtract' | 'and' | 'or' | 'xor';
      readonly keeps: boolean;
      readonly to: SimpleOperand;
      readonly from: SimpleOperand;
    }
  /** Leave the carry as it is. */
  | { readonly kind: 'count'; readonly by: 1 | -1; readonly to: SimpleOperand }
  /** `condition` as in the low four bits of the opcode; undefined: always. */
  | { readonly kind: 'jump'; readonly condition: number | undefined; readonly target: VirtualAddress }
  | { readonly kind: 'nothing' };

const arithmetic = {
  Add: ['add', false],
  Sub: ['subtract', false],
  Cmp: ['subtract', true],
  And: ['and', false],
  Test: ['and', true],
  Or: ['or', false],
  Xor: ['xor', false],
} as const;
const moves = { Mov: 'plain', Movzx: 'zero', Movsx: 'sign', Movsxd: 'sign', Lea: 'address' } as const;
const nothing: readonly string[] = ['Nop', 'Endbr64', 'Pause', 'Int3'];
/** iced's ConditionCode − 1, in the order of the opcodes. */
const conditionNames = [
  ...['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'],
] as const;

/** Undefined: not simple. x64 only. */
export function simpleForm(iced: typeof Iced, instruction: Iced.Instruction): SimpleInstruction | undefined {
  const name: string = iced.Mnemonic[instruction.mnemonic];
  if (nothing.includes(name)) return { kind: 'nothing' };
  if (name === 'Pushfq') return { kind: 'push-flags' };
  if (instruction.hasLockPrefix || instruction.hasRepPrefix || instruction.hasRepnePrefix) return undefined;
  const jump = jumpOf(iced, instruction, name);
  if (jump !== undefined) return jump;

  const operands: SimpleOperand[] = [];
  for (let i = 0; i < instruction.opCount; i++) {
    const operand = operandOf(iced, instruction, i, name === 'Lea');
    if (operand === undefined) return undefined;
    operands.push(operand);
  }
  const [to, from] = operands;
  if (to === undefined) return undefined;
  // A push or pop of two bytes is nothing that a compiler makes.
  const isWord = Math.abs(instruction.stackPointerIncrement) !== 8;
  if (name === 'Push') return isWord ? undefined : { kind: 'push', from: to };
  if (name === 'Pop') return isWord || to.kind !== 'register' ? undefined : { kind: 'pop', to };
  if (name === 'Inc') return { kind: 'count', by: 1, to };
  if (name === 'Dec') return { kind: 'count', by: -1, to };
  if (from === undefined || instruction.opCount !== 2) return undefined;
  if (Object.hasOwn(moves, name)) return { kind: 'move', how: moves[name as keyof typeof moves], to, from };
  if (!Object.hasOwn(arithmetic, name)) return undefined;
  const [operation, keeps] = arithmetic[name as keyof typeof arithmetic];
  return { kind: 'arithmetic', operation, keeps, to, from };
}

function jumpOf(
  iced: typeof Iced,
  instruction: Iced.Instruction,
  name: string,
): SimpleInstruction | undefined {
  const { OpKind, FlowControl, ConditionCode } = iced;
  if (instruction.opCount !== 1 || instruction.opKind(0) !== OpKind.NearBranch64) return undefined;
  const target = virtualAddress(instruction.nearBranchTarget);
  if (name === 'Jmp') return { kind: 'jump', condition: undefined, target };
  if (instruction.flowControl !== FlowControl.ConditionalBranch) return undefined;
  // jrcxz and loop have none.
  const condition = conditionNames.indexOf(
    ConditionCode[instruction.conditionCode] as (typeof conditionNames)[number],
  );
  return condition < 0 || !/^J/.test(name) ? undefined : { kind: 'jump', condition, target };
}

function operandOf(
  iced: typeof Iced,
  instruction: Iced.Instruction,
  index: number,
  isAddress: boolean,
): SimpleOperand | undefined {
  const { OpKind, Register } = iced;
  const kind = instruction.opKind(index);
  if (kind === OpKind.Register) return registerOf(iced, instruction.opRegister(index));
  if (kind === OpKind.Memory) {
    const size = isAddress ? 8 : iced.MemorySizeExt.size(instruction.memorySize);
    const general = (register: Iced.Register): number | undefined =>
      register === Register.None ? undefined : registerOf(iced, register, 8)?.number;
    const absolute = instruction.isIpRelMemoryOperand;
    const [base, indexed] = [instruction.memoryBase, instruction.memoryIndex];
    const segment = instruction.memorySegment;
    const known =
      (base === Register.None || absolute || general(base) !== undefined) &&
      (indexed === Register.None || general(indexed) !== undefined) &&
      base !== Register.EIP &&
      segment !== Register.FS &&
      segment !== Register.GS;
    if (!known || !isSize(size)) return undefined;
    return {
      kind: 'memory',
      base: absolute ? undefined : general(base),
      index: general(indexed),
      scale: instruction.memoryIndexScale,
      displacement: instruction.memoryDisplacement,
      size,
    };
  }
  if (kind < OpKind.Immediate8 || kind > OpKind.Immediate32to64 || kind === OpKind.Immediate8_2nd)
    return undefined;
  return { kind: 'immediate', value: instruction.immediate(index) };
}

function registerOf(
  iced: typeof Iced,
  register: Iced.Register,
  wanted?: OperandSize,
): (SimpleOperand & { kind: 'register' }) | undefined {
  const match = /^(?:R(\d+)([BWDL]?)|([RE]?)(AX|CX|DX|BX|SP|BP|SI|DI)|(AL|CL|DL|BL|SPL|BPL|SIL|DIL))$/.exec(
    iced.Register[register],
  );
  if (match === null) return undefined;
  const [, numbered, suffix, prefix, word, byte] = match;
  const names = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'];
  const bytes = ['AL', 'CL', 'DL', 'BL', 'SPL', 'BPL', 'SIL', 'DIL'];
  const sizes: Readonly<Record<string, OperandSize>> = { '': 8, D: 4, W: 2, B: 1, L: 1 };
  const number =
    numbered !== undefined
      ? Number(numbered)
      : word !== undefined
        ? names.indexOf(word)
        : bytes.indexOf(byte ?? '');
  const size =
    numbered !== undefined
      ? sizes[suffix ?? '']!
      : word !== undefined
        ? prefix === 'R'
          ? 8
          : prefix === 'E'
            ? 4
            : 2
        : 1;
  return wanted !== undefined && size !== wanted ? undefined : { kind: 'register', number, size };
}

const isSize = (size: number): size is OperandSize => size === 1 || size === 2 || size === 4 || size === 8;
