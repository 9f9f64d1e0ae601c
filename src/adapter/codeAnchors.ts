/**
 * Where instructions are known to begin, for decoding backwards: starts and ends of functions, from symbols and from unwind
 * data. Unwind data may have to be read from the target, so what lies before an address is fetched first, and asked then.
 */

import { plus, type VirtualAddress } from '../engine/core/addresses';
import { VmkdError } from '../engine/core/errors';
import type { AnchorLookup } from '../engine/cpu/disassemblerBackward';
import type { KernelSymbols } from '../engine/windows/kernelSymbols';
import type { UnwindData } from '../engine/windows/unwindData';

/** Functions are aligned to 16 bytes; the filler between two is shorter. */
const longestFiller = 64;
/** Rows of unwind data that are looked up on the way back. */
const mostRows = 64;

/** @param bytes How far back anchors may be needed. @throws what the target throws, but for absent memory */
export async function anchorsBefore(
  symbols: KernelSymbols,
  address: VirtualAddress,
  bytes: number,
): Promise<AnchorLookup> {
  const module = symbols.moduleAt(plus(address, -1));
  if (module === undefined) return () => undefined;
  const unwind = await fetchRows(() => module.unwindData(), Number(address - module.base), bytes);
  return (at) => {
    const here = symbols.at(at);
    if (here?.module !== module) return undefined;
    const starts = [];
    const { symbol, rva } = here;
    if (symbol !== undefined && symbol.kind !== 'data' && !symbol.separated && symbol.rva <= rva) {
      starts.push(
        symbol.size !== undefined && symbol.rva + symbol.size <= rva ? symbol.rva + symbol.size : symbol.rva,
      );
    }
    const row = unwind?.known.find(rva);
    if (row !== undefined) starts.push(row.begin);
    if (starts.length === 0) {
      const end = endBefore(symbols, module.base, rva, unwind);
      if (end !== undefined) starts.push(end);
    }
    return starts.length === 0 ? undefined : plus(module.base, Math.max(...starts));
  };
}

/** The end of the function before some filler. */
function endBefore(
  symbols: KernelSymbols,
  base: VirtualAddress,
  rva: number,
  unwind: UnwindData | undefined,
): number | undefined {
  for (let back = 1; back <= longestFiller && back <= rva; back++) {
    const row = unwind?.known.find(rva - back);
    if (row !== undefined) return row.end;
    const symbol = symbols.at(plus(base, rva - back))?.symbol;
    if (symbol?.size !== undefined && symbol.kind !== 'data' && !symbol.separated)
      return symbol.rva + symbol.size;
  }
  return undefined;
}

async function fetchRows(
  open: () => Promise<UnwindData>,
  rva: number,
  bytes: number,
): Promise<UnwindData | undefined> {
  try {
    const unwind = await open();
    let at = rva - 1;
    for (let rows = 0; rows < mostRows && at >= 0 && at >= rva - bytes; rows++) {
      const row = await unwind.find(at);
      // A leaf function, or filler: something before it may have a row.
      at = row === undefined ? at - longestFiller : row.begin - 1;
    }
    return unwind;
  } catch (error) {
    if (error instanceof VmkdError && (error.code === 'memory-unreadable' || error.code === 'file-damaged'))
      return undefined;
    throw error;
  }
}
