/** One at a time, in the order of asking. */
export class Mutex {
  readonly #queue: (() => void)[] = [];
  #held = false;

  /** Runs `action` when all earlier ones have ended, however they ended. */
  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#held) await new Promise<void>((admit) => this.#queue.push(admit));
    this.#held = true;
    try {
      return await action();
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#held = false;
    }
  }
}
