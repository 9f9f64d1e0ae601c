/**
 * From what the user asks for to a step under way.
 *
 *   line, statement   LineStep, if the line is known; else instruction by instruction
 *   instruction       the trap flag; over calls, repetitions, and what would see the flag: a place behind them
 *   out               a place in the caller; for an inlined frame the ways out of it
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { InstructionInfo } from '../../cpu/disassemblerInfo';
import { readPointer } from '../../memory/virtualMemory';
import type { CallFrame } from '../callStack';
import type { CodeSites } from '../breakpoints/codeSites';
import type { Code } from '../code';
import type { Passing } from '../execution/passing';
import type { BegunStep } from '../execution/runControl';
import type { LiveProcessor } from '../processors';
import type { StepOptions } from '../target';
import { LineStep, OutStep, TraceStep } from './lineStep';
import { inlineScope, lineScope } from './stepScope';
import { waysOut } from './walk';

export interface StepperParts {
  readonly code: Code;
  readonly sites: CodeSites;
  readonly passing: Passing;
}

const trapFlag = 0x100;
const int3 = 0xcc;

export class Stepper {
  constructor(private readonly parts: StepperParts) {}

  /**
   * @param isStopped The processor is the one that KD stopped on: else its trap flag is set here.
   * @returns Undefined: done already, nothing has to run. @throws value-out-of-range; what the target throws
   */
  async begin(
    options: StepOptions,
    processor: LiveProcessor,
    isStopped: boolean,
  ): Promise<BegunStep | undefined> {
    const { rip } = await processor.general();
    const begun = await this.#begin(options, processor, rip);
    if (begun === undefined || isStopped || !begun.trace) return begun;
    const { eflags } = await processor.general();
    await processor.setGeneral({ eflags: eflags | trapFlag });
    this.parts.passing.owe(begun.step.thread, rip);
    return { ...begun, trace: false };
  }

  /** Calls that the line at the processor's place may still make. */
  async callsAhead(
    processor: LiveProcessor,
  ): Promise<{ readonly address: VirtualAddress; readonly name: string }[]> {
    const { code } = this.parts;
    const { rip } = await processor.general();
    const scope = lineScope(code.symbols, rip, 'over', 'line');
    if (scope === undefined) return [];
    const calls = [];
    for (const { address, target, pointer } of (await waysOut(code, rip, scope, () => false)).calls) {
      const to = target ?? (pointer && (await readPointer(code.memory, pointer, 8)));
      const name = to && (code.symbols.nameOf(to) ?? undefined);
      calls.push({ address, name: name ?? 'a function through a pointer' });
    }
    return calls;
  }

  async #begin(
    options: StepOptions,
    processor: LiveProcessor,
    at: VirtualAddress,
  ): Promise<BegunStep | undefined> {
    const { code, sites } = this.parts;
    const { kind, granularity, intoCall } = options;
    const thread = await processor.thread();
    if (kind === 'out') return this.#out(options, processor, thread, at);
    const scope = granularity === 'instruction' ? undefined : lineScope(code.symbols, at, kind, granularity);
    if (scope === undefined) return this.#instruction(kind, processor, thread, at);
    const enters = ({ address }: { address: VirtualAddress }): boolean =>
      intoCall === undefined || address === intoCall;
    const step = new LineStep(code, sites, { thread, scope, ...(kind === 'into' && { enters }) });
    return started(step, await step.plan(processor, at));
  }

  async #instruction(
    kind: 'into' | 'over',
    processor: LiveProcessor,
    thread: VirtualAddress,
    at: VirtualAddress,
  ): Promise<BegunStep | undefined> {
    const { code, sites } = this.parts;
    const info = await code.inspect(at);
    const [first] = await code.memory.readPartial(at, 1);
    if (first === int3) {
      // An int3 of the code: there is nothing to run, and behind it is where one would be.
      await processor.setGeneral({ rip: plus(at, 1) });
      return undefined;
    }
    if (info === undefined || !needsPlace(info, kind)) return { step: new TraceStep(thread), trace: true };
    const { rsp } = await processor.general();
    const step = new OutStep(sites, thread, { address: plus(at, info.length), rsp: rsp as VirtualAddress });
    await step.begin();
    return { step, trace: false };
  }

  async #out(
    { frame = 1 }: StepOptions,
    processor: LiveProcessor,
    thread: VirtualAddress,
    at: VirtualAddress,
  ): Promise<BegunStep | undefined> {
    const { code, sites } = this.parts;
    const { frames } = await processor.stack(frame + 1);
    const [top, to] = [frames[0], frames[frame]];
    if (top === undefined || to === undefined || frame === 0) {
      throw new VmkdError('value-out-of-range', `There is no frame ${frame} to come back to`);
    }
    if (to.frame === top.frame) {
      const depth = depthOf(to, frames);
      const step = new LineStep(code, sites, { thread, scope: inlineScope(code.symbols, at, depth) });
      return started(step, await step.plan(processor, at));
    }
    const step = new OutStep(sites, thread, { address: to.address, rsp: to.frame.registers.rsp });
    await step.begin();
    return { step, trace: false };
  }
}

function started(step: LineStep, progress: Awaited<ReturnType<LineStep['plan']>>): BegunStep | undefined {
  if (progress.kind === 'go') return { step, trace: progress.trace };
  step.end();
  return undefined;
}

/** How deep a frame is inlined, from its procedure. */
const depthOf = (one: CallFrame, frames: readonly CallFrame[]): number =>
  frames.filter(({ frame }) => frame === one.frame).length - 1 - one.inlineDepth;

/** A trap flag would step into what is to be stepped over, stop at each turn, be pushed, or be lost. */
function needsPlace(info: InstructionInfo, kind: 'into' | 'over'): boolean {
  if (info.repeats || info.pushesFlags) return true;
  switch (info.flow.kind) {
    case 'call':
    case 'indirect-call':
      return kind === 'over';
    case 'system-call':
    case 'interrupt':
      return true;
    case 'next':
    case 'branch':
    case 'conditional-branch':
    case 'indirect-branch':
    case 'return':
    case 'exception':
      return false;
  }
}
