/**
 * Symbols of many modules, in the background: a few at a time, in the order given, each one's end told as it comes.
 * What cannot be loaded says so in its own state; only what the target itself throws, and a cancel, ends it all.
 */

import type { LoadOptions, ModuleSymbols, SymbolState } from './moduleSymbols';

export interface LoadAllOptions extends LoadOptions {
  /** Told as each module is done, in no order. */
  readonly onLoaded?: (module: ModuleSymbols, state: SymbolState) => void;
}

/** Servers take several requests at once; a serial port takes one, and queues them itself. */
const atOnce = 4;

/** @throws cancelled; what the target throws. Modules whose turn had not come stay as they were. */
export async function loadSymbols(modules: readonly ModuleSymbols[], options: LoadAllOptions): Promise<void> {
  const { onLoaded, signal, ...load } = options;
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const queue = [...modules];
  const worker = async (): Promise<void> => {
    for (let module = queue.shift(); module !== undefined; module = queue.shift()) {
      const state = await module.load({ ...load, signal: either });
      onLoaded?.(module, state);
    }
  };
  const workers = Array.from({ length: Math.min(atOnce, modules.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    // The others must not go on behind the caller's back.
    queue.length = 0;
    failed.abort();
    await Promise.allSettled(workers);
    throw error;
  }
}
