/**
 * The variables that one scope declares, out of its records: parameters first, and none twice.
 *
 * MSVC's optimiser writes a variable as S_LOCAL with its places and, near the end of the procedure, once more as
 * S_REGREL32: the older view of it, whose slot may never have been written. The older one is dropped wherever a scope
 * has both.
 */

import { RecordReader } from '../types/recordReader';
import type { TypeIndex } from '../types/records';
import { asPlace, type Place } from './places';
import { K, type SectionOffset, type SymbolRecord } from './records';

export interface Variable {
  readonly name: string;
  readonly type: TypeIndex;
  readonly isParameter: boolean;
  readonly home: Home;
}

export type Home =
  /** S_LOCAL, S_FILESTATIC: where it is depends on where the program is. */
  | { readonly kind: 'tracked'; readonly places: readonly Place[]; readonly optimisedOut: boolean }
  /** One place all along. */
  | { readonly kind: 'fixed'; readonly place: Place }
  | { readonly kind: 'static'; readonly place: SectionOffset; readonly threadLocal: boolean }
  | { readonly kind: 'constant'; readonly value: bigint };

const flags = { parameter: 0x1, optimisedOut: 0x100 } as const;
/** x86: EBP, which S_BPREL32 means. Its parameters lie above the return address. */
const ebp = 22;

/**
 * @param records Those of the scope itself, without those of scopes within it.
 * @param parameterCount How many parameters the procedure's type has: S_REGREL32 does not say which are.
 */
export function variablesOf(records: readonly SymbolRecord[], parameterCount: number): Variable[] {
  const found: Variable[] = [];
  const older: Variable[] = [];
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!;
    if (record.kind === K.LOCAL || record.kind === K.FILESTATIC) {
      const places: Place[] = [];
      for (let next = records[i + 1]; next; next = records[i + 1]) {
        const place = asPlace(next);
        if (!place) break;
        places.push(place);
        i++;
      }
      found.push(tracked(record, places));
    } else {
      const variable = legacy(record, older.filter(isStackVariable).length < parameterCount);
      if (variable) older.push(variable);
    }
  }
  const known = new Set(found.map(({ name }) => name));
  const all = [...found, ...older.filter(({ name }) => !known.has(name))];
  return [...all.filter(({ isParameter }) => isParameter), ...all.filter(({ isParameter }) => !isParameter)];
}

const isStackVariable = ({ home }: Variable): boolean => home.kind === 'fixed';

function tracked({ kind, data }: SymbolRecord, places: readonly Place[]): Variable {
  const word = data.u16(kind === K.LOCAL ? 4 : 8);
  return {
    name: data.string(kind === K.LOCAL ? 6 : 10),
    type: data.u32(0),
    isParameter: (word & flags.parameter) !== 0,
    home: { kind: 'tracked', places, optimisedOut: (word & flags.optimisedOut) !== 0 },
  };
}

function legacy({ kind, data }: SymbolRecord, amongParameters: boolean): Variable | undefined {
  switch (kind) {
    case K.REGREL32:
    case K.REGREL32_INDIR: {
      const indirect = kind === K.REGREL32_INDIR;
      const register = data.u16(indirect ? 12 : 8);
      const spot = { kind: 'memory', register, offset: data.i32(0) } as const;
      return {
        name: data.string(indirect ? 14 : 10),
        type: data.u32(4),
        isParameter: amongParameters,
        home: fixed(indirect ? { ...spot, behindPointer: data.i32(8) } : spot),
      };
    }
    case K.BPREL32:
    case K.BPREL32_INDIR: {
      const indirect = kind === K.BPREL32_INDIR;
      const offset = data.i32(0);
      const spot = { kind: 'memory', register: ebp, offset } as const;
      return {
        name: data.string(indirect ? 12 : 8),
        type: data.u32(4),
        isParameter: offset >= 8,
        home: fixed(indirect ? { ...spot, behindPointer: data.i32(8) } : spot),
      };
    }
    case K.REGISTER: {
      const spot = { kind: 'register', register: data.u16(4) } as const;
      return { name: data.string(6), type: data.u32(0), isParameter: amongParameters, home: fixed(spot) };
    }
    case K.LDATA32:
    case K.GDATA32:
    case K.LTHREAD32:
    case K.GTHREAD32: {
      const place = { offset: data.u32(4), section: data.u16(8) };
      const threadLocal = kind === K.LTHREAD32 || kind === K.GTHREAD32;
      const home = { kind: 'static', place, threadLocal } as const;
      return { name: data.string(10), type: data.u32(0), isParameter: false, home };
    }
    case K.CONSTANT: {
      const reader = new RecordReader(data, 4);
      const value = reader.numeric();
      return {
        name: reader.string(),
        type: data.u32(0),
        isParameter: false,
        home: { kind: 'constant', value },
      };
    }
    default:
      return undefined;
  }
}

const fixed = (spot: Place['spot']): Home => ({ kind: 'fixed', place: { spot } });
