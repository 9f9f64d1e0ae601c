/** Where instructions surely begin, so that code before an address can be decoded from there. */

import type { CodeRange } from './functionExtent';
import type { OpenSymbols } from './openSymbols';

/** How far behind the end of a function its padding is looked for. */
const longestPadding = 64;

/**
 * The greatest RVA not above `rva` where an instruction surely begins: where a function, or a part of one, begins or
 * ends. Undefined if none is known.
 */
export function instructionAnchor({ functions, symbols }: OpenSymbols, rva: number): number | undefined {
  const rangeAt = (at: number): CodeRange | undefined => {
    const part = functions?.find(at);
    if (part !== undefined) return part;
    const symbol = symbols.symbolAt(at);
    if (symbol === undefined || symbol.displacement < 0 || symbol.separated) return undefined;
    return symbol.size === undefined ? undefined : { begin: symbol.rva, end: symbol.rva + symbol.size };
  };
  const inside = rangeAt(rva);
  if (inside !== undefined && rva < inside.end) return inside.begin;
  const name = symbols.symbolAt(rva);
  for (let at = rva - 1; at >= Math.max(0, rva - longestPadding); at--) {
    const before = rangeAt(at);
    if (before !== undefined && before.end <= rva) return Math.max(before.end, name?.rva ?? 0);
  }
  // A public or an export, whose end nobody knows.
  return name === undefined || name.displacement < 0 ? undefined : name.rva;
}
