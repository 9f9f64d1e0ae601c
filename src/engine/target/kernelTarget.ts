/**
 * A live NT kernel as the faces of the debugger see it: puts the parts together, and keeps what state they are in.
 *
 *   LiveTarget ── KD, one stop after the other
 *     └ RunControl ── who may change the target, and what a stop is
 *         ├ CodeSites, DebugSlots, Passing ── what of ours is in the target
 *         ├ UserBreakpoints, Stepper ── who wants it there
 *         └ KernelPolicy ── everything else that stops
 *
 * Invariant: whatever way a session ends but a kill, nothing of it stays in the target; what a killed one leaves, the next
 * attach takes out.
 */

import path from 'node:path';
import type { VirtualAddress } from '../core/addresses';
import { systemClock, type Clock } from '../core/clock';
import { VmkdError, asVmkdError } from '../core/errors';
import { Listeners } from '../core/listeners';
import type { ClientTiming } from '../kd/client';
import type { MachineType } from '../kd/machineType';
import type { TargetServant } from '../kd/targetRequests';
import type { KdcomTiming } from '../link/kdcomChannel';
import type { LinkEndpoint } from '../link/link';
import type { FoundMailbox } from '../link/mailbox/finder';
import { whyModuleFailed } from '../link/mailbox/moduleStatus';
import type { TraceWriter } from '../link/trace';
import type { RamLocation } from '../machine/ram/location';
import type { SymbolStore } from '../symbols/store/symbolStore';
import { KernelSymbols } from '../windows/kernelSymbols';
import type { ModuleSymbols } from '../windows/moduleSymbols';
import { Binder } from './breakpoints/binding';
import { CodeSites } from './breakpoints/codeSites';
import { DebugSlots } from './breakpoints/debugSlots';
import { FileJournal, journalFile, noJournal, type PatchedModule } from './breakpoints/journal';
import { UserBreakpoints } from './breakpoints/userBreakpoints';
import { Code } from './code';
import { GuestMemory } from './guestMemory/guestMemory';
import { LiveMemory } from './guestMemory/liveMemory';
import { MailboxMemory } from './guestMemory/mailboxMemory';
import { RevertWatch } from './guestMemory/revertWatch';
import { failureOfThisKernel } from './moduleFailure';
import { KernelPolicy } from './execution/kernelPolicy';
import { LiveExecution } from './execution/liveExecution';
import { Passing } from './execution/passing';
import { RunControl } from './execution/runControl';
import { LiveTarget, type LiveTargetOptions } from './liveTarget';
import { ModuleTracker } from './moduleTracker';
import { Processors } from './processors';
import type { PhysicalReader } from './spaces';
import { StopMemory } from './stopMemory';
import type { ModuleChange, Target, TargetProcessor, TargetState } from './target';
import { Transport, type Tier } from './transport';

export interface KernelTargetOptions {
  readonly endpoint: LinkEndpoint;
  /** Milliseconds to wait for the link to appear. */
  readonly linkMilliseconds: number;
  readonly store: SymbolStore;
  /** Serves what the target asks and says: prints, prompts, files, debug registers; hears what goes wrong. */
  readonly observer?: TargetServant;
  /** True: stop the target. False: take it as it is. */
  readonly breakIn: boolean;
  /** Milliseconds for getting into step with it. */
  readonly milliseconds: number;
  /** Milliseconds for it to stop for a change that somebody makes while it runs; default: 30 s. */
  readonly stopMilliseconds?: number;
  readonly signal?: AbortSignal;
  readonly trace?: TraceWriter;
  /**
   * Where to note what is written into the target's code, so that the next attach can take it out. Without it, what a killed
   * session has written beside KD's own table stays.
   */
  readonly stateFolder?: string;
  /** Where the machine's memory is. Without it, all memory is read by KD. */
  readonly guestRam?: RamLocation;
  /** The best way to be used; default: hybrid. */
  readonly transport?: Tier;
  /** Asks where the guest says that its mailbox is, if somebody but the debug port can tell. */
  readonly announcedMailbox?: () => Promise<bigint | undefined>;
  /** Wakes the machine for what needs the target: `Parking.use`. */
  readonly whileAwake?: LiveTargetOptions['whileAwake'];
  /** A kernel has answered; what it has is looked at next. */
  readonly onAnswer?: () => void;
  readonly clock?: Clock;
  readonly clientTiming?: ClientTiming;
  readonly kdcomTiming?: KdcomTiming;
}

/** @throws as LiveTarget.attach; file-unreadable for a journal that cannot be read */
export async function attachKernel(options: KernelTargetOptions): Promise<KernelTarget> {
  const target = new KernelTarget(options);
  await target.attach(options);
  return target;
}

export class KernelTarget implements Target {
  readonly onState = new Listeners<TargetState>();
  readonly onModules = new Listeners<ModuleChange>();
  readonly memory: StopMemory;
  readonly symbols: KernelSymbols;
  readonly breakpoints: UserBreakpoints;
  readonly execution: LiveExecution;
  readonly code: Code;
  /** KD itself, for those who need it: statistics, requests that no part here makes. */
  readonly live: LiveTarget;
  readonly guestMemory: GuestMemory;
  readonly transport: Transport;
  readonly liveMemory: LiveMemory;
  readonly physicalMemory: PhysicalReader;
  readonly #mailboxMemory: MailboxMemory | undefined;
  readonly #processors: Processors;
  readonly #control: RunControl;
  readonly #policy: KernelPolicy;
  readonly #tracker: ModuleTracker;
  readonly #onError: (error: VmkdError) => void;
  #state: TargetState = { kind: 'detached' };
  #epoch = 0;
  #machine: MachineType = 'x64';
  readonly #stopMilliseconds: number;
  /** The restart that comes was seen in guest RAM: it may be no boot. */
  #replaced: 'taken back' | 'elsewhere' | undefined;
  /** Of the guest module, that nobody has looked at yet. */
  #moduleFailures: readonly FoundMailbox[] | undefined;

  constructor(options: KernelTargetOptions) {
    const { observer = {}, store, endpoint, stateFolder, transport: best = 'hybrid', guestRam } = options;
    const { stopMilliseconds = 30_000 } = options;
    this.#stopMilliseconds = stopMilliseconds;
    const location: RamLocation = best === 'serial' ? unwanted : (guestRam ?? nowhere);
    if (best === 'mailbox' && location.kind !== 'none') this.#mailboxMemory = new MailboxMemory(location);
    this.#onError = (error) => observer.onError?.(error);
    const live = new LiveTarget({
      ...options,
      observer: {
        ...servantOf(observer),
        onRestart: () => this.#onRestart(),
        onLost: (error) => this.#onLost(error),
      },
      sieve: (stop) => this.#control.sieve(stop),
      ...(this.#mailboxMemory && {
        mailbox: {
          ram: this.#mailboxMemory,
          ...(options.announcedMailbox && { announced: options.announcedMailbox }),
          onCarrier: (carrying, why) => this.transport.carried(carrying, why),
          onNoMailbox: (failures) => {
            this.#moduleFailures = failures;
            this.#judgeFailures();
          },
        },
      }),
    });
    this.live = live;
    const journal =
      stateFolder === undefined
        ? undefined
        : new FileJournal(path.join(stateFolder, journalFile(endpoint.spec)), (address) =>
            this.#moduleOf(address),
          );
    const sites = new CodeSites({ table: live.breakpoints, raw: live.memory, journal: journal ?? noJournal });
    const slots = new DebugSlots();
    const cover = (address: VirtualAddress, bytes: Uint8Array): void => sites.cover(address, bytes);
    const guestMemory = new GuestMemory({
      ...{ client: live.client, kd: live.memory, registers: live.registers },
      ...{ location, cover },
    });
    const clock = options.clock ?? systemClock;
    this.transport = new Transport(guestMemory, best);
    this.liveMemory = new LiveMemory(guestMemory, live.client, clock, cover);
    new RevertWatch({
      ...{ guestMemory, client: live.client, clock },
      onReplaced: (error, taken) => {
        this.#onError(error);
        this.#replaced = taken ? 'taken back' : 'elsewhere';
      },
    });
    this.physicalMemory = {
      readPartial: async (address, length) =>
        guestMemory.readPhysical(address, length) ?? live.memory.readPhysicalPartial(address, length),
    };
    const memory = new StopMemory(live.memory, sites, guestMemory);
    sites.memory = memory;
    const symbols = new KernelSymbols({ memory, store, onState: (module) => this.#onSymbols(module) });
    const code = new Code(memory, symbols);
    const { client, registers } = live;
    const processors = new Processors({ client, registers, memory, guestMemory, symbols });
    const passing = new Passing({ memory, raw: live.memory, slots, code });
    const tracker = new ModuleTracker(memory, symbols, (change) => this.onModules.tell(change));
    const ours = { sites, slots, passing };
    const breakpoints = new UserBreakpoints({
      atRest: (action) => this.#control.atRest(action, stopMilliseconds),
      sites,
      slots,
      symbols,
      binder: new Binder(code, symbols),
      mustSupport: () => this.#mustBeX64(),
    });
    this.#policy = new KernelPolicy({
      ...ours,
      ...{ live, memory, processors, symbols, tracker, breakpoints, journal },
      onError: this.#onError,
    });
    this.#control = new RunControl({
      ...ours,
      ...{ live, memory, guestMemory, processors, policy: this.#policy },
      ...(options.clock && { clock: options.clock }),
    });
    this.#policy.onAnnouncement.add(({ stop: { change, version }, reason, processor }) => {
      const one = processors.at(processor);
      const { thread, programCounter } =
        processor === change.processor ? change : { thread: one.knownThread, programCounter: one.sentTo };
      this.#machine = version.machine;
      const stop = {
        ...{ processor, reason, thread: thread ?? change.thread },
        programCounter: one.sentTo ?? programCounter ?? change.programCounter,
      };
      this.#become({ kind: 'stopped', stop, epoch: ++this.#epoch });
    });
    this.#policy.onResumed.add(() => this.#become({ kind: 'running' }));
    this.memory = memory;
    this.guestMemory = guestMemory;
    this.symbols = symbols;
    this.code = code;
    this.breakpoints = breakpoints;
    this.#processors = processors;
    this.#tracker = tracker;
    this.execution = new LiveExecution({
      ...ours,
      ...{ live, control: this.#control, processors, memory, code, symbols, breakpoints, stopMilliseconds },
      mustSupport: () => this.#mustBeX64(),
      onReleased: () => this.#detached(),
    });
  }

  get state(): TargetState {
    return this.#state;
  }

  get machine(): MachineType {
    return this.#machine;
  }

  get processors(): readonly TargetProcessor[] {
    return this.#processors.list;
  }

  /** @throws as LiveTarget.attach */
  async attach(
    options: Pick<KernelTargetOptions, 'breakIn' | 'milliseconds' | 'signal' | 'onAnswer'>,
  ): Promise<void> {
    this.#policy.attaching();
    this.#forgetRam();
    this.#become({ kind: 'attaching' });
    try {
      const change = await this.live.attach(options);
      options.onAnswer?.();
      if (change === undefined) {
        this.#control.found();
        this.#become({ kind: 'running' });
      } else await this.#control.enter(this.live.stopped, this.live.client.stoppedByAttach);
    } catch (thrown) {
      this.live.detach();
      this.#detached();
      throw asVmkdError(thrown);
    }
  }

  #become(state: TargetState): void {
    this.#state = state;
    this.#judgeFailures();
    this.onState.tell(state);
  }

  /** Whose they are, only a kernel that stands can tell. */
  #judgeFailures(): void {
    const failures = this.#moduleFailures;
    if (failures === undefined || this.#state.kind !== 'stopped') return;
    this.#moduleFailures = undefined;
    failureOfThisKernel(failures, this.memory, this.#machine).then(
      (failure) => this.transport.hasNoMailbox(failure && whyModuleFailed(failure)),
      // It went on meanwhile: at the next stop, then.
      () => (this.#moduleFailures ??= failures),
    );
  }

  #onRestart(): void {
    const replaced = this.#replaced;
    this.#replaced = undefined;
    this.#moduleFailures = undefined;
    this.transport.hasNoMailbox(undefined);
    // One that boots has nothing of ours. Another may have what an earlier session, or this one, has left in it.
    if (replaced === undefined) this.#policy.restarted();
    else this.#policy.attaching();
    this.#control.restarted();
    this.#forgetRam();
    if (this.#state.kind === 'stopped') this.#become({ kind: 'running' });
    if (replaced === 'taken back') void this.#settleIn();
  }

  /** A kernel that was taken back says nothing by itself. */
  async #settleIn(): Promise<void> {
    await this.#control
      .atRest(() => Promise.resolve(), this.#stopMilliseconds)
      .catch((thrown: unknown) => {
        const error = asVmkdError(thrown);
        if (error.code !== 'companion-drives') this.#onError(error);
      });
  }

  #onLost(error: VmkdError): void {
    this.#control.fail(error);
    this.#forgetRam();
    this.symbols.forget();
    if (this.#state.kind !== 'attaching' && this.#state.kind !== 'detached')
      this.#become({ kind: 'lost', error });
  }

  #detached(): void {
    this.#control.fail(new VmkdError('target-not-attached', 'The target was let go'));
    this.#forgetRam();
    this.#tracker.forget();
    if (this.#state.kind !== 'detached') this.#become({ kind: 'detached' });
  }

  /** Breakpoints that waited for these symbols are set at once; a running target is stopped for a moment, if there are any. */
  #onSymbols(module: ModuleSymbols): void {
    this.onModules.tell({ kind: 'symbols', module });
    if (module.state.kind !== 'loaded' && module.state.kind !== 'exports') return;
    if (this.#policy.isLoading(module) || !this.breakpoints.wants(module)) return;
    this.#control
      .atRest(() => this.breakpoints.bindIn(module))
      .catch((thrown: unknown) => {
        const error = asVmkdError(thrown);
        // While another drives, they wait for the kernel to be ours again.
        if (error.code !== 'target-not-attached' && error.code !== 'companion-drives') this.#onError(error);
      });
  }

  async #moduleOf(address: VirtualAddress): Promise<PatchedModule | undefined> {
    const module = this.symbols.moduleAt(address);
    if (module === undefined) return undefined;
    const { image } = await module.identity();
    const { name, base, size } = module.module;
    return { name, base, size, timeDateStamp: image.timeDateStamp };
  }

  /** The machine may be another one, on another file. */
  #forgetRam(): void {
    this.guestMemory.restarted();
    this.#mailboxMemory?.close();
  }

  /** Known once attached. */
  get withoutPlaces(): VmkdError | undefined {
    if (this.#machine === 'x64') return undefined;
    return new VmkdError('target-unsupported', 'Breakpoints and steps of x86 guests are not supported yet', {
      nextStep: 'Look at memory, registers, modules and symbols; let it run and pause it.',
    });
  }

  #mustBeX64(): void {
    const { withoutPlaces } = this;
    if (withoutPlaces !== undefined) throw withoutPlaces;
  }
}

const nowhere: RamLocation = {
  kind: 'none',
  reason: new VmkdError('ram-absent', 'Nobody has said where the machine’s memory is'),
};

const unwanted: RamLocation = {
  kind: 'none',
  reason: new VmkdError('ram-absent', 'The machine’s memory is not used: nobody wants it'),
};

function servantOf(observer: TargetServant): TargetServant {
  return {
    relay: (packet) => observer.relay?.(packet),
    onPrint: (message) => observer.onPrint?.(message),
    onPrompt: (prompt) => observer.onPrompt?.(prompt) ?? Promise.resolve(''),
    ...(observer.onFile && { onFile: (request) => observer.onFile!(request) }),
    onTrace: (trace) => observer.onTrace?.(trace),
    onControlRequest: (request) => observer.onControlRequest?.(request) ?? false,
    onError: (error) => observer.onError?.(error),
  };
}
