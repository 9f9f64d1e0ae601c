/**
 * The debugger's side of KD over a packet channel: attach, break in, ask, continue. The client is the only owner of what is
 * known about the target's state (clientState.ts draws the states); what belongs to one channel is in session.ts, getting
 * into step in synchronise.ts, what the target asks by itself in targetRequests.ts.
 *
 * Invariants: one manipulate exchange at a time, further requests wait their turn; an order to continue is meant for one
 * stop, and void if the target has moved on; every wait is limited, and every failure a VmkdError.
 * Policy — which stops are news for a person, what continuing preserves — is not here but in engine/target.
 */

import { VmkdError, asVmkdError } from '../core/errors';
import type { Clock, Timer } from '../core/clock';
import type { Fields, ValuesOf } from '../core/layout';
import { Listeners } from '../core/listeners';
import { Mutex } from '../core/mutex';
import { Waiters } from '../core/waiters';
import type { ChannelOwner, ChannelStatistics, PacketChannel } from './channel';
import { didNotStop, notStopped, type ClientState, type StoppedState } from './clientState';
import type { ExchangeResult } from './exchange';
import { manipulateApi } from './manipulate';
import { continue2X64, continue2X86, continueApi, letsGo, switchProcessor } from './manipulate/execution';
import { manipulateData, readManipulateHead, type ManipulateApi } from './manipulate/message';
import { getVersion, interpretVersion, type TargetVersion } from './manipulate/version';
import { NtStatus, formatStatus, isError } from './ntstatus';
import { Session, type Stop } from './session';
import { readControlReport, type StateChange } from './stateChange';
import { Synchroniser, whyNoAnswer, type AttachOptions } from './synchronise';
import type { TargetServant } from './targetRequests';

/** Who listens to the client. Every part is optional. */
export interface ClientObserver extends TargetServant {
  onState?(state: ClientState): void;
  /** The target was rebooted, or had given us up: what it had from us is gone. */
  onRestart?(): void;
}

export interface ClientTiming {
  /** Milliseconds without a reply until the client resynchronises; a request fails after four times as long. */
  readonly reply: number;
  /** The same for orders that are only acknowledged: after four times as long the target is taken as running. */
  readonly order: number;
  /** Milliseconds between two calls to a target that does not answer while attaching. */
  readonly call: number;
}

export const defaultClientTiming: ClientTiming = { reply: 4000, order: 700, call: 1500 };

export interface ClientOptions {
  /** Opens the next channel for the given owner. Errors: `link-*`, `cancelled`. */
  open(owner: ChannelOwner, signal: AbortSignal): Promise<PacketChannel>;
  /** Why an open channel stays silent, if the carrier can tell; undefined if not. */
  diagnoseSilence?(): Promise<VmkdError | undefined>;
  /**
   * Runs what needs an answer of the target: its machine may be at rest while the target stands. Errors are thrown to who
   * asked. Default: at once.
   */
  readonly whileAwake?: <T>(action: () => Promise<T>) => Promise<T>;
  readonly clock: Clock;
  readonly timing?: ClientTiming;
  readonly observer?: ClientObserver;
  /** First sequence number; random by default, so that replies to a dead session are not taken for ours. */
  readonly firstSequence?: number;
}

export interface RequestOptions {
  /** Bytes that follow the 56-byte structure; at most 3944. */
  readonly data?: Uint8Array;
  /** The processor asked; default: the one that stopped. */
  readonly processor?: number;
  /** Milliseconds without a reply until the client resynchronises: more for requests that make the target work long. */
  readonly patience?: number;
}

export interface Reply<F extends Fields> {
  /** NTSTATUS. An error status is not thrown: partial results come with one. */
  readonly status: number;
  readonly fields: ValuesOf<F>;
  readonly data: Uint8Array;
}

/** What became of another debugger's request. */
export type Relayed =
  | { readonly kind: 'reply'; readonly payload: Uint8Array }
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'stateChange'; readonly payload: Uint8Array };

export interface ContinueOptions {
  /** The stop to continue from; if the target has moved on since, nothing happens. Default: the current one. */
  readonly from?: StoppedState;
  /** NTSTATUS; ≥ 0x80000000 passes the exception on to the guest. Default DBG_CONTINUE. */
  readonly status?: number;
  /** Trap after one instruction of the stopped processor. */
  readonly trace?: boolean;
  /** For every processor. Default: what the stopped processor reported, so that hardware breakpoints live on. */
  readonly dr7?: bigint;
}

/** How often a target that was replaced is asked whether it stands. */
const usualRecalls = 4;

export class KdClient {
  readonly #options: ClientOptions;
  readonly #timing: ClientTiming;
  readonly #observer: ClientObserver;
  readonly #turn = new Mutex();
  readonly #stops: Waiters<StateChange>;
  /** For those who share the target with the observer: told after it, of each state. */
  readonly states = new Listeners<ClientState>();
  /** As the observer's `onRestart`. */
  readonly restarts = new Listeners<undefined>();
  #state: ClientState = { kind: 'idle' };
  #session: Session | undefined;
  #synchroniser: Synchroniser | undefined;
  #version: TargetVersion | undefined;
  #unspentBreakIns = 0;
  #breakInsSent = 0;
  #stoppedByAttach = false;
  #exchanges = 0;
  #asking = 0;
  /** Asks a target that was replaced to tell its stop, if it is in one. */
  #recalls: Timer | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#timing = options.timing ?? defaultClientTiming;
    this.#observer = options.observer ?? {};
    this.#stops = new Waiters(options.clock);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Break-ins sent that no stop has used up: each may stop the target once more, after it was continued. */
  get unspentBreakIns(): number {
    return this.#unspentBreakIns;
  }

  set unspentBreakIns(count: number) {
    this.#unspentBreakIns = Math.max(0, count);
  }

  /** Break-ins sent in all. */
  get breakInsSent(): number {
    return this.#breakInsSent;
  }

  /** The last attach found a running target, and its break-in stopped it. */
  get stoppedByAttach(): boolean {
    return this.#stoppedByAttach;
  }

  /** Changes with each request, and when it is done: who sees the target by another way knows that it may have changed. */
  get exchanges(): number {
    return this.#exchanges;
  }

  /** The current stop as the target sent it. @throws as `request` */
  get stopPayload(): Uint8Array {
    this.#mustBeStopped();
    const { lastStop } = this.#mustHaveSession();
    if (!lastStop) throw new VmkdError('internal', 'Stopped, and no stop was heard of');
    return lastStop.bytes;
  }

  get statistics(): ChannelStatistics | undefined {
    return this.#session?.channel?.statistics;
  }

  /**
   * Opens a channel and finds out who is there.
   * @returns The stop that the target is in; undefined if it runs (only without `breakIn`).
   * @throws link-*, target-silent, target-garbage, target-second-debugger, target-32bit-protocol, target-unsupported,
   *   target-not-acknowledging, cancelled; target-not-attached if `detach` came in between.
   */
  async attach(options: AttachOptions): Promise<StateChange | undefined> {
    if (this.#session) throw new VmkdError('target-attached', 'There is a connection already');
    const detached = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, detached.signal]) : detached.signal;
    const session = this.#newSession(() => detached.abort());
    this.#session = session;
    this.#setState({ kind: 'connecting' });
    try {
      if (!session.use(await this.#options.open(session.owner(), signal))) throw cancelledByDetach();
      this.#setState({ kind: 'synchronising' });
      return await this.#whileAwake(() => this.#synchronise(session, { ...options, signal }));
    } catch (thrown) {
      const error = asVmkdError(thrown);
      session.end(error, true);
      if (this.#session === session) this.#lose(error);
      throw error;
    }
  }

  /** Closes the channel, and ends an attach under way. The target stays as it is: running, or stopped. */
  detach(): void {
    const session = this.#session;
    this.#session = undefined;
    const error = new VmkdError('target-not-attached', 'The connection was closed');
    session?.end(error);
    this.#stops.fail(error);
    this.#setState({ kind: 'idle' });
  }

  /**
   * The target is another one than before, and has not said so. Shows as `onRestart`; it is taken for running, until it says
   * that it stands. What was under way in the one before fails.
   * @param recalls How often it is asked whether it stands: once, where firmware may be listening instead.
   */
  replaced(recalls = usualRecalls): void {
    if (this.#state.kind !== 'running' && this.#state.kind !== 'stopped') return;
    this.#mustHaveSession().replaced();
    this.#recall(recalls);
    // Its machine may rest because the one before stood; what fails here shows when something is asked.
    this.#whileAwake(() => Promise.resolve()).catch(() => undefined);
  }

  /** A request is on its way, or an order: nobody knows whether the target has it. */
  get isAsking(): boolean {
    return this.#asking > 0;
  }

  /**
   * Asks a running target to stop. It may take a clock tick of the guest, or never happen: see `waitForStop`.
   * @throws target-not-attached
   */
  callBreakIn(): void {
    this.#mustHaveChannel().breakIn();
    this.#breakInsSent++;
    this.#unspentBreakIns++;
  }

  /** The current stop, or the next. @throws target-did-not-stop after the limit; link-*; cancelled. */
  waitForStop(milliseconds: number, signal?: AbortSignal): Promise<StateChange> {
    const { state } = this;
    if (state.kind === 'stopped') return Promise.resolve(state.change);
    if (state.kind === 'lost' || state.kind === 'idle') return Promise.reject(notStopped(state));
    return this.#stops.wait(milliseconds, () => didNotStop(milliseconds), signal);
  }

  /**
   * Asks a stopped target.
   * @throws target-running, target-not-attached; target-no-reply, request-unsure, link-lost; never for an error status.
   */
  async request<Req extends Fields, Rep extends Fields>(
    api: ManipulateApi<Req, Rep>,
    fields: Partial<ValuesOf<Req>>,
    options: RequestOptions = {},
  ): Promise<Reply<Rep>> {
    const result = await this.#turn.run(() => this.#ask(api, fields, options));
    if (result.kind !== 'reply')
      throw new VmkdError('internal', `${api.name} has no reply; use order() or tell()`);
    const { returnStatus } = readManipulateHead(result.payload);
    return {
      status: returnStatus,
      fields: api.reply.read(result.payload),
      data: manipulateData(result.payload),
    };
  }

  /** As `request`, but an error status is thrown as `target-refused`. */
  async demand<Req extends Fields, Rep extends Fields>(
    api: ManipulateApi<Req, Rep>,
    fields: Partial<ValuesOf<Req>>,
    options: RequestOptions = {},
  ): Promise<Reply<Rep>> {
    const reply = await this.request(api, fields, options);
    if (isError(reply.status)) {
      throw new VmkdError('target-refused', `The target refused ${api.name}: ${formatStatus(reply.status)}`);
    }
    return reply;
  }

  /** Sends a request that is only acknowledged, and leaves the target stopped (ClearAllInternalBreakpoints). */
  async tell<Req extends Fields>(api: ManipulateApi<Req>, fields: Partial<ValuesOf<Req>>): Promise<void> {
    await this.#turn.run(() => this.#ask(api, fields, {}));
  }

  /**
   * Lets the target go. Resolves when it has the order; the next stop shows as a state.
   * @returns false if the target had moved on from `options.from`. @throws as `request`
   */
  async continue(options: ContinueOptions = {}): Promise<boolean> {
    const from = options.from ?? this.#mustBeStopped();
    return this.#turn.run(async () => {
      if (this.#state !== from) return false;
      const { change, version } = from;
      const continueStatus = options.status ?? NtStatus.DbgContinue;
      if (change.kind === 'targetGone') {
        this.#version = undefined;
        await this.#letGo(continueApi, { continueStatus });
        return true;
      }
      const dr7 = options.dr7 ?? readControlReport(change, version.machine).dr7;
      const traceFlag = Number(options.trace ?? false);
      // symbolStart 1: there is no range to step over.
      if (version.machine === 'x64') {
        await this.#letGo(continue2X64, { continueStatus, traceFlag, dr7, symbolStart: 1n });
      } else {
        await this.#letGo(continue2X86, { continueStatus, traceFlag, dr7: Number(dr7), symbolStart: 1 });
      }
      return true;
    });
  }

  /** Sends an order after which the target runs (or is gone) and that has no reply: Reboot, CauseBugCheck. */
  async order<Req extends Fields>(api: ManipulateApi<Req>, fields: Partial<ValuesOf<Req>>): Promise<void> {
    await this.#turn.run(() => this.#letGo(api, fields));
  }

  /**
   * Sends a request of another debugger's, byte for byte, whether anybody here knows it or not.
   * @param from The stop that it was made in.
   * @returns What the target answers, as it came: nothing, if all there is to it is that the target has it; the stop that the
   *   target has made of it. @throws as `request`; target-running if the target has moved on from that stop
   */
  async relay(payload: Uint8Array, from: StoppedState): Promise<Relayed> {
    const { apiNumber } = readManipulateHead(payload);
    const known = manipulateApi(apiNumber, from.version.machine);
    const api = known ?? { ...unknownApi, number: apiNumber };
    return this.#turn.run(async () => {
      if (this.#state !== from) throw notStopped({ kind: 'running' });
      const session = this.#mustHaveSession();
      const patience = api.answer === 'acknowledgement' ? this.#timing.order : this.#timing.reply;
      if (from.change.kind === 'targetGone' && letsGo.has(apiNumber)) this.#version = undefined;
      const result = await this.#counted(() => session.relay(api, payload, patience));
      switch (result.kind) {
        case 'reply':
          return result;
        case 'stateChange':
          return { kind: 'stateChange', payload: this.stopPayload };
        case 'acknowledged':
          // A new stop may have come in the same breath; then the state has moved on already.
          if (letsGo.has(apiNumber) && this.#state === from) this.#setState({ kind: 'running' });
          return { kind: 'acknowledged' };
      }
    });
  }

  /**
   * Makes another processor the one that KD talks to.
   * @throws value-out-of-range if there is no such processor; target-refused if the target stays where it was.
   */
  async switchProcessor(processor: number): Promise<StateChange> {
    return this.#turn.run(async () => {
      const { change } = this.#mustBeStopped();
      if (processor >= change.numberProcessors) {
        const message = `There is no processor ${processor}; there are ${change.numberProcessors}`;
        throw new VmkdError('value-out-of-range', message);
      }
      if (processor === change.processor) return change;
      await this.#ask(switchProcessor, {}, { processor });
      const now = this.#mustBeStopped().change;
      if (now.processor !== processor) {
        throw new VmkdError('target-refused', `The target stays on processor ${now.processor}`);
      }
      return now;
    });
  }

  // --- exchanges

  /** @throws as `request`, at once or later */
  #ask(api: ManipulateApi, fields: object, options: RequestOptions): Promise<ExchangeResult> {
    this.#mustBeStopped();
    const patience =
      options.patience ?? (api.answer === 'acknowledgement' ? this.#timing.order : this.#timing.reply);
    const { data, processor } = options;
    return this.#counted(() => this.#mustHaveSession().exchange(api, fields, { data, processor, patience }));
  }

  async #counted<T>(action: () => Promise<T>): Promise<T> {
    this.#exchanges++;
    this.#asking++;
    try {
      return await this.#whileAwake(action);
    } finally {
      this.#asking--;
      this.#exchanges++;
    }
  }

  #whileAwake<T>(action: () => Promise<T>): Promise<T> {
    return this.#options.whileAwake ? this.#options.whileAwake(action) : action();
  }

  async #letGo(api: ManipulateApi, fields: object): Promise<void> {
    const before = this.#mustBeStopped();
    await this.#ask(api, fields, {});
    // A new stop may have come in the same breath; then the state has moved on already.
    if (this.#state === before) this.#setState({ kind: 'running' });
  }

  #mustBeStopped(): StoppedState {
    if (this.#state.kind !== 'stopped') throw notStopped(this.#state);
    return this.#state;
  }

  #mustHaveSession(): Session {
    if (this.#session) return this.#session;
    throw this.#state.kind === 'lost'
      ? this.#state.error
      : new VmkdError('target-not-attached', 'There is no connection');
  }

  #mustHaveChannel(): PacketChannel {
    const { channel } = this.#mustHaveSession();
    if (!channel) throw new VmkdError('target-not-attached', 'The connection is not there yet');
    return channel;
  }

  // --- attaching

  #newSession(abort: () => void): Session {
    const synchroniser = new Synchroniser(this.#options.clock);
    this.#synchroniser = synchroniser;
    this.#version = undefined;
    this.#unspentBreakIns = 0;
    this.#stoppedByAttach = false;
    const ifCurrent =
      <A extends unknown[]>(action: (...args: A) => void) =>
      (...args: A): void => {
        if (this.#session === session) action(...args);
      };
    const session: Session = new Session(
      this.#options.clock,
      {
        onStop: ifCurrent((stop, repeated) => this.#onStop(session, stop, repeated)),
        onPeerReset: ifCurrent((restarted) => this.#onPeerReset(restarted)),
        onFault: ifCurrent((error) => session.end(error)),
        onEnded: (error) => {
          synchroniser.fail(error);
          abort();
          if (this.#session === session) this.#lose(error);
        },
      },
      this.#observer,
      this.#options.firstSequence ?? Math.floor(Math.random() * 0x8000_0000),
    );
    return session;
  }

  async #synchronise(session: Session, options: AttachOptions): Promise<StateChange | undefined> {
    const synchroniser = this.#synchroniser!;
    const call = (breakIn: boolean): void => {
      if (breakIn) this.callBreakIn();
      this.#mustHaveChannel().requestReset();
    };
    const learn = (): void => this.#learnVersion(session);
    const outcome = await synchroniser.run(options, this.#timing.call, call, learn);
    if (outcome === 'stopped') {
      this.#stoppedByAttach = options.breakIn && synchroniser.stoppedByUs;
      return this.#mustBeStopped().change;
    }
    if (outcome === 'running') {
      this.#synchroniser = undefined;
      this.#setState({ kind: 'running' });
      return undefined;
    }
    const known = await this.#options.diagnoseSilence?.();
    const { name, statistics } = this.#mustHaveChannel();
    throw known ?? whyNoAnswer(name, options.milliseconds, statistics, session.foreignReplies);
  }

  // --- what the session says

  #onPeerReset(restarted: boolean): void {
    if (restarted) {
      // After a reboot the kernel lies elsewhere, and may be another one.
      this.#version = undefined;
      if (this.#state.kind === 'stopped') this.#setState({ kind: 'running' });
      this.#observer.onRestart?.();
      this.restarts.tell(undefined);
    } else if (this.#synchroniser) {
      this.#synchroniser.sawReset = true;
      this.#synchroniser.changed();
    }
  }

  /**
   * One that runs does not answer. One that stands may be in the middle of a packet, and not hear it; or repeats what it was
   * saying to the debugger of then, which is not its stop.
   */
  #recall(times: number): void {
    this.#recalls?.cancel();
    this.#recalls = undefined;
    if (times === 0 || this.#state.kind !== 'running') return;
    this.#session?.channel?.requestReset('unawaited');
    this.#recalls = this.#options.clock.after(this.#timing.call, () => this.#recall(times - 1));
  }

  #onStop(session: Session, stop: Stop, repeated: boolean): void {
    const synchroniser = this.#synchroniser;
    if (synchroniser) {
      if (!synchroniser.sawStop) synchroniser.stoppedByUs = !synchroniser.sawReset;
      synchroniser.sawStop = true;
      synchroniser.changed();
      // Ids are only certain after the RESET that is under way; the target repeats this stop after it.
      if (!synchroniser.sawReset) return;
    }
    if (repeated && this.#state.kind === 'stopped') return;
    if (this.#version) this.#announce(stop, this.#version);
    else this.#learnVersion(session);
  }

  /** Asks who it is before the stop is announced: what it says cannot be read without. */
  #learnVersion(session: Session): void {
    const learn = async (): Promise<void> => {
      // State changes may come twice; the newest counts.
      if (this.#session !== session || !session.lastStop || this.#version) return;
      const result = await session.exchange(getVersion, {}, { patience: this.#timing.reply });
      if (result.kind !== 'reply') throw new VmkdError('internal', 'GetVersion has a reply');
      this.#version = interpretVersion(getVersion.reply.read(result.payload));
      this.#announce(session.lastStop, this.#version);
    };
    this.#turn.run(learn).catch((thrown: unknown) => {
      const error = asVmkdError(thrown);
      // Another kernel by now, which is asked when it stops.
      if (error.code !== 'target-running') session.end(error);
    });
  }

  #announce({ change }: Stop, version: TargetVersion): void {
    // It ran in between, though the acknowledgement of our order came in the same breath as the stop, or not at all.
    if (this.#state.kind === 'stopped') this.#setState({ kind: 'running' });
    const synchroniser = this.#synchroniser;
    this.#synchroniser = undefined;
    this.#setState({ kind: 'stopped', change, version });
    this.#stops.succeed(change);
    if (!synchroniser) return;
    synchroniser.sawVersion = true;
    synchroniser.changed();
  }

  #lose(error: VmkdError): void {
    this.#session = undefined;
    this.#setState({ kind: 'lost', error });
    this.#stops.fail(error);
  }

  #setState(state: ClientState): void {
    this.#state = state;
    if (state.kind !== 'running') this.#recalls?.cancel();
    try {
      this.#observer.onState?.(state);
    } catch (thrown) {
      this.#observer.onError?.(asVmkdError(thrown));
    }
    if (this.#state === state) this.states.tell(state);
  }
}

/** What is assumed of a request that nobody here knows: as NT answers what it does not know, and once. */
const unknownApi = { name: 'an unknown request', answer: 'reply', repeatable: false } as const;

const cancelledByDetach = (): VmkdError => new VmkdError('cancelled', 'Attaching was cancelled');
