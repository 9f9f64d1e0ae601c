/**
 * Rows of the disassembly view. A client counts rows, not bytes, so there are exactly as many as it asks for:
 *
 *   no memory, or before address 0      ??        presentationHint invalid, one byte a row
 *   before the address                            decoded from the start of its function
 *   the address ─▶ |mov …|call …|                 row `-instructionOffset`
 *   bytes that are no instruction       ???       one byte a row
 *
 * Our own breakpoints are not in the bytes: the target's memory hides them.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { plus, virtualAddress, type VirtualAddress } from '../engine/core/addresses';
import { hexBytes } from '../engine/core/hex';
import {
  longestInstruction,
  openDisassembler,
  type Disassembler,
  type InstructionLine,
} from '../engine/cpu/disassembler';
import { disassembleBackward } from '../engine/cpu/disassemblerBackward';
import type { SourceLine } from '../engine/symbols/services/imageSymbols';
import type { Target } from '../engine/target/target';
import { anchorsBefore } from './codeAnchors';
import { memoryReference } from './memoryReferences';
import type { Positions } from './positions';
import type { Sources } from './sources';

type Row = P.DisassembledInstruction;

/** What one row stands for. */
type Line = InstructionLine | { readonly address: VirtualAddress; readonly absent: true };

const pageSize = 4096n;
/** Bytes: instructions of real code have fewer on average. */
const likelyLength = 6;
const longestRead = 64 * 1024;
const endOfMemory = 1n << 64n;

export interface ListingOptions {
  readonly target: Target;
  readonly sources: Sources;
  readonly positions: Positions;
}

export class Listing {
  private constructor(
    private readonly options: ListingOptions,
    private readonly disassembler: Disassembler,
  ) {}

  static async open(options: ListingOptions): Promise<Listing> {
    const { target } = options;
    const disassembler = await openDisassembler(target.machine, (address) => target.symbols.nameOf(address));
    return new Listing(options, disassembler);
  }

  dispose(): void {
    this.disassembler.dispose();
  }

  /** @param offset Of the first row from the one at `address`, in rows. @throws what the target throws */
  async rows(address: VirtualAddress, offset: number, count: number): Promise<Row[]> {
    const before = offset < 0 ? await this.#before(address, -offset) : [];
    const after = offset + count > 0 ? await this.#from(address, offset + count) : [];
    const first = offset < 0 ? 0 : offset;
    return this.#describe([...before, ...after].slice(first, first + count));
  }

  async #before(address: VirtualAddress, count: number): Promise<Line[]> {
    const { memory, symbols } = this.options.target;
    const anchors = await anchorsBefore(symbols, address, count * longestInstruction);
    const { lines } = await disassembleBackward(this.disassembler, memory, address, count, anchors);
    const first = lines[0]?.address ?? address;
    const missing = Array.from({ length: count - lines.length }, (_, i): Line => {
      const back = BigInt(count - lines.length - i);
      return { address: back > first ? virtualAddress(0n) : plus(first, -back), absent: true };
    });
    return [...missing, ...lines];
  }

  async #from(address: VirtualAddress, count: number): Promise<Line[]> {
    const { memory } = this.options.target;
    const lines: Line[] = [];
    let at: bigint = address;
    while (lines.length < count && at < endOfMemory) {
      const wanted = Math.min(
        Math.max((count - lines.length) * likelyLength, longestInstruction),
        longestRead,
        Number(endOfMemory - at),
      );
      const code = await memory.readPartial(virtualAddress(at), wanted);
      if (code.length === 0) {
        const pageEnd = (at / pageSize + 1n) * pageSize;
        for (; at < pageEnd && lines.length < count; at++)
          lines.push({ address: virtualAddress(at), absent: true });
        continue;
      }
      const found = this.disassembler.disassemble(code, virtualAddress(at), count - lines.length);
      // The read was too short for the last one, unless it is all that it got.
      if (found.at(-1)?.status === 'cut' && code.length === wanted && found.length > 1) found.pop();
      lines.push(...found);
      const last = found.at(-1)!;
      at += BigInt(last.offset + last.length);
    }
    while (lines.length < count) lines.push({ address: virtualAddress(endOfMemory - 1n), absent: true });
    return lines;
  }

  #describe(lines: readonly Line[]): Row[] {
    let shown: SourceLine | undefined;
    let known: { readonly source: SourceLine | undefined; readonly end: bigint } | undefined;
    return lines.map((line): Row => {
      if ('absent' in line)
        return { address: memoryReference(line.address), instruction: '??', presentationHint: 'invalid' };
      const { address } = line;
      if (known === undefined || address >= known.end) known = this.#sourceAt(address);
      const { source } = known;
      const isNew = source !== undefined && (source.path !== shown?.path || source.line !== shown.line);
      if (source !== undefined) shown = source;
      const name = this.#startOf(address);
      return {
        address: memoryReference(address),
        instructionBytes: hexBytes(line.bytes),
        instruction: name === undefined ? line.text : `${line.text.padEnd(40)} ; ${name}`,
        ...(name === undefined ? {} : { symbol: name }),
        ...(isNew ? this.#place(source) : {}),
        ...(line.status === 'whole' ? {} : { presentationHint: 'invalid' }),
      };
    });
  }

  /** The innermost source line, and how far it reaches. */
  #sourceAt(address: VirtualAddress): { source: SourceLine | undefined; end: bigint } {
    const { symbols } = this.options.target;
    const source = symbols.framesAt(address)[0]?.source;
    const base = symbols.moduleAt(address)?.base ?? 0n;
    return { source, end: source === undefined ? address + 1n : base + BigInt(source.end) };
  }

  /** The function that begins here. */
  #startOf(address: VirtualAddress): string | undefined {
    const named = this.options.target.symbols.at(address);
    return named?.symbol?.displacement === 0 ? `${named.module.alias}!${named.symbol.name}` : undefined;
  }

  #place({ path, line, column }: SourceLine): Pick<Row, 'location' | 'line' | 'column'> {
    const { sources, positions } = this.options;
    return {
      location: sources.describe(path),
      line: positions.lineToClient(line),
      ...(column > 0 ? { column: positions.columnToClient(column) } : {}),
    };
  }
}
