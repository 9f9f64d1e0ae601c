/**
 * Numbers that stand for things of one stop: frames, variables that unfold, places to go to. DAP hands numbers out and
 * gets them back, perhaps after the kernel has run.
 *
 * Invariants: no number is ever used twice, in any table of a session, so that a number of an earlier stop is known for
 * what it is; all are above 0, which DAP takes for “none”.
 */

import { VmkdError } from '../engine/core/errors';

/** DAP's numbers must stay below 2^31; nobody unfolds two thousand million things. */
export class HandleNumbers {
  #last = 0;

  next(): number {
    return ++this.#last;
  }
}

export class Handles<T> {
  readonly #things = new Map<number, T>();
  readonly #known = new Map<unknown, number>();

  /** @param what For messages: “stack frame”. */
  constructor(
    private readonly numbers: HandleNumbers,
    private readonly what: string,
  ) {}

  add(thing: T): number {
    const number = this.numbers.next();
    this.#things.set(number, thing);
    return number;
  }

  /** The same number for the same key, as long as the stop lasts. */
  addOnce(key: unknown, make: () => T): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const number = this.add(make());
    this.#known.set(key, number);
    return number;
  }

  /** @throws request-stale */
  get(number: number | undefined): T {
    const thing = number === undefined ? undefined : this.#things.get(number);
    if (thing !== undefined) return thing;
    throw new VmkdError('request-stale', `This ${this.what} belongs to an earlier stop`);
  }

  /** What `addOnce` knows. */
  get known(): readonly (readonly [number, T])[] {
    return [...this.#known.values()].map((number) => [number, this.#things.get(number)!] as const);
  }

  /** What a number stands for from now on, if it still stands for something. */
  replace(number: number, thing: T): void {
    if (this.#things.has(number)) this.#things.set(number, thing);
  }

  /** `addOnce` takes nothing for the same any more; numbers that were handed out stay good. */
  renew(): void {
    this.#known.clear();
  }

  clear(): void {
    // An empty map makes a new table all the same.
    if (this.#things.size > 0) this.#things.clear();
    if (this.#known.size > 0) this.#known.clear();
  }
}
