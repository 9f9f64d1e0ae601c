/**
 * How far a step goes: the code that a person takes for the place where he is. Inlined functions count as frames of their own,
 * so a place is a line at a depth:
 *
 *   depth 0   VmkDemoChecksum, line 18        the procedure
 *   depth 1     MixByte, line 12              inlined into it
 *   depth 2       RotateLeft, line 8          inlined into that
 *
 *   step over at depth 1, line 12: addresses with the same functions down to depth 1, and line 12 there, whatever is deeper
 */

import type { VirtualAddress } from '../../core/addresses';
import type { SourceFrame } from '../../symbols/services/imageSymbols';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { StepGranularity, StepKind } from '../target';

/** Whether an address still belongs to the step. */
export type StepScope = (address: VirtualAddress) => boolean;

/** Of the line or statement at an address, for the innermost function there. Undefined: no line is known. */
export function lineScope(
  symbols: KernelSymbols,
  address: VirtualAddress,
  kind: StepKind,
  granularity: Exclude<StepGranularity, 'instruction'>,
): StepScope | undefined {
  const here = chainAt(symbols, address);
  const depth = here.length - 1;
  const own = here[depth]?.source;
  if (own === undefined) return undefined;
  const module = symbols.moduleAt(address);
  return (at) => {
    if (at === address) return true;
    if (symbols.moduleAt(at) !== module) return false;
    const there = chainAt(symbols, at);
    if (!isWithin(here, there, depth)) return false;
    // Entering an inlined function is a step into it.
    if (kind === 'into' && there.length > here.length) return false;
    const source = there[depth]!.source;
    // Code of the compiler's own, that no line stands for.
    if (source === undefined) return true;
    if (granularity === 'statement') return source.start === own.start;
    return source.line === own.line && source.path === own.path;
  };
}

/** Everything that is inlined deeper than `depth` where the address is: what an inlined frame is left by. */
export function inlineScope(symbols: KernelSymbols, address: VirtualAddress, depth: number): StepScope {
  const here = chainAt(symbols, address);
  const module = symbols.moduleAt(address);
  return (at) =>
    at === address || (symbols.moduleAt(at) === module && isWithin(here, chainAt(symbols, at), depth + 1));
}

/** The functions at an address, outermost first. */
function chainAt(symbols: KernelSymbols, address: VirtualAddress): SourceFrame[] {
  return symbols.framesAt(address).toReversed();
}

function isWithin(here: readonly SourceFrame[], there: readonly SourceFrame[], depth: number): boolean {
  for (let i = 0; i <= depth; i++) {
    const [a, b] = [here[i], there[i]];
    if (a === undefined || b === undefined || a.name !== b.name || a.inlined !== b.inlined) return false;
  }
  return true;
}
