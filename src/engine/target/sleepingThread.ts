/**
 * A thread that no processor runs, as if it were one: its stack begins where it gave its processor up. What it had in registers
 * then lies on its stack, where the unwinder finds it.
 *
 *   KTHREAD.KernelStack ─▶ KSWITCH_FRAME { …, Return } ─▶ the frame that has called SwapContext
 *
 * Invariant: nothing of it can be changed: it has no registers but those of its frames.
 */

import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { walkStack } from '../cpu/unwindStack';
import { firstPreservedXmm, generalNames } from '../cpu/unwindX64';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';
import { KernelStruct } from '../windows/kernelStruct';
import { nameFrames, type SymbolicStack } from './callStack';
import type { TargetProcessor } from './target';
import { unwindSourceOf } from './unwindSource';

const pointerSize = 8;

export class SleepingThread implements TargetProcessor {
  readonly asleep = true;
  /** Whether it stands among the processors in lists. */
  isListed = false;
  #stack: Promise<SymbolicStack> | undefined;

  /** @param number Another than those of processors. @param memory Of its process. @param kthread Of a thread that no processor runs */
  constructor(
    readonly number: number,
    readonly memory: VirtualMemory,
    private readonly symbols: KernelSymbols,
    private readonly kthread: VirtualAddress,
  ) {}

  thread(): Promise<VirtualAddress> {
    return Promise.resolve(this.kthread);
  }

  /** All of it at once: it is short, and does not change. */
  stack(): Promise<SymbolicStack> {
    this.#stack ??= this.#walk();
    this.#stack.catch(() => (this.#stack = undefined));
    return this.#stack;
  }

  async #walk(): Promise<SymbolicStack> {
    const { memory, symbols } = this;
    const types = symbols.moduleNamed('nt')?.types;
    const kernelStack = await KernelStruct.named(types, '_KTHREAD').readPointer(
      memory,
      this.kthread,
      'KernelStack',
    );
    const frame = KernelStruct.named(types, '_KSWITCH_FRAME');
    const read = (field: string): Promise<bigint> => frame.readNumber(memory, kernelStack, field);
    const general = await Promise.all(
      generalNames.map(async (name) => {
        const field = `${name[0]!.toUpperCase()}${name.slice(1)}`;
        return frame.has(field) ? read(field) : undefined;
      }),
    );
    const start = {
      rip: virtualAddress(await read('Return')),
      rsp: plus(kernelStack, frame.offsetOf('Return') + pointerSize),
      general,
      xmm: unknownXmm,
      exact: false,
    };
    const { frames, end } = await walkStack(unwindSourceOf(memory, symbols), start);
    return nameFrames(symbols, frames, end);
  }

  context(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  general(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  special(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  setContext(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  setSpecial(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  readMsr(): Promise<never> {
    return Promise.reject(noRegisters());
  }

  writeMsr(): Promise<never> {
    return Promise.reject(noRegisters());
  }
}

/** They were saved on the way, perhaps; here nobody knows. */
const unknownXmm: ReadonlyMap<number, undefined> = new Map(
  Array.from({ length: 16 - firstPreservedXmm }, (_, i) => [firstPreservedXmm + i, undefined]),
);

const noRegisters = (): VmkdError =>
  new VmkdError('target-unsupported', 'No processor runs this thread: it has only what its stack has kept', {
    nextStep: 'Look at one of its callers, or at the thread of a CPU.',
  });
