/**
 * What a variables view shows, before it gets DAP's numbers: a line, perhaps with something inside that is made only when
 * somebody unfolds it.
 */

import type { VirtualAddress } from '../../engine/core/addresses';
import type { Cancellation } from '../../engine/expr/access';
import type { SourceLine } from '../../engine/symbols/services/imageSymbols';

/** Bytes that the processor can watch, if their number and alignment are right. */
export interface DataPlace {
  readonly address: VirtualAddress;
  /** Bytes. */
  readonly size: number;
}

export interface Shown {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  /** Evaluates to it again. */
  readonly evaluateName?: string;
  /** What a memory pane opens at: where a pointer points, else where the value lies. */
  readonly memory?: VirtualAddress;
  /** Where the value itself lies. */
  readonly place?: DataPlace;
  readonly readOnly?: boolean;
  /** What it is, in the words of DAP's presentation hints. */
  readonly kind?: 'data' | 'property' | 'baseClass' | 'virtual' | 'method';
  /** The value is fetched when somebody asks for it; then `inside` yields one line. */
  readonly lazy?: boolean;
  /** Source of the function that the value points at. */
  readonly target?: SourceLine;
  readonly inside?: Container;
}

/** Which children are wanted. */
export interface Page {
  readonly filter?: 'indexed' | 'named';
  readonly start: number;
  /** Infinity: all. */
  readonly count: number;
  /** Numbers in hexadecimal where the user has not said otherwise. */
  readonly hex: boolean;
  readonly signal: Cancellation;
}

export interface Container {
  /** Known beforehand, so that a client can ask in pages. */
  readonly counts?: { readonly named: number; readonly indexed: number };
  children(page: Page): Promise<readonly Shown[]>;
  /** Changes a child. @returns It as it is now. Absent: nothing in here can be changed. */
  set?(name: string, text: string, page: Page): Promise<Shown>;
}

/** A list that is there already. */
export const listOf = (children: () => Promise<readonly Shown[]> | readonly Shown[]): Container => ({
  children: async ({ start, count }) => (await children()).slice(start, start + count),
});
