/**
 * The target's side of KD over a packet channel: what a kernel's debugger stub says and answers. Used by tests, and by the
 * companion pipe, where WinDbg takes us for the kernel.
 *
 *   const server = new KdServer((owner) => new KdcomChannel(link, owner, { role: 'target', clock }));
 *   server.serve(readVirtualMemory, ({ address, count }) => ({ fields: { actual: … }, data: … }));
 *   const order = await server.stop(change);     // serves requests until the debugger continues
 *
 * Invariants: a reply is laid over its request, so unused fields come back as they were sent, as with NT; an API that
 * nobody serves is echoed with C0000001; a handler that fails answers C0000001; a RESET makes the target say again what it
 * was saying, stop or question, and no reply to an earlier request follows it; a running target hears nothing but break-ins;
 * an exception waits for its debugger for ever. Requests are served one after the other: of those that a debugger sends
 * meanwhile, against all custom, the last is kept.
 * Source: NT's behaviour, as ours in test/kernel has it and real debuggers rely on it.
 */

import { VmkdError, asVmkdError } from '../core/errors';
import type { Fields, ValuesOf } from '../core/layout';
import type { ChannelOwner, PacketChannel, Verdict } from './channel';
import { decodeControlAnswer, encodeControlRequest, type ControlRequest } from './controlRequest';
import { decodePromptAnswer, encodeDebugIo } from './debugIo';
import { decodeFileAnswer, encodeFileRequest, type FileAnswer, type FileRequest } from './fileIo';
import { PacketType, type DataType } from './framing';
import {
  encodeManipulate,
  manipulateData,
  manipulateHeader,
  manipulateSize,
  maxManipulateData,
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
  /** At most 3944 bytes; more is cut off. */
  readonly data?: Uint8Array;
}

/** What ended a stop: an API that lets the target go, as the debugger sent it. */
export interface Order {
  readonly api: number;
  readonly payload: Uint8Array;
}

/** A whole reply; or none, and the target stays; or none, and it goes. */
type Outcome = Uint8Array | 'silent' | 'go';
type Handler = (payload: Uint8Array, head: ManipulateHead) => Outcome | Promise<Outcome>;

export interface StopOptions {
  /** How often it is said to a debugger that does not acknowledge; default: for ever. */
  readonly attempts?: number;
  /** The debugger has it: told each time that it was said again, too. */
  readonly onTold?: () => void;
}

/** What the target is saying, and says again after a RESET, until it is answered. */
interface Saying {
  readonly type: DataType;
  payload: Uint8Array;
  readonly attempts: number;
  readonly onTold?: (() => void) | undefined;
  /** A question ends with this packet; a stop ends with an order. */
  readonly answered: (payload: Uint8Array) => void;
  readonly fail: (error: unknown) => void;
}

/** CPU family that prints and questions name: any P6 successor. */
const processorLevel = 6;

export class KdServer {
  readonly channel: PacketChannel;
  /** The debugger wants the target to stop. */
  onBreakIn: () => void = () => undefined;
  /** The debugger has started anew with us. What is to be said now may be changed, or begun. */
  onReset: () => void = () => undefined;
  /** A handler failed; the debugger got C0000001. */
  onError: (error: VmkdError) => void = () => undefined;
  /** The link has ended; undefined if we closed it. */
  onClosed: (error: VmkdError | undefined) => void = () => undefined;

  readonly #handlers = new Map<number, Handler>();
  #rest: Handler = (payload) => withStatus(payload, NtStatus.Unsuccessful);
  #saying: Saying | undefined;
  /** Counts what was said. */
  #said = 0;
  /** Counts RESETs. */
  #epoch = 0;
  /** The request that is served next. */
  #request: { readonly payload: Uint8Array; readonly saying: Saying } | undefined;
  #serving = false;

  /** It listens though it says nothing: a stopped target whose debugger takes it for running. */
  attentive = false;

  constructor(open: (owner: ChannelOwner) => PacketChannel) {
    this.channel = open({
      listens: () => this.#saying !== undefined || this.attentive,
      judge: (packet) => this.#judge(packet),
      onPacket: (packet) => this.#onPacket(packet),
      onPeerReset: () => this.#onReset(),
      onResend: () => {
        if (!this.#serving) this.#say();
      },
      onBreakIn: () => this.onBreakIn(),
      onClosed: (error) => this.#onClosed(error),
    });
  }

  /** Serves an API that has a reply. */
  serve<Req extends Fields, Rep extends Fields>(
    api: ManipulateApi<Req, Rep>,
    answer: (
      fields: ValuesOf<Req>,
      data: Uint8Array,
      head: ManipulateHead,
    ) => Answered<Rep> | Promise<Answered<Rep>>,
  ): void {
    this.#handlers.set(api.number, async (request, head) => {
      const outcome = await answer(api.request.read(request), manipulateData(request), head);
      const { status = NtStatus.Success, fields = {}, data } = outcome;
      const cut = data?.subarray(0, maxManipulateData);
      return encodeManipulate(api.reply, { ...head, returnStatus: status }, fields, cut, request);
    });
  }

  /** Serves an API without a reply. `go` ends the stop; `silent` stays in it. */
  serveSilently<Req extends Fields>(
    api: ManipulateApi<Req>,
    act: (fields: ValuesOf<Req>, head: ManipulateHead) => 'go' | 'silent',
  ): void {
    this.#handlers.set(api.number, (request, head) => act(api.request.read(request), head));
  }

  /** Serves every API that has no handler of its own, unknown ones too: whole packets in, whole replies out. */
  serveRest(handler: Handler): void {
    this.#rest = handler;
  }

  /**
   * Reports a stop and serves the debugger until it lets the target go; without a debugger that is for ever.
   * @param change What happened, or the packet's payload as it shall go out.
   * @throws link-* when the link ends; cancelled by `withdraw`; target-not-acknowledging after the last attempt
   */
  stop(change: StateChange | Uint8Array, options: StopOptions = {}): Promise<Order> {
    const { attempts = Infinity, onTold } = options;
    const payload = stopPayload(change);
    return new Promise((resolve, fail) => {
      const answered = (order: Uint8Array): void => {
        resolve({ api: readManipulateHead(order).apiNumber, payload: order });
      };
      this.#begin({ type: PacketType.StateChange64, payload, attempts, onTold, answered, fail });
    });
  }

  /** Replaces the stop that is being served: what SwitchProcessor does. */
  restate(change: StateChange | Uint8Array): void {
    if (this.#saying?.type !== PacketType.StateChange64)
      throw new VmkdError('internal', 'restate() while the target runs');
    this.#saying.payload = stopPayload(change);
    this.#say();
  }

  /** Ends what is being said, stop or question: who waits for it gets `cancelled`. The debugger is not told. */
  withdraw(): void {
    const saying = this.#saying;
    if (saying) this.#end(saying)?.fail(new VmkdError('cancelled', 'It does not matter any more'));
  }

  /** Sends a packet that needs no answer, as it is. @throws target-not-acknowledging, link-* */
  async tell(packet: KdPacket, attempts?: number): Promise<void> {
    await this.channel.send(packet, attempts === undefined ? {} : { attempts });
  }

  /** Sends a question as it is. @returns The answer's payload. @throws as `tell`; cancelled by `withdraw` */
  ask({ type, payload }: KdPacket): Promise<Uint8Array> {
    return this.#ask(type, payload);
  }

  /**
   * DbgPrint. @param text Latin-1; more than 4080 characters do not fit a packet.
   * @param attempts How often it is sent before the debugger is taken for absent. @throws target-not-acknowledging, link-*
   */
  async print(text: string, processor = 0, attempts?: number): Promise<void> {
    const payload = encodeDebugIo({ kind: 'print', processorLevel, processor, text });
    await this.tell({ type: PacketType.DebugIo, payload }, attempts);
  }

  /** DbgPrompt. @param maxAnswer Bytes that the answer may have. @throws target-not-acknowledging, link-* */
  async prompt(prompt: string, maxAnswer: number): Promise<string> {
    const payload = encodeDebugIo({ kind: 'prompt', processorLevel, processor: 0, prompt, maxAnswer });
    return decodePromptAnswer(await this.#ask(PacketType.DebugIo, payload));
  }

  /** A request for a file of the debugger's. @throws target-not-acknowledging, link-* */
  async file(request: FileRequest): Promise<FileAnswer> {
    return decodeFileAnswer(await this.#ask(PacketType.FileIo, encodeFileRequest(request)));
  }

  /** @returns Whether the debugger lent the register, or took it back. @throws target-not-acknowledging, link-* */
  async control(request: ControlRequest): Promise<boolean> {
    return decodeControlAnswer(await this.#ask(PacketType.ControlRequest, encodeControlRequest(request)))
      .granted;
  }

  /** Trace data, at most 3936 bytes. @throws target-not-acknowledging, link-* */
  async trace(data: Uint8Array): Promise<void> {
    await this.tell({
      type: PacketType.TraceIo,
      payload: encodeTraceIo({ processorLevel, processor: 0, data }),
    });
  }

  /** Sends a packet that the debugger answers by one of the same type. */
  #ask(type: DataType, payload: Uint8Array): Promise<Uint8Array> {
    return new Promise((answered, fail) => this.#begin({ type, payload, attempts: 10, answered, fail }));
  }

  #begin(saying: Saying): void {
    if (this.#saying) {
      saying.fail(new VmkdError('internal', 'The target is stopped, or waits for an answer, already'));
      return;
    }
    this.#saying = saying;
    this.#say();
  }

  #say(): void {
    const saying = this.#saying;
    if (!saying) return;
    this.#said++;
    const { type, payload, attempts, onTold } = saying;
    this.channel.send({ type, payload }, { attempts }).then(
      (delivery) => {
        if (delivery === 'acknowledged' && this.#saying === saying) onTold?.();
      },
      (error: unknown) => this.#end(saying)?.fail(error),
    );
  }

  #onReset(): void {
    this.#epoch++;
    this.#request = undefined;
    const said = this.#said;
    this.onReset();
    if (this.#said === said) this.#say();
  }

  /** @returns The saying if it was not ended before. */
  #end(saying: Saying): Saying | undefined {
    if (this.#saying !== saying) return undefined;
    this.#saying = undefined;
    return saying;
  }

  #judge({ type, payload }: KdPacket): Verdict {
    const awaited =
      this.#saying?.type === PacketType.StateChange64 ? PacketType.StateManipulate : this.#saying?.type;
    if (type !== awaited) return 'stale';
    return type === PacketType.StateManipulate && payload.length < manipulateSize ? 'damaged' : 'accept';
  }

  #onPacket({ type, payload }: KdPacket): void {
    const saying = this.#saying;
    if (!saying) return;
    if (type !== PacketType.StateManipulate) {
      this.#end(saying)?.answered(payload);
      return;
    }
    this.#request = { payload, saying };
    if (!this.#serving) void this.#serve();
  }

  async #serve(): Promise<void> {
    this.#serving = true;
    for (let next = this.#request; next; next = this.#request) {
      this.#request = undefined;
      const { payload, saying } = next;
      // What was asked in a stop is not answered from another.
      if (this.#saying !== saying) continue;
      await this.#onRequest(payload, saying).catch((error: unknown) => this.#end(saying)?.fail(error));
    }
    this.#serving = false;
  }

  async #onRequest(request: Uint8Array, saying: Saying): Promise<void> {
    const epoch = this.#epoch;
    const outcome = await this.#handle(request);
    if (outcome === 'silent') return;
    if (outcome === 'go') this.#end(saying)?.answered(request);
    else if (epoch === this.#epoch && this.#saying === saying) this.#reply(outcome, saying);
  }

  /** Not waited for: the debugger's next request says that it has it, as well as its acknowledgement does. */
  #reply(payload: Uint8Array, saying: Saying): void {
    this.channel
      .send({ type: PacketType.StateManipulate, payload }, { attempts: Infinity })
      .catch((error: unknown) => this.#end(saying)?.fail(error));
  }

  async #handle(request: Uint8Array): Promise<Outcome> {
    const head = readManipulateHead(request);
    try {
      return await (this.#handlers.get(head.apiNumber) ?? this.#rest)(request, head);
    } catch (thrown) {
      this.onError(asVmkdError(thrown));
      return withStatus(request, NtStatus.Unsuccessful);
    }
  }

  #onClosed(error: VmkdError | undefined): void {
    const reason = error ?? new VmkdError('link-lost', 'The debugger closed the link');
    if (this.#saying) this.#end(this.#saying)?.fail(reason);
    this.onClosed(error);
  }
}

const stopPayload = (change: StateChange | Uint8Array): Uint8Array =>
  change instanceof Uint8Array ? change : encodeStateChange(change);

/** The request itself as the reply, with a status: how NT answers what it does not know. */
export function withStatus(request: Uint8Array, returnStatus: number): Uint8Array {
  const reply = request.slice(0, manipulateSize);
  manipulateHeader.write(reply, { returnStatus });
  return reply;
}
