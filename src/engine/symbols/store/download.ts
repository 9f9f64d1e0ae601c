/**
 * One URL into an open file, whatever the line does: redirects followed, limits kept, passing faults tried again.
 *
 *   GET ─▶ 200 ─▶ body into the file, from its start on                 done
 *       ─▶ 301 302 303 307 308 ─▶ GET elsewhere, at most `redirects`    a loop ends there; never from https to http
 *       ─▶ 404 410                                                      absent, which is final
 *       ─▶ 408 429 5xx, reset, cut short, no byte in time               again after a pause, at most `attempts`
 *       ─▶ anything else                                                failed, which is final
 */

import type { FileHandle } from 'node:fs/promises';
import { systemClock, type Clock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { after } from '../../core/waiting';
import type { HttpGet } from './http';
import { writeAt } from './keeping';

export interface DownloadLimits {
  readonly attempts: number;
  /** Until the answer begins, and then between any two pieces of it. */
  readonly silenceMilliseconds: number;
  /** One attempt, however steadily it trickles. */
  readonly wholeMilliseconds: number;
  /** Before the second attempt; doubled for each later one. */
  readonly pauseMilliseconds: number;
  readonly redirects: number;
  /** Of the file. */
  readonly bytes: number;
}

export const usualLimits: DownloadLimits = {
  attempts: 3,
  silenceMilliseconds: 30_000,
  wholeMilliseconds: 3_600_000,
  pauseMilliseconds: 500,
  redirects: 8,
  bytes: 4 * 2 ** 30,
};

export interface DownloadProgress {
  readonly url: string;
  /** Bytes so far, unpacked. They fall back to 0 when it is tried again. */
  readonly received: number;
  /** If the server says so, and sends it as it is. */
  readonly total: number | undefined;
}

export interface DownloadOptions {
  readonly get: HttpGet;
  readonly limits?: DownloadLimits;
  readonly clock?: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

export type DownloadOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'absent' }
  /** `down`: nothing came of any attempt, as if there were no server. */
  | { readonly kind: 'failed'; readonly reason: string; readonly down: boolean };

/** @throws cancelled; file-unwritable */
export async function download(
  url: URL,
  into: FileHandle,
  options: DownloadOptions,
): Promise<DownloadOutcome> {
  const { limits = usualLimits, clock = systemClock, signal } = options;
  for (let attempt = 1; ; attempt++) {
    const outcome = await once(url, into, options, limits, clock);
    if (outcome.kind !== 'passing') return outcome;
    if (attempt >= limits.attempts) return { kind: 'failed', reason: outcome.reason, down: true };
    await pause(clock, limits.pauseMilliseconds * 2 ** (attempt - 1), signal);
  }
}

/** Without the name and password that it may carry: for logs and people. */
export function shownUrl(href: string): string {
  const url = new URL(href);
  url.username = url.password = '';
  return url.href;
}

type Once = DownloadOutcome | { readonly kind: 'passing'; readonly reason: string };

async function once(
  start: URL,
  into: FileHandle,
  options: DownloadOptions,
  limits: DownloadLimits,
  clock: Clock,
): Promise<Once> {
  const silence = new Silence(clock, limits, options.signal);
  try {
    await into.truncate(0);
    let url = start;
    for (let hop = 0; hop <= limits.redirects; hop++) {
      const answer = await options.get(url, silence.signal);
      silence.heard();
      const { status } = answer;
      if (status === 200) return await receive(url, answer, into, options, limits, silence);
      const location = answer.header('location');
      answer.discard();
      if ([301, 302, 303, 307, 308].includes(status)) {
        const next = redirected(url, location);
        if (typeof next === 'string') return failed(next);
        url = next;
        continue;
      }
      if (status === 404 || status === 410) return { kind: 'absent' };
      const isPassing = status === 408 || status === 429 || status >= 500;
      return isPassing ? passing(`it answered ${status}`) : failed(`it answered ${status}`);
    }
    return failed(`over ${limits.redirects} redirections`);
  } catch (error) {
    if (options.signal?.aborted)
      throw new VmkdError('cancelled', `The download of ${shownUrl(start.href)} was cancelled`);
    if (error instanceof VmkdError) throw error;
    if (silence.isLate) return failed(`it took over ${limits.wholeMilliseconds} ms`);
    if (silence.isOver) return passing(`nothing came for ${limits.silenceMilliseconds} ms`);
    return passing(error instanceof Error ? error.message || errorCode(error) : String(error));
  } finally {
    silence.stop();
  }
}

async function receive(
  url: URL,
  answer: Awaited<ReturnType<HttpGet>>,
  into: FileHandle,
  { onProgress }: DownloadOptions,
  limits: DownloadLimits,
  silence: Silence,
): Promise<Once> {
  const length = answer.header('content-length');
  const total =
    length !== undefined && answer.header('content-encoding') === undefined ? Number(length) : undefined;
  if (total !== undefined && !(total <= limits.bytes)) {
    answer.discard();
    return failed(`it would send ${length} bytes`);
  }
  let received = 0;
  onProgress?.({ url: shownUrl(url.href), received, total });
  for await (const piece of answer.body) {
    silence.heard();
    if (received + piece.length > limits.bytes) {
      answer.discard();
      return failed(`it sends more than ${limits.bytes} bytes`);
    }
    await writeAt(into, received, piece);
    received += piece.length;
    onProgress?.({ url: shownUrl(url.href), received, total });
  }
  if (total !== undefined && received !== total) return passing(`${received} of ${total} bytes came`);
  return { kind: 'done' };
}

/** The next URL, or why there is none. */
function redirected(from: URL, location: string | undefined): URL | string {
  if (location === undefined || !URL.canParse(location, from.href)) return 'it redirects to nowhere';
  const next = new URL(location, from);
  if (next.protocol !== 'https:' && next.protocol !== 'http:') return `it redirects to ${next.protocol}`;
  if (from.protocol === 'https:' && next.protocol === 'http:') return 'it redirects from https to http';
  // A server may not hand its own credentials on, nor give us others.
  next.username = next.host === from.host ? from.username : '';
  next.password = next.host === from.host ? from.password : '';
  return next;
}

/** Aborts when nobody is heard for too long, or the caller gives up. */
class Silence {
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => this.#controller.abort();
  private readonly milliseconds: number;
  readonly #stopWhole: () => void;
  #stopTimer: () => void = () => {};
  isOver = false;
  /** It was never silent, but takes too long all the same. */
  isLate = false;

  constructor(
    private readonly clock: Clock,
    { silenceMilliseconds, wholeMilliseconds }: DownloadLimits,
    private readonly outer: AbortSignal | undefined,
  ) {
    this.milliseconds = silenceMilliseconds;
    if (outer?.aborted) this.#controller.abort();
    outer?.addEventListener('abort', this.#onAbort);
    this.#stopWhole = after(clock, wholeMilliseconds, () => {
      this.isLate = true;
      this.#controller.abort();
    });
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    this.#stopTimer();
    this.#stopTimer = after(this.clock, this.milliseconds, () => {
      this.isOver = true;
      this.#controller.abort();
    });
  }

  stop(): void {
    this.#stopTimer();
    this.#stopWhole();
    this.outer?.removeEventListener('abort', this.#onAbort);
  }
}

function pause(clock: Clock, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      stopTimer();
      reject(new VmkdError('cancelled', 'The download was cancelled'));
    };
    const stopTimer = after(clock, milliseconds, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}

const failed = (reason: string): Once => ({ kind: 'failed', reason, down: false });
const passing = (reason: string): Once => ({ kind: 'passing', reason });
const errorCode = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.name;
