/** The call stack of an x64 thread. What a walk guarantees: stackWalk.ts. How a frame is unwound: unwindX64.ts. */

import { BlockMemory, mostFrames, walk, type WalkedFrame, type WalkedStack } from './stackWalk';
import {
  unwindFrame,
  type CodeImage,
  type FrameRegisters,
  type UnwindMethod,
  type UnwindSource,
} from './unwindX64';

export type StackFrame = WalkedFrame<FrameRegisters, CodeImage, UnwindMethod>;
export type CallStack = WalkedStack<StackFrame>;

/** @param limit Frames wanted, at most 1024. @throws what the target's memory and `functionAt` throw */
export async function walkStack(
  given: UnwindSource,
  start: FrameRegisters,
  limit = mostFrames,
): Promise<CallStack> {
  const source: UnwindSource = {
    memory: new BlockMemory(given.memory),
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
