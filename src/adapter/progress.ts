/**
 * Progress of what takes long, for clients that can show it. Nothing is shown of what ends soon; what is shown can be
 * cancelled.
 */

import type { EventSink } from './connection';

export interface Report {
  readonly signal: AbortSignal;
  /** @param percentage 0 to 100. */
  update(message: string, percentage?: number): void;
}

/** Milliseconds. */
const showAfter = 300;
/** Most requests are over long before. */
const showRequestAfter = 1000;

export class Progress {
  /** What a cancel does to each. */
  readonly #running = new Map<string, () => void>();
  #count = 0;
  /** Whether the client shows progress at all; it says so in `initialize`. */
  enabled = false;

  constructor(private readonly events: EventSink) {}

  /**
   * @param request The request that waits for it, if one does.
   * @param signal Cancels as well.
   */
  async run<T>(
    title: string,
    { request, signal }: { readonly request?: number; readonly signal?: AbortSignal },
    action: (report: Report) => Promise<T>,
  ): Promise<T> {
    const id = `vmkd-${++this.#count}`;
    const abort = new AbortController();
    this.#running.set(id, () => abort.abort());
    let message: string | undefined;
    let percentage: number | undefined;
    const state = { shown: false };
    const show = (): void => {
      state.shown = true;
      this.events.send('progressStart', {
        progressId: id,
        title,
        cancellable: true,
        ...(request === undefined ? {} : { requestId: request }),
        ...(message === undefined ? {} : { message }),
        ...(percentage === undefined ? {} : { percentage }),
      });
    };
    const timer = this.enabled ? setTimeout(show, showAfter) : undefined;
    try {
      return await action({
        signal: signal ? AbortSignal.any([abort.signal, signal]) : abort.signal,
        update: (text, part) => {
          message = text;
          percentage = part ?? percentage;
          if (!state.shown) return;
          const body = { progressId: id, message, ...(percentage === undefined ? {} : { percentage }) };
          this.events.send('progressUpdate', body);
        },
      });
    } finally {
      clearTimeout(timer);
      this.#running.delete(id);
      if (state.shown) this.events.send('progressEnd', { progressId: id });
    }
  }

  /**
   * Shows a request, if it takes long. This is on the way of every request, so it costs a timer and no more.
   * @param cancel Undefined: it cannot be cancelled. @returns To be called when it is over.
   */
  watch(title: string, request: number, cancel: (() => void) | undefined): () => void {
    if (!this.enabled) return () => undefined;
    let id: string | undefined;
    const timer = setTimeout(() => {
      id = `vmkd-${++this.#count}`;
      if (cancel !== undefined) this.#running.set(id, cancel);
      const body = { progressId: id, title, cancellable: cancel !== undefined, requestId: request };
      this.events.send('progressStart', body);
    }, showRequestAfter);
    return () => {
      clearTimeout(timer);
      if (id === undefined) return;
      this.#running.delete(id);
      this.events.send('progressEnd', { progressId: id });
    };
  }

  /** Nothing happens if it has ended. */
  cancel(id: string): void {
    this.#running.get(id)?.();
  }
}
