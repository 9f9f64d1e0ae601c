/**
 * Running, stopping and leaving a live kernel: the face that the debugger's user sees of RunControl.
 */

import type { VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { reboot } from '../../kd/manipulate/execution';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { UserBreakpoints } from '../breakpoints/userBreakpoints';
import type { Code } from '../code';
import type { LiveTarget } from '../liveTarget';
import type { Processors } from '../processors';
import type { StopMemory } from '../stopMemory';
import type { Execution, StepOptions } from '../target';
import { release } from './release';
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
  mustSupport(): void;
  onReleased(): void;
}

export class LiveExecution implements Execution {
  constructor(private readonly parts: ExecutionParts) {}

  resume(options: { readonly passException?: boolean } = {}): Promise<void> {
    return this.parts.control.resume(options);
  }

  pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.parts.control.pause(milliseconds, signal);
  }

  step(options: StepOptions): Promise<void> {
    throw new VmkdError('internal', String(options));
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

  callsAhead(): Promise<never[]> {
    return Promise.resolve([]);
  }

  async reboot(): Promise<void> {
    const { control, live } = this.parts;
    await control.atRest(async () => {
      await live.client.order(reboot, {});
      control.hasLeft();
    });
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
