/**
 * The processors of a stopped target. Each keeps what it was asked for until the target runs: registers are long answers on
 * a serial port, and everybody asks for them.
 */

import type { VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import {
  contextSizeX64,
  contextX64,
  generalX64,
  specialRegistersX64,
  type ContextX64,
  type SpecialRegistersX64,
} from '../cpu/contextX64';
import { walkStack } from '../cpu/unwindStack';
import { registersOf } from '../cpu/unwindX64';
import type { KdClient } from '../kd/client';
import type { StoppedState } from '../kd/clientState';
import { readMsr, writeMsr } from '../kd/manipulate/io';
import type { KernelSymbols } from '../windows/kernelSymbols';
import { nameFrames, type SymbolicStack } from './callStack';
import type { KdRegisters } from './kdRegisters';
import { Kept } from './kept';
import { ProcessorMemory, type ProcessorSpaces } from './processorMemory';
import type { GeneralContext, TargetMemory, TargetProcessor } from './target';
import { unwindSourceOf } from './unwindSource';

export type { GeneralContext } from './target';

/** Who answers for all processors. */
export interface ProcessorSource {
  readonly client: KdClient;
  readonly registers: KdRegisters;
  readonly memory: TargetMemory;
  readonly guestMemory: ProcessorSpaces;
  readonly symbols: KernelSymbols;
}

/** A walk of a stack, good for memory as it was after so many writes, and with the names of a generation of symbols. */
interface KeptStack {
  readonly stack: Promise<SymbolicStack>;
  readonly limit: number;
  readonly generation: number;
  readonly writes: number | undefined;
}

export class Processors {
  #list: LiveProcessor[] = [];

  constructor(private readonly source: ProcessorSource) {}

  get list(): readonly LiveProcessor[] {
    return this.#list;
  }

  at(number: number): LiveProcessor {
    const found = this.#list[number];
    if (found) return found;
    const message = `There is no processor ${number}; there are ${this.#list.length}`;
    throw new VmkdError('value-out-of-range', message);
  }

  /** A new stop: nothing is known any more but what it says itself. */
  begin({ change }: StoppedState): void {
    const { numberProcessors, processor, thread } = change;
    // A target that stops on a processor which it does not count has it all the same.
    const count = Math.max(numberProcessors, processor + 1);
    while (this.#list.length < count) this.#list.push(new LiveProcessor(this.#list.length, this.source));
    this.#list.length = count;
    for (const one of this.#list) one.forget(one.number === processor ? thread : undefined);
  }

  forget(): void {
    for (const one of this.#list) one.forget(undefined);
  }
}

export class LiveProcessor implements TargetProcessor {
  /** All of a CONTEXT. */
  readonly #whole = new Kept<Uint8Array>();
  /** Its general part, or more; asked for while the whole is not known. */
  readonly #part = new Kept<Uint8Array>();
  /** Read out of an image. */
  #general: { readonly image: Uint8Array; readonly read: GeneralContext } | undefined;
  readonly #special = new Kept<Uint8Array>();
  readonly #thread = new Kept<VirtualAddress>();
  /** Where it was sent in this stop. */
  #sentTo: VirtualAddress | undefined;
  #stack: KeptStack | undefined;

  readonly memory: ProcessorMemory;

  constructor(
    readonly number: number,
    private readonly source: ProcessorSource,
  ) {
    this.memory = new ProcessorMemory(number, source.memory, source.guestMemory);
  }

  forget(thread: VirtualAddress | undefined): void {
    for (const one of [this.#whole, this.#part, this.#special, this.#thread]) one.forget();
    this.#stack = this.#sentTo = undefined;
    if (thread !== undefined) this.#thread.put(thread);
  }

  /** Where it goes on, if it was sent elsewhere in this stop. */
  get sentTo(): VirtualAddress | undefined {
    return this.#sentTo;
  }

  get knownThread(): VirtualAddress | undefined {
    return this.#thread.known;
  }

  /** Finds out whether it goes on elsewhere than it stopped. */
  async lookWhere(stoppedAt: VirtualAddress): Promise<void> {
    const { rip } = await this.general();
    if (rip !== stoppedAt) this.#sentTo = rip;
  }

  async context(): Promise<ContextX64> {
    return contextX64.read(await this.#image(true));
  }

  async general(): Promise<GeneralContext> {
    const image = await this.#image(false);
    if (this.#general?.image !== image) this.#general = { image, read: generalX64.read(image) };
    return this.#general.read;
  }

  async setContext(changes: Partial<ContextX64>): Promise<void> {
    await this.#change(await this.#image(true), changes);
  }

  async setGeneral(changes: Partial<GeneralContext>): Promise<void> {
    await this.#change(await this.#image(false), changes);
  }

  async special(): Promise<SpecialRegistersX64> {
    return specialRegistersX64.read(padded(await this.#specialImage(), specialRegistersX64.size));
  }

  async setSpecial(changes: Partial<SpecialRegistersX64>): Promise<void> {
    const image = await this.#specialImage();
    const edited = padded(image, specialRegistersX64.size);
    specialRegistersX64.write(edited, changes);
    const now = edited.slice(0, image.length);
    await this.#special.replace(now, () => this.source.registers.setSpecialImage(now, this.number));
  }

  async readMsr(index: number): Promise<bigint> {
    const { fields } = await this.source.client.demand(readMsr, { msr: index }, { processor: this.number });
    return (BigInt(fields.high >>> 0) << 32n) | BigInt(fields.low >>> 0);
  }

  async writeMsr(index: number, value: bigint): Promise<void> {
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    await this.source.client.demand(writeMsr, { msr: index, low, high }, { processor: this.number });
  }

  thread(): Promise<VirtualAddress> {
    return this.#thread.get(() => this.source.registers.thread(this.number));
  }

  async stack(limit = Infinity): Promise<SymbolicStack> {
    const { generation } = this.source.symbols;
    const { writes } = this.source.memory;
    const known = this.#stack;
    const before = known?.generation === generation && known.writes === writes ? known : undefined;
    if (before !== undefined && before.limit >= limit) return cut(await before.stack, limit);
    const stack = this.#walk(await before?.stack.catch(() => undefined), limit);
    const kept = { stack, limit, generation, writes };
    this.#stack = kept;
    stack.catch(() => {
      if (this.#stack === kept) this.#stack = undefined;
    });
    return stack;
  }

  /** Goes on where a shorter walk ended. */
  async #walk(before: SymbolicStack | undefined, limit: number): Promise<SymbolicStack> {
    if (before !== undefined && before.end.kind !== 'most-frames') return before;
    const { memory } = this;
    const { symbols } = this.source;
    const known = before === undefined ? [] : unwoundOf(before);
    const last = known.at(-1);
    const start = last?.registers ?? registersOf(await this.general());
    const rest = await walkStack(
      unwindSourceOf(memory, symbols),
      start,
      limit - Math.max(0, known.length - 1),
    );
    return nameFrames(symbols, [...known.slice(0, -1), ...rest.frames], rest.end);
  }

  async #image(whole: boolean): Promise<Uint8Array> {
    const ask = (all: boolean) => () => this.source.registers.contextImage(this.number, all);
    if (!whole && this.#whole.isEmpty) return this.#part.get(ask(false));
    // A target that gives no pieces has told all of it.
    const { known } = this.#part;
    if (known?.length === contextSizeX64) return known;
    return this.#whole.get(ask(true));
  }

  #specialImage(): Promise<Uint8Array> {
    return this.#special.get(() => this.source.registers.specialImage(this.number));
  }

  async #change(image: Uint8Array, changes: Partial<ContextX64>): Promise<void> {
    const now = image.slice();
    const isWhole = now.length === contextSizeX64;
    if (isWhole) contextX64.write(now, changes);
    else generalX64.write(now, changes);
    this.#stack = undefined;
    this.#whole.forget();
    this.#part.forget();
    await (isWhole ? this.#whole : this.#part).replace(now, () =>
      this.source.registers.setContextImage(now, this.number, changedBytes(image, now)),
    );
    if (changes.rip !== undefined) this.#sentTo = changes.rip;
  }
}

const unwoundOf = ({ frames }: SymbolicStack) =>
  frames.filter(({ kind }) => kind === 'procedure').map(({ frame }) => frame);

/** At most so many unwound frames, with what was inlined into them. */
function cut(stack: SymbolicStack, limit: number): SymbolicStack {
  let count = 0;
  const end = stack.frames.findIndex(({ kind }) => kind === 'procedure' && ++count > limit);
  if (end < 0) return stack;
  const inlines = stack.frames.slice(0, end).findLastIndex(({ kind }) => kind === 'procedure') + 1;
  return { frames: stack.frames.slice(0, inlines), end: { kind: 'most-frames' } };
}

/** Bytes from the start up to the last one that differs, whole registers. */
function changedBytes(before: Uint8Array, after: Uint8Array): number {
  let end = after.length;
  while (end > 0 && before[end - 1] === after[end - 1]) end--;
  return Math.ceil(end / 8) * 8;
}

function padded(bytes: Uint8Array, size: number): Uint8Array {
  const whole = new Uint8Array(size);
  whole.set(bytes);
  return whole;
}
