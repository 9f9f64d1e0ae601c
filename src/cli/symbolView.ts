/** How what a session knows is shown: addresses as WinDbg has them, names with their module in front. */

import { formatAddress } from '../engine/core/addresses';
import { hex } from '../engine/core/hex';
import { knownMachine, machines } from '../engine/symbols/pe/headers';
import type { PlaceFinder } from '../engine/symbols/services/namedPlaces';
import type { SourceMapping } from '../engine/symbols/services/sourcePaths';
import type { SymbolFileSession } from '../engine/symbols/services/symbolFileSession';
import { undecorateName } from '../engine/symbols/undecorate';

export interface ViewOptions {
  /** Where the image is taken to be loaded; undefined: where it wants to be. */
  readonly base: bigint | undefined;
  readonly undecorate: boolean;
  readonly sourceMap: readonly SourceMapping[];
  /** Rows. */
  readonly limit: number;
}

/** What a command answers about one file: for machines, and for people. */
export interface Answer {
  readonly data: object;
  readonly lines: readonly string[];
}

export class SymbolView {
  readonly base: bigint;

  constructor(
    readonly session: SymbolFileSession,
    readonly options: ViewOptions,
  ) {
    this.base = options.base ?? session.imageBase;
  }

  get finder(): PlaceFinder {
    const { session, base } = this;
    return { moduleName: session.moduleName, symbols: session.open.symbols, size: session.size, base };
  }

  addressOf(rva: number): bigint {
    return this.base + BigInt(rva);
  }

  /** `fffff803`12345678`; eight digits on x86. */
  address(rva: number): string {
    const address = this.addressOf(rva);
    return this.session.machine === machines.x86
      ? BigInt.asUintN(32, address).toString(16).padStart(8, '0')
      : formatAddress(BigInt.asUintN(64, address));
  }

  /** `nt!KeBugCheckEx`; undecorated if that is wanted. */
  name(symbol: string): string {
    return `${this.session.moduleName}!${this.options.undecorate ? undecorateName(symbol) : symbol}`;
  }

  /** `nt!KeBugCheckEx+0x1c`; undefined if nothing is known there. */
  place(rva: number): string | undefined {
    const symbol = this.session.open.symbols.symbolAt(rva);
    return symbol && this.name(symbol.name) + displacementText(symbol.displacement);
  }
}

export const displacementText = (displacement: number): string => {
  if (displacement === 0) return '';
  return displacement < 0 ? `-${hex(-displacement)}` : `+${hex(displacement)}`;
};

export const machineText = (machine: number): string => knownMachine(machine) ?? `machine ${hex(machine, 4)}`;

/** `[C:\src\file.c @ 12]`, as WinDbg writes it. */
export const sourceText = ({ path, line }: { readonly path: string; readonly line: number }): string =>
  `[${path} @ ${line}]`;
