/**
 * Symbol records: `u16 length of the rest, u16 kind, data`, aligned to 4. The same shape in the stream of publics and
 * globals and in each module.
 *
 *   S_PUB32           04 flags (1 code, 2 function, 4 managed, 8 MSIL)  08 offset  0c section  0e name
 *   S_?DATA32, S_?THREAD32  04 type  08 offset  0c section  0e name
 *   S_?PROCREF        04 0  08 offset in the module's symbols  0c u16 module, from 1  0e name
 *   S_?PROC32(_ID)    04 parent  08 end  0c next  10 length  14 debug start  18 debug end  1c type  20 offset
 *                     24 u16 section  26 u8 flags  27 name
 *   S_THUNK32         04 parent  08 end  0c next  10 offset  14 u16 section  16 u16 length  18 u8 kind  19 name
 *   S_SEPCODE         04 parent  08 end  0c length  10 flags  14 offset  18 offset of the function it was cut from
 *                     1c u16 section  1e u16 section of that function
 *   S_INLINESITE      04 parent  08 end  0c inlinee (IPI)  10 binary annotations; S_INLINESITE2: 14, after a u32
 *
 * Source: microsoft-pdb, cvinfo.h. Offsets “end” are from the start of the module's stream.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

export const S = {
  END: 0x0006,
  THUNK32: 0x1102,
  CONSTANT: 0x1107,
  UDT: 0x1108,
  LDATA32: 0x110c,
  GDATA32: 0x110d,
  PUB32: 0x110e,
  LPROC32: 0x110f,
  GPROC32: 0x1110,
  LTHREAD32: 0x1112,
  GTHREAD32: 0x1113,
  PROCREF: 0x1125,
  LPROCREF: 0x1127,
  SEPCODE: 0x1132,
  LPROC32_ID: 0x1146,
  GPROC32_ID: 0x1147,
  INLINESITE: 0x114d,
  INLINESITE_END: 0x114e,
  PROC_ID_END: 0x114f,
  LPROC32_DPC: 0x1155,
  LPROC32_DPC_ID: 0x1156,
  INLINESITE2: 0x115d,
} as const;

export const isProcedure = (kind: number): boolean =>
  kind === S.GPROC32 ||
  kind === S.LPROC32 ||
  kind === S.GPROC32_ID ||
  kind === S.LPROC32_ID ||
  kind === S.LPROC32_DPC ||
  kind === S.LPROC32_DPC_ID;

/** Where the record at `at` ends. @throws file-damaged if it has no kind, or leaves the bytes. */
export function recordEnd(bytes: FileBytes, at: number): number {
  const length = bytes.u16(at);
  const end = at + 2 + length;
  if (length < 2 || end > bytes.length)
    throw fileDamaged(bytes.name, `a symbol record of ${length} bytes at ${at}`);
  return end;
}

/**
 * `offsets` of records, as a hash table has them, each in turn. A sound table has each record once.
 * @throws file-damaged if they are so many that some must come again and again
 */
export function* boundedRecords(records: FileBytes, offsets: Iterable<number>): Iterable<number> {
  let left = 2 * records.length;
  for (const at of offsets) {
    left -= records.u16(at) + 2;
    if (left < 0) throw fileDamaged(records.name, 'a hash table names its records again and again');
    yield at;
  }
}
