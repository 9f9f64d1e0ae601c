/**
 * An answer that many want, and that costs a request: asked for once at a time, and kept.
 *
 *   empty ──get──▶ asked ──answer──▶ known
 *     ▲              │                 │
 *     └──failure, or forgotten ◀───────┘      who has asked before still gets what comes; nobody else does
 *
 * Invariant: what was asked for before `forget` is never taken for an answer to what is asked after it.
 */

export class Kept<T> {
  #answer: Promise<T> | undefined;
  #known: { readonly value: T } | undefined;

  /** Neither known nor asked for. */
  get isEmpty(): boolean {
    return this.#answer === undefined;
  }

  /** What has come. */
  get known(): T | undefined {
    return this.#known?.value;
  }

  /** @throws what `ask` throws; then it is asked again the next time */
  get(ask: () => Promise<T>): Promise<T> {
    this.#answer ??= this.#follow(ask());
    return this.#answer;
  }

  put(value: T): void {
    this.#answer = Promise.resolve(value);
    this.#known = { value };
  }

  forget(): void {
    this.#answer = this.#known = undefined;
  }

  /** Writes; who asks meanwhile waits for that. @throws what `write` throws; then nothing is known */
  async replace(value: T, write: () => Promise<void>): Promise<void> {
    this.forget();
    await this.get(() => write().then(() => value));
  }

  #follow(asked: Promise<T>): Promise<T> {
    asked.then(
      (value) => {
        if (this.#answer === asked) this.#known = { value };
      },
      () => {
        if (this.#answer === asked) this.forget();
      },
    );
    return asked;
  }
}
