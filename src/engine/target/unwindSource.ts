/** What the x64 unwinder needs of a kernel: its memory, and the unwind data of the module that holds an address. */

import type { UnwindSource } from '../cpu/unwindX64';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';

export function unwindSourceOf(memory: VirtualMemory, symbols: KernelSymbols): UnwindSource {
  return {
    memory,
    async functionAt(rip) {
      const module = symbols.moduleAt(rip);
      if (module === undefined) return undefined;
      const data = await module.unwindData();
      const row = await data.find(Number(rip - module.base));
      return { imageBase: module.base, row, xdata: data };
    },
  };
}
