/**
 * A live kernel over KD: the first back end of the engine. It puts policy on top of the protocol client: which stops are
 * news for a person, and what must be done before a kernel may run on.
 *
 *   - module loads and unloads stop NT; they are reported and continued, unless the observer wants to stop there;
 *   - a break-in too many (one that was still on the wire when an earlier one had its effect) is continued silently;
 *   - an int3 that is part of the code is stepped over before continuing, or it would hit for ever;
 *   - hardware breakpoints live on: each Continue carries Dr7.
 */

import { plus } from '../core/addresses';
import { VmkdError, asVmkdError } from '../core/errors';
import { systemClock, type Clock, type Timer } from '../core/clock';
import { KdClient, type AttachOptions, type ClientObserver, type ClientTiming } from '../kd/client';
import type { ClientState, StoppedState } from '../kd/clientState';
import { switchProcessor } from '../kd/manipulate/execution';
import { NtStatus } from '../kd/ntstatus';
import {
  readControlReport,
  type ControlReport,
  type LoadSymbolsChange,
  type StateChange,
} from '../kd/stateChange';
import { KdcomChannel, type KdcomTiming } from '../link/kdcomChannel';
import type { LinkEndpoint, ByteLink } from '../link/link';
import { traced, type TraceWriter } from '../link/trace';
import { readLoadedModules, type LoadedModule } from '../windows/modules';
import { KdBreakpoints } from './kdBreakpoints';
import { KdMemory } from './kdMemory';
import { KdRegisters } from './kdRegisters';

const int3 = 0xcc;
/** Milliseconds within which a superfluous break-in shows after a continue. */
const strayBreakInWindow = 1000;

/** Milliseconds between two break-ins to a target that does not stop. */
const breakInInterval = 1500;

export interface LiveObserver extends Omit<ClientObserver, 'onState'> {
  /** A module came or went. @returns 'stop' to stop there. */
  onModule?(change: LoadSymbolsChange): 'go' | 'stop';
  /** The target said good-bye: shutdown or reboot. */
  onGone?(): void;
  onState?(state: ClientState): void;
}

export interface LiveTargetOptions {
  readonly endpoint: LinkEndpoint;
  /** Milliseconds to wait for the link to appear. */
  readonly linkMilliseconds: number;
  readonly clock?: Clock;
  readonly clientTiming?: ClientTiming;
  readonly kdcomTiming?: KdcomTiming;
  readonly trace?: TraceWriter;
  readonly observer?: LiveObserver;
}

interface Waiter {
  readonly resolve: (change: StateChange) => void;
  readonly reject: (error: VmkdError) => void;
}

export class LiveTarget {
  readonly client: KdClient;
  readonly memory: KdMemory;
  readonly registers: KdRegisters;
  readonly breakpoints: KdBreakpoints;
  readonly #observer: LiveObserver;
  readonly #clock: Clock;
  #link: ByteLink | undefined;
  #attaching = false;
  #announced: StoppedState | undefined;
  #waiters: Waiter[] = [];
  #resumedAt = 0;

  constructor(options: LiveTargetOptions) {
    this.#observer = options.observer ?? {};
    this.#clock = options.clock ?? systemClock;
    this.client = new KdClient({
      clock: this.#clock,
      ...(options.clientTiming ? { timing: options.clientTiming } : {}),
      observer: { ...this.#observer, onState: (state) => this.#onState(state) },
      open: async (owner, signal) => {
        const { endpoint, trace, linkMilliseconds, kdcomTiming } = options;
        const link = await endpoint.open({
          waitMilliseconds: linkMilliseconds,
          ...(signal ? { signal } : {}),
        });
        this.#link = link;
        return new KdcomChannel(trace ? traced(link, trace) : link, owner, {
          role: 'debugger',
          clock: this.#clock,
          ...(kdcomTiming ? { timing: kdcomTiming } : {}),
        });
      },
      diagnoseSilence: async () => (this.#link ? options.endpoint.diagnoseSilence?.(this.#link) : undefined),
    });
    this.memory = new KdMemory(this.client);
    this.registers = new KdRegisters(this.client);
    this.breakpoints = new KdBreakpoints(this.client, this.registers);
  }

  /** @returns The stop that the target is in, or undefined if it runs. @throws as KdClient.attach */
  async attach(options: AttachOptions): Promise<StateChange | undefined> {
    this.#attaching = true;
    try {
      const change = await this.client.attach(options);
      if (change && isBreakpoint(change)) this.client.unspentBreakIns--;
      return change;
    } finally {
      this.#attaching = false;
    }
  }

  /** The current stop. @throws target-running, target-not-attached */
  get stopped(): StoppedState {
    const { state } = this.client;
    if (state.kind !== 'stopped') throw new VmkdError('target-running', 'The target is not stopped');
    return state;
  }

  /** Debug registers and the next instructions of the stopped processor. */
  get report(): ControlReport {
    const { change, version } = this.stopped;
    return readControlReport(change, version.machine);
  }

  /** Stops a running target. @param milliseconds Limit. @throws target-did-not-stop, link-* */
  async breakIn(milliseconds: number): Promise<StateChange> {
    const stop = this.nextStop(milliseconds);
    if (this.#announced) return stop;
    let again: Timer;
    const call = (): void => {
      again = this.#clock.after(breakInInterval, call);
      // While it is stopped (a module load that goes on by itself) the call would only be one too many.
      if (this.client.state.kind === 'running') this.client.callBreakIn();
    };
    call();
    try {
      const change = await stop;
      if (isBreakpoint(change)) this.client.unspentBreakIns--;
      return change;
    } finally {
      again!.cancel();
    }
  }

  /** The current stop that is news for a person, or the next. @throws target-did-not-stop after the limit; link-* */
  nextStop(milliseconds: number): Promise<StateChange> {
    if (this.#announced) return Promise.resolve(this.#announced.change);
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        timer.cancel();
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        finish();
      };
      const waiter: Waiter = {
        resolve: (change) => end(() => resolve(change)),
        reject: (error) => end(() => reject(error)),
      };
      const timer = this.#clock.after(milliseconds, () =>
        waiter.reject(
          new VmkdError('target-did-not-stop', `The target did not stop within ${milliseconds} ms`),
        ),
      );
      this.#waiters.push(waiter);
    });
  }

  /** Lets the target run. @param options.passException Hands the exception it stopped for to the guest. */
  async resume(options: { passException?: boolean } = {}): Promise<void> {
    if (!options.passException) await this.#leaveInt3();
    await this.#go(options.passException ? { status: NtStatus.DbgExceptionNotHandled } : {});
  }

  /** One instruction of the stopped processor; all others run meanwhile. */
  async step(milliseconds: number): Promise<StateChange> {
    await this.#leaveInt3();
    await this.#go({ trace: true });
    return this.nextStop(milliseconds);
  }

  /** Makes another processor the stopped one. @throws value-out-of-range */
  switchProcessor(processor: number): Promise<StateChange> {
    return this.client.switchProcessor(switchProcessor, processor);
  }

  /** The kernel first, then in load order. */
  modules(): Promise<LoadedModule[]> {
    const { version } = this.stopped;
    return readLoadedModules(this.memory, version.loadedModuleList, version.machine === 'x64' ? 8 : 4);
  }

  /** Lets the target run for good and closes the link: no break-in of ours is left to stop it again. */
  async release(): Promise<void> {
    if (this.client.state.kind === 'stopped') await this.resume();
    if (this.client.state.kind === 'running' && this.client.unspentBreakIns > 0)
      await this.nextStop(strayBreakInWindow).then(() => this.resume(), ignoreSilence);
    this.client.detach();
  }

  async #go(options: { status?: number; trace?: boolean }): Promise<void> {
    const { dr7 } = this.breakpoints;
    this.#announced = undefined;
    this.#resumedAt = this.#clock.now();
    await this.client.continue({ ...options, ...(dr7 === undefined ? {} : { dr7 }) });
  }

  /** A breakpoint of ours never shows here: NT takes it out of the code before it reports the stop. */
  async #leaveInt3(): Promise<void> {
    const { change, version } = this.stopped;
    if (!isBreakpoint(change)) return;
    if (this.report.instructionStream[0] !== int3) return;
    await this.registers.setProgramCounter(version.machine, plus(change.programCounter, 1));
  }

  #onState(state: ClientState): void {
    this.#observer.onState?.(state);
    if (state.kind === 'stopped') {
      this.#sift(state).catch((thrown: unknown) => this.#reject(asVmkdError(thrown)));
    } else {
      this.#announced = undefined;
      if (state.kind === 'lost') this.#reject(state.error);
    }
  }

  async #sift(state: StoppedState): Promise<void> {
    const { change } = state;
    if (!this.#attaching) {
      switch (change.kind) {
        case 'loadSymbols':
          if (this.#observer.onModule?.(change) === 'stop') break;
          await this.#go({});
          return;
        case 'targetGone':
          this.#observer.onGone?.();
          await this.#go({});
          return;
        case 'exception':
          if (!this.#isStrayBreakIn(state)) break;
          this.client.unspentBreakIns--;
          await this.resume();
          return;
        case 'commandString':
          break;
      }
    }
    this.#announced = state;
    for (const waiter of [...this.#waiters]) waiter.resolve(change);
  }

  #isStrayBreakIn({ change }: StoppedState): boolean {
    const isRecent = this.#clock.now() - this.#resumedAt < strayBreakInWindow;
    return (
      this.client.unspentBreakIns > 0 &&
      isRecent &&
      isBreakpoint(change) &&
      this.report.instructionStream[0] === int3
    );
  }

  #reject(error: VmkdError): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }
}

const isBreakpoint = (change: StateChange): boolean =>
  change.kind === 'exception' && change.code === NtStatus.Breakpoint;

function ignoreSilence(thrown: unknown): void {
  if (!(thrown instanceof VmkdError) || thrown.code !== 'target-did-not-stop') throw thrown;
}
