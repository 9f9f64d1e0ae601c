/**
 * A step by lines, over or into calls, or out of a frame. The code of the line is left by one of its ways out; breakpoints
 * stand at all of them, and the thread runs until it is at one.
 *
 *   plan ─▶ places at exits, returns, catches ─▶ run ─▶ arrive ─▶ outside: done
 *     ▲                                                      └─▶ a call to look at: run one instruction ─▶ in the callee
 *     │                                                               ├─ it has lines: on behind its prologue, done
 *     └───────────────────────── back in the line ◀── return place ◀──┘─ it has none
 *
 * Invariants: only the thread that steps ends the step, in its own frame or in one that it returned to; whatever else stops
 * first ends it too.
 */

import type { VirtualAddress } from '../../core/addresses';
import { readPointer } from '../../memory/virtualMemory';
import type { CodeSites } from '../breakpoints/codeSites';
import type { Code } from '../code';
import type { ActiveStep, StepProgress } from '../execution/runControl';
import type { LiveProcessor } from '../processors';
import { StepPlaces } from './places';
import type { StepScope } from './stepScope';
import { waysOut, type CallSite } from './walk';

export interface LineStepOptions {
  readonly thread: VirtualAddress;
  readonly scope: StepScope;
  /** Whether a call shall be entered; none if absent. */
  readonly enters?: (call: CallSite) => boolean;
}

/** Jumps through import tables that stand in front of a function. */
const mostThunks = 4;

export class LineStep implements ActiveStep {
  readonly #places: StepPlaces;
  /** The thread runs one instruction, to show where it leads. */
  #tracing: 'call' | 'jump' | undefined;

  constructor(
    private readonly code: Code,
    sites: CodeSites,
    private readonly options: LineStepOptions,
  ) {
    this.#places = new StepPlaces(sites, this);
  }

  get thread(): VirtualAddress {
    return this.options.thread;
  }

  end(): void {
    this.#places.clear();
  }

  /** Looks where the thread is, and prepares what comes next. @throws what the target throws */
  async plan(processor: LiveProcessor, at: VirtualAddress): Promise<StepProgress> {
    const { scope, enters } = this.options;
    this.#places.clear();
    this.#tracing = undefined;
    if (!scope(at)) return { kind: 'done' };
    const stopAt = (call: CallSite): boolean => enters?.(call) ?? false;
    const ways = await waysOut(this.code, at, scope, stopAt);
    const here = ways.calls.find((call) => call.address === at);
    if (ways.unknown.has(at) || (here !== undefined && stopAt(here))) {
      this.#tracing = here === undefined ? 'jump' : 'call';
      return { kind: 'go', trace: true };
    }
    const { frames } = await processor.stack(2);
    const end = frames[0]?.callerRsp;
    // Without a frame to tell apart, any arrival of this thread will do.
    const lowest = end ?? (0n as VirtualAddress);
    const by = end === undefined ? 'rsp' : 'frame';
    for (const exit of ways.exits) await this.#places.add(exit, 'exit', lowest, by);
    for (const fork of ways.unknown) await this.#places.add(fork, 'fork', lowest, by);
    for (const call of ways.calls) if (stopAt(call)) await this.#places.add(call.address, 'fork', lowest, by);
    for (const target of await this.code.catchTargets(at))
      if (!scope(target)) await this.#places.add(target, 'exit', lowest, by);
    const caller = frames.find(({ frame }) => frame !== frames[0]?.frame);
    if (ways.returns && caller !== undefined && end !== undefined)
      await this.#places.add(caller.address, 'returned', end, 'rsp');
    return { kind: 'go', trace: false };
  }

  async arrive(trapped: boolean, processor: LiveProcessor): Promise<StepProgress> {
    const at = (await processor.general()).rip;
    if (trapped && this.#tracing !== undefined) return this.#traced(this.#tracing, processor, at);
    switch (await this.#places.arrivalAt(at, processor)) {
      case undefined:
        return { kind: 'go', trace: false };
      case 'fork':
      case 'back':
        return this.plan(processor, at);
      case 'exit':
      case 'returned':
      case 'entered':
        return { kind: 'done' };
    }
  }

  async #traced(what: 'call' | 'jump', processor: LiveProcessor, at: VirtualAddress): Promise<StepProgress> {
    this.#tracing = undefined;
    if (this.options.scope(at)) return this.plan(processor, at);
    const { rsp } = await processor.general();
    if (what === 'jump' && (await this.#isWithinFunction(at))) return { kind: 'done' };
    // At the start of a function: its return address is on top of the stack.
    const back = await readPointer(this.code.memory, rsp as VirtualAddress, 8);
    const arrival = what === 'call' ? 'back' : 'returned';
    await this.#places.add(back, arrival, (rsp + 8n) as VirtualAddress, 'rsp');
    const body = this.options.enters === undefined ? undefined : await this.#bodyBehind(at);
    if (body === at) return { kind: 'done' };
    if (body !== undefined) await this.#places.add(body, 'entered', 0n as VirtualAddress, 'rsp');
    return { kind: 'go', trace: false };
  }

  /** A jump that stays in a function, though not in the step's range. */
  async #isWithinFunction(at: VirtualAddress): Promise<boolean> {
    const symbol = this.code.symbols.at(at)?.symbol;
    return symbol === undefined || symbol.displacement !== 0 || symbol.separated;
  }

  /** Where a function that is about to begin has its body, if its source is known. */
  async #bodyBehind(start: VirtualAddress): Promise<VirtualAddress | undefined> {
    const { code } = this;
    let at = start;
    for (let i = 0; i < mostThunks; i++) {
      const info = await code.inspect(at);
      if (info?.flow.kind === 'branch') at = info.flow.target;
      else if (info?.flow.kind === 'indirect-branch' && info.memory?.base === undefined && info.memory)
        at = await readPointer(code.memory, info.memory.displacement, 8);
      else break;
    }
    const body = await code.bodyOf(at);
    return code.symbols.framesAt(body).some(({ source }) => source !== undefined) ? body : undefined;
  }
}

/** Runs until the thread is back in one of its callers' frames, or out of what was inlined there. */
export class OutStep implements ActiveStep {
  readonly #places: StepPlaces;

  constructor(
    sites: CodeSites,
    readonly thread: VirtualAddress,
    private readonly to: { readonly address: VirtualAddress; readonly rsp: VirtualAddress },
  ) {
    this.#places = new StepPlaces(sites, this);
  }

  async begin(): Promise<void> {
    await this.#places.add(this.to.address, 'returned', this.to.rsp, 'rsp');
  }

  async arrive(_trapped: boolean, processor: LiveProcessor): Promise<StepProgress> {
    const at = (await processor.general()).rip;
    const arrival = await this.#places.arrivalAt(at, processor);
    return arrival === undefined ? { kind: 'go', trace: false } : { kind: 'done' };
  }

  end(): void {
    this.#places.clear();
  }
}

/** One instruction: by the trap flag. */
export class TraceStep implements ActiveStep {
  constructor(readonly thread: VirtualAddress) {}

  arrive(trapped: boolean): Promise<StepProgress> {
    return Promise.resolve(trapped ? { kind: 'done' } : { kind: 'go', trace: false });
  }

  end(): void {
    // It has no places.
  }
}
