/**
 * What a client shows and is out of date. Changes that come in a row are told at once.
 *
 * Of stacks VS Code makes a stop anew, and puts the keyboard into the source: away from who is typing. It takes a stack in two
 * parts; one that is out of date between them has no second part any more, and then no frame is selected. So stacks wait for it.
 *
 *   stop, or stacks out of date ──▶ top frame ──▶ the rest
 *                                                └ from here on, or after a while, stacks may be out of date again
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';

type Areas = readonly P.InvalidatedAreas[];

/** Milliseconds: a client that has not asked for the rest until then does not want it. */
const restLimit = 2000;
/** Milliseconds for the client to have read the rest. */
const readingTime = 50;

export class Invalidation {
  readonly #areas = new Set<P.InvalidatedAreas>();
  #timer: NodeJS.Timeout | undefined;
  /** Set while the client has not got all of a stack. */
  #rest: NodeJS.Timeout | undefined;

  /** @param send Tells the client. */
  constructor(private readonly send: (areas: Areas) => void) {}

  /** Not at once: more may come of what is being done. */
  soon(areas: Areas): void {
    for (const area of areas) this.#areas.add(area);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, 0);
  }

  /** The client asks for all of a stop: nothing of it is out of date. */
  stopped(): void {
    this.#areas.clear();
    this.#restWithin(restLimit);
  }

  /** The client gets more of a stack than its top frame. */
  restTold(): void {
    if (this.#rest !== undefined) this.#restWithin(readingTime);
  }

  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#rest);
  }

  #restWithin(milliseconds: number): void {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      if (this.#timer === undefined) this.#flush();
    }, milliseconds);
  }

  #flush(): void {
    const isForStacks = this.#areas.has('stacks');
    if (this.#areas.size === 0 || (isForStacks && this.#rest !== undefined)) return;
    const areas = [...this.#areas];
    this.#areas.clear();
    if (isForStacks) this.#restWithin(restLimit);
    this.send(areas);
  }
}
