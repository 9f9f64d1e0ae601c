/** How values are to be shown: what the user wrote behind an expression, and the settings of the view. */

import type { StructType } from '../types/type';
import type { FormatWord } from '../syntax/formatSpecifiers';

/** What stands behind one expression, as syntax/formatSpecifiers.ts has it; the children of a value inherit it. */
export interface Format extends FormatWord {
  /** Elements, from the first on. */
  readonly count?: number;
  readonly list?: ListFormat;
}

/** The value is the head of a list of such records. */
export interface ListFormat {
  readonly record: StructType;
  /** Of the LIST_ENTRY in the record, in bytes. */
  readonly offset: number;
  /** Its size. */
  readonly entrySize: number;
}

export interface DisplayOptions {
  /** Integers in hexadecimal, where no format says otherwise. */
  readonly hex: boolean;
  /** How far lists are walked to count them; links may be slow. */
  readonly mostListEntries?: number;
}

/** What children inherit: not what is meant for the whole. */
export function inherited({ count: _count, list: _list, ...rest }: Format): Format {
  return rest;
}
