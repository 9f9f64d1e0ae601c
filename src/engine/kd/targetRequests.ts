/**
 * What a target asks by itself, while it waits: an answer to a prompt, a file, debug registers. And what it only tells:
 * prints and traces. Observers are other people's code: what they throw is reported, and the target still gets an answer.
 *
 * Invariants: one question at a time; a newer one means that the target has dropped the older, whose answer is not sent;
 * an answer goes to the channel that asked.
 */

import { asVmkdError, type VmkdError } from '../core/errors';
import type { PacketChannel } from './channel';
import { encodeControlRequest, type ControlRequest } from './controlRequest';
import { encodePromptAnswer, type PrintMessage, type PromptMessage } from './debugIo';
import { encodeFileAnswer, noSuchFile, type FileAnswer, type FileRequest } from './fileIo';
import { PacketType } from './framing';
import type { KdPacket, TargetMessage } from './packet';
import type { TraceMessage } from './traceIo';

/** Who serves the target. Every part is optional; what nobody serves is answered as a bare debugger would. */
export interface TargetServant {
  /**
   * Gets each packet first, as it came. @returns Undefined: the parts below serve it, or hear of it, too. For a question, a
   * promise of the answer as it shall be sent, or of undefined, if the parts below have to find one after all.
   */
  relay?(packet: KdPacket): Promise<KdPacket | undefined> | undefined;
  onPrint?(message: PrintMessage): void;
  /** @returns The answer; without a server it is the empty string, and the guest goes on. */
  onPrompt?(prompt: PromptMessage): Promise<string>;
  /** Without a server: “no such file”. */
  onFile?(request: FileRequest): Promise<FileAnswer>;
  onTrace?(trace: TraceMessage): void;
  /** @returns Whether the debug register is lent, or was taken back; without a server it is not. */
  onControlRequest?(request: ControlRequest): boolean;
  /** Something failed that no caller waits for. */
  onError?(error: VmkdError): void;
}

type SpontaneousMessage = Exclude<TargetMessage, { family: 'manipulate' | 'stateChange' }>;

export class TargetRequests {
  /** Counts questions: only the newest is answered. */
  #question = 0;

  constructor(
    private readonly servant: TargetServant,
    private readonly channel: () => PacketChannel | undefined,
  ) {}

  /** @param packet The message as it came. */
  onMessage(message: SpontaneousMessage, packet: KdPacket): void {
    let relayed: Promise<KdPacket | undefined> | undefined;
    this.#tell(() => {
      relayed = this.servant.relay?.(packet);
    });
    switch (message.family) {
      case 'debugIo':
        if (message.message.kind === 'prompt')
          this.#answer(relayed, () => this.#promptAnswer(message.message as PromptMessage));
        else this.#tell(() => this.servant.onPrint?.(message.message as PrintMessage));
        return;
      case 'fileIo':
        this.#answer(relayed, () => this.#fileAnswer(message.request, message.payload));
        return;
      case 'controlRequest':
        this.#answer(relayed, () => this.#controlAnswer(message.request));
        return;
      case 'traceIo':
        this.#tell(() => this.servant.onTrace?.(message.trace));
        return;
    }
  }

  /** Nobody asks any more. */
  forget(): void {
    this.#question++;
  }

  async #promptAnswer(prompt: PromptMessage): Promise<KdPacket> {
    const answer = await this.#ask(() => this.servant.onPrompt?.(prompt), '');
    return { type: PacketType.DebugIo, payload: encodePromptAnswer(prompt, answer) };
  }

  async #fileAnswer(request: FileRequest, payload: Uint8Array): Promise<KdPacket> {
    const answer = await this.#ask(() => this.servant.onFile?.(request), noSuchFile);
    return { type: PacketType.FileIo, payload: encodeFileAnswer(payload, answer) };
  }

  async #controlAnswer(request: ControlRequest): Promise<KdPacket> {
    const granted = await this.#ask(() => this.servant.onControlRequest?.(request), false);
    return { type: PacketType.ControlRequest, payload: encodeControlRequest(request, granted) };
  }

  #answer(relayed: Promise<KdPacket | undefined> | undefined, compose: () => Promise<KdPacket>): void {
    const question = ++this.#question;
    const work = async (): Promise<void> => {
      const found = await this.#ask(() => relayed, undefined);
      // Somebody had the question for a while, and the target may be another one by now: nobody is asked in its name.
      if (relayed !== undefined && question !== this.#question) return;
      const packet = found ?? (await compose());
      if (question === this.#question) await this.channel()?.send(packet);
    };
    work().catch((thrown: unknown) => this.#report(thrown));
  }

  async #ask<T>(ask: () => Promise<T> | T | undefined, otherwise: T): Promise<T> {
    try {
      return (await ask()) ?? otherwise;
    } catch (thrown) {
      this.#report(thrown);
      return otherwise;
    }
  }

  #tell(tell: () => void): void {
    try {
      tell();
    } catch (thrown) {
      this.#report(thrown);
    }
  }

  #report(thrown: unknown): void {
    this.servant.onError?.(asVmkdError(thrown));
  }
}
