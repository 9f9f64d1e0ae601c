/**
 * The companion pipe: lets another debugger (WinDbg) attach to the kernel that a KdClient has, over KDCOM, beside whoever
 * else uses that client. It does what the state machine says (ownership.ts), and carries packets:
 *
 *   KdClient ◀── requests, as they are ── Companion ◀── PipeDebugger ◀── KDCOM on the pipe
 *      └── stops, prints, questions, as they came ──▶
 *   MemorySource ── reads, while the kernel stands ──▶
 *   host ── its stops, hand-overs ──▶
 *
 * Invariants: one debugger at a time; nothing here waits for the pipe but what the kernel asks of its driver; a request that
 * was made in one stop is never carried out in another; whatever fails is told to the debugger as C0000001, never by silence.
 */

import type { Clock } from '../core/clock';
import { VmkdError, asVmkdError } from '../core/errors';
import type { KdClient } from '../kd/client';
import type { ClientState, StoppedState } from '../kd/clientState';
import { PacketType } from '../kd/framing';
import { getContext, readControlSpace, setContext, writeControlSpace } from '../kd/manipulate/context';
import {
  encodeManipulate,
  manipulateData,
  readManipulateHead,
  type ManipulateHead,
} from '../kd/manipulate/message';
import { NtStatus, isError } from '../kd/ntstatus';
import type { KdPacket } from '../kd/packet';
import { withStatus } from '../kd/server';
import { decodeStateChange, encodeStateChange, type StateChange } from '../kd/stateChange';
import type { KdcomTiming } from '../link/kdcomChannel';
import type { ByteLink } from '../link/link';
import { isMemoryRequest, replyFrom, type MemorySource } from './memorySource';
import {
  beginning,
  turn,
  type Consequence,
  type Happening,
  type Ownership,
  type ShownStop,
} from './ownership';
import { PeerBreakpoints } from './peerBreakpoints';
import { PipeDebugger } from './pipeDebugger';
import { requestSort, treatmentOf, type Sort } from './treatment';

/** Who wants to know what happens on the pipe. */
export interface CompanionObserver {
  /** After each change. */
  onChange?(now: Ownership, before: Ownership): void;
  /** The debugger on the pipe wants the kernel to stop, and does not drive. */
  onWish?(): void;
  /** It has changed the target: what others know of it is old. */
  onTouched?(): void;
  onError?(error: VmkdError): void;
}

export interface CompanionOptions {
  readonly clock: Clock;
  /** True: somebody else drives the kernel, and tells by `hostStopped` which of its stops are any. */
  readonly hasHost: boolean;
  readonly observer?: CompanionObserver;
  readonly timing?: KdcomTiming;
  readonly muteMilliseconds?: number;
}

/** The way to a kernel. */
export interface FollowedKernel {
  /** Its observer's `relay` must be that of the companion. */
  readonly client: KdClient;
  /** Answers reads while the kernel stands; without it, the kernel does. */
  readonly memory?: MemorySource;
}

const defaultMute = 10_000;
/** Milliseconds after which a call is taken for lost. */
const callAgain = 5000;

type Outcome = Uint8Array | 'silent' | 'go';

export class Companion {
  readonly breakpoints = new PeerBreakpoints();
  readonly #options: CompanionOptions;
  readonly #observer: CompanionObserver;
  #kernel: FollowedKernel | undefined;
  #unfollow: (() => void)[] = [];
  #now: Ownership;
  #peer: PipeDebugger | undefined;
  /** The memory source learns of a stop. */
  #entering: Promise<void> | undefined;
  /** The client's state behind the stop that is shown. */
  #stopped: StoppedState | undefined;
  /** It has sent an order to go on, which is under way. */
  #isOrdering = false;
  /** Its last request, until it is done. */
  #underWay: Promise<unknown> | undefined;
  #breaksInNext = false;
  /** When the kernel was called to stop, and has not since. */
  #called: number | undefined;
  /** It is to be called to stop as soon as it runs. */
  #owesCall = false;
  /** This kernel has stopped before. */
  #isKnown = false;
  #closed = false;

  constructor(options: CompanionOptions) {
    this.#options = options;
    this.#observer = options.observer ?? {};
    this.#now = beginning(options.hasHost);
  }

  /** The kernel that the pipe leads to from now on; that of before is gone. */
  follow(kernel: FollowedKernel): void {
    for (const end of this.#unfollow) end();
    this.#kernelGone();
    this.#kernel = kernel;
    const { client } = kernel;
    this.#unfollow = [
      client.states.add((state) => this.#onClient(client, state)),
      client.restarts.add(() => this.#onRestart()),
    ];
    this.#onClient(client, client.state);
  }

  get now(): Ownership {
    return this.#now;
  }

  /** A debugger that has said something, and may be handed the kernel. */
  get hasPeer(): boolean {
    return this.#now.peer.kind !== 'absent' && this.#now.peer.kind !== 'mute';
  }

  /** @throws companion-absent */
  mustHavePeer(): void {
    if (!this.hasPeer)
      throw new VmkdError('companion-absent', 'No debugger is attached to the companion pipe');
  }

  /** A debugger has connected; resolves when it is gone. @throws internal if there is one already */
  async serve(link: ByteLink): Promise<VmkdError | undefined> {
    if (this.#peer) throw new VmkdError('internal', 'There is a debugger on the pipe already');
    // The one before may have let the kernel go with its last word: this one shall not be shown a stop that is past.
    await this.settled();
    return new Promise((resolve) => {
      const peer = new PipeDebugger(
        link,
        {
          onSpoke: () => this.#happen({ kind: 'peer-spoke' }),
          onReset: () => this.#happen({ kind: 'peer-reset' }),
          onBreakIn: () => this.#onBreakIn(),
          onOrder: () => this.#onOrder(),
          onUnheard: () => this.#happen({ kind: 'peer-unheard' }),
          onClosed: (error) => {
            this.#peer = undefined;
            this.#isOrdering = this.#breaksInNext = false;
            this.#happen({ kind: 'peer-left' });
            resolve(error);
          },
        },
        {
          clock: this.#options.clock,
          ...(this.#options.timing && { timing: this.#options.timing }),
          muteMilliseconds: this.#options.muteMilliseconds ?? defaultMute,
        },
      );
      peer.server.serveRest((request) => this.#onRequest(request));
      peer.server.onError = (error) => this.#observer.onError?.(error);
      this.#peer = peer;
      this.#happen({ kind: 'peer-came' });
      if (this.#closed) peer.close();
    });
  }

  /** Ends the connection that there is. The kernel stays as it is. */
  close(): void {
    this.#closed = true;
    for (const end of this.#unfollow.splice(0)) end();
    this.#peer?.close();
  }

  // --- the host

  /** The host has told its user of a stop. @param payload Of the state change that shows it. */
  hostStopped(payload: Uint8Array): void {
    if (this.#now.owner.kind === 'host') this.#kernelStopped(payload);
  }

  /** The debugger on the pipe drives from now on, and the host looks on. @throws companion-absent */
  give(): void {
    this.mustHavePeer();
    this.#happen({ kind: 'host-gives' });
    this.#catchUp();
  }

  /** The host drives from now on. Resolves when what the debugger had under way is done. */
  async take(): Promise<void> {
    this.#happen({ kind: 'host-takes' });
    await this.settled();
  }

  /** What the debugger that drove has asked for is done: an order to go on may have been on its way to the kernel. */
  async settled(): Promise<void> {
    await this.#underWay?.catch(() => undefined);
  }

  /** The host is done with the kernel. Who is on the pipe drives. */
  hostLeft(): void {
    this.#happen({ kind: 'host-left' });
    this.#catchUp();
  }

  // --- the kernel

  /** For the client's servant: see TargetServant. */
  relay(packet: KdPacket): Promise<KdPacket | undefined> | undefined {
    const peer = this.#peer;
    if (!peer || !this.hasPeer) return undefined;
    if (!isQuestion(packet)) {
      peer.print(packet, listens(this.#now));
      return undefined;
    }
    if (this.#now.owner.kind !== 'peer' || !listens(this.#now)) return undefined;
    return peer.ask(packet).then((payload) => payload && { type: packet.type, payload });
  }

  #onClient(client: KdClient, state: ClientState): void {
    switch (state.kind) {
      case 'stopped':
        this.breakpoints.sawStop(state.change);
        this.#called = undefined;
        this.#isKnown = true;
        if (state.change.kind === 'exception') this.#owesCall = false;
        if (this.#now.owner.kind !== 'host') this.#enter(client, state);
        return;
      case 'running':
      case 'synchronising':
        if (this.#now.kernel.kind === 'absent') this.#happen({ kind: 'kernel-came' });
        else if (this.#now.kernel.kind === 'stopped') this.#happen({ kind: 'kernel-ran' });
        if (this.#owesCall && state.kind === 'running') this.#attempt(() => this.#call());
        return;
      case 'lost':
      case 'idle':
        this.#kernelGone();
        return;
      case 'connecting':
        return;
    }
  }

  /** The memory source gets to know the stop while the debugger does; what it fails at, the kernel answers. */
  #enter(client: KdClient, state: StoppedState): void {
    const enter = this.#kernel?.memory?.enter?.(state);
    this.#entering = enter?.catch((thrown: unknown) => {
      // The debugger was quicker.
      if (client.state === state) this.#report(thrown);
    });
    this.#kernelStopped(client.stopPayload);
  }

  #onRestart(): void {
    // What was called before the kernel was ever heard of was called for whichever comes.
    const owesCall = this.#owesCall || (this.#called !== undefined && !this.#isKnown);
    this.#kernelGone();
    this.#happen({ kind: 'kernel-came' });
    this.#owesCall ||= owesCall;
  }

  #kernelGone(): void {
    if (this.#now.kernel.kind === 'absent') return;
    this.breakpoints.forget();
    this.#stopped = this.#called = undefined;
    this.#owesCall = this.#isKnown = false;
    this.#peer?.unask();
    this.#happen({ kind: 'kernel-gone' });
  }

  #kernelStopped(payload: Uint8Array): void {
    const state = this.#kernel?.client.state;
    if (state?.kind !== 'stopped') return;
    this.#stopped = state;
    this.#happen({ kind: 'kernel-stopped', stop: { payload, kind: stopKind(state.change) } });
  }

  /** The client's own state counts from now on. */
  #catchUp(): void {
    const client = this.#kernel?.client;
    const { owner, kernel } = this.#now;
    if (client === undefined || owner.kind === 'host') return;
    const { state } = client;
    if (state.kind === 'stopped' && kernel.kind !== 'stopped') this.#enter(client, state);
    if (state.kind === 'running' && kernel.kind === 'stopped') this.#happen({ kind: 'kernel-ran' });
  }

  // --- what happens

  #happen(happening: Happening): void {
    const before = this.#now;
    const { now, consequences } = turn(before, happening);
    this.#now = now;
    const { peer, kernel } = now;
    if (this.#peer) {
      this.#peer.server.attentive =
        kernel.kind === 'stopped' && (peer.kind === 'mute' || peer.kind === 'waiting');
    }
    for (const consequence of consequences) this.#act(consequence);
    if (listens(now) && !listens(before)) this.#peer?.resume();
    if (now !== before) this.#observer.onChange?.(now, before);
  }

  #act(consequence: Consequence): void {
    switch (consequence.kind) {
      case 'tell':
        this.#peer?.tell(consequence.stop.payload, consequence.stop.kind === 'event');
        return;
      case 'tell-end':
        this.#peer?.tell(goodBye(consequence.last), false);
        return;
      case 'silence':
        this.#peer?.silence();
        return;
      case 'break-in':
        this.#attempt(() => this.#call());
        return;
      case 'wish':
        this.#observer.onWish?.();
        return;
      case 'let-go': {
        const from = this.#stopped;
        if (from) this.#kernel?.client.continue({ from }).catch((thrown: unknown) => this.#report(thrown));
        return;
      }
    }
  }

  /** Two calls would stop it twice: debuggers call again and again until it stands. */
  #call(): void {
    // One that gets into step with us, or stands at a notice, would lose it.
    this.#owesCall = this.#kernel?.client.state.kind !== 'running';
    if (this.#owesCall) return;
    const now = this.#options.clock.now();
    if (this.#called !== undefined && now - this.#called < callAgain) return;
    this.#called = now;
    this.#kernel?.client.callBreakIn();
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      this.#report(thrown);
    }
  }

  #report(thrown: unknown): void {
    this.#observer.onError?.(asVmkdError(thrown));
  }

  // --- requests of the debugger on the pipe

  /** Its order is acknowledged before the kernel has it: what follows is meant for a kernel that runs. */
  #onBreakIn(): void {
    if (this.#isOrdering) this.#breaksInNext = true;
    else this.#happen({ kind: 'peer-broke-in' });
  }

  #onOrder(): void {
    this.#isOrdering = false;
    this.#happen({ kind: 'peer-went-on' });
    if (!this.#breaksInNext) return;
    this.#breaksInNext = false;
    this.#happen({ kind: 'peer-broke-in' });
  }

  async #onRequest(request: Uint8Array): Promise<Outcome> {
    const { apiNumber } = readManipulateHead(request);
    const sort = requestSort(apiNumber);
    this.#isOrdering = sort === 'go' || sort === 'elsewhere';
    const treated = (this.#underWay = this.#treat(request, apiNumber));
    const outcome = await treated;
    // Until `onOrder`, if it goes.
    if (outcome !== 'go') this.#isOrdering = this.#breaksInNext = false;
    return outcome;
  }

  async #treat(request: Uint8Array, apiNumber: number): Promise<Outcome> {
    switch (treatmentOf(apiNumber, this.#now)) {
      case 'pass':
        return this.#pass(request);
      case 'refuse':
        return refused(request);
      case 'compare':
        return (await this.#changesNothing(request))
          ? withStatus(request, NtStatus.Success)
          : refused(request);
      case 'asleep':
        return this.breakpoints.answer(request);
      case 'wait':
        return 'go';
      case 'again':
        return this.#again();
      case 'swallow':
        return 'silent';
    }
  }

  async #pass(request: Uint8Array): Promise<Outcome> {
    const kernel = this.#kernel;
    const from = this.#stopped;
    if (kernel === undefined || from === undefined) return refused(request);
    const sort = requestSort(readManipulateHead(request).apiNumber);
    const found = await this.#fromSource(request, kernel);
    if (found !== undefined) return found;
    const outward = this.breakpoints.outward(request);
    if ('reply' in outward) return outward.reply;
    try {
      if (sort === 'go' && this.breakpoints.areAsleep) await this.breakpoints.wake(kernel.client);
      const relayed = await kernel.client.relay(outward.request, from);
      switch (relayed.kind) {
        case 'reply':
          if (sort !== 'look') this.#observer.onTouched?.();
          return this.breakpoints.inward(request, relayed.payload);
        case 'stateChange':
          this.#happen({ kind: 'peer-moved' });
          this.#peer?.server.restate(relayed.payload);
          return 'silent';
        case 'acknowledged':
          return sort === 'silent' ? 'silent' : 'go';
      }
    } catch (thrown) {
      this.#report(thrown);
      return this.#failed(request, sort);
    }
  }

  /** What has no reply ends the debugger's stop if the kernel has left it, or is gone; else it gets its stop again. */
  #failed(request: Uint8Array, sort: Sort): Outcome {
    if (sort !== 'go' && sort !== 'elsewhere') return sort === 'silent' ? 'silent' : refused(request);
    return this.#now.peer.kind === 'stopped' ? this.#again() : 'go';
  }

  #again(): Outcome {
    const { peer } = this.#now;
    if (peer.kind === 'stopped') this.#peer?.server.restate(peer.stop.payload);
    return 'silent';
  }

  async #fromSource(request: Uint8Array, { memory }: FollowedKernel): Promise<Uint8Array | undefined> {
    if (!memory) return undefined;
    try {
      if (isMemoryRequest(request)) await this.#entering;
      return await replyFrom(memory, request);
    } catch (thrown) {
      this.#report(thrown);
      return undefined;
    }
  }

  /** Registers are written back as they were by a debugger that is about to go on: no harm in that. */
  async #changesNothing(request: Uint8Array): Promise<boolean> {
    const data = manipulateData(request);
    if (this.#stopped === undefined) return false;
    const question = registersAgain(request);
    const answer = await this.#kernel?.client.relay(question, this.#stopped).catch(() => undefined);
    if (answer?.kind !== 'reply' || isError(readManipulateHead(answer.payload).returnStatus)) return false;
    const now = manipulateData(answer.payload);
    return data.length > 0 && data.every((byte, i) => byte === now[i]);
  }
}

/** The request that reads what this one writes. */
function registersAgain(request: Uint8Array): Uint8Array {
  const { apiNumber, processorLevel, processor } = readManipulateHead(request);
  const head: Partial<ManipulateHead> = { processorLevel, processor, returnStatus: NtStatus.Pending };
  if (apiNumber === setContext.number)
    return encodeManipulate(getContext.request, { ...head, apiNumber: getContext.number }, {});
  const range = writeControlSpace.request.read(request);
  return encodeManipulate(readControlSpace.request, { ...head, apiNumber: readControlSpace.number }, range);
}

const listens = ({ peer }: Ownership): boolean => peer.kind === 'waiting' && peer.answers;

const refused = (request: Uint8Array): Uint8Array => withStatus(request, NtStatus.Unsuccessful);

const isQuestion = ({ type, payload }: KdPacket): boolean =>
  type === PacketType.FileIo ||
  type === PacketType.ControlRequest ||
  (type === PacketType.DebugIo && payload[0] === 0x31);

function stopKind(change: StateChange): ShownStop['kind'] {
  switch (change.kind) {
    case 'loadSymbols':
      return 'notice';
    case 'targetGone':
      return 'good-bye';
    case 'exception':
    case 'commandString':
      return 'event';
  }
}

/** What a kernel says when it shuts down; the debugger answers, and waits for the next one. */
function goodBye({ payload }: ShownStop): Uint8Array {
  const { processorLevel, processor, numberProcessors, thread, programCounter } = decodeStateChange(payload);
  const report = new Uint8Array();
  const where = { processorLevel, processor, numberProcessors, thread, programCounter };
  return encodeStateChange({ ...where, kind: 'targetGone', report });
}
