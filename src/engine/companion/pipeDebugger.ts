/**
 * One debugger on the pipe, from its connection to its end: the target that it believes to talk to. What is said to it stands
 * in one queue, in the order in which the kernel said it.
 *
 *   prints, questions ─▶ held while it stands at a stop ─▶ queue ─▶ KdServer ─▶ KDCOM ─▶ link
 *   stops             ────────────────────────────────────▶ │
 *
 * Invariants: the queue is bounded, whoever fills it: prints too many are dropped, and the debugger is told how many; it gets
 * nothing before it has said something, for on Windows others may open the pipe to read; one that says nothing, or does not
 * acknowledge, holds nobody up.
 */

import type { Clock, Timer } from '../core/clock';
import { VmkdError } from '../core/errors';
import { encodeDebugIo } from '../kd/debugIo';
import { PacketType } from '../kd/framing';
import type { KdPacket } from '../kd/packet';
import { KdServer, type Order } from '../kd/server';
import { KdcomChannel, type KdcomTiming } from '../link/kdcomChannel';
import type { ByteLink } from '../link/link';

export interface DebuggerEvents {
  /** It has said something. Called before what it means, if that can be. */
  onSpoke(): void;
  onReset(): void;
  onBreakIn(): void;
  /** It has let the stop go that it was told of; the order was carried out. */
  onOrder(order: Order): void;
  /** It was told something again and again. */
  onUnheard(): void;
  onClosed(error: VmkdError | undefined): void;
}

export interface DebuggerOptions {
  readonly clock: Clock;
  readonly timing?: KdcomTiming;
  /** Milliseconds within which it must say something that makes sense, or it is shown out. */
  readonly muteMilliseconds: number;
}

/** How often what need not be heard is said. */
const attempts = 10;
/** A DbgPrint has 512 bytes at most. */
const mostPackets = 1000;

type Entry =
  | { readonly kind: 'packet'; readonly packet: KdPacket }
  | {
      readonly kind: 'question';
      readonly packet: KdPacket;
      readonly answer: (payload: Uint8Array | undefined) => void;
    }
  | { readonly kind: 'stop'; readonly payload: Uint8Array; readonly mustBeHeard: boolean };

export class PipeDebugger {
  readonly server: KdServer;
  readonly name: string;
  #held: Entry[] = [];
  readonly #queue: Entry[] = [];
  #pumping = false;
  #asking = false;
  #dropped = 0;
  #spoke = false;
  readonly #muteTimer: Timer;
  #closed = false;

  constructor(
    link: ByteLink,
    private readonly events: DebuggerEvents,
    { clock, timing, muteMilliseconds }: DebuggerOptions,
  ) {
    this.name = link.name;
    const listened: ByteLink = {
      name: link.name,
      get queuedBytes() {
        return link.queuedBytes;
      },
      attach: (handlers) =>
        link.attach({
          onBytes: (chunk) => {
            handlers.onBytes(chunk);
            this.#heard();
          },
          onClosed: (error) => handlers.onClosed(error),
        }),
      write: (bytes) => link.write(bytes),
      close: () => link.close(),
    };
    this.server = new KdServer(
      (owner) => new KdcomChannel(listened, owner, { role: 'target', clock, ...(timing && { timing }) }),
    );
    this.server.onBreakIn = () => {
      this.#speak();
      this.events.onBreakIn();
    };
    this.server.onReset = () => {
      this.#speak();
      this.events.onReset();
    };
    this.server.onClosed = (error) => this.#onClosed(error);
    this.#muteTimer = clock.after(muteMilliseconds, () => this.server.channel.close());
  }

  /** Tells it of a stop, behind what was said before. @param mustBeHeard False: it is given up after a while. */
  tell(payload: Uint8Array, mustBeHeard: boolean): void {
    this.#release();
    this.#enqueue({ kind: 'stop', payload, mustBeHeard });
  }

  /** @param now False: it would not listen now. */
  print(packet: KdPacket, now: boolean): void {
    const entry: Entry = { kind: 'packet', packet };
    if (now) this.#enqueue(entry);
    else if (this.#held.length < mostPackets) this.#held.push(entry);
    else this.#dropped++;
  }

  /** @returns The answer's payload; undefined if there will be none. */
  ask(packet: KdPacket): Promise<Uint8Array | undefined> {
    return new Promise((answer) => this.#enqueue({ kind: 'question', packet, answer }));
  }

  /** It waits for what the kernel says. */
  resume(): void {
    this.#release();
    this.#pump();
  }

  /** What it is being told is not so any more. */
  silence(): void {
    this.#forgetStops();
    this.server.withdraw();
  }

  /** The kernel that asked is gone. */
  unask(): void {
    if (this.#asking) this.server.withdraw();
  }

  close(): void {
    this.server.channel.close();
  }

  // --- hearing

  /** Something came. A kernel that runs is deaf to all but break-ins, but it shows that somebody is there. */
  #heard(): void {
    if (this.#spoke) return;
    const { controlReceived, packetsReceived } = this.server.channel.statistics;
    if (controlReceived + packetsReceived > 0) this.#speak();
  }

  #speak(): void {
    this.#spoke = true;
    this.#muteTimer.cancel();
    this.events.onSpoke();
  }

  #onClosed(error: VmkdError | undefined): void {
    this.#closed = true;
    this.#muteTimer.cancel();
    for (const entry of [...this.#queue.splice(0), ...this.#held.splice(0)])
      if (entry.kind === 'question') entry.answer(undefined);
    this.events.onClosed(error);
  }

  // --- saying

  #enqueue(entry: Entry): void {
    if (this.#closed) {
      if (entry.kind === 'question') entry.answer(undefined);
      return;
    }
    if (entry.kind === 'packet' && this.#queue.length >= mostPackets) this.#dropped++;
    else this.#queue.push(entry);
    this.#pump();
  }

  #release(): void {
    this.#queue.push(...this.#held.splice(0));
    if (this.#dropped === 0) return;
    const text = `vmkd: ${this.#dropped} messages of the kernel were lost here\n`;
    this.#dropped = 0;
    const payload = encodeDebugIo({ kind: 'print', processorLevel: 0, processor: 0, text });
    this.#queue.push({ kind: 'packet', packet: { type: PacketType.DebugIo, payload } });
  }

  #forgetStops(): void {
    const rest = this.#queue.filter(({ kind }) => kind !== 'stop');
    this.#queue.splice(0, this.#queue.length, ...rest);
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#work().finally(() => (this.#pumping = false));
  }

  async #work(): Promise<void> {
    for (let entry = this.#queue.shift(); entry !== undefined; entry = this.#queue.shift()) {
      switch (entry.kind) {
        case 'packet':
          await this.#say(entry.packet);
          break;
        case 'question':
          // What the kernel says next, it says when it has the answer.
          this.#asking = true;
          entry.answer(await this.server.ask(entry.packet).catch(() => undefined));
          this.#asking = false;
          break;
        case 'stop':
          this.#stop(entry.payload, entry.mustBeHeard);
          break;
      }
    }
  }

  async #say(packet: KdPacket): Promise<void> {
    try {
      await this.server.tell(packet, attempts);
    } catch {
      // It does not listen, or is gone: what else there is to say is not worth its time.
      this.#dropPackets();
      if (!this.#closed) this.events.onUnheard();
    }
  }

  #dropPackets(): void {
    const rest = this.#queue.filter(({ kind }) => kind !== 'packet');
    this.#dropped += this.#queue.length - rest.length;
    this.#queue.splice(0, this.#queue.length, ...rest);
  }

  #stop(payload: Uint8Array, mustBeHeard: boolean): void {
    this.server.stop(payload, mustBeHeard ? {} : { attempts }).then(
      (order) => this.events.onOrder(order),
      (thrown: unknown) => {
        if (thrown instanceof VmkdError && thrown.code === 'target-not-acknowledging')
          this.events.onUnheard();
      },
    );
  }
}
