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
import type { PeImage } from '../symbols/pe/headers';
import { PeFile, readExportTable, readPdbReference, readPeImage } from '../symbols/peImage';
import type { ImageSymbols } from '../symbols/services/imageSymbols';
import { openExportSymbols, openPdbSymbols, type OpenSymbols } from '../symbols/services/openSymbols';
import type { DownloadProgress } from '../symbols/store/download';
import { imageFile, pdbFile, type SymbolFile } from '../symbols/store/symbolFile';
import type { Attempt, FetchOptions } from '../symbols/store/symbolServer';
import type { SymbolStore } from '../symbols/store/symbolStore';
import type { TypeTable } from '../symbols/types/typeTable';
import { ImageMemory } from './imageMemory';
import type { LoadedModule } from './modules';
import { UnwindData, unwindDataInMemory, unwindDataOf, type UnwindDataSource } from './unwindData';

export type SymbolState =
  | { readonly kind: 'unloaded' }
  | { readonly kind: 'loading'; readonly progress: DownloadProgress | undefined }
  | { readonly kind: 'loaded'; readonly quality: 'private' | 'public'; readonly path: string }
  | { readonly kind: 'exports'; readonly why: string; readonly attempts: readonly Attempt[] }
  | { readonly kind: 'none'; readonly why: string; readonly attempts: readonly Attempt[] };

/** What the image says of itself. */
export interface ImageIdentity {
  readonly image: PeImage;
  /** Undefined: it names none. */
  readonly pdb: PdbReference | undefined;
}

export interface LoadOptions extends FetchOptions {
  /** Servers may be asked. Without it, folders and caches only. */
  readonly online: boolean;
}

export class ModuleSymbols {
  readonly memory: ImageMemory;
  #state: SymbolState = { kind: 'unloaded' };
  #open: OpenSymbols | undefined;
  /** The image's file, if it is at hand. */
  #file: PeFile | undefined;
  #closeFile: (() => void) | undefined;
  #identity: Promise<ImageIdentity> | undefined;
  #unwind: Promise<UnwindData> | undefined;
  #closed = false;
  #loading: { readonly online: boolean; readonly done: Promise<SymbolState> } | undefined;

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
   * more joins it. @throws cancelled; what the target throws (it must be stopped)
   */
  async load(options: LoadOptions): Promise<SymbolState> {
    for (let under = this.#loading; under !== undefined; under = this.#loading) {
      if (under.online || !options.online) return under.done;
      await under.done;
    }
    if (this.#state.kind === 'loaded') return this.#state;
    const before = this.#state;
    this.#become({ kind: 'loading', progress: undefined });
    const done = this.#load(options)
      .catch((error: unknown) => {
        if (!this.#closed) this.#become(before);
        throw error;
      })
      .finally(() => {
        this.#loading = undefined;
      });
    this.#loading = { online: options.online, done };
    return done;
  }

  /**
   * Takes the PDB that a person names. @param force Takes it also if it is not this image's.
   * @throws file-damaged, file-unreadable, file-unsupported; symbols-mismatch
   */
  async loadFrom(path: string, force = false): Promise<SymbolState> {
    const open = openPdbSymbols(path, this.#file?.functions());
    const wanted = await this.identity().then(
      ({ pdb }) => pdb?.key,
      () => undefined,
    );
    const has = open.pdb?.key;
    if (!force && wanted !== has) {
      open.close();
      throw new VmkdError(
        'symbols-mismatch',
        `${path} is the PDB ${has}; ${this.module.name} wants ${wanted ?? 'one that it does not name'}`,
      );
    }
    return this.#take(open, path);
  }

  /** Gives files back; a load that is under way ends as cancelled. The module went: it is not opened again. */
  close(): void {
    this.#closed = true;
    this.#open?.close();
    this.#closeFile?.();
    this.#open = this.#file = this.#closeFile = this.#unwind = undefined;
    this.#become({ kind: 'unloaded' });
  }

  async #load(options: LoadOptions): Promise<SymbolState> {
    let identity: ImageIdentity;
    try {
      identity = await this.identity();
    } catch (thrown) {
      const error = asVmkdError(thrown);
      if (error.code !== 'memory-unreadable' && error.code !== 'file-damaged') throw thrown;
      return this.#become({
        kind: 'none',
        why: `Its headers cannot be read: ${error.message}`,
        attempts: [],
      });
    }
    await this.#findFile(identity.image);
    const { pdb } = identity;
    if (pdb === undefined) return this.#fallBack(identity, 'The image names no PDB', []);
    let attempts: readonly Attempt[] = [];
    let why: string;
    try {
      const file = pdbFile(pdb.fileName, pdb.key);
      const onProgress: FetchOptions['onProgress'] = (progress) => {
        this.#become({ kind: 'loading', progress });
        options.onProgress?.(progress);
      };
      const located = await (options.online
        ? this.store.fetch(file, { ...options, onProgress })
        : this.store.find(file));
      ({ attempts } = located);
      if (located.path !== undefined)
        return this.#take(openPdbSymbols(located.path, this.#file?.functions()), located.path);
      why = `No PDB ${pdb.fileName} ${pdb.key} on the symbol path`;
    } catch (thrown) {
      const error = asVmkdError(thrown);
      if (error.code === 'cancelled' || error.code === 'internal') throw thrown;
      why = error.message;
    }
    return this.#fallBack(identity, why, attempts);
  }

  async #fallBack(identity: ImageIdentity, why: string, attempts: readonly Attempt[]): Promise<SymbolState> {
    try {
      const exports = await readExportTable((rva, length) => this.memory.read(rva, length), identity.image);
      if (exports.symbols.length === 0) {
        return this.#become({ kind: 'none', why: `${why}; and it exports nothing`, attempts });
      }
      const functions = this.#file?.functions() ?? (await this.unwindData()).known;
      const open = openExportSymbols(exports, functions);
      this.#keep(open);
      this.#open?.close();
      this.#open = open;
      return this.#become({ kind: 'exports', why, attempts });
    } catch (thrown) {
      const error = asVmkdError(thrown);
      if (error.code !== 'memory-unreadable' && error.code !== 'file-damaged') throw thrown;
      return this.#become({
        kind: 'none',
        why: `${why}; and its exports cannot be read: ${error.message}`,
        attempts,
      });
    }
  }

  /** In folders and caches; nobody waits for a server for what the PDB or the memory of the target has as well. */
  async #findFile(image: PeImage): Promise<void> {
    if (this.#file !== undefined) return;
    let file: SymbolFile;
    try {
      file = imageFile(this.module.name, image.timeDateStamp, image.sizeOfImage);
    } catch {
      // The loader's name for it is none that a file can have.
      return;
    }
    const { path } = await this.store.find(file);
    if (path === undefined) return;
    const source = openFileSource(path);
    this.#keep(source);
    try {
      this.#file = new PeFile(source);
      this.#closeFile = () => source.close();
      this.#unwind = undefined;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** What was opened for a module that went meanwhile is closed again. @throws cancelled then */
  #keep(opened: { close(): void }): void {
    if (!this.#closed) return;
    opened.close();
    throw new VmkdError('cancelled', `${this.module.name} was unloaded meanwhile`);
  }

  #take(open: OpenSymbols, path: string): SymbolState {
    const { quality } = open.symbols;
    if (quality === 'exports') throw fileDamaged(path, 'it is no PDB');
    this.#keep(open);
    this.#open?.close();
    this.#open = open;
    this.#unwind = undefined;
    return this.#become({ kind: 'loaded', quality, path });
  }

  async #readIdentity(): Promise<ImageIdentity> {
    const read = (rva: number, length: number): Promise<Uint8Array> => this.memory.read(rva, length);
    const image = await readPeImage(read);
    const pdb = await readPdbReference(read, image).catch((error: unknown) => {
      // Paged out: the image may have a PDB, but who could say which.
      if (error instanceof VmkdError && error.code === 'memory-unreadable') return undefined;
      throw error;
    });
    return { image, pdb };
  }

  async #findUnwindData(): Promise<UnwindData> {
    const sources: UnwindDataSource[] = [];
    const { pdb } = this;
    if (pdb?.functions !== undefined && pdb.xdata !== undefined)
      sources.push(unwindDataOf('pdb', pdb.functions, pdb.xdata));
    const file = this.#file;
    const functions = file?.functions();
    if (file !== undefined && functions !== undefined)
      sources.push(unwindDataOf('file', functions, file.memory));
    const inMemory = unwindDataInMemory(this.memory, (await this.identity()).image);
    if (inMemory !== undefined) sources.push(inMemory);
    return new UnwindData(sources);
  }

  #become<S extends SymbolState>(state: S): S {
    this.#state = state;
    this.onState(this);
    return state;
  }
}

/** For a person: what serves a module, and why it is no better. */
export function describeSymbolState(state: SymbolState): string {
  switch (state.kind) {
    case 'unloaded':
      return 'not loaded';
    case 'loading':
      return state.progress === undefined ? 'loading' : `loading, ${state.progress.received} bytes so far`;
    case 'loaded':
      return `${state.quality} symbols from ${state.path}`;
    case 'exports':
      return `exports only: ${state.why}`;
    case 'none':
      return `no symbols: ${state.why}`;
  }
}
