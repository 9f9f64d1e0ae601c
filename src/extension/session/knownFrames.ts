/** The numbers of frames that the adapter has given in the last stop: those of earlier ones mean nothing any more. */

import type { Message } from './sessionState';

export class KnownFrames {
  #epoch = 0;
  readonly #known = new Set<number>();

  /** @param epoch Of the stop in which, or after which, it was said. */
  heard({ type, command, success, body }: Message, epoch: number): void {
    if (epoch !== this.#epoch) this.#known.clear();
    this.#epoch = epoch;
    if (type !== 'response' || command !== 'stackTrace' || success !== true) return;
    const { stackFrames } = body as { readonly stackFrames: readonly { readonly id: number }[] };
    for (const { id } of stackFrames) this.#known.add(id);
  }

  has(id: number): boolean {
    return this.#known.has(id);
  }
}
