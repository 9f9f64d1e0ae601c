/**
 * The debugger's side of KD over a packet channel: attach, break in, ask, continue, and everything that a target says by
 * itself. The client is the only owner of what is known about the target's state; clientState.ts has the states.
 *
 * Invariants:
 *  - one manipulate exchange at a time; further requests wait their turn;
 *  - a reply is taken only for the request that awaits it: by its API, and, once a target has shown that it hands the
 *    padding back (NT does), by a sequence number that travels there;
 *  - prints, prompts, file requests and traces are served in any state, also between request and reply;
 *  - every wait is limited, and every failure a VmkdError.
 * Policy — which stops are news for a person, what continuing preserves — is not here but in engine/target.
 */

import { VmkdError, asVmkdError } from '../core/errors';
import type { Clock } from '../core/clock';
import type { Fields, ValuesOf } from '../core/layout';
import { Mutex } from '../core/mutex';
import type { ChannelOwner, ChannelStatistics, PacketChannel, Verdict } from './channel';
import { notStopped, type ClientState } from './clientState';
import { encodeControlRequest, type ControlRequest } from './controlRequest';
import { encodePromptAnswer, type DebugIoMessage, type PromptMessage } from './debugIo';
import { Exchange, type ExchangeResult } from './exchange';
import { encodeFileAnswer, noSuchFile, type FileAnswer, type FileRequest } from './fileIo';
import { PacketType } from './framing';
import { continue2X64, continue2X86, continueApi } from './manipulate/execution';
import {
  encodeManipulate,
  manipulateData,
  readManipulateHead,
  type ManipulateApi,
} from './manipulate/message';
import { getVersion, interpretVersion, type TargetVersion } from './manipulate/version';
import { NtStatus, formatStatus, isError } from './ntstatus';
import { decodeTargetPacket, type KdPacket, type TargetMessage } from './packet';
import { decodeStateChange, readControlReport, type StateChange } from './stateChange';
import type { TraceMessage } from './traceIo';

/** Who listens to the client. Every part is optional; what nobody serves is answered as a bare debugger would. */
export interface ClientObserver {
  onState?(state: ClientState): void;
  onPrint?(message: DebugIoMessage & { kind: 'print' }): void;
  /** @returns The answer; without a server it is the empty string, and the guest goes on. */
  onPrompt?(prompt: PromptMessage): Promise<string>;
  /** Without a server: “no such file”. */
  onFile?(request: FileRequest): Promise<FileAnswer>;
  onTrace?(trace: TraceMessage): void;
  /** @returns The debug registers lent, as a bit mask; without a server none. */
  onControlRequest?(request: ControlRequest): number;
  /** Something went wrong that no caller waits for: a prompt's answer that could not be delivered. */
  onError?(error: VmkdError): void;
}

export interface ClientTiming {
  /** Milliseconds without a reply until the client resynchronises. */
  readonly reply: number;
  /** Milliseconds between two calls to a target that does not answer while attaching or breaking in. */
  readonly call: number;
}

export const defaultClientTiming: ClientTiming = { reply: 4000, call: 1500 };

export interface ClientOptions {
  /** Opens the next channel for the given owner. Errors: `link-*`, `cancelled`. */
  open(owner: ChannelOwner, signal: AbortSignal | undefined): Promise<PacketChannel>;
  /** Why an open channel stays silent, if the carrier can tell; undefined if not. */
  diagnoseSilence?(): Promise<VmkdError | undefined>;
  readonly clock: Clock;
  readonly timing?: ClientTiming;
  readonly observer?: ClientObserver;
  /** First sequence number; random by default, so that replies to a dead session are not taken for ours. */
  readonly firstSequence?: number;
}

export interface AttachOptions {
  /** True: stop the target. False: listen, and take it as running unless it says that it is stopped. */
  readonly breakIn: boolean;
  /** Milliseconds for the whole synchronisation, after the channel is open. */
  readonly milliseconds: number;
  readonly signal?: AbortSignal;
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

export interface ContinueOptions {
  /** NTSTATUS; ≥ 0x80000000 passes the exception on to the guest. Default DBG_CONTINUE. */
  readonly status?: number;
  /** Trap after one instruction of the stopped processor. */
  readonly trace?: boolean;
  /** For every processor. Default: what the stopped processor reported, so that hardware breakpoints live on. */
  readonly dr7?: bigint;
}

/** How far back a late reply may come from. */
const recentSequences = 65536;

/** Always large, so that the padding of a target that sends zeros or small numbers is never one of ours. */
const sequenceNumber = (count: number): number => ((count & 0x7fff_ffff) | 0x8000_0000) >>> 0;

interface Waiter {
  readonly resolve: (change: StateChange) => void;
  readonly reject: (error: VmkdError) => void;
}

export class KdClient {
  readonly #options: ClientOptions;
  readonly #timing: ClientTiming;
  readonly #observer: ClientObserver;
  readonly #turn = new Mutex();
  #state: ClientState = { kind: 'idle' };
  #channel: PacketChannel | undefined;
  /** Counts attachments: the callbacks of an earlier one mean nothing. */
  #attachment = 0;
  #exchange: Exchange | undefined;
  #sequence: number;
  /** The target has been seen to hand request padding back. */
  #echoesPadding = false;
  #version: TargetVersion | undefined;
  /** The last state change, as sent. */
  #lastStop: Uint8Array = new Uint8Array();
  #sawReset = false;
  #sawStop = false;
  #unspentBreakIns = 0;
  #foreignReplies = 0;
  #peerFault: VmkdError | undefined;
  #waiters: Waiter[] = [];
  #onAttachEvent: (() => void) | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#timing = options.timing ?? defaultClientTiming;
    this.#observer = options.observer ?? {};
    this.#sequence = sequenceNumber(options.firstSequence ?? Math.floor(Math.random() * 0x8000_0000));
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

  get statistics(): ChannelStatistics | undefined {
    return this.#channel?.statistics;
  }

  /**
   * Opens a channel and finds out who is there.
   * @returns The stop that the target is in; undefined if it runs (only without `breakIn`).
   * @throws link-*, target-silent, target-garbage, target-second-debugger, target-32bit-protocol, target-unsupported,
   *   target-not-acknowledging, cancelled.
   */
  async attach(options: AttachOptions): Promise<StateChange | undefined> {
    if (this.#channel) throw new VmkdError('internal', 'attach() while attached');
    this.#forgetTarget();
    this.#setState({ kind: 'connecting' });
    try {
      this.#channel = await this.#options.open(this.#owner(), options.signal);
      this.#failIfHopeless();
      this.#setState({ kind: 'synchronising' });
      return await this.#synchronise(options);
    } catch (thrown) {
      const error = asVmkdError(thrown);
      this.#drop();
      this.#setState({ kind: 'lost', error });
      throw error;
    }
  }

  /** Closes the channel. The target stays as it is: running, or stopped. */
  detach(): void {
    this.#drop();
    this.#setState({ kind: 'idle' });
  }

  /** Asks a running target to stop. It may take a clock tick of the guest, or never happen: see `waitForStop`. */
  callBreakIn(): void {
    const channel = this.#mustHaveChannel();
    this.#unspentBreakIns++;
    channel.breakIn();
  }

  /** The current stop, or the next. @throws target-did-not-stop after the limit; link-*; cancelled. */
  waitForStop(milliseconds: number, signal?: AbortSignal): Promise<StateChange> {
    if (this.#state.kind === 'stopped') return Promise.resolve(this.#state.change);
    if (this.#state.kind === 'lost') return Promise.reject(this.#state.error);
    this.#mustHaveChannel();
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        finish();
      };
      const waiter: Waiter = {
        resolve: (change) => end(() => resolve(change)),
        reject: (error) => end(() => reject(error)),
      };
      const onAbort = (): void =>
        waiter.reject(new VmkdError('cancelled', 'The wait for a stop was cancelled'));
      const timer = Number.isFinite(milliseconds)
        ? this.#options.clock.after(milliseconds, () =>
            waiter.reject(
              new VmkdError('target-did-not-stop', `The target did not stop within ${milliseconds} ms`),
            ),
          )
        : undefined;
      this.#waiters.push(waiter);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort);
    });
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
      throw new VmkdError('internal', `${api.name} has no reply; use continue() or switchTo()`);
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

  /** Lets the target go. Resolves when it has the order; the next stop shows as a state. @throws as `request` */
  async continue(options: ContinueOptions = {}): Promise<void> {
    await this.#turn.run(async () => {
      const { change, version } = this.#mustBeStopped();
      const continueStatus = options.status ?? NtStatus.DbgContinue;
      if (change.kind === 'targetGone') {
        this.#version = undefined;
        await this.#letGo(continueApi, { continueStatus });
        return;
      }
      const dr7 = options.dr7 ?? readControlReport(change, version.machine).dr7;
      const traceFlag = Number(options.trace ?? false);
      // symbolStart 1: there is no range to step over.
      if (version.machine === 'x64') {
        await this.#letGo(continue2X64, { continueStatus, traceFlag, dr7, symbolStart: 1n });
      } else {
        await this.#letGo(continue2X86, { continueStatus, traceFlag, dr7: Number(dr7), symbolStart: 1 });
      }
    });
  }

  /** Sends an order after which the target runs (or is gone) and that has no reply: Reboot, CauseBugCheck. */
  async order<Req extends Fields>(api: ManipulateApi<Req>, fields: Partial<ValuesOf<Req>>): Promise<void> {
    await this.#turn.run(() => this.#letGo(api, fields));
  }

  /** Makes another processor the one that KD talks to. @throws value-out-of-range if there is no such processor. */
  async switchProcessor(api: ManipulateApi, processor: number): Promise<StateChange> {
    return this.#turn.run(async () => {
      const { change } = this.#mustBeStopped();
      if (processor >= change.numberProcessors) {
        throw new VmkdError(
          'value-out-of-range',
          `There is no processor ${processor}; there are ${change.numberProcessors}`,
        );
      }
      if (processor === change.processor) return change;
      const result = await this.#ask(api, {}, { processor });
      if (result.kind !== 'stateChange')
        throw new VmkdError('internal', `${api.name} ended with ${result.kind}`);
      return this.#mustBeStopped().change;
    });
  }

  // --- exchanges

  async #ask(api: ManipulateApi, fields: object, options: RequestOptions): Promise<ExchangeResult> {
    const { change } = this.#mustBeStopped();
    return this.#exchangeWith(api, fields, options, change);
  }

  async #exchangeWith(
    api: ManipulateApi,
    fields: object,
    options: RequestOptions,
    stop: StateChange | undefined,
  ): Promise<ExchangeResult> {
    this.#sequence = sequenceNumber(this.#sequence + 1);
    const head = {
      apiNumber: api.number,
      processorLevel: stop?.processorLevel ?? 0,
      processor: options.processor ?? stop?.processor ?? 0,
      returnStatus: NtStatus.Pending,
      padding: this.#sequence,
    };
    const exchange = new Exchange({
      api,
      payload: encodeManipulate(api.request, head, fields, options.data),
      channel: this.#mustHaveChannel(),
      clock: this.#options.clock,
      patience: options.patience ?? this.#timing.reply,
      currentStop: this.#lastStop,
    });
    this.#exchange = exchange;
    try {
      return await exchange.done;
    } finally {
      if (this.#exchange === exchange) this.#exchange = undefined;
    }
  }

  async #letGo(api: ManipulateApi, fields: object): Promise<void> {
    const before = this.#mustBeStopped();
    await this.#ask(api, fields, {});
    // A new stop may have come in the same breath; then the state has moved on already.
    if (this.#state === before) this.#setState({ kind: 'running' });
  }

  #failIfHopeless(): void {
    if (this.#peerFault) throw this.#peerFault;
    if (this.#state.kind === 'lost') throw this.#state.error;
  }

  #mustBeStopped(): ClientState & { kind: 'stopped' } {
    if (this.#state.kind !== 'stopped') throw notStopped(this.#state);
    return this.#state;
  }

  #mustHaveChannel(): PacketChannel {
    if (!this.#channel) {
      throw this.#state.kind === 'lost'
        ? this.#state.error
        : new VmkdError('target-not-attached', 'There is no connection');
    }
    return this.#channel;
  }

  // --- attaching

  async #synchronise(options: AttachOptions): Promise<StateChange | undefined> {
    const { clock } = this.#options;
    const deadline = clock.now() + options.milliseconds;
    for (let attempt = 0; ; attempt++) {
      if (attempt === 0 || !this.#sawStop) this.#callTarget(options.breakIn);
      else this.#mustHaveChannel().requestReset();
      const pause = Math.min(this.#timing.call, deadline - clock.now());
      await this.#attachEvent(pause, options.signal, () => this.#sawStop && this.#sawReset);
      this.#failIfHopeless();
      if (this.#sawStop && this.#sawReset) break;
      if (!options.breakIn && !this.#sawStop && attempt >= 1) {
        this.#setState({ kind: 'running' });
        return undefined;
      }
      if (clock.now() >= deadline) throw await this.#whyNoAnswer(options.milliseconds);
    }
    // After its answer to the RESET the target repeats its stop. If that came first, what it said then must do.
    await this.#attachEvent(this.#timing.call, options.signal, () => kindOf(this.#state) === 'stopped');
    this.#failIfHopeless();
    if (isAttaching(this.#state)) this.#serve(this.#learnVersion(this.#lastStop));
    return this.waitForStop(Math.max(deadline - clock.now(), this.#timing.reply), options.signal);
  }

  /** A running target sees the 'b', a stopped one the RESET; each ignores the other. */
  #callTarget(breakIn: boolean): void {
    if (breakIn) this.callBreakIn();
    this.#mustHaveChannel().requestReset();
  }

  #attachEvent(milliseconds: number, signal: AbortSignal | undefined, reached: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        this.#onAttachEvent = undefined;
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(new VmkdError('cancelled', 'Attaching was cancelled'));
      };
      const timer = this.#options.clock.after(milliseconds, () => {
        end();
        resolve();
      });
      this.#onAttachEvent = () => {
        if (!reached() && !this.#peerFault && isAttaching(this.#state)) return;
        end();
        resolve();
      };
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort);
      if (reached()) this.#onAttachEvent();
    });
  }

  async #whyNoAnswer(milliseconds: number): Promise<VmkdError> {
    const known = await this.#options.diagnoseSilence?.();
    if (known) return known;
    const { bytesReceived, packetsReceived, controlReceived, garbageBytes } =
      this.#mustHaveChannel().statistics;
    const name = this.#mustHaveChannel().name;
    if (bytesReceived === 0) {
      return new VmkdError(
        'target-silent',
        `${name} is open, but the guest sent nothing for ${milliseconds} ms`,
      );
    }
    if (this.#foreignReplies > 0) {
      return new VmkdError(
        'target-second-debugger',
        `${name} carries answers to requests that we did not make`,
      );
    }
    if (packetsReceived === 0 && controlReceived === 0) {
      return new VmkdError(
        'target-garbage',
        `${name}: ${bytesReceived} bytes came, ${garbageBytes} of them no part of any packet`,
      );
    }
    return new VmkdError(
      'target-not-acknowledging',
      `${name}: the guest sends packets, but does not answer ours`,
    );
  }

  // --- what the channel says

  /** What a channel says after it was dropped is about another attachment, and is not heard. */
  #owner(): ChannelOwner {
    const attachment = ++this.#attachment;
    const isCurrent = (): boolean => attachment === this.#attachment;
    return {
      judge: (packet) => (isCurrent() ? this.#judge(packet) : 'stale'),
      onPacket: (packet) => {
        if (isCurrent()) this.#onPacket(packet);
      },
      onPeerReset: (restarted) => {
        if (isCurrent()) this.#onPeerReset(restarted);
      },
      onBreakIn: () => undefined,
      onClosed: (error) => {
        if (isCurrent()) this.#onClosed(error);
      },
    };
  }

  #onPeerReset(restarted: boolean): void {
    // A restart that shows while attaching is no answer to our RESET, which is still under way.
    this.#sawReset ||= !restarted;
    if (restarted) {
      // After a reboot the kernel lies elsewhere, and may be another one.
      this.#version = undefined;
      this.#echoesPadding = false;
      if (this.#state.kind === 'stopped') this.#setState({ kind: 'running' });
    }
    this.#onAttachEvent?.();
  }

  #judge(packet: KdPacket): Verdict {
    try {
      if (packet.type === PacketType.StateManipulate) return this.#judgeReply(packet.payload);
      decodeTargetPacket(packet);
      return 'accept';
    } catch (thrown) {
      const error = asVmkdError(thrown);
      if (error.code === 'protocol-violation') return 'damaged';
      this.#peerFault = error;
      this.#onAttachEvent?.();
      return 'stale';
    }
  }

  #judgeReply(payload: Uint8Array): Verdict {
    const { apiNumber, padding } = readManipulateHead(payload);
    const api = this.#exchange?.setting.api;
    if (api?.number === apiNumber && api.answer === 'reply') {
      const age = (this.#sequence - padding) >>> 0;
      // A number that we used lately shows as well as the right one that the target hands padding back.
      if (age < recentSequences) this.#echoesPadding = true;
      return age === 0 || !this.#echoesPadding ? 'accept' : 'stale';
    }
    if (!this.#exchange) this.#foreignReplies++;
    return 'stale';
  }

  #onPacket(packet: KdPacket): void {
    const message = decodeTargetPacket(packet);
    switch (message.family) {
      case 'manipulate':
        this.#exchange?.onReply(packet.payload);
        return;
      case 'stateChange':
        this.#onStateChange(message.change, packet.payload);
        return;
      case 'debugIo':
        if (message.message.kind === 'print') this.#observer.onPrint?.(message.message);
        else this.#serve(this.#answerPrompt(message.message));
        return;
      case 'fileIo':
        this.#serve(this.#answerFile(message));
        return;
      case 'traceIo':
        this.#observer.onTrace?.(message.trace);
        return;
      case 'controlRequest':
        this.#serve(this.#answerControl(message.request));
        return;
    }
  }

  #onStateChange(change: StateChange, payload: Uint8Array): void {
    const taken = this.#exchange?.onStateChange(change, payload) ?? false;
    this.#sawStop = true;
    if (isAttaching(this.#state) && !this.#sawReset) {
      // Ids are only certain after the RESET that is under way; the target repeats this stop after it.
      this.#lastStop = payload;
      this.#onAttachEvent?.();
      return;
    }
    if (taken && this.#state.kind === 'stopped' && this.#exchange?.setting.api.answer !== 'stateChange')
      return;
    if (
      this.#state.kind === 'stopped' &&
      !taken &&
      this.#exchange?.setting.api.answer === 'acknowledgement'
    ) {
      // The acknowledgement of our Continue and the next stop came in the same breath.
      this.#setState({ kind: 'running' });
    }
    this.#lastStop = payload;
    if (this.#version) {
      this.#announce(change, this.#version);
      return;
    }
    this.#serve(this.#learnVersion(payload));
  }

  async #learnVersion(stop: Uint8Array): Promise<void> {
    // Only the newest stop counts: state changes may come twice.
    await this.#turn.run(async () => {
      if (stop !== this.#lastStop || this.#version) return;
      const change = decodeStateChange(stop);
      const result = await this.#exchangeWith(getVersion, {}, { patience: this.#timing.call }, change);
      if (result.kind !== 'reply') throw new VmkdError('internal', 'GetVersion has a reply');
      this.#version = interpretVersion(getVersion.reply.read(result.payload));
      this.#announce(decodeStateChange(this.#lastStop), this.#version);
    });
  }

  #announce(change: StateChange, version: TargetVersion): void {
    this.#setState({ kind: 'stopped', change, version });
    for (const waiter of [...this.#waiters]) waiter.resolve(change);
    this.#onAttachEvent?.();
  }

  // --- what the target asks

  async #answerPrompt(prompt: PromptMessage): Promise<void> {
    const answer = (await this.#observer.onPrompt?.(prompt)) ?? '';
    await this.#mustHaveChannel().send({
      type: PacketType.DebugIo,
      payload: encodePromptAnswer(prompt, answer),
    });
  }

  async #answerFile({ request, payload }: TargetMessage & { family: 'fileIo' }): Promise<void> {
    const answer = (await this.#observer.onFile?.(request)) ?? noSuchFile;
    await this.#mustHaveChannel().send({
      type: PacketType.FileIo,
      payload: encodeFileAnswer(payload, answer),
    });
  }

  async #answerControl(request: ControlRequest): Promise<void> {
    const granted = this.#observer.onControlRequest?.(request) ?? 0;
    await this.#mustHaveChannel().send({
      type: PacketType.ControlRequest,
      payload: encodeControlRequest(request, granted),
    });
  }

  /** Runs work that no caller waits for; its failure fails the attach under way, or goes to the observer. */
  #serve(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      const error = asVmkdError(thrown);
      if (this.#state.kind === 'synchronising') this.#peerFault = error;
      for (const waiter of [...this.#waiters]) waiter.reject(error);
      this.#onAttachEvent?.();
      this.#observer.onError?.(error);
    });
  }

  // --- ends

  #onClosed(error: VmkdError | undefined): void {
    this.#channel = undefined;
    if (error) this.#fail(error);
  }

  #fail(error: VmkdError): void {
    this.#setState({ kind: 'lost', error });
    this.#exchange?.fail(error);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.#onAttachEvent?.();
  }

  #drop(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#attachment++;
    const error = new VmkdError('target-not-attached', 'The connection was closed');
    this.#exchange?.fail(error);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    channel?.close();
  }

  #forgetTarget(): void {
    this.#version = undefined;
    this.#echoesPadding = false;
    this.#lastStop = new Uint8Array();
    this.#sawReset = this.#sawStop = false;
    this.#unspentBreakIns = 0;
    this.#foreignReplies = 0;
    this.#peerFault = undefined;
  }

  #setState(state: ClientState): void {
    this.#state = state;
    this.#observer.onState?.(state);
  }
}

/** For conditions on a state that changes behind the compiler's back. */
const kindOf = ({ kind }: ClientState): ClientState['kind'] => kind;

const isAttaching = ({ kind }: ClientState): boolean => kind === 'connecting' || kind === 'synchronising';
