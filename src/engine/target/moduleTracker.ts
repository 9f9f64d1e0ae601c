/**
 * Which modules a live kernel has: its list is walked once, then notices of loads and unloads keep it up to date. Notices can
 * be missed, so the ends of the list are compared when a person is about to look.
 *
 *   attach ─▶ whole list      load notice ─▶ its last entry      unload notice ─▶ one less      pause ─▶ ends changed? whole list
 *
 * Early at boot there is no list yet: then what the notice itself says must do.
 */

import type { VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { StoppedState } from '../kd/clientState';
import type { TargetVersion } from '../kd/manipulate/version';
import type { LoadSymbolsChange } from '../kd/stateChange';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';
import { readListEnds, readLoadedModule, readLoadedModules, type LoadedModule } from '../windows/modules';
import type { ModuleSymbols } from '../windows/moduleSymbols';
import type { ModuleChange } from './target';

export class ModuleTracker {
  /** In load order. */
  #loaded: readonly LoadedModule[] = [];

  constructor(
    private readonly memory: VirtualMemory,
    private readonly symbols: KernelSymbols,
    private readonly onChange: (change: ModuleChange) => void,
  ) {}

  /** Another kernel runs, or none. */
  forget(): void {
    const gone = this.symbols.modules;
    this.#loaded = [];
    this.symbols.forget();
    for (const module of gone) this.onChange({ kind: 'removed', module });
  }

  /** Walks the list. @throws what the target throws; a list that is not there yet is an empty one */
  async walk({ version }: StoppedState): Promise<void> {
    try {
      this.#take(
        await readLoadedModules(this.memory, version.loadedModuleList, pointerSize(version)),
        version,
      );
    } catch (thrown) {
      if (!isAbsent(thrown)) throw thrown;
    }
  }

  /** Walks the list if its ends are not what they were. */
  async refresh(stop: StoppedState): Promise<void> {
    const { version } = stop;
    try {
      const ends = await readListEnds(this.memory, version.loadedModuleList, pointerSize(version));
      if (ends.first === this.#loaded[0]?.entry && ends.last === this.#loaded.at(-1)?.entry) return;
    } catch (thrown) {
      if (!isAbsent(thrown)) throw thrown;
      return;
    }
    await this.walk(stop);
  }

  /** @returns The module that came, if it is a new one. */
  async onLoad(change: LoadSymbolsChange, stop: StoppedState): Promise<ModuleSymbols | undefined> {
    const { version } = stop;
    const others = this.#loaded.filter((module) => !overlap(module, change));
    this.#take([...others, await this.#described(change, version)], version);
    return this.symbols.moduleAt(change.base);
  }

  /** @returns The module that is about to go. */
  moduleOf(change: LoadSymbolsChange): ModuleSymbols | undefined {
    return this.symbols.modules.find(({ base }) => base === change.base);
  }

  onUnload(change: LoadSymbolsChange, { version }: StoppedState): void {
    this.#take(
      this.#loaded.filter(({ base }) => base !== change.base),
      version,
    );
  }

  async #described(change: LoadSymbolsChange, version: TargetVersion): Promise<LoadedModule> {
    const { base, sizeOfImage: size, path } = change;
    try {
      const { last } = await readListEnds(this.memory, version.loadedModuleList, pointerSize(version));
      const module = await readLoadedModule(this.memory, last, pointerSize(version));
      if (module.base === base) return module;
    } catch (thrown) {
      if (!isAbsent(thrown)) throw thrown;
    }
    const none = 0n as VirtualAddress;
    return { name: path.replace(/^.*[\\/]/, ''), path, base, size, entryPoint: none, entry: none };
  }

  #take(loaded: readonly LoadedModule[], version: TargetVersion): void {
    const kernel = loaded.filter(({ base }) => base === version.kernelBase);
    this.#loaded = [...kernel, ...loaded.filter((module) => !kernel.includes(module))];
    const { added, removed } = this.symbols.update(this.#loaded);
    for (const module of removed) this.onChange({ kind: 'removed', module });
    for (const module of added) this.onChange({ kind: 'added', module });
  }
}

const pointerSize = ({ machine }: TargetVersion): 4 | 8 => (machine === 'x64' ? 8 : 4);

const overlap = (module: LoadedModule, change: LoadSymbolsChange): boolean =>
  module.base < change.base + BigInt(change.sizeOfImage) && change.base < module.base + BigInt(module.size);

const isAbsent = (thrown: unknown): boolean =>
  thrown instanceof VmkdError && thrown.code === 'memory-unreadable';
