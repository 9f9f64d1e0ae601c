/**
 * The target's side of KD over a packet channel: what a kernel's debugger stub says and answers. Used by tests, and by the
 * companion pipe, where WinDbg takes us for the kernel.
 *
 *   const server = new KdServer((owner) => new KdcomChannel(link, owner, { role: 'target', clock }));
 *   server.serve(readVirtualMemory, ({ address, count }) => ({ fields: { actual: … }, data: … }));
 *   const order = await server.stop(change);     // serves requests until the debugger continues
 *
 * Invariants: a reply is laid over its request, so unused fields come back as they were sent, as with NT; an API that
 * nobody serves is echoed with C0000001; a RESET makes the pending state change go out again.
 */

import { VmkdError } from '../core/errors';
import type { Fields, ValuesOf } from '../core/layout';
import type { ChannelOwner, PacketChannel, Verdict } from './channel';
import { decodeControlAnswer, encodeControlRequest, type ControlRequest } from './controlRequest';
import { decodePromptAnswer, encodeDebugIo } from './debugIo';
import { decodeFileAnswer, encodeFileRequest, type FileAnswer, type FileRequest } from './fileIo';
import { PacketType, type DataType } from './framing';
import {
  encodeManipulate,
  manipulateData,
  manipulateSize,
  readManipulateHead,
  type ManipulateApi,
  type ManipulateHead,
} from './manipulate/message';
import { NtStatus } from './ntstatus';
import type { KdPacket } from './packet';
import { encodeStateChange, type StateChange } from './stateChange';
import { encodeTraceIo } from './traceIo';

export interface Answered<F extends Fields> {
  /** NTSTATUS; default success. */
  readonly status?: number;
  readonly fields?: Partial<ValuesOf<F>>;
  /** At most 3944 bytes. */
  readonly data?: Uint8Array;
}

/** What ended a stop: an API that lets the target go, as the debugger sent it. */
export interface Order {
  readonly api: number;
  readonly payload: Uint8Array;
}

type Handler = (payload: Uint8Array, head: ManipulateHead) => Answered<Fields> | 'silent' | 'go';

const emptyStructure = { size: 0, read: () => ({}), write: () => undefined };

export class KdServer {
  readonly channel: PacketChannel;
  /** The debugger wants the target to stop. */
  onBreakIn: () => void = () => undefined;
  onClosed: (error: VmkdError | undefined) => void = () => undefined;

  readonly #handlers = new Map<number, { handler: Handler; reply: ManipulateApi['reply'] }>();
  #pendingStop:
    { payload: Uint8Array; release: (order: Order) => void; fail: (error: unknown) => void } | undefined;
  #awaited:
    { type: DataType; take: (payload: Uint8Array) => void; fail: (error: unknown) => void } | undefined;

  constructor(open: (owner: ChannelOwner) => PacketChannel) {
    this.channel = open({
      judge: (packet) => this.#judge(packet),
      onPacket: (packet) => this.#onPacket(packet),
      onPeerReset: () => this.#sendStop(),
      onBreakIn: () => this.onBreakIn(),
      onClosed: (error) => this.#onClosed(error),
    });
  }

  /** Serves an API that has a reply. */
  serve<Req extends Fields, Rep extends Fields>(
    api: ManipulateApi<Req, Rep>,
    answer: (fields: ValuesOf<Req>, data: Uint8Array, head: ManipulateHead) => Answered<Rep>,
  ): void {
    const handler: Handler = (payload, head) =>
      answer(api.request.read(payload), manipulateData(payload), head) as Answered<Fields>;
    this.#handlers.set(api.number, { handler, reply: api.reply });
  }

  /** Serves an API without a reply. `go` ends the stop; `silent` stays in it. */
  serveSilently<Req extends Fields>(
    api: ManipulateApi<Req>,
    act: (fields: ValuesOf<Req>, head: ManipulateHead) => 'go' | 'silent',
  ): void {
    const handler: Handler = (payload, head) => act(api.request.read(payload), head);
    this.#handlers.set(api.number, { handler, reply: api.reply });
  }

  /** Reports a stop and serves the debugger until it lets the target go. @throws link-*, target-not-acknowledging */
  stop(change: StateChange): Promise<Order> {
    return new Promise((release, fail) => {
      this.#pendingStop = { payload: encodeStateChange(change), release, fail };
      this.#sendStop();
    });
  }

  /** Replaces the stop that is being served: what SwitchProcessor does. */
  restate(change: StateChange): void {
    if (!this.#pendingStop) throw new VmkdError('internal', 'restate() while the target runs');
    this.#pendingStop.payload = encodeStateChange(change);
    this.#sendStop();
  }

  /** @param attempts How often it is sent before the debugger is taken for absent. */
  async print(text: string, processor = 0, attempts?: number): Promise<void> {
    const payload = encodeDebugIo({ kind: 'print', processorLevel: 6, processor, text });
    await this.channel.send(
      { type: PacketType.DebugIo, payload },
      attempts === undefined ? {} : { attempts },
    );
  }

  async prompt(prompt: string, maxAnswer: number): Promise<string> {
    const payload = encodeDebugIo({ kind: 'prompt', processorLevel: 6, processor: 0, prompt, maxAnswer });
    return decodePromptAnswer(await this.#call(PacketType.DebugIo, payload));
  }

  async file(request: FileRequest): Promise<FileAnswer> {
    return decodeFileAnswer(await this.#call(PacketType.FileIo, encodeFileRequest(request)));
  }

  /** @returns The debug registers that the debugger lent or took back, as a bit mask. */
  async control(request: ControlRequest): Promise<number> {
    return decodeControlAnswer(await this.#call(PacketType.ControlRequest, encodeControlRequest(request)))
      .granted;
  }

  async trace(data: Uint8Array): Promise<void> {
    const payload = encodeTraceIo({ processorLevel: 6, processor: 0, data });
    await this.channel.send({ type: PacketType.TraceIo, payload });
  }

  /** Sends a packet that the debugger answers by one of the same type. */
  #call(type: DataType, payload: Uint8Array): Promise<Uint8Array> {
    return new Promise((take, fail) => {
      this.#awaited = { type, take, fail };
      this.channel.send({ type, payload }).catch(fail);
    });
  }

  #sendStop(): void {
    const stop = this.#pendingStop;
    if (!stop) return;
    this.channel.send({ type: PacketType.StateChange64, payload: stop.payload }).catch(stop.fail);
  }

  #judge({ type, payload }: KdPacket): Verdict {
    if (type === this.#awaited?.type) return 'accept';
    if (type === PacketType.StateManipulate && this.#pendingStop) {
      return payload.length >= manipulateSize ? 'accept' : 'damaged';
    }
    return 'stale';
  }

  #onPacket({ type, payload }: KdPacket): void {
    if (type === PacketType.StateManipulate) {
      this.#onRequest(payload);
      return;
    }
    const awaited = this.#awaited;
    this.#awaited = undefined;
    awaited?.take(payload);
  }

  #onRequest(request: Uint8Array): void {
    const head = readManipulateHead(request);
    const entry = this.#handlers.get(head.apiNumber);
    const outcome = entry?.handler(request, head) ?? { status: NtStatus.Unsuccessful };
    if (outcome === 'silent') return;
    if (outcome === 'go') {
      const stop = this.#pendingStop;
      this.#pendingStop = undefined;
      stop?.release({ api: head.apiNumber, payload: request });
      return;
    }
    const { status = NtStatus.Success, fields = {}, data } = outcome;
    const structure = entry?.reply ?? (emptyStructure as unknown as ManipulateApi['reply']);
    const payload = encodeManipulate(structure, { ...head, returnStatus: status }, fields, data, request);
    this.channel
      .send({ type: PacketType.StateManipulate, payload })
      .catch((error: unknown) => this.#pendingStop?.fail(error));
  }

  #onClosed(error: VmkdError | undefined): void {
    const reason = error ?? new VmkdError('link-lost', 'The debugger closed the link');
    this.#pendingStop?.fail(reason);
    this.#awaited?.fail(reason);
    this.#pendingStop = this.#awaited = undefined;
    this.onClosed(error);
  }
}
