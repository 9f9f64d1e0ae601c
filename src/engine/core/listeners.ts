/** Who wants to know of something. A listener that throws does not keep the others from hearing it. */

export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** @param onFailure What a listener threw. */
  constructor(private readonly onFailure: (error: unknown) => void = rethrowLater) {}

  /** @returns what ends it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(value: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(value);
      } catch (error) {
        this.onFailure(error);
      }
    }
  }
}

function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
