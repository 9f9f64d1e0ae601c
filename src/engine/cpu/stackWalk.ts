/**
 * Walking a stack of any machine: frames unwound one after the other, within bounds.
 *
 *   frame 0  registers ──unwind──▶ frame 1 ──▶ … ──▶ why it ended
 *
 * Invariants: at most `mostFrames` frames; no (instruction pointer, stack pointer) twice; the stack pointer grows from frame
 * to frame unless the unwinder says that it went to another stack. What is wrong with the stack or with unwind data ends
 * the walk and keeps the frames found so far; only failures of the target itself are thrown.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { VmkdError, type ErrorCode } from '../core/errors';
import type { VirtualMemory } from '../memory/virtualMemory';

/** What a walk needs to know of a machine. */
export interface Unwinder<Registers, Image, Method> {
  pointers(registers: Registers): Pointers;
  /** Undefined: the address lies in no known image. */
  imageAt(address: VirtualAddress): Image | undefined | Promise<Image | undefined>;
  /** @param image That of the instruction pointer, or, if that is a return address, of the byte before it. */
  unwind(image: Image | undefined, registers: Registers): Promise<UnwoundFrame<Registers, Method>>;
}

export interface Pointers {
  readonly instruction: VirtualAddress;
  readonly stack: VirtualAddress;
  /** `instruction` is where the processor stood, not a return address. */
  readonly exact: boolean;
}

export interface UnwoundFrame<Registers, Method> {
  readonly caller: Registers;
  readonly method: Method;
  /** The caller may be on another stack. */
  readonly switchesStack: boolean;
}

export interface WalkedFrame<Registers, Image, Method> {
  readonly registers: Registers;
  /** Undefined: its code lies in no known image. */
  readonly image: Image | undefined;
  /** How its caller was found; undefined for the last frame. */
  readonly method: Method | undefined;
}

export type StackEnd =
  /** A return address of 0: the thread began here. */
  | { readonly kind: 'bottom' }
  | { readonly kind: 'most-frames' }
  /** The last frame lies in no known image: user code whose images are not known, or no code. */
  | { readonly kind: 'unknown-code' }
  | { readonly kind: 'failed'; readonly error: VmkdError };

export interface WalkedStack<Frame> {
  readonly frames: readonly Frame[];
  readonly end: StackEnd;
}

export const mostFrames = 1024;

const failuresOfTheStack: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'memory-unreadable',
  'file-damaged',
  'file-unsupported',
  'unwind-stuck',
]);

export const stuck = (what: string): VmkdError => new VmkdError('unwind-stuck', `Cannot unwind: ${what}`);

/** @param limit Frames wanted, at most 1024. @throws what the target's memory and `imageAt` throw */
export async function walk<Registers, Image, Method>(
  unwinder: Unwinder<Registers, Image, Method>,
  start: Registers,
  limit: number,
): Promise<WalkedStack<WalkedFrame<Registers, Image, Method>>> {
  const frames: WalkedFrame<Registers, Image, Method>[] = [];
  const seen = new Set<string>();
  let registers = start;
  for (;;) {
    let image: Image | undefined;
    try {
      const { instruction, stack, exact } = unwinder.pointers(registers);
      if (instruction === 0n && !exact) return { frames, end: { kind: 'bottom' } };
      if (frames.length >= Math.min(limit, mostFrames)) return { frames, end: { kind: 'most-frames' } };
      const key = `${instruction} ${stack}`;
      if (seen.has(key)) return { frames, end: { kind: 'failed', error: stuck('the frames form a circle') } };
      seen.add(key);
      // A call may be a function's last instruction; then its return address is the next one's.
      image = await unwinder.imageAt(exact ? instruction : plus(instruction, -1));
      // A call of no code pushed its return address: where the processor itself stood may be anywhere, but not in user mode.
      const called = exact && (frames.length === 0 || stack >> 63n === 1n);
      if (!image && !called) {
        frames.push({ registers, image, method: undefined });
        return { frames, end: { kind: 'unknown-code' } };
      }
      const { caller, method, switchesStack } = await unwinder.unwind(image, registers);
      frames.push({ registers, image, method });
      if (!switchesStack && unwinder.pointers(caller).stack <= stack)
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
export class BlockMemory implements VirtualMemory {
  readonly #blocks = new Map<bigint, Uint8Array>();

  constructor(private readonly memory: VirtualMemory) {}

  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const within = Number(address & BigInt(blockSize - 1));
    const first = plus(address, -within);
    const block = this.#blocks.get(first) ?? (await this.#fetch(first));
    const bytes = block.subarray(within, within + length);
    if (within + length <= blockSize || bytes.length < blockSize - within) return bytes;
    const rest = await this.readPartial(plus(first, blockSize), length - bytes.length);
    const whole = new Uint8Array(bytes.length + rest.length);
    whole.set(bytes);
    whole.set(rest, bytes.length);
    return whole;
  }

  async #fetch(first: VirtualAddress): Promise<Uint8Array> {
    const block = await this.memory.readPartial(first, blockSize);
    if (this.#blocks.size >= mostBlocks) this.#blocks.clear();
    this.#blocks.set(first, block);
    return block;
  }
}
