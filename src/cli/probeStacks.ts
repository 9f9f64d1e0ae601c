/** The call stacks of a stopped kernel's processors, with symbols of just the modules that are on them. */

import type { VirtualMemory } from '../engine/memory/virtualMemory';
import { registersOf, type FrameRegisters } from '../engine/cpu/unwindX64';
import { checkSymbolFile } from '../engine/symbols/store/fileCheck';
import { defaultCacheFolder } from '../engine/symbols/store/cacheFolder';
import { httpGet } from '../engine/symbols/store/http';
import { parseSymbolPath, symbolPathFrom } from '../engine/symbols/store/symbolPath';
import { SymbolStore } from '../engine/symbols/store/symbolStore';
import { callStack, frameText, type SymbolicStack } from '../engine/target/callStack';
import type { LiveTarget } from '../engine/target/liveTarget';
import { unwindSourceOf } from '../engine/target/unwindSource';
import { KernelSymbols } from '../engine/windows/kernelSymbols';
import { loadSymbols } from '../engine/windows/loadSymbols';
import { describeSymbolState } from '../engine/windows/moduleSymbols';
import type { LoadedModule } from '../engine/windows/modules';
import { progressOn } from './symbolFiles';
import type { Terminal } from './terminal';

export interface StackOptions {
  /** As WinDbg takes it; undefined: _NT_SYMBOL_PATH. */
  readonly symbolPath: string | undefined;
  /** Servers may be asked. */
  readonly download: boolean;
}

export interface StackReport {
  /** A line for each frame, by processor. */
  readonly stacks: readonly (readonly string[])[];
  /** What serves the modules on them: `nt: private symbols from …`. */
  readonly symbols: readonly string[];
}

const mostFrames = 64;

/** Of an x64 kernel. @throws symbol-path-bad, cancelled; what the target throws */
export async function stacksOf(
  target: LiveTarget,
  memory: VirtualMemory,
  modules: readonly LoadedModule[],
  options: StackOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<StackReport> {
  const defaultCache = defaultCacheFolder(process.env);
  const path = parseSymbolPath(options.symbolPath ?? symbolPathFrom(process.env), defaultCache);
  const store = new SymbolStore({ path, defaultCache, check: checkSymbolFile, get: httpGet(process.env) });
  const symbols = new KernelSymbols({ memory, store });
  try {
    symbols.update(modules);
    const starts: FrameRegisters[] = [];
    for (let processor = 0; processor < target.stopped.change.numberProcessors; processor++)
      starts.push(registersOf(await target.registers.context(processor)));
    // The frames first: which modules they lie in decides what to load, and what to leave alone.
    const bare = await walkAll(memory, symbols, starts);
    const onStack = new Set(bare.flatMap(({ frames }) => frames.flatMap(({ named }) => named?.module ?? [])));
    const onProgress = progressOn(terminal);
    const withImage = bare.some(({ end }) => end.kind === 'failed');
    await loadSymbols([...onStack], { online: options.download, withImage, signal, onProgress });
    const stacks = (await walkAll(memory, symbols, starts)).map(linesOf);
    return {
      stacks,
      symbols: [...onStack].map(({ alias, state }) => `${alias}: ${describeSymbolState(state)}`),
    };
  } finally {
    symbols.forget();
  }
}

async function walkAll(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  starts: readonly FrameRegisters[],
): Promise<SymbolicStack[]> {
  const source = unwindSourceOf(memory, symbols);
  const stacks: SymbolicStack[] = [];
  for (const start of starts) stacks.push(await callStack(source, symbols, start, mostFrames));
  return stacks;
}

function linesOf({ frames, end }: SymbolicStack): string[] {
  const lines = frames.map(frameText);
  switch (end.kind) {
    case 'bottom':
      return lines;
    case 'most-frames':
      return [...lines, `(there is more: only ${mostFrames} frames are shown)`];
    case 'unknown-code':
      return [...lines, '(the stack goes on in code that belongs to no known module)'];
    case 'failed':
      return [...lines, `(the stack ends here: ${end.error.message})`];
  }
}
