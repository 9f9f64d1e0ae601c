/**
 * What we wrote into code ourselves, on disk before it is in the target: a debugger that is killed leaves its int3s behind,
 * and the next one takes them out.
 *
 *   {"vmkdJournal":1,"kernelBase":"fffff80312345678","patches":[
 *     {"address":"…","original":72,"module":{"name":"x.sys","base":"…","size":4096,"timeDateStamp":123}}]}
 *
 * Invariants: the file names every int3 of ours that may be in memory; it is replaced as a whole; a patch is undone only in
 * the very kernel and module that it was made in, and only where an int3 still stands. The file is a hint, not a truth: what
 * cannot be read as one is ignored.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { KdMemory } from '../kdMemory';

/** The image that a patch is in. */
export interface PatchedModule {
  readonly name: string;
  readonly base: VirtualAddress;
  readonly size: number;
  readonly timeDateStamp: number;
}

interface Patch {
  readonly address: VirtualAddress;
  readonly original: number;
  /** Undefined: in no module. */
  readonly module: PatchedModule | undefined;
}

export interface PatchJournal {
  /** @throws file-unwritable: then nothing must be written into the target */
  add(address: VirtualAddress, original: number): Promise<void>;
  remove(address: VirtualAddress): Promise<void>;
}

const int3 = 0xcc;

/** More than anybody sets by hand; a file that claims more is no journal. */
const mostPatches = 65_536;

export class FileJournal implements PatchJournal {
  readonly #patches = new Map<VirtualAddress, Patch>();
  kernelBase: VirtualAddress | undefined;

  /** @param moduleOf Whose code an address is, read from the target. */
  constructor(
    private readonly file: string,
    private readonly moduleOf: (address: VirtualAddress) => Promise<PatchedModule | undefined>,
  ) {}

  async add(address: VirtualAddress, original: number): Promise<void> {
    this.#patches.set(address, { address, original, module: await this.moduleOf(address) });
    this.#save();
  }

  remove(address: VirtualAddress): Promise<void> {
    if (this.#patches.delete(address)) this.#save();
    return Promise.resolve();
  }

  /** Everything is undone, or the target is another one. */
  forget(): void {
    this.#patches.clear();
    rmSync(this.file, { force: true });
  }

  /** Undoes what a session before this one left in this very kernel. @returns How many patches. */
  async undo(memory: Pick<KdMemory, 'readPartial' | 'write'>): Promise<number> {
    let undone = 0;
    for (const { address, original, module } of this.#leftovers()) {
      const now = await this.moduleOf(address);
      const [byte] = await memory.readPartial(address, 1);
      if (byte !== int3 || !isSameModule(now, module)) continue;
      await memory.write(address, Uint8Array.of(original));
      undone++;
    }
    this.forget();
    return undone;
  }

  #leftovers(): readonly Patch[] {
    try {
      return parse(readFileSync(this.file, 'utf8'), this.kernelBase);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new VmkdError('file-unreadable', `The journal ${this.file} cannot be read`, { cause: thrown });
    }
  }

  #save(): void {
    if (this.#patches.size === 0) {
      this.forget();
      return;
    }
    const patches = [...this.#patches.values()].map(({ address, original, module }) => ({
      address: address.toString(16),
      original,
      ...(module && { module: { ...module, base: module.base.toString(16) } }),
    }));
    const whole = { vmkdJournal: 1, kernelBase: this.kernelBase?.toString(16) ?? '', patches };
    try {
      mkdirSync(path.dirname(this.file), { recursive: true });
      writeFileSync(`${this.file}.new`, JSON.stringify(whole), { mode: 0o600 });
      renameSync(`${this.file}.new`, this.file);
    } catch (cause) {
      throw new VmkdError('file-unwritable', `The journal ${this.file} cannot be written`, { cause });
    }
  }
}

/** The name of a link's journal: a link has one debugger at a time. */
export const journalFile = (link: string): string =>
  `patches-${createHash('sha256').update(link).digest('hex').slice(0, 16)}.json`;

/** For sessions that keep none: what they leave when they are killed stays. */
export const noJournal: PatchJournal = {
  add: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

const isSameModule = (a: PatchedModule | undefined, b: PatchedModule | undefined): boolean =>
  a === undefined || b === undefined
    ? a === b
    : a.name === b.name && a.base === b.base && a.size === b.size && a.timeDateStamp === b.timeDateStamp;

function parse(text: string, kernelBase: VirtualAddress | undefined): Patch[] {
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    return [];
  }
  if (!isRecord(whole) || whole['vmkdJournal'] !== 1 || address(whole['kernelBase']) !== kernelBase)
    return [];
  const { patches } = whole as { patches?: unknown };
  if (!Array.isArray(patches) || patches.length > mostPatches) return [];
  return patches.flatMap((one: unknown) => patchOf(one) ?? []);
}

function patchOf(value: unknown): Patch | undefined {
  if (!isRecord(value)) return undefined;
  const at = address(value['address']);
  const { original, module } = value;
  if (at === undefined || !isCount(original) || original > 0xff) return undefined;
  if (module === undefined) return { address: at, original, module };
  if (!isRecord(module)) return undefined;
  const base = address(module['base']);
  const { name, size, timeDateStamp } = module;
  if (base === undefined || typeof name !== 'string' || !isCount(size) || !isCount(timeDateStamp))
    return undefined;
  return { address: at, original, module: { name, base, size, timeDateStamp } };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const address = (value: unknown): VirtualAddress | undefined =>
  typeof value === 'string' ? parseAddress(value) : undefined;
