/**
 * A call stack as people read it: the unwinder's frames with names and lines, and between them the functions that the
 * compiler inlined there.
 *
 *   unwound frame   ─▶  inline frame, innermost first   same registers, a line of its own
 *                       …
 *                       the procedure itself
 *
 * A return address belongs to the line of its call, so names and lines are those of the byte before it; where the processor
 * itself stood (the top, and below a trap) they are those of the very address.
 */

import { formatAddress, plus, type VirtualAddress } from '../core/addresses';
import type { StackEnd } from '../cpu/stackWalk';
import { walkStack, type StackFrame } from '../cpu/unwindStack';
import type { FrameRegisters, UnwindSource } from '../cpu/unwindX64';
import type { SourceLine } from '../symbols/services/imageSymbols';
import { nameText, type KernelSymbols, type NamedAddress } from '../windows/kernelSymbols';

export interface CallFrame {
  readonly kind: 'procedure' | 'inline';
  /** The unwound frame that it is, or is part of. */
  readonly frame: StackFrame;
  /** Of its caller, where offsets of locals count from; undefined for the last one. */
  readonly callerRsp: VirtualAddress | undefined;
  /** rip: where it goes on. */
  readonly address: VirtualAddress;
  /** Where to look names, lines and live ranges up: `address`, or the byte before it. */
  readonly lookup: VirtualAddress;
  /** Undefined: no module is there. */
  readonly named: NamedAddress | undefined;
  /** `nt!KeBugCheckEx+0x12`; of an inline frame, without a displacement; the address if no module is there. */
  readonly text: string;
  readonly source: SourceLine | undefined;
  /** It was interrupted, or faulted, just there: the frame before it is the trap's. */
  readonly interrupted: boolean;
  /** Its place among the frames of one address: 0 is the innermost. */
  readonly inlineDepth: number;
}

export interface SymbolicStack {
  readonly frames: readonly CallFrame[];
  readonly end: StackEnd;
}

/**
 * @param limit Unwound frames wanted.
 * @throws what the target's memory throws; damage to the stack only ends it
 */
export async function callStack(
  source: UnwindSource,
  symbols: KernelSymbols,
  registers: FrameRegisters,
  limit?: number,
): Promise<SymbolicStack> {
  const { frames, end } = await walkStack(source, registers, limit);
  return nameFrames(symbols, frames, end);
}

/** The same for a stack that was walked already. */
export function nameFrames(
  symbols: KernelSymbols,
  frames: readonly StackFrame[],
  end: StackEnd,
): SymbolicStack {
  return {
    frames: frames.flatMap((frame, i) => named(symbols, frame, frames[i + 1]?.registers.rsp, i > 0)),
    end,
  };
}

function named(
  symbols: KernelSymbols,
  frame: StackFrame,
  callerRsp: VirtualAddress | undefined,
  called: boolean,
): CallFrame[] {
  const { rip: address, exact } = frame.registers;
  const lookup = exact ? address : plus(address, -1);
  const at = symbols.at(lookup);
  const shown = at && (exact ? at : oneFurther(at));
  const lines = symbols.framesAt(lookup);
  const own = lines.find((line) => !line.inlined);
  const procedure: CallFrame = {
    kind: 'procedure',
    frame,
    callerRsp,
    address,
    lookup,
    named: shown,
    text: shown === undefined ? formatAddress(address) : nameText(shown),
    source: own?.source,
    interrupted: called && exact,
    inlineDepth: lines.length - (own === undefined ? 0 : 1),
  };
  const inlined = lines
    .filter((line) => line.inlined)
    .map((line, inlineDepth): CallFrame => ({
      ...procedure,
      kind: 'inline',
      text: `${shown?.module.alias ?? ''}!${line.name ?? '<inlined>'}`,
      source: line.source,
      inlineDepth,
    }));
  // Only the innermost was interrupted; those around it called.
  return [...inlined, procedure].map((one, i) => (i === 0 ? one : { ...one, interrupted: false }));
}

/** The name found for the byte before a return address, with the displacement of the return address itself. */
function oneFurther(at: NamedAddress): NamedAddress {
  const symbol = at.symbol && { ...at.symbol, displacement: at.symbol.displacement + 1 };
  return { ...at, rva: at.rva + 1, symbol };
}

/** `fffff803`12345678 nt!KiIdleLoop+0x12 [idle.c:34]`, with what sort of frame it is. */
export function frameText({ address, kind, text, source, interrupted }: CallFrame): string {
  const file = source && ` [${source.path.replace(/^.*[\\/]/, '')}:${source.line}]`;
  const sort = kind === 'inline' ? '(inline) ' : interrupted ? '(interrupted) ' : '';
  return `${formatAddress(address)} ${sort}${text}${file ?? ''}`;
}
