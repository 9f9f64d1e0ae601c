/**
 * Finds symbol files along a symbol path, and brings them.
 *
 *   find(file)    folders and caches only: never touches the network, so that showing a value cannot start a download
 *   fetch(file)   the same, then servers; what comes is checked, kept in the chain's first folder, and found there again
 *
 *   for each element, from left to right        plain folder ── right? ─▶ done
 *     chain: folder ▶ folder ▶ server           found in a farther place: kept in the first folder, done
 *
 * Invariants: every path handed out was found right by the `check` (GUID and age, time stamp and size), whoever had put
 * it there; a file that is being fetched is not fetched twice at once. Each answer says what was tried.
 */

import type { FileHandle } from 'node:fs/promises';
import { VmkdError } from '../../core/errors';
import { findInPlainFolder, findInStore, type Candidate } from './folders';
import { complaintOf, copyInto, keep, unpackInto } from './keeping';
import type { SymbolFile } from './symbolFile';
import { SymbolServer, type Attempt, type FetchOptions, type ServerOptions } from './symbolServer';
import type { PathElement, StorePlace } from './symbolPath';

/** What is wrong with the file at `path`, a sentence; undefined if it is the one that `file` names. */
export type FileCheck = (path: string, file: SymbolFile) => Promise<string | undefined>;

export interface StoreOptions extends ServerOptions {
  readonly path: readonly PathElement[];
  /** Where something goes that was found compressed in a plain folder. */
  readonly defaultCache: string;
  readonly check: FileCheck;
}

export interface Located {
  /** A checked file, uncompressed. Undefined: nobody has it. */
  readonly path: string | undefined;
  /** In order. A folder without it makes none. */
  readonly attempts: readonly Attempt[];
}

export class SymbolStore {
  readonly #options: StoreOptions;
  readonly #servers = new Map<string, SymbolServer>();
  readonly #underWay = new Map<string, Promise<Located>>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Looks in folders and caches only; unpacks what it finds compressed. @throws file-unwritable, if nobody else has it */
  find(file: SymbolFile): Promise<Located> {
    return this.#search(file, undefined);
  }

  /**
   * Looks everywhere. Callers that ask for the same file at once share one search, unless they bring a signal or
   * want progress of their own. @throws cancelled; file-unwritable
   */
  async fetch(file: SymbolFile, options: FetchOptions = {}): Promise<Located> {
    if (options.signal ?? options.onProgress ?? options.again) return this.#search(file, options);
    const id = `${file.name}/${file.key}`;
    let search = this.#underWay.get(id);
    if (search === undefined) {
      search = this.#search(file, options).finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, search);
    }
    return search;
  }

  /** @param online Undefined: no servers. */
  async #search(file: SymbolFile, online: FetchOptions | undefined): Promise<Located> {
    const attempts: Attempt[] = [];
    let unwritable: VmkdError | undefined;
    for (const element of this.#options.path) {
      const search =
        element.kind === 'plain'
          ? this.#fromFolder(
              await findInPlainFolder(element.path, file),
              element.cache ?? this.#options.defaultCache,
              element.cache,
              file,
              attempts,
            )
          : this.#fromChain(element.stores, file, online, attempts);
      try {
        const path = await search;
        if (path !== undefined) return { path, attempts };
      } catch (error) {
        // A cache that takes nothing must not hide what lies elsewhere.
        if (!isUnwritable(error)) throw error;
        unwritable ??= error;
      }
    }
    if (unwritable !== undefined) throw unwritable;
    return { path: undefined, attempts };
  }

  async #fromChain(
    stores: readonly StorePlace[],
    file: SymbolFile,
    online: FetchOptions | undefined,
    attempts: Attempt[],
  ): Promise<string | undefined> {
    const first = stores[0];
    if (first?.kind !== 'folder') throw new VmkdError('internal', 'A chain of stores begins with a folder');
    const check = (path: string) => this.#complaintAbout(path, file);
    for (const store of stores) {
      let path: string | undefined;
      if (store.kind === 'folder') {
        const copyTo = store === first ? undefined : first.path;
        path = await this.#fromFolder(
          await findInStore(store.path, file),
          first.path,
          copyTo,
          file,
          attempts,
        );
      } else if (online !== undefined) {
        path = await this.#server(store.url).fetch(file, first.path, check, online, attempts);
      }
      if (path !== undefined) return path;
    }
    return undefined;
  }

  /** @param unpackTo the cache for what is compressed; @param copyTo for the rest, undefined: it stays where it is */
  async #fromFolder(
    candidates: readonly Candidate[],
    unpackTo: string,
    copyTo: string | undefined,
    file: SymbolFile,
    attempts: Attempt[],
  ): Promise<string | undefined> {
    for (const { kind, path: where } of candidates) {
      const complaint = kind === 'file' ? await this.#complaintAbout(where, file) : undefined;
      if (complaint !== undefined) {
        attempts.push({ where, outcome: 'wrong', reason: complaint });
        continue;
      }
      const cache = kind === 'compressed' ? unpackTo : copyTo;
      if (cache === undefined) {
        attempts.push({ where, outcome: 'found' });
        return where;
      }
      try {
        const kept = await this.#keep(cache, file, where, attempts, (handle) =>
          kind === 'compressed' ? unpackInto(handle, where) : copyInto(handle, where),
        );
        if (kept !== undefined) return kept;
      } catch (error) {
        // It is right where it lies, and can be read there.
        if (kind === 'compressed' || !isUnwritable(error)) throw error;
        attempts.push({ where, outcome: 'found', reason: error.message });
        return where;
      }
    }
    return undefined;
  }

  async #keep(
    cache: string,
    file: SymbolFile,
    where: string,
    attempts: Attempt[],
    fill: (handle: FileHandle) => Promise<void>,
  ): Promise<string | undefined> {
    const result = await keep(
      cache,
      file,
      (handle) => complaintOf(fill(handle)),
      (path) => this.#complaintAbout(path, file),
    );
    if ('path' in result) {
      attempts.push({ where, outcome: 'found' });
      return result.path;
    }
    attempts.push({ where, outcome: 'wrong', reason: result.complaint });
    return undefined;
  }

  #complaintAbout(path: string, file: SymbolFile): Promise<string | undefined> {
    return complaintOf(this.#options.check(path, file));
  }

  #server(url: URL): SymbolServer {
    let server = this.#servers.get(url.href);
    if (server === undefined) {
      server = new SymbolServer(url, this.#options);
      this.#servers.set(url.href, server);
    }
    return server;
  }
}

const isUnwritable = (error: unknown): error is VmkdError =>
  error instanceof VmkdError && error.code === 'file-unwritable';
