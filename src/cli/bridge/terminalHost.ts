/**
 * Whoever sits at the terminal of `vmkd bridge`: takes the kernel from the debugger on the pipe, stops it, lets it run, and
 * gives it back. While the terminal drives, notices of modules go on by themselves.
 *
 *   h  hand over: to the terminal, and back      b  break in      g  go      q  quit
 */

import { plus } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { Mutex } from '../../engine/core/mutex';
import type { Companion } from '../../engine/companion/companion';
import type { StoppedState } from '../../engine/kd/clientState';
import { NtStatus } from '../../engine/kd/ntstatus';
import { describeStateChange, readControlReport } from '../../engine/kd/stateChange';
import type { LiveTarget } from '../../engine/target/liveTarget';

const int3 = 0xcc;
/** Milliseconds for the kernel to stop. */
const breakInLimit = 10_000;
/** Milliseconds for a break-in that is under way to have its effect. */
const lastMoments = 1000;
/** Notices that come in the stead of a break-in. */
const mostNotices = 64;

export const keysHelp = 'h hands over, b breaks in, g lets the kernel run, q quits';

export class TerminalHost {
  /** The kernel that there is now. */
  target: LiveTarget | undefined;
  readonly #turn = new Mutex();
  /** A stop of ours that nobody shall hear of. */
  #resting = false;

  constructor(
    private readonly companion: Companion,
    private readonly say: (line: string) => void,
  ) {}

  get #drives(): boolean {
    return this.companion.now.owner.kind === 'host';
  }

  /** For LiveTarget. */
  async onStop(stop: StoppedState): Promise<void> {
    const { target } = this;
    // Whoever it was called for.
    if (target && stop.change.kind === 'exception') target.client.unspentBreakIns = 0;
    if (!this.#drives || this.#resting || target === undefined) return;
    if (stop.change.kind === 'loadSymbols' || stop.change.kind === 'targetGone') {
      await target.continueFrom(stop, {});
      return;
    }
    this.companion.hostStopped(target.client.stopPayload);
    this.say(`stopped: ${describeStateChange(stop.change)}`);
  }

  /** @returns False: there is no such key. */
  press(key: string): boolean {
    const action = { h: () => this.#handOver(), b: () => this.#breakIn(), g: () => this.#go() }[key];
    if (action === undefined) return false;
    this.#turn.run(action).catch((thrown: unknown) => {
      this.say(thrown instanceof VmkdError ? `${thrown.message}. ${thrown.nextStep}` : String(thrown));
    });
    return true;
  }

  /** Takes out what the debugger on the pipe has left, and lets the kernel run. */
  async leave(): Promise<void> {
    const { target } = this;
    if (target === undefined) return;
    const { client } = target;
    await this.companion.settled();
    await this.companion.take();
    // The debugger has called, and the kernel has not stopped yet: it would when nobody is there any more.
    if (client.unspentBreakIns > 0 && client.state.kind === 'running')
      await client.waitForStop(lastMoments).catch(() => undefined);
    const { kind } = client.state;
    if (kind !== 'stopped' && !(kind === 'running' && this.companion.breakpoints.areAwake)) return;
    if (kind === 'running') await this.#stop(target);
    await target.breakpoints.removeAll();
    await goOn(target);
  }

  async #handOver(): Promise<void> {
    const { companion } = this;
    const target = this.#mustHaveTarget();
    if (this.#drives) {
      if (!companion.hasPeer) companion.give();
      await this.#atRest(
        target,
        () => companion.breakpoints.wake(target.client),
        companion.breakpoints.areAsleep,
      );
      companion.give();
      this.say('the debugger on the pipe drives');
      return;
    }
    await companion.take();
    await this.#atRest(
      target,
      () => companion.breakpoints.sleep(target.client),
      companion.breakpoints.areAwake,
    );
    this.say('this terminal drives');
  }

  async #breakIn(): Promise<void> {
    this.#mustDrive();
    const target = this.#mustHaveTarget();
    if (target.client.state.kind === 'stopped') return;
    await this.#stop(target);
    this.companion.hostStopped(target.client.stopPayload);
    this.say(`stopped: ${describeStateChange(target.stopped.change)}`);
  }

  async #go(): Promise<void> {
    this.#mustDrive();
    await goOn(this.#mustHaveTarget());
    this.say('the kernel runs');
  }

  /** @param needed False: there is nothing to do in the kernel, so that it need not stop. */
  async #atRest(target: LiveTarget, action: () => Promise<void>, needed: boolean): Promise<void> {
    const wasRunning = target.client.state.kind === 'running';
    if (!needed) return;
    if (wasRunning) await this.#stop(target);
    await action();
    if (wasRunning) await goOn(target);
  }

  async #stop(target: LiveTarget): Promise<void> {
    const { client } = target;
    this.#resting = true;
    try {
      client.callBreakIn();
      for (let i = 0; i < mostNotices; i++) {
        const { kind } = await client.waitForStop(breakInLimit);
        if (kind === 'exception') break;
        await client.continue();
      }
      client.unspentBreakIns = 0;
    } finally {
      this.#resting = false;
    }
  }

  #mustHaveTarget(): LiveTarget {
    if (this.target === undefined || !['running', 'stopped'].includes(this.target.client.state.kind))
      throw new VmkdError('target-not-attached', 'There is no kernel yet');
    return this.target;
  }

  #mustDrive(): void {
    if (!this.#drives) throw new VmkdError('companion-drives', 'The debugger on the pipe drives the kernel');
  }
}

/** Past an int3 of the code, which would hit for ever. */
async function goOn(target: LiveTarget): Promise<void> {
  const { stopped } = target;
  const { change, version } = stopped;
  const { instructionCount, instructionStream } = readControlReport(change, version.machine);
  if (
    change.kind === 'exception' &&
    change.code === NtStatus.Breakpoint &&
    instructionCount > 0 &&
    instructionStream[0] === int3
  ) {
    const { processor, programCounter } = change;
    await target.registers.moveProgramCounter(
      version.machine,
      processor,
      programCounter,
      plus(programCounter, 1),
    );
  }
  await target.continueFrom(stopped, {});
}
