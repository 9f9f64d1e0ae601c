/**
 * One symbol server, over HTTP, and what this session knows of it.
 *
 *   url/name/KEY/name ─▶ url/name/KEY/nam_ (a cabinet) ─▶ url/name/KEY/file.ptr
 *   url/na/name/KEY/…    if none is there and url/index2.txt is: a two-tier store
 *
 * Invariants: a file that it does not have is not asked for again in this session, and when it is down nothing is, for a
 * minute; where a pointer of a server leads is reported, never followed: it names a path of somebody else's machine.
 */

import { open, readFile, rm } from 'node:fs/promises';
import { systemClock, type Clock } from '../../core/clock';
import {
  download,
  shownUrl,
  usualLimits,
  type DownloadLimits,
  type DownloadOutcome,
  type DownloadProgress,
} from './download';
import { firstTier } from './folders';
import type { HttpGet } from './http';
import { complaintOf, keep, unpackInto } from './keeping';
import { compressedName, type SymbolFile } from './symbolFile';

export interface ServerOptions {
  readonly get: HttpGet;
  readonly limits?: DownloadLimits;
  readonly clock?: Clock;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Asks servers again that had no such file, or were down. */
  readonly again?: boolean;
}

export interface Attempt {
  /** A path or a URL. */
  readonly where: string;
  readonly outcome: 'found' | 'absent' | 'wrong' | 'failed' | 'skipped';
  /** Why it is wrong, failed or was skipped. */
  readonly reason?: string;
}

type Check = (path: string) => Promise<string | undefined>;
type Form = 'whole' | 'compressed' | 'pointer';

const downMilliseconds = 60_000;
const mostRemembered = 10_000;
const longestPointer = 4096;
/** Of file.ptr and index2.txt. */
const mostSmall = 65536;

export class SymbolServer {
  readonly #clock: Clock;
  readonly #absent = new Set<string>();
  #downUntil = -Infinity;
  #downReason = '';
  #twoTier: boolean | undefined;

  constructor(
    private readonly url: URL,
    private readonly options: ServerOptions,
  ) {
    this.#clock = options.clock ?? systemClock;
  }

  /** @returns where it was kept. @throws cancelled, file-unwritable */
  async fetch(
    file: SymbolFile,
    cache: string,
    check: Check,
    online: FetchOptions,
    attempts: Attempt[],
  ): Promise<string | undefined> {
    const id = `${file.name}/${file.key}`;
    if (online.again !== true) {
      const skipped = this.#reasonToSkip(id);
      if (skipped !== undefined) {
        attempts.push({
          where: shownUrl(this.#locate(file, file.name, false)),
          outcome: 'skipped',
          reason: skipped,
        });
        return undefined;
      }
    }
    const from = attempts.length;
    let path = await this.#tryForms(file, this.#twoTier ?? false, cache, check, online, attempts);
    const hasNone = (): boolean => attempts.slice(from).every(({ outcome }) => outcome === 'absent');
    if (path === undefined && hasNone() && this.#twoTier === undefined) {
      this.#twoTier = await this.#hasIndex2(file, cache, online);
      if (this.#twoTier) path = await this.#tryForms(file, true, cache, check, online, attempts);
    }
    if (path === undefined && hasNone() && this.#absent.size < mostRemembered) this.#absent.add(id);
    return path;
  }

  #reasonToSkip(id: string): string | undefined {
    if (this.#absent.has(id)) return 'it did not have the file earlier in this session';
    if (this.#clock.now() < this.#downUntil) return `it was down a moment ago: ${this.#downReason}`;
    return undefined;
  }

  async #tryForms(
    file: SymbolFile,
    twoTier: boolean,
    cache: string,
    check: Check,
    online: FetchOptions,
    attempts: Attempt[],
  ): Promise<string | undefined> {
    const forms: [Form, string][] = [
      ['whole', file.name],
      ['compressed', compressedName(file.name)],
      ['pointer', 'file.ptr'],
    ];
    for (const [form, leaf] of forms) {
      const where = this.#locate(file, leaf, twoTier);
      let outcome: DownloadOutcome = { kind: 'absent' };
      const result = await keep(
        cache,
        file,
        async (handle, temporary) => {
          if (form === 'whole') {
            outcome = await this.#download(where, handle, online);
            return outcome.kind === 'done' ? undefined : '';
          }
          const aside = `${temporary}.cab`;
          const asideHandle = await open(aside, 'wx');
          try {
            outcome = await this.#download(
              where,
              asideHandle,
              online,
              form === 'pointer' ? mostSmall : Infinity,
            );
            if (outcome.kind !== 'done') return '';
            return await (form === 'compressed' ? complaintOf(unpackInto(handle, aside)) : pointerIn(aside));
          } finally {
            await asideHandle.close();
            await rm(aside, { force: true });
          }
        },
        check,
      );
      if ('path' in result) {
        attempts.push({ where: shownUrl(where), outcome: 'found' });
        return result.path;
      }
      attempts.push(attemptOf(shownUrl(where), outcome, result.complaint));
      if (isDown(outcome)) return undefined;
    }
    return undefined;
  }

  async #download(
    where: string,
    into: Parameters<typeof download>[1],
    online: FetchOptions,
    mostBytes = Infinity,
  ): Promise<DownloadOutcome> {
    const { limits = usualLimits } = this.options;
    const outcome = await download(new URL(where), into, {
      ...this.options,
      ...online,
      limits: { ...limits, bytes: Math.min(limits.bytes, mostBytes) },
    });
    if (outcome.kind === 'failed' && outcome.down) {
      this.#downUntil = this.#clock.now() + downMilliseconds;
      this.#downReason = outcome.reason;
    }
    return outcome;
  }

  /** Undefined while nobody can tell. */
  async #hasIndex2(file: SymbolFile, cache: string, online: FetchOptions): Promise<boolean | undefined> {
    let outcome: DownloadOutcome = { kind: 'absent' };
    // It is not kept: only whether it is there matters.
    await keep(
      cache,
      file,
      async (handle) => {
        const { signal } = online;
        outcome = await this.#download(
          this.#at('index2.txt'),
          handle,
          signal === undefined ? {} : { signal },
          mostSmall,
        );
        return '';
      },
      async () => undefined,
    );
    return (outcome as DownloadOutcome).kind === 'failed'
      ? undefined
      : (outcome as DownloadOutcome).kind === 'done';
  }

  #locate(file: SymbolFile, leaf: string, twoTier: boolean): string {
    return this.#at(...(twoTier ? [firstTier(file.name)] : []), file.name, file.key, leaf);
  }

  #at(...parts: string[]): string {
    const url = new URL(this.url);
    url.pathname = [url.pathname.replace(/\/+$/, ''), ...parts.map(encodeURIComponent)].join('/');
    return url.href;
  }
}

const isDown = (outcome: DownloadOutcome): boolean => outcome.kind === 'failed' && outcome.down;

function attemptOf(where: string, outcome: DownloadOutcome, complaint: string): Attempt {
  switch (outcome.kind) {
    case 'absent':
      return { where, outcome: 'absent' };
    case 'failed':
      return { where, outcome: 'failed', reason: outcome.reason };
    case 'done':
      return { where, outcome: 'wrong', reason: complaint };
  }
}

async function pointerIn(path: string): Promise<string> {
  const text = (await readFile(path))
    .toString('utf8', 0, longestPointer)
    .replace(/[\p{C}]+/gu, ' ')
    .trim();
  return `it points elsewhere, which is not followed: ${text.slice(0, 200)}`;
}
