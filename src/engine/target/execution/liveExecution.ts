/**
 * Running, stopping and leaving a live kernel: the face that the debugger's user sees of RunControl.
 */

import type { VirtualAddress } from '../../core/addresses';
import { reboot } from '../../kd/manipulate/execution';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { UserBreakpoints } from '../breakpoints/userBreakpoints';
import type { Code } from '../code';
import type { LiveTarget } from '../liveTarget';
import type { Processors } from '../processors';
import type { StopMemory } from '../stopMemory';
import { Stepper } from '../stepping/stepper';
import type { Execution, StepOptions } from '../target';
import { giveAway, release } from './release';
import type { RunControl } from './runControl';
import type { Ours } from './stopEvent';

export interface ExecutionParts extends Ours {
  readonly live: LiveTarget;
  readonly control: RunControl;
  readonly processors: Processors;
  readonly memory: StopMemory;
  readonly code: Code;
  readonly symbols: KernelSymbols;
  readonly breakpoints: UserBreakpoints;
  /** For a running target to stop when it shall be changed. */
  readonly stopMilliseconds: number;
  mustSupport(): void;
  onReleased(): void;
}

/** Milliseconds for the target to stop. */
const takeLimit = 10_000;

export class LiveExecution implements Execution {
  readonly #stepper: Stepper;

  constructor(private readonly parts: ExecutionParts) {
    this.#stepper = new Stepper(parts);
  }

  resume(options: { readonly passException?: boolean } = {}): Promise<void> {
    return this.parts.control.resume(options);
  }

  pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.parts.control.pause(milliseconds, signal);
  }

  async step(options: StepOptions): Promise<void> {
    this.parts.mustSupport();
    const { control, processors } = this.parts;
    const processor = processors.at(options.processor);
    await control.step(
      ({ change }) => this.#stepper.begin(options, processor, change.processor === processor.number),
      options.processor,
    );
  }

  async goto(processor: number, address: VirtualAddress): Promise<void> {
    this.parts.mustSupport();
    const one = this.parts.processors.at(processor);
    await this.parts.control.announceAgain(
      async () => {
        await one.thread();
        await one.setContext({ rip: address });
      },
      { kind: 'goto' },
      processor,
    );
  }

  async callsAhead(
    processor: number,
  ): Promise<readonly { readonly address: VirtualAddress; readonly name: string }[]> {
    this.parts.mustSupport();
    return this.#stepper.callsAhead(this.parts.processors.at(processor));
  }

  async reboot(): Promise<void> {
    const { control, live } = this.parts;
    await control.atRest(async () => {
      await live.client.order(reboot, {});
      control.hasLeft();
    }, this.parts.stopMilliseconds);
  }

  /** Whether another debugger drives, and this one looks on. */
  get looksOn(): boolean {
    return this.parts.control.looksOn;
  }

  /**
   * Another debugger drives from now on; breakpoints sleep. @param last Done at rest, when nothing of ours is in the target any
   *   more. @throws target-did-not-stop: it is ours as before
   */
  giveAway(last: () => Promise<void>): Promise<void> {
    return giveAway(this.parts, last);
  }

  /** The one that drives has changed something: nothing that is known of the stop holds any more. */
  othersChanged(): void {
    this.parts.control.othersChanged();
  }

  /** The target is ours again. @param prepare Done at rest, before anything of ours comes into it. @throws target-did-not-stop */
  async takeBack(prepare: () => Promise<void>): Promise<void> {
    const { control, slots, live, breakpoints } = this.parts;
    await control.drive(async () => {
      await prepare();
      slots.lapse();
      live.registers.forget();
      await breakpoints.wake();
    }, takeLimit);
  }

  async release(options: { readonly leaveStopped?: boolean } = {}): Promise<void> {
    try {
      await release(this.parts, options.leaveStopped ?? false);
    } finally {
      this.parts.live.detach();
      this.parts.onReleased();
    }
  }
}
