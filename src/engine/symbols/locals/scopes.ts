/**
 * The scopes of a procedure that hold an address, from the procedure inwards: blocks, and the functions that were
 * inlined there.
 *
 *   S_GPROC32 ─ S_LOCAL … ─ S_BLOCK32 ─ … ─ S_END ─ S_INLINESITE ─ S_LOCAL … ─ S_INLINESITE_END ─ S_END
 *
 * Scopes that do not hold the address are jumped over by their pEnd.
 * Invariants: a jump goes forwards and stays in its scope; scopes nest at most `deepest` levels.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';
import { annotatedRows } from '../pdb/inlineSites';
import { asFrame, asProcedure, K, recordAt, scopeEnd } from './records';
import type { FrameRecord, ProcedureRecord, SectionOffset, SymbolRecord } from './records';

export interface Scope {
  readonly kind: 'procedure' | 'block' | 'inline';
  /** Of an inline scope: the IPI index of the inlined function, as the module has it. */
  readonly inlinee: number;
  /** Of its record, in the module's symbols. */
  readonly at: number;
  /** Its own records, without those of scopes within. */
  readonly records: readonly SymbolRecord[];
}

export interface ProcedureScopes {
  readonly procedure: ProcedureRecord;
  readonly frame: FrameRecord | undefined;
  /** The procedure first, the innermost last. */
  readonly scopes: readonly Scope[];
}

const deepest = 256;

/**
 * @param symbols The module's symbols, signature included.
 * @param at The procedure's record in them, as P?PROCREF and address look-ups give it.
 * @throws file-damaged if there is no procedure
 */
export function scopesAt(symbols: FileBytes, at: number, address: SectionOffset): ProcedureScopes {
  const head = recordAt(symbols, at);
  const procedure = asProcedure(head);
  if (!procedure) throw fileDamaged(symbols.name, `there is no procedure at ${at}`);
  const end = scopeEnd(symbols, head, symbols.length);
  const scopes: Scope[] = [];
  let frame: FrameRecord | undefined;

  /** Reads the records of [from, to) into a scope, and those of the scopes within that hold the address. */
  const read = (kind: Scope['kind'], inlinee: number, scopeAt: number, from: number, to: number): void => {
    if (scopes.length >= deepest) throw fileDamaged(symbols.name, `scopes nested over ${deepest} deep`);
    const records: SymbolRecord[] = [];
    scopes.push({ kind, inlinee, at: scopeAt, records });
    let position = from;
    while (position < to) {
      const record = recordAt(symbols, position);
      position = record.end;
      switch (record.kind) {
        case K.BLOCK32:
        case K.WITH32: {
          const inner = scopeEnd(symbols, record, to);
          if (blockHolds(record, address)) read('block', 0, record.at, record.end, inner);
          position = Math.max(inner, record.end);
          break;
        }
        case K.INLINESITE:
        case K.INLINESITE2: {
          const inner = scopeEnd(symbols, record, to);
          if (siteHolds(symbols, record, procedure, address))
            read('inline', record.data.u32(8), record.at, record.end, inner);
          position = Math.max(inner, record.end);
          break;
        }
        default:
          frame ??= asFrame(record);
          records.push(record);
      }
    }
  };
  read('procedure', 0, at, head.end, end);
  return { procedure, frame, scopes };
}

function blockHolds({ data }: SymbolRecord, address: SectionOffset): boolean {
  const into = address.offset - data.u32(12);
  return data.u16(16) === address.section && into >= 0 && into < data.u32(8);
}

function siteHolds(
  symbols: FileBytes,
  record: SymbolRecord,
  procedure: ProcedureRecord,
  address: SectionOffset,
): boolean {
  if (address.section !== procedure.section) return false;
  const into = address.offset - procedure.offset;
  const annotations = record.at + (record.kind === K.INLINESITE ? 16 : 20);
  const rows = annotatedRows(symbols, annotations, record.end, { file: 0, line: 0 });
  return rows.some(({ start, end }) => into >= start && into < end);
}
