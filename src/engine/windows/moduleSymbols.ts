/**
 * The symbols of one loaded module: what it is, whose PDB it wants, and what serves it now.
 *
 *   unloaded ──load──▶ loading ──▶ loaded   a PDB, checked by GUID and age
 *                              ├─▶ exports  no PDB: the names that the image exports serve, and are called that
 *                              └─▶ none     not even those
 *
 * Invariants: nothing loads by itself, and showing a value never starts a load; every state but the first two says why
 * it is so; a load that is cancelled or fails leaves what served before.
 */

import { fileDamaged, openFileSource } from '../core/byteSource';
import type { VirtualAddress } from '../core/addresses';
import { VmkdError, asVmkdError } from '../core/errors';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { Pdb } from '../symbols/pdb/pdb';
import type { PdbReference } from '../symbols/pe/debugDirectory';
import { machines, type PeImage } from '../symbols/pe/headers';
import { PeFile, readExportTable, readPdbReference, readPeImage } from '../symbols/peImage';
import type { ImageSymbols } from '../symbols/services/imageSymbols';
import { openExportSymbols, openPdbSymbols, type OpenSymbols } from '../symbols/services/openSymbols';
import type { DownloadProgress } from '../symbols/store/download';
import { imageFile, pdbFile } from '../symbols/store/symbolFile';
import type { Attempt, FetchOptions } from '../symbols/store/symbolServer';
import type { SymbolStore } from '../symbols/store/symbolStore';
import type { TypeTable } from '../symbols/types/typeTable';
import { ImageMemory } from './imageMemory';
import type { LoadedModule } from './modules';
import { SharedLoad } from './sharedLoad';
import {
  KnownFunctions,
  UnwindData,
  unwindDataInMemory,
  unwindDataOf,
  type UnwindDataSource,
} from './unwindData';

export type SymbolState =
  | { readonly kind: 'unloaded' }
  | { readonly kind: 'loading'; readonly progress: DownloadProgress | undefined }
  | {
      readonly kind: 'loaded';
      readonly quality: 'private' | 'public';
      readonly path: string;
      /** What was found to be damaged in it, when somebody asked. */
      readonly damage: string | undefined;
    }
  | { readonly kind: 'exports'; readonly why: string; readonly attempts: readonly Attempt[] }
  | { readonly kind: 'none'; readonly why: string; readonly attempts: readonly Attempt[] };

/** What the image says of itself. */
export interface ImageIdentity {
  readonly image: PeImage;
  /** Undefined: it names none, or it cannot be read now. */
  readonly pdb: PdbReference | undefined;
  /** Why it cannot: the page that says it is absent. */
  readonly unreadable: string | undefined;
}

export interface LoadOptions extends FetchOptions {
  /** Servers may be asked. Without it, folders and caches only. */
  readonly online: boolean;
  /** The image's file too, from servers: for unwind data where the target's own pages are absent. */
  readonly withImage?: boolean;
}

type Load = SharedLoad<SymbolState, DownloadProgress> & { readonly online: boolean };

export class ModuleSymbols {
  readonly memory: ImageMemory;
  #state: SymbolState = { kind: 'unloaded' };
  #open: OpenSymbols | undefined;
  /** The image's file, if it is at hand. */
  #file: PeFile | undefined;
  #closeFile: (() => void) | undefined;
  #identity: Promise<ImageIdentity> | undefined;
  #unwind: Promise<UnwindData> | undefined;
  /** The PDB is this image's: what it says of code holds. */
  #fits = true;
  #closed = false;
  #loading: Load | undefined;

  /**
   * @param alias What people call it: `nt`, or its file name without the ending.
   * @param onState Told of every change.
   */
  constructor(
    readonly module: LoadedModule,
    readonly alias: string,
    memory: VirtualMemory,
    private readonly store: SymbolStore,
    private readonly onState: (module: ModuleSymbols) => void,
  ) {
    this.memory = new ImageMemory(memory, module.base, module.size);
  }

  get base(): VirtualAddress {
    return this.module.base;
  }

  get state(): SymbolState {
    return this.#state;
  }

  /** Undefined until something was loaded. */
  get symbols(): ImageSymbols | undefined {
    return this.#open?.symbols;
  }

  get pdb(): Pdb | undefined {
    return this.#open?.pdb;
  }

  get types(): TypeTable | undefined {
    return this.#open?.types;
  }

  /** From the image's headers, read once. @throws memory-unreadable, file-damaged; what the target throws */
  identity(): Promise<ImageIdentity> {
    this.#identity ??= this.#readIdentity().catch((error: unknown) => {
      this.#identity = undefined;
      throw error;
    });
    return this.#identity;
  }

  /** @throws as `identity` */
  unwindData(): Promise<UnwindData> {
    this.#unwind ??= this.#findUnwindData().catch((error: unknown) => {
      this.#unwind = undefined;
      throw error;
    });
    return this.#unwind;
  }

  /**
   * Finds the PDB and opens it, or falls back on the exports. While one load is under way, a second one that asks for no
   * more joins it; each caller may leave by its own signal.
   * @throws cancelled; what the target throws (it must be stopped)
   */
  async load(options: LoadOptions): Promise<SymbolState> {
    for (;;) {
      this.#mustBeThere();
      if (options.signal?.aborted) throw new VmkdError('cancelled', 'Loading was cancelled');
      if (this.#state.kind === 'loaded') return this.#state;
      const under = this.#loading;
      if (under !== undefined && !under.signal.aborted && (under.online || !options.online))
        return under.join(options.signal, options.onProgress);
      if (under === undefined) return this.#start(options).join(options.signal, options.onProgress);
      await under.ended();
    }
  }

  /**
   * Takes the PDB that a person names. @param force Takes it also if it is not this image's.
   * @throws file-damaged, file-unreadable, file-unsupported; symbols-mismatch
   */
  async loadFrom(path: string, force = false): Promise<SymbolState> {
    const open = openPdbSymbols(path, this.#file?.functions());
    let wanted: string | undefined;
    try {
      wanted = (await this.identity()).pdb?.key;
    } catch (error) {
      if (!isOfImage(error)) {
        open.close();
        throw error;
      }
    }
    const fits = wanted !== undefined && wanted === open.pdb?.key;
    if (!fits && !force) {
      open.close();
      throw new VmkdError(
        'symbols-mismatch',
        `${path} is the PDB ${open.pdb?.key}; ${this.module.name} wants ${wanted ?? 'one that it does not name'}`,
      );
    }
    // What was under way must not take its place.
    this.#loading?.abort();
    await this.#loading?.ended();
    if (fits || open.pdb?.functions === undefined) return this.#take(open, path, fits);
    // Another build's functions are elsewhere: names are bounded by what unwinding finds.
    open.close();
    return this.#take(openPdbSymbols(path, this.#file?.functions() ?? new KnownFunctions()), path, false);
  }

  /**
   * Asks the symbols. A PDB is read as it is asked: where it turns out to be damaged there, the answer is `otherwise`, and
   * the state tells of the damage from then on.
   */
  ask<T>(question: (symbols: ImageSymbols) => T, otherwise: T): T {
    const symbols = this.#open?.symbols;
    if (symbols === undefined) return otherwise;
    try {
      return question(symbols);
    } catch (error) {
      if (!isOfFile(error)) throw error;
      const state = this.#state;
      if (state.kind === 'loaded' && state.damage === undefined)
        this.#become({ ...state, damage: error.message });
      return otherwise;
    }
  }

  /** Gives files back; a load that is under way ends as cancelled. The module went: it is not opened again. */
  close(): void {
    if (this.#closed) return;
    this.#loading?.abort();
    this.#open?.close();
    this.#closeFile?.();
    this.#open = this.#file = this.#closeFile = this.#unwind = undefined;
    this.#become({ kind: 'unloaded' });
    this.#closed = true;
  }

  #start(options: LoadOptions): Load {
    const before = this.#state;
    const load = new SharedLoad<SymbolState, DownloadProgress>(async (work) => {
      try {
        return await this.#load(options, work);
      } catch (error) {
        if (this.#loading === load && this.#state.kind === 'loading') this.#become(before);
        throw error;
      } finally {
        if (this.#loading === load) this.#loading = undefined;
      }
    });
    this.#loading = Object.assign(load, { online: options.online });
    this.#become({ kind: 'loading', progress: undefined });
    return this.#loading;
  }

  async #load(options: LoadOptions, work: SharedLoad<SymbolState, DownloadProgress>): Promise<SymbolState> {
    let identity: ImageIdentity;
    try {
      identity = await this.identity();
    } catch (thrown) {
      if (!isOfImage(thrown)) throw thrown;
      return this.#none(work, `Its headers cannot be read: ${thrown.message}`, []);
    }
    const online: FetchOptions = {
      signal: work.signal,
      onProgress: (progress) => {
        if (work.signal.aborted) return;
        this.#become({ kind: 'loading', progress });
        work.tell(progress);
      },
      ...(options.again !== undefined && { again: options.again }),
    };
    await this.#findFile(identity.image, options.online && options.withImage === true ? online : undefined);
    work.mustGoOn();
    const { pdb, unreadable } = identity;
    if (pdb === undefined) return this.#fallBack(identity, work, unreadable ?? 'The image names no PDB', []);
    let attempts: readonly Attempt[] = [];
    let why: string;
    try {
      const file = pdbFile(pdb.fileName, pdb.key);
      const located = await (options.online ? this.store.fetch(file, online) : this.store.find(file));
      work.mustGoOn();
      ({ attempts } = located);
      if (located.path !== undefined)
        return this.#take(openPdbSymbols(located.path, this.#file?.functions()), located.path, true);
      why = `No PDB ${pdb.fileName} ${pdb.key} on the symbol path`;
    } catch (thrown) {
      const error = asVmkdError(thrown);
      if (error.code === 'cancelled' || error.code === 'internal') throw thrown;
      why = error.message;
    }
    return this.#fallBack(identity, work, why, attempts);
  }

  async #fallBack(
    { image }: ImageIdentity,
    work: SharedLoad<SymbolState, DownloadProgress>,
    why: string,
    attempts: readonly Attempt[],
  ): Promise<SymbolState> {
    const read = (rva: number, length: number): Promise<Uint8Array> =>
      this.memory.read(rva, length, () => work.mustGoOn());
    try {
      const exports = await readExportTable(read, image);
      work.mustGoOn();
      if (exports.symbols.length === 0) return this.#none(work, `${why}; and it exports nothing`, attempts);
      const functions =
        image.machine === machines.x86
          ? undefined
          : (this.#file?.functions() ?? (await this.unwindData()).known);
      work.mustGoOn();
      this.#open?.close();
      this.#open = openExportSymbols(exports, image, functions);
      return this.#become({ kind: 'exports', why, attempts });
    } catch (thrown) {
      if (!isOfImage(thrown)) throw thrown;
      return this.#none(work, `${why}; and its exports cannot be read: ${thrown.message}`, attempts);
    }
  }

  #none(
    work: SharedLoad<SymbolState, DownloadProgress>,
    why: string,
    attempts: readonly Attempt[],
  ): SymbolState {
    work.mustGoOn();
    this.#open?.close();
    this.#open = undefined;
    return this.#become({ kind: 'none', why, attempts });
  }

  /**
   * In folders and caches, and on servers if somebody wants to wait for it. Without it the PDB and the memory of the target
   * have unwind data as well, mostly.
   */
  async #findFile(image: PeImage, online: FetchOptions | undefined): Promise<void> {
    if (this.#file !== undefined) return;
    let path: string | undefined;
    try {
      const file = imageFile(this.module.name, image.timeDateStamp, image.sizeOfImage);
      ({ path } = await (online === undefined ? this.store.find(file) : this.store.fetch(file, online)));
    } catch (thrown) {
      const { code } = asVmkdError(thrown);
      // The loader's name for it is none that a file can have; or the cache takes none.
      if (code === 'symbol-name-refused' || code === 'file-unwritable') return;
      throw thrown;
    }
    if (path === undefined) return;
    this.#mustBeThere();
    const source = openFileSource(path);
    try {
      this.#file = new PeFile(source);
      this.#closeFile = () => source.close();
      this.#unwind = undefined;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** @throws cancelled: it went meanwhile */
  #mustBeThere(): void {
    if (this.#closed) throw new VmkdError('cancelled', `${this.module.name} was unloaded meanwhile`);
  }

  #take(open: OpenSymbols, path: string, fits: boolean): SymbolState {
    const { quality } = open.symbols;
    if (this.#closed || quality === 'exports') {
      open.close();
      this.#mustBeThere();
      throw fileDamaged(path, 'it is no PDB');
    }
    this.#open?.close();
    this.#open = open;
    this.#fits = fits;
    this.#unwind = undefined;
    return this.#become({ kind: 'loaded', quality, path, damage: undefined });
  }

  async #readIdentity(): Promise<ImageIdentity> {
    const read = (rva: number, length: number): Promise<Uint8Array> => this.memory.read(rva, length);
    const image = await readPeImage(read);
    try {
      return { image, pdb: await readPdbReference(read, image), unreadable: undefined };
    } catch (error) {
      if (!isOfImage(error)) throw error;
      // It may be paged in later: this answer is not kept.
      this.#identity = undefined;
      return { image, pdb: undefined, unreadable: `Which PDB it names cannot be read now: ${error.message}` };
    }
  }

  async #findUnwindData(): Promise<UnwindData> {
    const sources: UnwindDataSource[] = [];
    const image = await this.identity().then(
      (identity) => identity.image,
      () => undefined,
    );
    const add = (make: () => UnwindDataSource | undefined): void => {
      try {
        const source = make();
        if (source !== undefined) sources.push(source);
      } catch (error) {
        // A damaged copy is no reason to do without the others.
        if (!isOfFile(error)) throw error;
      }
    };
    add(() => {
      const functions = this.#fits ? this.pdb?.functions : undefined;
      const xdata = this.pdb?.xdata;
      const isWhole = functions !== undefined && functions.count * 12 === image?.exceptions?.size;
      return functions && xdata && unwindDataOf('pdb', functions, xdata, isWhole);
    });
    add(() => {
      const file = this.#file;
      const functions = file?.functions();
      return file && functions && unwindDataOf('file', functions, file.memory, true);
    });
    add(() => image && unwindDataInMemory(this.memory, image));
    return new UnwindData(sources);
  }

  #become<S extends SymbolState>(state: S): S {
    if (this.#closed) return state;
    this.#state = state;
    this.onState(this);
    return state;
  }
}

/** The image in memory is damaged, or a page of it absent. */
const isOfImage = (error: unknown): error is VmkdError =>
  error instanceof VmkdError && (error.code === 'memory-unreadable' || error.code === 'file-damaged');

/** A file is not what it should be. */
const isOfFile = (error: unknown): error is VmkdError =>
  error instanceof VmkdError &&
  (error.code === 'file-damaged' || error.code === 'file-unsupported' || error.code === 'file-unreadable');

/** For a person: what serves a module, and why it is no better. */
export function describeSymbolState(state: SymbolState): string {
  switch (state.kind) {
    case 'unloaded':
      return 'not loaded';
    case 'loading':
      return state.progress === undefined ? 'loading' : `loading, ${state.progress.received} bytes so far`;
    case 'loaded':
      return `${state.quality} symbols from ${state.path}${state.damage === undefined ? '' : `, damaged: ${state.damage}`}`;
    case 'exports':
      return `exports only: ${state.why}`;
    case 'none':
      return `no symbols: ${state.why}`;
  }
}
