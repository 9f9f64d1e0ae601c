/**
 * The call stack of a thread, x64 or x86. What a walk guarantees: stackWalk.ts. How a frame is unwound: unwindX64.ts,
 * unwindX86.ts.
 */

import { CodeX86 } from './codeX86';
import { openDisassembler } from './disassembler';
import { BlockMemory, mostFrames, walk, type WalkedFrame, type WalkedStack } from './stackWalk';
import {
  unwindFrame,
  type CodeImage,
  type FrameRegisters,
  type UnwindMethod,
  type UnwindSource,
} from './unwindX64';
import {
  unwindFrameX86,
  type CodeImageX86,
  type FrameRegistersX86,
  type UnwindMethodX86,
  type UnwindSourceX86,
} from './unwindX86';

export type StackFrame = WalkedFrame<FrameRegisters, CodeImage, UnwindMethod>;
export type CallStack = WalkedStack<StackFrame>;

/** Of an x64 thread. @param limit Frames wanted, at most 1024. @throws what the target's memory and `functionAt` throw */
export async function walkStack(
  given: UnwindSource,
  start: FrameRegisters,
  limit = mostFrames,
): Promise<CallStack> {
  const source: UnwindSource = {
    memory: new BlockMemory(given.memory),
    codeMemory: given.codeMemory ?? given.memory,
    functionAt: (rip) => given.functionAt(rip),
  };
  return walk(
    {
      pointers: ({ rip, rsp, exact }) => ({ instruction: rip, stack: rsp, exact }),
      imageAt: (rip) => source.functionAt(rip),
      unwind: (image, registers) => unwindFrame(source, image, registers),
    },
    start,
    limit,
  );
}

export type StackFrameX86 = WalkedFrame<FrameRegistersX86, CodeImageX86, UnwindMethodX86>;
export type CallStackX86 = WalkedStack<StackFrameX86>;

/** Of an x86 thread. @param limit Frames wanted, at most 1024. @throws what the target's memory and `imageAt` throw */
export async function walkStackX86(
  given: UnwindSourceX86,
  start: FrameRegistersX86,
  limit = mostFrames,
): Promise<CallStackX86> {
  const disassembler = await openDisassembler('x86');
  try {
    const source: UnwindSourceX86 = {
      memory: new BlockMemory(given.memory),
      imageAt: (address) => given.imageAt(address),
      tasks: given.tasks,
    };
    const code = new CodeX86(disassembler, source.memory);
    return await walk(
      {
        pointers: ({ eip, esp, exact }) => ({ instruction: eip, stack: esp, exact }),
        imageAt: (address) => source.imageAt(address),
        unwind: (image, registers) => unwindFrameX86(source, code, image, registers),
      },
      start,
      limit,
    );
  } finally {
    disassembler.dispose();
  }
}
