/**
 * A live kernel over KD: the first back end of the engine. It puts policy on top of the protocol client: which stops are
 * news for a person, and what must be done before a kernel may run on.
 *
 *   - module loads and unloads stop NT; they are reported and continued, unless the observer wants to stop there;
 *   - a break-in too many (one that was still on the wire when an earlier one had its effect, or that a debugger before us
 *     has left behind) is continued silently; it is known by its address, and only for a short while after a continue;
 *   - an int3 that is part of the code is stepped over before continuing, or it would hit for ever;
 *   - hardware breakpoints live on: each Continue carries Dr7;
 *   - an exception that nobody has handled is handed to the guest when we leave.
 *
 * Invariant: what continues by itself continues the very stop that it was decided for, never a later one.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { VmkdError, asVmkdError } from '../core/errors';
import { systemClock, type Clock, type Timer } from '../core/clock';
import { Waiters } from '../core/waiters';
import { KdClient, type ClientObserver, type ClientOptions, type ClientTiming } from '../kd/client';
import { didNotStop, notStopped, type ClientState, type StoppedState } from '../kd/clientState';
import { NtStatus } from '../kd/ntstatus';
import {
  readControlReport,
  type ControlReport,
  type LoadSymbolsChange,
  type StateChange,
} from '../kd/stateChange';
import type { PacketChannel } from '../kd/channel';
import type { AttachOptions } from '../kd/synchronise';
import { KdcomChannel, type KdcomTiming } from '../link/kdcomChannel';
import type { ByteLink, LinkEndpoint } from '../link/link';
import type { FoundMailbox } from '../link/mailbox/finder';
import { HybridChannel, type Carrying } from '../link/mailbox/hybridChannel';
import type { MailboxRam } from '../link/mailbox/ram';
import { traced, type TraceWriter } from '../link/trace';
import { readLoadedModules, type LoadedModule } from '../windows/modules';
import { KdBreakpoints } from './kdBreakpoints';
import { KdMemory } from './kdMemory';
import { KdRegisters } from './kdRegisters';

const int3 = 0xcc;

/** Milliseconds of running within which a superfluous break-in shows, on a computer that does other things besides. */
const strayBreakInWindow = 3000;
/** Milliseconds that leaving waits for one, at most. */
const leavingWait = 1000;

/** Milliseconds between two break-ins to a target that does not stop. */
const breakInInterval = 1500;

export interface LiveObserver extends Omit<ClientObserver, 'onState'> {
  /** The target has stopped, and a person wants to know. */
  onStop?(change: StateChange): void;
  /** The target runs again after an `onStop`. */
  onRunning?(): void;
  /** A module came or went. @returns 'stop' to stop there. */
  onModule?(change: LoadSymbolsChange): 'go' | 'stop';
  /** The target said good-bye: shutdown or reboot. */
  onGone?(): void;
  /** The connection is lost. */
  onLost?(error: VmkdError): void;
}

/** Guest memory, through which packets go for as long as the guest has its module loaded. */
export interface MailboxUse {
  readonly ram: MailboxRam;
  /** Asks where the guest says that its mailbox is. */
  readonly announced?: () => Promise<bigint | undefined>;
  /** Which way packets go from now on; why, when it is not the better one. */
  onCarrier?(carrying: Carrying, why?: VmkdError): void;
  /** There is none; modules that could not start, the newest first, some perhaps in kernels that were. */
  onNoMailbox?(failures: readonly FoundMailbox[]): void;
}

/** A higher layer that decides about stops, in the stead of the policy above. Nothing is announced then. */
export type StopSieve = (stop: StoppedState) => Promise<void>;

export interface LiveTargetOptions {
  readonly endpoint: LinkEndpoint;
  /** Milliseconds to wait for the link to appear. */
  readonly linkMilliseconds: number;
  readonly clock?: Clock;
  readonly clientTiming?: ClientTiming;
  readonly kdcomTiming?: KdcomTiming;
  readonly mailbox?: MailboxUse;
  readonly trace?: TraceWriter;
  readonly observer?: LiveObserver;
  /** Asked about every stop but the one that an attach ends with. */
  readonly sieve?: StopSieve;
  /** Wakes the machine for what needs the target: `Parking.use`. */
  readonly whileAwake?: ClientOptions['whileAwake'];
}

export class LiveTarget {
  readonly client: KdClient;
  readonly memory: KdMemory;
  readonly registers: KdRegisters;
  readonly breakpoints: KdBreakpoints;
  readonly #options: LiveTargetOptions;
  readonly #observer: LiveObserver;
  readonly #clock: Clock;
  readonly #stops: Waiters<StateChange>;
  #link: ByteLink | undefined;
  #attaching = false;
  #breakingIn = false;
  /** The stop that a person was told of. */
  #announced: StoppedState | undefined;
  /** The int3 of the code that a processor stands on. */
  #atInt3: { readonly processor: number; readonly address: VirtualAddress } | undefined;
  /** Where this kernel stops for a break-in; learnt from the first. */
  #breakInAddress: VirtualAddress | undefined;
  #strayWindow: Timer | undefined;
  /** On the clock. Until then a break-in of a debugger before us may show: when the target first runs. */
  #foreignUntil = Infinity;
  /** The stop that is being looked at. */
  #sifting: Promise<void> | undefined;

  constructor(options: LiveTargetOptions) {
    this.#options = options;
    const observer = options.observer ?? {};
    this.#observer = observer;
    this.#clock = options.clock ?? systemClock;
    this.#stops = new Waiters(this.#clock);
    this.client = new KdClient({
      clock: this.#clock,
      ...(options.clientTiming && { timing: options.clientTiming }),
      ...(options.whileAwake && { whileAwake: options.whileAwake }),
      observer: {
        onState: (state) => this.#onState(state),
        onRestart: () => {
          this.#forgetTarget();
          observer.onRestart?.();
        },
        relay: (packet) => observer.relay?.(packet),
        onPrint: (message) => observer.onPrint?.(message),
        onPrompt: (prompt) => observer.onPrompt?.(prompt) ?? Promise.resolve(''),
        ...(observer.onFile && { onFile: (request) => observer.onFile!(request) }),
        onTrace: (trace) => observer.onTrace?.(trace),
        onControlRequest: (request) => observer.onControlRequest?.(request) ?? false,
        onError: (error) => observer.onError?.(error),
      },
      open: (owner, signal) => this.#open(owner, signal),
      diagnoseSilence: async () => (this.#link ? options.endpoint.diagnoseSilence?.(this.#link) : undefined),
    });
    this.memory = new KdMemory(this.client);
    this.registers = new KdRegisters(this.client);
    this.breakpoints = new KdBreakpoints(this.client, this.registers);
  }

  /**
   * Attaches, for the first time or again: after the machine was off, its pipe gone, the guest rebooted.
   * @returns The stop that the target is in, or undefined if it runs. @throws as KdClient.attach
   */
  async attach(options: AttachOptions): Promise<StateChange | undefined> {
    this.#attaching = true;
    this.#forgetTarget();
    try {
      const change = await this.client.attach(options);
      if (options.breakIn && change) this.#countBreakIn(change, this.client.stoppedByAttach);
      return change;
    } finally {
      this.#attaching = false;
    }
  }

  /** Closes the link. The target stays as it is. */
  detach(): void {
    this.client.detach();
  }

  /** The current stop. @throws target-running, target-not-attached, link-lost */
  get stopped(): StoppedState {
    const { state } = this.client;
    if (state.kind !== 'stopped') throw notStopped(state);
    return state;
  }

  /** Debug registers and the next instructions of the stopped processor. @throws as `stopped` */
  get report(): ControlReport {
    return reportOf(this.stopped);
  }

  /** Stops a running target. @param milliseconds Limit. @throws target-did-not-stop, cancelled, link-* */
  async breakIn(milliseconds: number, signal?: AbortSignal): Promise<StateChange> {
    const stop = this.nextStop(milliseconds, signal);
    if (this.#announced) return stop;
    this.#breakingIn = true;
    let again: Timer | undefined;
    const call = (): void => {
      again = this.#clock.after(breakInInterval, call);
      // While it is stopped (a module load that goes on by itself) the call would only be one too many.
      if (this.client.state.kind === 'running') this.client.callBreakIn();
    };
    call();
    try {
      const change = await stop;
      this.#countBreakIn(change);
      return change;
    } finally {
      this.#breakingIn = false;
      again?.cancel();
    }
  }

  /**
   * The current stop that is news for a person, or the next.
   * @param milliseconds Limit; Infinity for none. @throws target-did-not-stop after it; cancelled; target-not-attached, link-*
   */
  nextStop(milliseconds: number, signal?: AbortSignal): Promise<StateChange> {
    const { state } = this.client;
    if (this.#announced && this.#announced === state) return Promise.resolve(this.#announced.change);
    if (state.kind === 'idle' || state.kind === 'lost') return Promise.reject(notStopped(state));
    return this.#stops.wait(milliseconds, () => didNotStop(milliseconds), signal);
  }

  /**
   * Lets the target run as the caller says, without any policy of ours. @param options.dr7 For every processor.
   * @returns false if the target has moved on from `from`.
   */
  continueFrom(
    from: StoppedState,
    options: { readonly status?: number; readonly trace?: boolean; readonly dr7?: bigint },
  ): Promise<boolean> {
    return this.#go(from, options);
  }

  /** Lets the target run. @param options.passException Hands the exception it stopped for to the guest. */
  async resume(options: { readonly passException?: boolean } = {}): Promise<void> {
    await this.#resumeFrom(this.stopped, options);
  }

  /**
   * One instruction of the stopped processor; all others run meanwhile. An int3 of the code counts as none: what follows it is
   * executed.
   * @returns The next stop that is news: another processor's, if that one ran into something first. Then the step is still
   *   owed, and ends as a stop of its own after the next continue. @throws as `nextStop`
   */
  async step(milliseconds: number, signal?: AbortSignal): Promise<StateChange> {
    const from = this.stopped;
    await this.#leaveInt3(from);
    await this.#go(from, { trace: true });
    return this.nextStop(milliseconds, signal);
  }

  /** Makes another processor the stopped one. @throws value-out-of-range, target-refused */
  switchProcessor(processor: number): Promise<StateChange> {
    return this.client.switchProcessor(processor);
  }

  /** The kernel first, then in load order. @throws memory-unreadable and others */
  modules(): Promise<LoadedModule[]> {
    const { version } = this.stopped;
    return readLoadedModules(this.memory, version.loadedModuleList, version.machine === 'x64' ? 8 : 4);
  }

  /**
   * Lets the target run for good and closes the link. What it stopped for goes to the guest, unless it was a trap that only
   * a debugger makes; a break-in of ours that is still on its way is waited for.
   */
  async release(): Promise<void> {
    try {
      if (this.client.state.kind === 'stopped') await this.#leave(this.client.state);
      for (;;) {
        // It may have stopped in the same breath as it was let go.
        await this.#sifting;
        const mayCome =
          this.client.unspentBreakIns > 0 ? strayBreakInWindow : this.#foreignUntil - this.#clock.now();
        if (kindOf(this.client) !== 'running' || !(mayCome > 0 && mayCome < Infinity)) break;
        await this.nextStop(Math.min(mayCome, leavingWait)).catch(ignoreNoStop);
        if (kindOf(this.client) === 'stopped') await this.#leave(this.stopped);
        else break;
      }
    } finally {
      this.detach();
    }
  }

  async #open(
    ...[owner, signal]: Parameters<ConstructorParameters<typeof KdClient>[0]['open']>
  ): Promise<PacketChannel> {
    const { endpoint, mailbox, trace, linkMilliseconds, kdcomTiming } = this.#options;
    const link = await endpoint.open({ waitMilliseconds: linkMilliseconds, signal });
    this.#link = link;
    const serial = trace ? traced(link, trace) : link;
    const timing = kdcomTiming && { timing: kdcomTiming };
    if (!mailbox) return new KdcomChannel(serial, owner, { role: 'debugger', clock: this.#clock, ...timing });
    return new HybridChannel(owner, {
      clock: this.#clock,
      serial,
      ...timing,
      ram: mailbox.ram,
      ...(mailbox.announced !== undefined && { announced: mailbox.announced }),
      ...(trace && { trace }),
      observer: mailbox,
    });
  }

  async #leave(state: StoppedState): Promise<void> {
    const { change } = state;
    const passException = change.kind === 'exception' && !debuggerTraps.has(change.code);
    await this.#resumeFrom(state, { passException });
  }

  async #resumeFrom(
    state: StoppedState,
    { passException = false }: { readonly passException?: boolean },
  ): Promise<void> {
    if (!passException) await this.#leaveInt3(state);
    await this.#go(state, passException ? { status: NtStatus.DbgExceptionNotHandled } : {});
  }

  async #go(
    from: StoppedState,
    options: { readonly status?: number; readonly trace?: boolean; readonly dr7?: bigint },
  ): Promise<boolean> {
    const { dr7 } = this.breakpoints;
    this.#atInt3 = undefined;
    return this.client.continue({ from, ...(dr7 !== undefined && { dr7 }), ...options });
  }

  /**
   * It runs: what was sent before shows soon, and what a debugger before us sent. What is sent from now on may take as long as
   * the target rests. (From the order to go on until it is obeyed a busy machine may take seconds.)
   */
  #openStrayWindow(): void {
    const { client } = this;
    if (this.#foreignUntil === Infinity && !this.#attaching)
      this.#foreignUntil = this.#clock.now() + strayBreakInWindow;
    const { breakInsSent } = client;
    this.#strayWindow?.cancel();
    this.#strayWindow = this.#clock.after(strayBreakInWindow, () => {
      this.#strayWindow = undefined;
      // A sieve tells by itself, and for as long as it likes, which break-ins are meant.
      if (this.#options.sieve || client.state.kind !== 'running') return;
      client.unspentBreakIns = Math.min(client.unspentBreakIns, client.breakInsSent - breakInsSent);
    });
  }

  /** A breakpoint of ours never shows here: NT takes it out of the code before it reports the stop. */
  async #leaveInt3({ version }: StoppedState): Promise<void> {
    if (!this.#atInt3) return;
    const { processor, address } = this.#atInt3;
    await this.registers.moveProgramCounter(version.machine, processor, address, plus(address, 1));
  }

  // --- sifting stops

  #onState(state: ClientState): void {
    switch (state.kind) {
      case 'stopped':
        this.#sifting = this.#sift(state).catch((thrown: unknown) => {
          // It stays stopped, so a person must know, and why.
          this.#observer.onError?.(asVmkdError(thrown));
          if (this.client.state === state) this.#announce(state);
        });
        return;
      case 'running':
        this.#unannounce();
        this.#openStrayWindow();
        return;
      case 'lost':
        this.#unannounce();
        this.#strayWindow?.cancel();
        this.#stops.fail(state.error);
        this.#observer.onLost?.(state.error);
        return;
      case 'idle':
        this.#unannounce();
        this.#strayWindow?.cancel();
        this.#stops.fail(notStopped(state));
        return;
      case 'connecting':
      case 'synchronising':
        return;
    }
  }

  async #sift(state: StoppedState): Promise<void> {
    const { sieve } = this.#options;
    if (sieve) {
      if (!this.#attaching) await sieve(state);
      return;
    }
    const { change } = state;
    if (isAtInt3(state)) this.#atInt3 = { processor: change.processor, address: change.programCounter };
    if (!this.#attaching) {
      if (change.kind === 'loadSymbols' && this.#observer.onModule?.(change) !== 'stop') {
        await this.#go(state, {});
        return;
      }
      if (change.kind === 'targetGone') {
        this.#observer.onGone?.();
        await this.#go(state, {});
        return;
      }
      if (this.#isStrayBreakIn(state)) {
        this.client.unspentBreakIns--;
        return this.#resumeFrom(state, {});
      }
    }
    this.#announce(state);
  }

  #announce(state: StoppedState): void {
    this.#announced = state;
    this.#stops.succeed(state.change);
    this.#observer.onStop?.(state.change);
  }

  #unannounce(): void {
    if (!this.#announced) return;
    this.#announced = undefined;
    this.#observer.onRunning?.();
  }

  /** A break-in has had its effect, if this stop is one. @param spent False: it is, but of an earlier break-in. */
  #countBreakIn(change: StateChange, spent = true): void {
    const { state } = this.client;
    if (state.kind !== 'stopped' || state.change !== change || !isAtInt3(state)) return;
    this.#breakInAddress ??= change.programCounter;
    if (spent && this.#breakInAddress === change.programCounter) this.client.unspentBreakIns--;
  }

  #isStrayBreakIn(state: StoppedState): boolean {
    const ours = this.client.unspentBreakIns > 0 && this.#strayWindow !== undefined;
    if (!ours && this.#clock.now() >= this.#foreignUntil) return false;
    // While somebody waits for a break-in, each one is theirs.
    return isAtInt3(state) && state.change.programCounter === this.#breakInAddress && !this.#breakingIn;
  }

  #forgetTarget(): void {
    this.breakpoints.forget();
    this.#atInt3 = undefined;
    this.#breakInAddress = undefined;
    this.#foreignUntil = Infinity;
  }
}

const debuggerTraps: ReadonlySet<number> = new Set([
  NtStatus.Breakpoint,
  NtStatus.SingleStep,
  NtStatus.WakeSystemDebugger,
]);

const reportOf = ({ change, version }: StoppedState): ControlReport =>
  readControlReport(change, version.machine);

function isAtInt3(state: StoppedState): boolean {
  const { change } = state;
  if (change.kind !== 'exception' || change.code !== NtStatus.Breakpoint) return false;
  const { instructionCount, instructionStream } = reportOf(state);
  return instructionCount > 0 && instructionStream[0] === int3;
}

/** Not narrowed by the compiler: it changes behind its back. */
const kindOf = (client: KdClient): ClientState['kind'] => client.state.kind;

function ignoreNoStop(thrown: unknown): void {
  if (!(thrown instanceof VmkdError) || thrown.code !== 'target-did-not-stop') throw thrown;
}
