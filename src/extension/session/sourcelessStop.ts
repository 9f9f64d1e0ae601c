/**
 * Whether a stop has no source at all to show, and its top frame is the only one that is not pale, by the stacks that the adapter
 * has told of in it.
 */

import type { Message } from './sessionState';

interface Stack {
  readonly stackFrames: readonly {
    readonly id: number;
    readonly source?: unknown;
    readonly presentationHint?: string;
  }[];
  readonly totalFrames?: number;
}

export class SourcelessStop {
  #epoch = 0;
  readonly #frames = new Set<number>();
  /** Requests for stacks, by their numbers: of which threads they are. */
  readonly #asked = new Map<number, number>();
  #total = 0;
  /** With a source, or the row that says why a stack ends. */
  #hasOthers = false;
  /** How often its top frame was selected. */
  tries = 0;

  /** What VS Code asks. */
  asked({ type, command, seq, arguments: of }: Message): void {
    if (type === 'request' && command === 'stackTrace' && seq !== undefined)
      this.#asked.set(seq, (of as { readonly threadId: number }).threadId);
  }

  /**
   * @param epoch Of the stop in which, or after which, it was said.
   * @param stopped The thread whose stack counts.
   */
  heard(
    { type, command, success, body, request_seq: request = 0 }: Message,
    epoch: number,
    stopped: number | undefined,
  ): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#frames.clear();
      this.#total = this.tries = 0;
      this.#hasOthers = false;
    }
    if (type !== 'response' || command !== 'stackTrace') return;
    const thread = this.#asked.get(request);
    this.#asked.delete(request);
    if (success !== true || thread !== stopped) return;
    const { stackFrames, totalFrames = stackFrames.length } = body as Stack;
    for (const { id } of stackFrames) this.#frames.add(id);
    this.#total = Math.max(this.#total, totalFrames);
    this.#hasOthers ||= stackFrames.some(
      ({ source, presentationHint }) => source !== undefined || presentationHint === 'label',
    );
  }

  /** Only once more than the top frame is known, which VS Code asks for alone at first. */
  get isSourceless(): boolean {
    return !this.#hasOthers && this.#frames.size > 0 && this.#frames.size >= Math.min(2, this.#total);
  }
}
