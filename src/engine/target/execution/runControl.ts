/**
 * The one who lets the target run, and hears of every stop. Everything that changes the target or lets it go takes its turn
 * here, so that no two things decide about one stop.
 *
 *   resume, step ──▶ leave where it stands ─▶ places and debug registers as wanted ─▶ Continue2 ──▶ runs
 *                        ▲                                                                          │
 *                        │ go on, silently                                                          ▼
 *   announced  ◀── is it news? ◀── conditions, logs, steps ◀── changes that waited ◀── what is it? ◀─ stops
 *
 * Invariants: a change that somebody asks for while the target runs is made at its next stop, whatever that is, and a
 * break-in makes one come; a stop that is no news costs no more requests than it takes to go on; no hit is lost or counted
 * twice, however many processors run into places at once.
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import { systemClock, type Clock } from '../../core/clock';
import { VmkdError, asVmkdError } from '../../core/errors';
import { Mutex } from '../../core/mutex';
import { after } from '../../core/waiting';
import { Waiters } from '../../core/waiters';
import { didNotStop, notStopped, type StoppedState } from '../../kd/clientState';
import { NtStatus } from '../../kd/ntstatus';
import { readControlReport } from '../../kd/stateChange';
import { restingDr7 } from '../breakpoints/debugSlots';
import type { LiveTarget } from '../liveTarget';
import type { LiveProcessor, Processors } from '../processors';
import type { GuestMemory } from '../guestMemory/guestMemory';
import type { StopMemory } from '../stopMemory';
import type { StopReason, UserBreakpoint } from '../target';
import { BreakIns } from './breakIns';
import { eventOf, isDebuggerTrap, type Ours, type StopEvent } from './stopEvent';

/** Milliseconds to wait for a decision that is under way. */
const shortest = 1000;
const trapFlag = 0x100;
const int3 = 0xcc;
/** Instructions in a row that a step makes without letting the target run. */
const mostCarriedOut = 32;

export type Verdict =
  | { readonly kind: 'announce'; readonly reason: StopReason }
  | { readonly kind: 'go'; readonly passException?: boolean };

export const goOn: Verdict = { kind: 'go' };

export type StepProgress =
  | { readonly kind: 'done' }
  /** `trace`: one instruction more, then it wants to know. */
  | { readonly kind: 'go'; readonly trace: boolean };

export interface BegunStep {
  readonly step: ActiveStep;
  /** One instruction first. */
  readonly trace: boolean;
}

/** A step under way: it owns places, and hears when its own thread comes there. */
export interface ActiveStep {
  readonly thread: VirtualAddress;
  arrive(trapped: boolean, processor: LiveProcessor): Promise<StepProgress>;
  /** It is over, or something else came first: gives its places back. */
  end(): void;
}

/** Which break-ins that nobody waits for may come now. */
export interface ExpectedBreakIns {
  /** One of ours, where only the time can tell. */
  readonly mayBeOwn: boolean;
  /** Somebody's who has gone. */
  readonly mayBeForeign: boolean;
}

/** What the parts around know about stops. */
export interface RunPolicy {
  /** The kernel is another one than before, or the first. */
  onKernel(stop: StoppedState): Promise<void>;
  /** Which of the breakpoints whose places were hit shall stop. */
  judge(owners: readonly object[], processor: LiveProcessor): Promise<readonly UserBreakpoint[]>;
  /** An event that has nothing to do with places of ours. */
  decide(event: StopEvent, stop: StoppedState, breakIns: ExpectedBreakIns): Promise<Verdict>;
  /** Before the target runs on. */
  onRun(): void;
  /** @param processor The one that it is about. */
  onAnnounced(stop: StoppedState, reason: StopReason, processor: number): Promise<void>;
  onError(error: VmkdError): void;
}

export interface RunParts extends Ours {
  readonly live: LiveTarget;
  readonly memory: StopMemory;
  readonly guestMemory: GuestMemory;
  readonly processors: Processors;
  readonly policy: RunPolicy;
  readonly clock?: Clock;
}

interface Edit {
  readonly make: (stop: StoppedState) => Promise<void>;
  readonly fail: (error: VmkdError) => void;
}

export class RunControl {
  readonly #turn = new Mutex();
  readonly #clock: Clock;
  readonly #breakIns: BreakIns;
  readonly #announcements: Waiters<undefined>;
  /** Stops that were decided on. */
  readonly #decisions: Waiters<undefined>;
  readonly #edits: Edit[] = [];
  readonly #heldDr6 = new Map<number, bigint>();
  #announced: StoppedState | undefined;
  #pausing = 0;
  #step: ActiveStep | undefined;
  /** Another debugger drives: its stops are shown, and nothing is done about them. */
  #looksOn = false;
  /** The stopped processor stands on an int3 of the code, and goes on behind it. */
  #atInt3 = false;

  constructor(private readonly parts: RunParts) {
    this.#clock = parts.clock ?? systemClock;
    this.#announcements = new Waiters(this.#clock);
    this.#decisions = new Waiters(this.#clock);
    const isAwaited = (): boolean => this.#edits.length > 0 || this.#pausing > 0;
    this.#breakIns = new BreakIns(parts.live.client, isAwaited, this.#clock);
    parts.live.client.states.add(({ kind }) => {
      if (kind === 'running' && this.#looksOn) this.#othersRan();
    });
  }

  get looksOn(): boolean {
    return this.#looksOn;
  }

  /**
   * Another debugger drives from now on: whoever was told of this stop stays in it, else it goes on. To be called at rest, when
   * nothing of ours is in the target.
   */
  lookOn(): void {
    this.#endStep();
    this.#looksOn = true;
  }

  /**
   * The target is ours again. @param prepare Done at rest, before anything else is. @throws as `atRest`; then it is not ours
   */
  async drive(prepare: () => Promise<void>, milliseconds: number): Promise<void> {
    const { client } = this.parts.live;
    this.#looksOn = false;
    try {
      const prepared = this.atRest(async (stop) => {
        this.#forgetTarget();
        await this.#lookAround(stop);
        await prepare();
      }, milliseconds);
      // A stop that nobody was told of would stay nobody's business.
      if (client.state.kind === 'stopped' && !this.#isAnnounced) void this.sieve(client.state);
      await prepared;
    } catch (error) {
      this.#looksOn = true;
      throw error;
    }
  }

  /** The stop that was announced. @throws target-running, target-not-attached, link-* */
  get stopped(): StoppedState {
    const { state } = this.parts.live.client;
    if (this.#announced !== undefined && this.#announced === state) return this.#announced;
    throw state.kind === 'stopped' ? notStopped({ kind: 'running' }) : notStopped(state);
  }

  /** For LiveTarget. */
  sieve(stop: StoppedState): Promise<void> {
    return this.#turn.run(() => this.#onStop(stop));
  }

  /** Takes the stop that an attach ended with. @param made By our own break-in. */
  async enter(stop: StoppedState, made: boolean): Promise<void> {
    await this.#turn.run(async () => {
      await this.#begin(stop);
      await this.#lookAround(stop);
      const event = entryEvent(stop, this.#atInt3);
      const verdict =
        made || event === undefined ? goOn : await this.parts.policy.decide(event, stop, this.#breakIns);
      await this.#announce(stop, verdict.kind === 'announce' ? verdict.reason : { kind: 'entry' });
    });
  }

  /** What the stop said of its place may be old: another debugger may have changed it. */
  async #lookAround({ change, version }: StoppedState): Promise<void> {
    const { processors, memory } = this.parts;
    if (version.machine === 'x64') await processors.at(change.processor).lookWhere(change.programCounter);
    const [first] = await memory.readPartial(change.programCounter, 1);
    this.#atInt3 = change.kind === 'exception' && change.code === NtStatus.Breakpoint && first === int3;
  }

  /** The attach found a target that runs. */
  found(): void {
    this.#breakIns.targetRuns();
  }

  /** @throws as `stopped` */
  async resume(options: { readonly passException?: boolean } = {}): Promise<void> {
    this.#mustDrive();
    await this.#turn.run(() => this.#goOn(this.stopped, options));
    this.#breakIns.call();
  }

  /**
   * @param plan Makes the step, while nobody else changes anything. @returns What it begins with; undefined: nothing has to
   *   run, the step is done.
   */
  async step(plan: (stop: StoppedState) => Promise<BegunStep | undefined>, processor: number): Promise<void> {
    this.#mustDrive();
    await this.#turn.run(async () => {
      const stop = this.stopped;
      const begun = await plan(stop);
      if (begun === undefined) return this.#announce(stop, { kind: 'step' }, processor);
      this.#step = begun.step;
      try {
        // What the thread stands on is done once more, even if it faulted.
        await this.#goOn(stop, { trace: begun.trace, passException: false });
      } catch (error) {
        this.#endStep();
        throw error;
      }
    });
    this.#breakIns.call();
  }

  /** Announces the stop that there is once more, for another reason: registers of a processor were changed. */
  async announceAgain(action: () => Promise<void>, reason: StopReason, processor: number): Promise<void> {
    this.#mustDrive();
    await this.#turn.run(async () => {
      const stop = this.stopped;
      await action();
      await this.#announce(stop, reason, processor);
    });
  }

  /**
   * Does something while the target stands still: now, or at its next stop, which a break-in brings about.
   * @param milliseconds How long to wait for that. @throws target-did-not-stop; what the action throws
   */
  async atRest<T>(action: (stop: StoppedState) => Promise<T>, milliseconds = Infinity): Promise<T> {
    this.#mustDrive();
    const { state } = this.parts.live.client;
    if (state.kind !== 'running' && state.kind !== 'stopped') throw notStopped(state);
    let edit: Edit | undefined;
    const done = new Promise<T>((resolve, reject) => {
      edit = {
        make: (stop) => action(stop).then(resolve, reject),
        fail: reject,
      };
      this.#edits.push(edit);
    });
    const stopTimer = after(this.#clock, milliseconds, () => {
      const at = this.#edits.indexOf(edit!);
      if (at >= 0) this.#edits.splice(at, 1)[0]!.fail(didNotStop(milliseconds));
    });
    try {
      await this.#turn.run(async () => {
        if (this.#isAnnounced) await this.#makeEdits(this.stopped);
      });
      this.#breakIns.call();
      return await done;
    } finally {
      stopTimer();
    }
  }

  /** Lets the target go in the ordinary way. To be called at rest. */
  async letGo(stop: StoppedState): Promise<void> {
    await this.#goOn(stop, {});
  }

  /** What is being decided on is decided: the target has gone on, if that is what becomes of its stop. */
  async decided(): Promise<void> {
    await this.#turn.run(() => Promise.resolve());
  }

  /** The target was let go by a request of its own. To be called at rest. */
  hasLeft(): void {
    this.#endStep();
    if (this.#announced !== undefined) this.parts.policy.onRun();
    this.#announced = undefined;
  }

  /** @throws target-did-not-stop, cancelled, link-* */
  async pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    this.#mustDrive();
    if (this.#isAnnounced) return;
    const { state } = this.parts.live.client;
    if (state.kind !== 'running' && state.kind !== 'stopped') throw notStopped(state);
    this.#pausing++;
    try {
      const stop = this.#announcements.wait(milliseconds, () => didNotStop(milliseconds), signal);
      this.#breakIns.call();
      await stop;
    } finally {
      this.#pausing--;
    }
  }

  /** Drops a step under way: what it waits for shall stop nobody. */
  cancelStep(): void {
    this.#endStep();
  }

  /**
   * Waits until no break-in that was sent too often can come any more: ours, or one of a session before this. Each stops the
   * target once more, and lets it go on.
   */
  async settle(): Promise<void> {
    const { client } = this.parts.live;
    for (;;) {
      await this.decided();
      if (this.#isAnnounced) await this.resume();
      if (client.state.kind !== 'running' && client.state.kind !== 'stopped') return;
      const left = this.#breakIns.stillMayCome;
      if (left === 0 && client.state.kind === 'running') return;
      const limit = didNotStop(left);
      await this.#decisions.wait(Math.max(left, shortest), () => limit).catch(unlessIs(limit));
    }
  }

  /** The target was reset: what was under way in it is gone; who waits for a stop still gets one. */
  restarted(): void {
    this.#endStep();
    this.#announced = undefined;
    this.#heldDr6.clear();
  }

  /** The link is lost or closed. */
  fail(error: VmkdError): void {
    this.#breakIns.stop();
    this.#announced = undefined;
    for (const edit of this.#edits.splice(0)) edit.fail(error);
    this.#announcements.fail(error);
    this.#decisions.fail(error);
  }

  get #isAnnounced(): boolean {
    return this.#announced !== undefined && this.#announced === this.parts.live.client.state;
  }

  // --- a stop

  async #onStop(stop: StoppedState): Promise<void> {
    const { live, policy } = this.parts;
    if (live.client.state !== stop) return;
    if (this.#looksOn) return this.#look(stop);
    this.#breakIns.stop();
    try {
      await this.#begin(stop);
      await this.#makeEdits(stop);
      // One of them may have let it go.
      if (live.client.state !== stop) return;
      const verdict = await this.#judge(stop);
      const reason = verdict.kind === 'announce' ? verdict.reason : undefined;
      if (reason === undefined && this.#pausing === 0) {
        await this.#goOn(stop, { ...verdict, trace: this.#traced });
        this.#breakIns.call();
      } else await this.#announce(stop, reason ?? { kind: 'pause' });
    } catch (thrown) {
      const error = asVmkdError(thrown);
      // The machine was reset meanwhile: nobody is interested in that stop any more.
      if (live.client.state !== stop && error.code === 'target-running') return;
      // It stays stopped, so a person must know, and why.
      policy.onError(error);
      if (live.client.state === stop) await this.#announce(stop, { kind: 'pause' });
    } finally {
      this.#decisions.succeed(undefined);
    }
  }

  /** What another debugger has stopped for. It may go on at any moment. */
  async #look(stop: StoppedState): Promise<void> {
    const { live, policy } = this.parts;
    const { change } = stop;
    try {
      await this.#begin(stop);
      if (change.kind === 'loadSymbols')
        await policy.decide({ kind: 'module', change }, stop, this.#breakIns);
      else if (change.kind !== 'targetGone' && live.client.state === stop) {
        // A break-in that was made for it has had its effect; what becomes of the stop is its own affair.
        const event = eventOf(stop, this.parts, 0n);
        if (event.kind === 'code-breakpoint') await policy.decide(event, stop, this.#breakIns);
        if (live.client.state === stop) await this.#announce(stop, { kind: 'foreign' });
      }
    } catch (thrown) {
      if (live.client.state === stop) policy.onError(asVmkdError(thrown));
    }
  }

  #othersRan(): void {
    this.#forgetTarget();
    this.hasLeft();
  }

  #forgetTarget(): void {
    this.parts.memory.forget();
    this.parts.processors.forget();
  }

  /** Another debugger has changed something in the stop that it drives in. */
  othersChanged(): void {
    if (this.#looksOn) this.#forgetTarget();
  }

  #mustDrive(): void {
    if (this.#looksOn) throw new VmkdError('companion-drives', 'Another debugger drives the kernel');
  }

  #traced = false;

  async #begin(stop: StoppedState): Promise<void> {
    const { sites, memory, guestMemory, processors, policy } = this.parts;
    const { change, version } = stop;
    memory.forget();
    processors.begin(stop);
    this.#atInt3 = false;
    this.#traced = false;
    const { instructionCount, instructionStream } = readControlReport(change, version.machine);
    const reported = instructionStream.slice(0, instructionCount);
    sites.sawStop(change.programCounter, reported);
    memory.learn(change.programCounter, reported);
    await guestMemory.enter(stop);
    await policy.onKernel(stop);
  }

  async #judge(stop: StoppedState): Promise<Verdict> {
    const { policy, passing } = this.parts;
    const { change } = stop;
    const event = eventOf(stop, this.parts, this.#heldDr6.get(change.processor) ?? 0n);
    this.#heldDr6.delete(change.processor);
    switch (event.kind) {
      case 'stale':
        return goOn;
      case 'again':
        return goOn;
      case 'code-breakpoint':
        this.#atInt3 = true;
        return policy.decide(event, stop, this.#breakIns);
      case 'module':
      case 'gone':
      case 'command':
      case 'exception':
        return policy.decide(event, stop, this.#breakIns);
      case 'places':
        break;
    }
    if (event.trapped) passing.pay(change.thread);
    return this.#arrived(event.owners, event.trapped, stop);
  }

  /** Somebody is at places of ours, or has run an instruction. */
  async #arrived(owners: readonly object[], trapped: boolean, { change }: StoppedState): Promise<Verdict> {
    const processor = this.parts.processors.at(change.processor);
    this.#traced = false;
    const breakpoints = await this.parts.policy.judge(owners, processor);
    if (breakpoints.length > 0) return { kind: 'announce', reason: { kind: 'breakpoint', breakpoints } };
    const step = this.#step;
    if (step?.thread !== change.thread || !(trapped || owners.includes(step))) return goOn;
    const progress = await step.arrive(trapped, processor);
    if (progress.kind === 'done') return { kind: 'announce', reason: { kind: 'step' } };
    this.#traced = progress.trace;
    return goOn;
  }

  async #announce(stop: StoppedState, reason: StopReason, processor = stop.change.processor): Promise<void> {
    this.#endStep();
    this.#announced = stop;
    await this.parts.policy.onAnnounced(stop, reason, processor);
    this.#announcements.succeed(undefined);
  }

  #endStep(): void {
    this.#step?.end();
    this.#step = undefined;
  }

  // --- going on

  /** Unless a step ends on the way: then that is announced. */
  async #goOn(
    stop: StoppedState,
    options: { readonly passException?: boolean; readonly trace?: boolean },
  ): Promise<void> {
    const { live, slots, processors, memory, policy } = this.parts;
    const passException = options.passException ?? belongsToGuest(stop);
    let trace = options.trace ?? false;
    const isX64 = stop.version.machine === 'x64';
    if (isX64) {
      if (!passException) {
        const left = await this.#leave(stop, trace);
        if (left === 'announced') return;
        trace = left === 'traced';
      }
      if (!this.#looksOn) await this.#putIn(stop, passException);
    } else if (this.#atInt3) {
      const { processor, programCounter } = stop.change;
      await live.registers.moveProgramCounter('x86', processor, programCounter, plus(programCounter, 1));
    }
    memory.forget();
    processors.forget();
    await live.continueFrom(stop, {
      ...(passException && { status: NtStatus.DbgExceptionNotHandled }),
      trace,
      ...(isX64 && { dr7: this.#looksOn ? restingDr7 : slots.dr7 }),
    });
    this.#breakIns.targetRuns();
    if (this.#announced !== undefined) policy.onRun();
    this.#announced = undefined;
  }

  /** What shall be in the target when it runs. */
  async #putIn(stop: StoppedState, passException: boolean): Promise<void> {
    const { sites, slots, processors } = this.parts;
    for (const site of sites.all) if (site.isGuarded && site.owners.size === 0) slots.release(site);
    await sites.sync();
    // A continue that passes an exception on takes no Dr7 along.
    await slots.sync(processors.list, passException);
    await this.#holdDr6(stop);
  }

  /**
   * Past whatever the stopped processor stands on.
   * @param wanted One instruction, then a trap. @returns Whether there will be one.
   */
  async #leave(stop: StoppedState, wanted: boolean): Promise<'traced' | 'free' | 'announced'> {
    const { sites, slots, processors, passing } = this.parts;
    const { change, version } = stop;
    const processor = processors.at(change.processor);
    let at = processor.sentTo ?? change.programCounter;
    if (this.#atInt3 && at === change.programCounter) {
      at = plus(at, 1);
      await processor.setGeneral({ rip: at });
    }
    // Continue2 clears the trap flag unless it is told to set it: a thread that owes a trap must keep it.
    let trace = (readControlReport(change, version.machine).eflags & trapFlag) !== 0;
    let more = wanted;
    for (let i = 0; ; i++) {
      const site = this.#looksOn ? undefined : sites.at(at);
      if (site === undefined || site.owners.size === 0 || site.isOwn) {
        if (slots.executes(at)) await passing.resumeOver(processor);
        break;
      }
      const passed = await passing.pass(processor, change.thread, site, i < mostCarriedOut);
      if (passed === 'owed') trace = true;
      if (passed === 'owed' || !more) break;
      // That was the one instruction. The next place is reached, not left.
      at = processor.sentTo ?? at;
      const verdict = await this.#arrived([...(sites.at(at)?.owners ?? [])], true, stop);
      if (verdict.kind === 'announce') {
        await this.#announce(stop, verdict.reason);
        return 'announced';
      }
      more = this.#traced;
    }
    if (more) passing.owe(change.thread, at);
    return trace || more ? 'traced' : 'free';
  }

  /** Continue2 zeroes every processor's Dr6, also of one that is just about to report what it says. */
  async #holdDr6(stop: StoppedState): Promise<void> {
    const { slots, processors } = this.parts;
    if (!slots.watchesData) return;
    for (const processor of processors.list) {
      if (processor.number === stop.change.processor) continue;
      const { dr6 } = await processor.special();
      const hit = dr6 & 0x400fn;
      if (hit !== 0n) this.#heldDr6.set(processor.number, (this.#heldDr6.get(processor.number) ?? 0n) | hit);
    }
  }

  /** Whoever makes one change often makes another: they are waited for a moment, for each stop costs the guest time. */
  async #makeEdits(stop: StoppedState): Promise<void> {
    while (this.#edits.length > 0) {
      for (const edit of this.#edits.splice(0)) await edit.make(stop);
      if (this.parts.live.client.state !== stop) return;
      await new Promise<void>((resolve) => this.#clock.after(0, resolve));
    }
  }
}

/** An exception that nobody has dealt with. */
const belongsToGuest = ({ change }: StoppedState): boolean =>
  change.kind === 'exception' && !isDebuggerTrap(change.code);

const unlessIs =
  (expected: VmkdError) =>
  (thrown: unknown): void => {
    if (thrown !== expected) throw thrown;
  };

/** What a stop that was there before us is, if it is anything but a place of somebody's. */
function entryEvent({ change }: StoppedState, atInt3: boolean): StopEvent | undefined {
  if (atInt3) return { kind: 'code-breakpoint' };
  if (change.kind !== 'exception' || isDebuggerTrap(change.code)) return undefined;
  return { kind: 'exception', change };
}
