/**
 * One debug session: what the request families share. It owns the target and the way out; everything else is delegated.
 *
 *   new ──attach──▶ configuring ──configurationDone──▶ active ──leave──▶ ended
 *
 * Invariants: once there is a target, `leave` is reached whatever happens, once; what was handed out in one stop is void in
 * the next.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { VirtualAddress } from '../engine/core/addresses';
import { VmkdError } from '../engine/core/errors';
import { Mutex } from '../engine/core/mutex';
import type { Machine } from '../engine/machine/machine';
import type { Target, TargetProcessor, TargetState } from '../engine/target/target';
import { BreakpointBook } from './breakpointBook';
import type { CompanionPipe } from './companionPipe';
import type { Configuration } from './configuration/configuration';
import type { Connection } from './connection';
import { Contexts } from './contexts';
import type { Guardian } from '../engine/target/guard/guardian';
import { HandleNumbers } from './handles';
import { Listing } from './listing';
import { MemoryViews } from './memoryViews';
import { Output, styled } from './output';
import type { SessionParking } from './parking';
import { Positions } from './positions';
import { Progress } from './progress';
import { Prompts } from './prompts';
import type { OfferedParts } from './protocol';
import { Invalidation } from './invalidation';
import { refreshFrames } from './refreshFrames';
import { Sources } from './sources';
import { StopThings } from './stopThings';
import type { SymbolLoading } from './symbolLoading';
import type { DataPlace } from './variables/shown';

/** Bytes above a frame's stack pointer in which its caller's address may lie, if nobody knows the caller. */
const frameReach = 4096n;

export type Phase = 'new' | 'attaching' | 'configuring' | 'active' | 'ended';

/** Who runs the session. */
export interface SessionHost {
  capabilities(parts: OfferedParts): P.Capabilities;
  /** Cancels a request that is under way. */
  cancel(request: number): void;
  /** The session is over, and the process with it if it serves no other. */
  onEnded(): void;
}

export type Stopped = Extract<TargetState, { kind: 'stopped' }>;

export class Session {
  phase: Phase = 'new';
  /** What the client said of itself. */
  client: Partial<P.InitializeRequestArguments> = {};
  positions = new Positions();
  readonly output: Output;
  readonly progress: Progress;
  readonly numbers = new HandleNumbers();
  /** Numbers handed out in this stop. */
  readonly things = new StopThings(this.numbers);
  readonly memoryViews: MemoryViews;
  readonly sources = new Sources(this);
  readonly prompts: Prompts;
  /** What changes breakpoints or lets the kernel run takes its turn here. */
  readonly turn = new Mutex();
  /** Fires when the session ends: nothing of it may go on. */
  readonly ended = new AbortController();
  /** Lets the kernel go if this process cannot. */
  guardian: Guardian | undefined;
  /** What the kernel runs in, or why that is not known. */
  machine: Machine | VmkdError | undefined;
  /** Lets the machine rest while nobody needs it; undefined where that cannot be. */
  parking: SessionParking | undefined;
  /** The pipe for WinDbg, if there is one; undefined until there is a way to a kernel. */
  companion: CompanionPipe | undefined;
  /** What else must be closed at the end; run once, whatever fails. */
  readonly atEnd: (() => void | Promise<void>)[] = [];
  /** Integers in hexadecimal, where neither the client nor the user has asked otherwise. */
  hex = false;
  /** A watch was evaluated while the kernel ran: the client may want it again. */
  liveWatched = false;
  /** The client knows already that the kernel runs: it asked for it. */
  runExpected = false;
  #symbolLoading: SymbolLoading | undefined;
  #listing: Promise<Listing> | undefined;
  #book: BreakpointBook | undefined;
  #contexts: Contexts | undefined;
  /** Of what the client shows. */
  readonly invalidation = new Invalidation((areas) => {
    if (this.phase !== 'active' || this.#target?.state.kind !== 'stopped') return;
    this.events.send('invalidated', { areas: [...areas] } satisfies P.InvalidatedEvent['body']);
  });
  #configuration: Configuration | undefined;
  #target: Target | undefined;
  #attaching: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #isReleased = false;
  /** Fires when the kernel can no longer be left to WinDbg. */
  readonly #lingering = new AbortController();

  constructor(
    readonly events: Connection,
    readonly host: SessionHost,
  ) {
    this.output = new Output(events);
    this.progress = new Progress(events);
    this.prompts = new Prompts(this);
    this.memoryViews = new MemoryViews(events);
  }

  /** @throws target-not-attached */
  get target(): Target {
    if (this.#target === undefined) throw new VmkdError('target-not-attached', 'There is no kernel yet');
    return this.#target;
  }

  get hasTarget(): boolean {
    return this.#target !== undefined;
  }

  /** @throws target-not-attached */
  get configuration(): Configuration {
    if (this.#configuration === undefined)
      throw new VmkdError('target-not-attached', 'The session has not begun');
    return this.#configuration;
  }

  /**
   * @param attach Reaches a kernel, and gives it to `takeTarget`. If it fails, perhaps half-way, whatever was reached is let
   *   go, and another attempt may follow. @throws what it throws
   */
  async begin(configuration: Configuration, attach: () => Promise<void>): Promise<void> {
    this.#configuration = configuration;
    this.phase = 'attaching';
    const attaching = attach().catch(async (error: unknown) => {
      await this.#abandon();
      throw error;
    });
    this.#attaching = attaching.catch(() => undefined);
    await attaching;
  }

  takeTarget(target: Target, symbolLoading: SymbolLoading): void {
    this.#target = target;
    this.#symbolLoading = symbolLoading;
  }

  /** @throws target-not-attached */
  get symbolLoading(): SymbolLoading {
    if (this.#symbolLoading === undefined)
      throw new VmkdError('target-not-attached', 'There is no kernel yet');
    return this.#symbolLoading;
  }

  /** @throws target-unsupported, target-not-attached */
  get breakpoints(): BreakpointBook {
    const { breakpoints } = this.target;
    if (breakpoints === undefined)
      throw new VmkdError('target-unsupported', 'This target cannot run, so that no breakpoint can be hit');
    this.#book ??= new BreakpointBook(this, breakpoints);
    return this.#book;
  }

  /** @throws target-not-attached */
  get contexts(): Contexts {
    this.#contexts ??= new Contexts(this.target);
    return this.#contexts;
  }

  /** The disassembly, opened when it is first asked for. @throws target-not-attached */
  listing(): Promise<Listing> {
    const { target, sources, positions } = this;
    if (this.#listing === undefined) {
      const listing = Listing.open({ target, sources, positions });
      this.#listing = listing;
      this.atEnd.push(async () => (await listing).dispose());
    }
    return this.#listing;
  }

  /** @returns The current stop. @throws target-running, target-not-attached, what the target was lost for */
  mustBeStopped(): Stopped {
    const { state } = this.target;
    switch (state.kind) {
      case 'stopped':
        return state;
      case 'running':
        throw new VmkdError('target-running', 'The kernel is running');
      case 'lost':
        throw state.error;
      case 'detached':
      case 'attaching':
        throw new VmkdError('target-not-attached', 'There is no kernel');
    }
  }

  /** Threads of DAP are processors; their ids count from 1. Behind them are threads that sleep. @throws value-out-of-range */
  processor(threadId: number): TargetProcessor {
    const found =
      this.target.processors[threadId - 1] ??
      this.things.sleepers.find((sleeper) => sleeper.number === threadId - 1);
    if (found !== undefined) return found;
    const { length } = this.target.processors;
    throw new VmkdError('value-out-of-range', `There is no CPU ${threadId - 1}: this machine has ${length}`);
  }

  /** Sets text of ours off, if the client can show that. */
  style(text: string, style: Parameters<typeof styled>[1]): string {
    return this.client.supportsANSIStyling === true ? styled(text, style) : text;
  }

  /** What the client shows is out of date: values, and stacks, if they may be others. */
  invalidateSoon(areas: readonly P.InvalidatedAreas[]): void {
    if (this.client.supportsInvalidatedEvent === true) this.invalidation.soon(areas);
  }

  /** Something of ours has changed memory. */
  async memoryWritten(address: VirtualAddress, count: number): Promise<void> {
    this.memoryViews.written(address, count);
    const isNearStack = this.things.frames.known.some(([, { frame }]) => {
      const { rsp } = frame.frame.registers;
      return address < rsp + frameReach && address + BigInt(count) > rsp;
    });
    if (isNearStack) await this.framesChanged();
    else this.invalidateSoon(['variables']);
  }

  /** The user has changed a value. @param place Undefined: a register. */
  async valueWritten(place: DataPlace | undefined): Promise<void> {
    this.contexts.forget();
    if (place !== undefined) await this.memoryWritten(place.address, place.size);
    else await this.framesChanged();
  }

  /** What stacks are made of, or are called, may have changed. */
  async framesChanged(): Promise<void> {
    const { state } = this.target;
    const areSame = await refreshFrames(this.things.frames).catch(() => false);
    // Another stop has frames of its own.
    if (this.target.state !== state) return;
    if (!areSame) this.things.frames.renew();
    this.invalidateSoon(areSame ? ['variables'] : ['stacks', 'variables']);
  }

  /**
   * The way out: removes what we put into the guest, and lets it run unless told otherwise. Later calls wait for the first.
   * Never rejects: what fails is told to the console. What is left to do then is ours alone; `end` waits for that, too.
   */
  leave(options: { readonly leaveStopped?: boolean } = {}): Promise<void> {
    if (this.#leaving === undefined) {
      this.#leaving = this.#leave(options);
      this.#ending = this.#leaving.then(() => this.#end());
    }
    return this.#leaving;
  }

  /** As `leave`, and nothing of the session is left: WinDbg is not waited for. */
  async end(): Promise<void> {
    this.#lingering.abort();
    await this.leave();
    await this.#ending;
  }

  async #leave(options: { readonly leaveStopped?: boolean }): Promise<void> {
    this.phase = 'ended';
    this.ended.abort();
    // A kernel that waits for an answer cannot be let go.
    this.prompts.answer('');
    this.invalidation.end();
    // An attach under way lets go by itself what it has reached.
    await this.#attaching;
    try {
      await this.#release(options);
      this.#isReleased = true;
    } catch (error) {
      this.output.line('important', `vmkd could not let the kernel go: ${(error as Error).message}`);
    }
    this.output.flush();
  }

  async #end(): Promise<void> {
    await this.companion?.outlive(this.#lingering.signal).catch(() => (this.#isReleased = false));
    if (this.#isReleased) await this.guardian?.dismiss();
    await this.#close();
    this.things.clear();
    this.output.close();
    this.host.onEnded();
  }

  async #abandon(): Promise<void> {
    try {
      await this.#release();
      await this.guardian?.dismiss();
    } finally {
      this.machine = this.parking = this.companion = undefined;
      this.#target = this.#symbolLoading = this.#configuration = undefined;
      this.#contexts = this.#book = this.#listing = undefined;
      if (this.phase !== 'ended') this.phase = 'new';
      await this.#close();
    }
  }

  /** The machine runs afterwards, whatever becomes of the kernel in it. */
  async #release(options?: { readonly leaveStopped?: boolean }): Promise<void> {
    try {
      // What WinDbg is left to do with it is its own business.
      if ((await this.companion?.leave()) !== true) await this.#target?.execution?.release(options);
    } finally {
      await this.parking?.end();
    }
  }

  /** What is left to close is ours alone: a failure there is nobody's business. */
  async #close(): Promise<void> {
    await Promise.allSettled(this.atEnd.splice(0).map(async (close) => close()));
  }
}
