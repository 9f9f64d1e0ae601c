/**
 * What a live NT kernel's stops mean that are no places of ours: break-ins, bugchecks, exceptions, modules that come and go,
 * a kernel that is another one than before. RunControl asks; everything here happens while the target stands still.
 */

import { VmkdError } from '../../core/errors';
import { Listeners } from '../../core/listeners';
import type { StoppedState } from '../../kd/clientState';
import type { ExceptionChange, LoadSymbolsChange } from '../../kd/stateChange';
import { NtStatus } from '../../kd/ntstatus';
import { wildcard } from '../../symbols/services/wildcard';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { ModuleSymbols } from '../../windows/moduleSymbols';
import type { FileJournal } from '../breakpoints/journal';
import type { UserBreakpoints } from '../breakpoints/userBreakpoints';
import { breakStatus, readBugcheck, readKernelFacts, type KernelFacts } from '../kernelFacts';
import type { LiveTarget } from '../liveTarget';
import type { ModuleTracker } from '../moduleTracker';
import type { LiveProcessor, Processors } from '../processors';
import type { StopMemory } from '../stopMemory';
import type { StopReason, UserBreakpoint } from '../target';
import { goOn, type ExpectedBreakIns, type RunPolicy, type Verdict } from './runControl';
import type { Ours, StopEvent } from './stopEvent';

export interface PolicyParts extends Ours {
  readonly live: LiveTarget;
  readonly memory: StopMemory;
  readonly processors: Processors;
  readonly symbols: KernelSymbols;
  readonly tracker: ModuleTracker;
  readonly breakpoints: UserBreakpoints;
  readonly journal: FileJournal | undefined;
  readonly onError: (error: VmkdError) => void;
}

export interface Announcement {
  readonly stop: StoppedState;
  readonly processor: number;
  readonly reason: StopReason;
}

const assertionFailure = 0xc0000420;

export class KernelPolicy implements RunPolicy {
  readonly onAnnouncement = new Listeners<Announcement>();
  readonly onResumed = new Listeners<undefined>();
  /** The next stop may be another kernel's. */
  #fresh: 'attached' | 'restarted' | undefined = 'attached';
  #facts: Promise<KernelFacts> | undefined;
  #loading: ModuleSymbols | undefined;

  constructor(private readonly parts: PolicyParts) {}

  /** A new attach: the kernel may be any. */
  attaching(): void {
    this.#fresh = 'attached';
  }

  /** The target was reset: nothing of ours is in it. */
  restarted(): void {
    this.#fresh = 'restarted';
  }

  /** Symbols of a module that are loaded here, and bound here. */
  isLoading(module: ModuleSymbols): boolean {
    return this.#loading === module;
  }

  async onKernel(stop: StoppedState): Promise<void> {
    const { live, sites, slots, passing, memory, symbols, tracker, breakpoints, journal } = this.parts;
    const fresh = this.#fresh;
    if (fresh === undefined) return;
    this.#fresh = undefined;
    this.#facts = undefined;
    const isX64 = stop.version.machine === 'x64';
    breakpoints.unbindAll();
    sites.forget();
    slots.forget();
    passing.forget();
    live.registers.forget();
    tracker.forget();
    // What a session before this one left: in KD's table, and beside it.
    if (fresh === 'attached' && isX64) await live.breakpoints.removeAll();
    await tracker.walk(stop);
    if (journal !== undefined && isX64) {
      journal.kernelBase = stop.version.kernelBase;
      if (fresh === 'attached') await journal.undo(live.memory);
      else journal.forget();
    }
    memory.forget();
    if (breakpoints.waits) for (const module of [...symbols.modules]) await this.#bindIn(module);
  }

  judge(owners: readonly object[], processor: LiveProcessor): Promise<readonly UserBreakpoint[]> {
    return this.parts.breakpoints.judge(owners, processor);
  }

  async decide(event: StopEvent, stop: StoppedState, breakIns: ExpectedBreakIns): Promise<Verdict> {
    switch (event.kind) {
      case 'module':
        return this.#onModule(event.change, stop);
      case 'exception':
        return this.#onException(event.change);
      case 'code-breakpoint':
        return this.#onCodeBreakpoint(stop, breakIns);
      case 'gone':
      case 'command':
      case 'places':
      case 'again':
      case 'stale':
        return goOn;
    }
  }

  onRun(): void {
    this.onResumed.tell(undefined);
  }

  async onAnnounced(stop: StoppedState, reason: StopReason, processor: number): Promise<void> {
    // Notices can be missed: a person looks now, or stands where no module is.
    const { tracker, symbols } = this.parts;
    if (
      ['pause', 'foreign'].includes(reason.kind) ||
      symbols.moduleAt(stop.change.programCounter) === undefined
    )
      await tracker.refresh(stop);
    await this.parts.sites.learnOwed();
    this.parts.breakpoints.refresh();
    this.onAnnouncement.tell({ stop, reason, processor });
  }

  onError(error: VmkdError): void {
    this.parts.onError(error);
  }

  /** Symbols that are at hand, and the breakpoints that waited for them. Nothing is downloaded while the target stands. */
  async #bindIn(module: ModuleSymbols): Promise<void> {
    const { breakpoints } = this.parts;
    this.#loading = module;
    try {
      await module.load({ online: false });
    } finally {
      this.#loading = undefined;
    }
    await breakpoints.bindIn(module);
  }

  async #onModule(change: LoadSymbolsChange, stop: StoppedState): Promise<Verdict> {
    const { tracker, breakpoints, sites } = this.parts;
    if (change.unload) {
      breakpoints.leave(change.base, change.sizeOfImage);
      await sites.removeRange(change.base, change.sizeOfImage);
      tracker.onUnload(change, stop);
    } else {
      const module = await tracker.onLoad(change, stop);
      if (module !== undefined && breakpoints.waits) await this.#bindIn(module);
      // Whoever wants its symbols later need not stop the target for it.
      else await module?.identity().catch(ignoreDamage);
    }
    const { moduleLoads, moduleUnloads } = breakpoints.exceptionRule;
    const name = change.path.replace(/^.*[\\/]/, '');
    const wanted = change.unload ? moduleUnloads : moduleLoads;
    if (!wanted.some((pattern) => isNamed(pattern, name))) return goOn;
    return { kind: 'announce', reason: { kind: 'module', name, unloaded: change.unload } };
  }

  #onException(change: ExceptionChange): Verdict {
    const { code, flags, address, information, firstChance } = change;
    const exception = { code, flags, address, information, firstChance };
    const rule = this.parts.breakpoints.exceptionRule;
    const wanted =
      !firstChance ||
      rule.firstChance === 'all' ||
      (rule.firstChance !== 'none' && rule.firstChance.has(code)) ||
      // An int 2c of the code: whoever stops at its int3s stops at these.
      (code === assertionFailure && rule.codeBreakpoints);
    if (wanted) return { kind: 'announce', reason: { kind: 'exception', exception } };
    return { kind: 'go', passException: code !== NtStatus.WakeSystemDebugger };
  }

  async #onCodeBreakpoint(stop: StoppedState, breakIns: ExpectedBreakIns): Promise<Verdict> {
    const { live, memory, processors, symbols, breakpoints } = this.parts;
    const { client } = live;
    const { programCounter, processor } = stop.change;
    const rule = breakpoints.exceptionRule;
    const reading = (this.#facts ??= readKernelFacts(memory, symbols, stop.version));
    const facts = await reading.catch((thrown: unknown) => {
      // Another debugger may have let the kernel go meanwhile: the next stop asks again.
      if (this.#facts === reading) this.#facts = undefined;
      throw thrown;
    });
    const status =
      programCounter === facts.breakWithStatus
        ? Number(BigInt.asUintN(32, (await processors.at(processor).general()).rcx))
        : undefined;
    if (status === breakStatus.bugcheckFirst || status === breakStatus.bugcheckSecond) {
      if (!rule.bugchecks) return goOn;
      const { code, parameters } = (await readBugcheck(memory, facts)) ?? { code: 0, parameters: [] };
      return { kind: 'announce', reason: { kind: 'bugcheck', code, parameters } };
    }
    // A break-in: ours, one too many, or somebody else's. One that is awaited was served already.
    const isOwn =
      status === breakStatus.controlC
        ? client.unspentBreakIns > 0
        : facts.breakWithStatus === undefined && breakIns.mayBeOwn;
    if (isOwn) {
      client.unspentBreakIns--;
      return goOn;
    }
    if (status === breakStatus.controlC && breakIns.mayBeForeign) return goOn;
    if (status === breakStatus.controlC) return { kind: 'announce', reason: { kind: 'pause' } };
    return rule.codeBreakpoints ? { kind: 'announce', reason: { kind: 'code-breakpoint' } } : goOn;
  }
}

function ignoreDamage(thrown: unknown): void {
  const known = thrown instanceof VmkdError && /^(memory-unreadable|file-damaged)$/.test(thrown.code);
  if (!known) throw thrown;
}

function isNamed(pattern: string, file: string): boolean {
  const { matches } = wildcard(pattern);
  return matches(file) || matches(file.replace(/\.[^.]*$/, ''));
}
