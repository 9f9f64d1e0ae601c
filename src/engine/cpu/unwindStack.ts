/**
 * The call stack of an x64 thread: frames unwound one after the other, within bounds.
 *
 *   frame 0  rip, rsp, registers ──unwindFrame──▶ frame 1 ──▶ … ──▶ why it ended
 *
 * Invariants: at most `mostFrames` frames; no (rip, rsp) twice; rsp grows from frame to frame unless a machine frame or a
 * frame register took it to another stack. What is wrong with the stack or with unwind data ends the walk and keeps the
 * frames found so far; only failures of the target itself are thrown.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { VmkdError, type ErrorCode } from '../core/errors';
import type { VirtualMemory } from '../memory/virtualMemory';
import {
  stuck,
  unwindFrame,
  type CodeImage,
  type FrameRegisters,
  type UnwindMethod,
  type UnwindSource,
} from './unwindX64';

export interface StackFrame {
  readonly registers: FrameRegisters;
  /** Undefined: rip lies in no known image. */
  readonly image: CodeImage | undefined;
  /** How its caller was found; undefined for the last frame. */
  readonly method: UnwindMethod | undefined;
}

export type StackEnd =
  /** A return address of 0: the thread began here. */
  | { readonly kind: 'bottom' }
  | { readonly kind: 'most-frames' }
  /** The last frame's rip lies in no known image: user code whose images are not known, or no code. */
  | { readonly kind: 'unknown-code' }
  | { readonly kind: 'failed'; readonly error: VmkdError };

export interface CallStack {
  readonly frames: readonly StackFrame[];
  readonly end: StackEnd;
}

const mostFrames = 1024;

const failuresOfTheStack: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'memory-unreadable',
  'file-damaged',
  'file-unsupported',
  'unwind-stuck',
]);

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
  const frames: StackFrame[] = [];
  const seen = new Set<string>();
  let registers = start;
  for (;;) {
    let image: CodeImage | undefined;
    try {
      if (registers.rip === 0n && !registers.exact) return { frames, end: { kind: 'bottom' } };
      if (frames.length >= Math.min(limit, mostFrames)) return { frames, end: { kind: 'most-frames' } };
      const key = `${registers.rip} ${registers.rsp}`;
      if (seen.has(key)) return { frames, end: { kind: 'failed', error: stuck('the frames form a circle') } };
      seen.add(key);
      // A call may be a function's last instruction; then its return address is the next one's.
      image = await source.functionAt(registers.exact ? registers.rip : plus(registers.rip, -1));
      // A call of no code pushed its return address: where the processor itself stood may be anywhere, but not in user mode.
      const called = registers.exact && (frames.length === 0 || registers.rsp >> 63n === 1n);
      if (!image && !called) {
        frames.push({ registers, image, method: undefined });
        return { frames, end: { kind: 'unknown-code' } };
      }
      const { caller, method, machineFrame, frameRegister } = await unwindFrame(source, image, registers);
      frames.push({ registers, image, method });
      if (!machineFrame && !frameRegister && caller.rsp <= registers.rsp)
        throw stuck('the stack pointer does not grow');
      registers = caller;
    } catch (error) {
      if (!(error instanceof VmkdError) || !failuresOfTheStack.has(error.code)) throw error;
      if (frames.at(-1)?.registers !== registers) frames.push({ registers, image, method: undefined });
      return { frames, end: { kind: 'failed', error } };
    }
  }
}

const blockSize = 1024;
const mostBlocks = 4096;

/** Remembers the blocks of one walk: a frame's words are neighbours, and each read of a live target is a round trip. */
class BlockMemory implements VirtualMemory {
  readonly #blocks = new Map<bigint, Uint8Array>();

  constructor(private readonly memory: VirtualMemory) {}

  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const within = Number(address & BigInt(blockSize - 1));
    const first = plus(address, -within);
    const bytes = (await this.#block(first)).subarray(within, within + length);
    if (within + length <= blockSize || bytes.length < blockSize - within) return bytes;
    const rest = await this.readPartial(plus(first, blockSize), length - bytes.length);
    const whole = new Uint8Array(bytes.length + rest.length);
    whole.set(bytes);
    whole.set(rest, bytes.length);
    return whole;
  }

  async #block(first: VirtualAddress): Promise<Uint8Array> {
    let block = this.#blocks.get(first);
    if (!block) {
      block = await this.memory.readPartial(first, blockSize);
      if (this.#blocks.size >= mostBlocks) this.#blocks.clear();
      this.#blocks.set(first, block);
    }
    return block;
  }
}
