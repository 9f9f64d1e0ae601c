/** Callers that wait for the same thing to happen: each with its own limit and signal, all answered at once. */

import type { Clock } from './clock';
import { VmkdError } from './errors';
import { after } from './waiting';

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: VmkdError) => void;
}

export class Waiters<T> {
  readonly #waiting = new Set<Waiter<T>>();

  constructor(private readonly clock: Clock) {}

  /**
   * @param milliseconds Limit; Infinity for none.
   * @param onLimit The error when the limit is reached.
   * @throws that; `cancelled` when the signal says so; whatever `fail` is called with.
   */
  wait(milliseconds: number, onLimit: () => VmkdError, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        stopTimer();
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiter);
        finish();
      };
      const waiter: Waiter<T> = {
        resolve: (value) => end(() => resolve(value)),
        reject: (error) => end(() => reject(error)),
      };
      const onAbort = (): void => waiter.reject(new VmkdError('cancelled', 'The wait was cancelled'));
      const stopTimer = after(this.clock, milliseconds, () => waiter.reject(onLimit()));
      this.#waiting.add(waiter);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort);
    });
  }

  succeed(value: T): void {
    for (const waiter of [...this.#waiting]) waiter.resolve(value);
  }

  fail(error: VmkdError): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}
