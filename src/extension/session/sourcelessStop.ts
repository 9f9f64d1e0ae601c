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
  #total = 0;
  /** With a source, or the row that says why a stack ends. */
  #hasOthers = false;
  /** How often its top frame was selected. */
  tries = 0;

  /** @param epoch Of the stop in which, or after which, it was said. */
  heard({ type, command, success, body }: Message, epoch: number): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#frames.clear();
      this.#total = this.tries = 0;
      this.#hasOthers = false;
    }
    if (type !== 'response' || command !== 'stackTrace' || success !== true) return;
    const { stackFrames, totalFrames = stackFrames.length } = body as Stack;
    // Views ask for the top frame, too.
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
