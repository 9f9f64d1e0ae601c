/**
 * One piece of work that several callers wait for. Each may stop waiting by its own signal; the work itself is aborted
 * when nobody waits any more, or by who owns it.
 */

import { VmkdError } from '../core/errors';

export class SharedLoad<T, P> {
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(progress: P) => void>();
  readonly #done: Promise<T>;
  #waiting = 0;

  constructor(work: (load: SharedLoad<T, P>) => Promise<T>) {
    this.#done = Promise.resolve().then(() => work(this));
    // Whoever waits gets it; nobody may be waiting any more.
    this.#done.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Settles when the work has ended, however. */
  async ended(): Promise<void> {
    await this.#done.catch(() => undefined);
  }

  abort(): void {
    this.#abort.abort();
  }

  /** @throws cancelled, if it was aborted: between two steps of the work */
  mustGoOn(): void {
    if (this.signal.aborted) throw new VmkdError('cancelled', 'Loading was cancelled');
  }

  tell(progress: P): void {
    for (const listener of this.#listeners) listener(progress);
  }

  /** @throws what the work throws; cancelled by the caller's own signal */
  async join(signal: AbortSignal | undefined, onProgress: ((progress: P) => void) | undefined): Promise<T> {
    this.#waiting++;
    if (onProgress) this.#listeners.add(onProgress);
    let leave: () => void = () => undefined;
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(new VmkdError('cancelled', 'Loading was cancelled'));
    });
    try {
      if (signal?.aborted) leave();
      signal?.addEventListener('abort', leave);
      return await Promise.race([this.#done, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
      if (onProgress) this.#listeners.delete(onProgress);
      if (--this.#waiting === 0) this.abort();
    }
  }
}
