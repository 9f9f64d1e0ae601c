/**
 * LF_ records of the IPI stream: names of functions, strings, build information.
 *
 *   LF_FUNC_ID      1601  0 scope  4 type  8 name            LF_MFUNC_ID 1602  0 class  4 type  8 name
 *   LF_BUILDINFO    1603  0 u16 count  2 strings: folder, compiler, source file, its PDB, command line
 *   LF_SUBSTR_LIST  1604  0 u32 count  4 strings             LF_STRING_ID 1605  0 substrings  4 text
 *   LF_UDT_SRC_LINE 1606  0 type  4 file (LF_STRING_ID)  8 u32 line
 *   LF_UDT_MOD_SRC_LINE 1607  the same, but file is an offset into /names, and c u16 module
 *
 * Source: microsoft-pdb, cvinfo.h.
 */

import type { FileBytes } from '../fileBytes';
import { indices } from './decodeType';
import { RecordReader } from './recordReader';
import type { IdRecord } from './records';

/** @param bytes The record from its leaf on. @throws file-damaged */
export function decodeId(bytes: FileBytes): IdRecord {
  const reader = new RecordReader(bytes);
  const leaf = reader.u16();
  switch (leaf) {
    case 0x1601:
      return { kind: 'functionId', scope: reader.u32(), type: reader.u32(), name: reader.string() };
    case 0x1602:
      return { kind: 'memberFunctionId', classType: reader.u32(), type: reader.u32(), name: reader.string() };
    case 0x1603:
      return { kind: 'buildInfo', strings: indices(reader, reader.u16()) };
    case 0x1604:
      return { kind: 'substringList', strings: indices(reader) };
    case 0x1605:
      return { kind: 'stringId', substrings: reader.u32(), text: reader.string() };
    case 0x1606:
    case 0x1607: {
      const [type, file, line] = [reader.u32(), reader.u32(), reader.u32()];
      return { kind: 'typeSource', type, file, line, module: leaf === 0x1607 ? reader.u16() : undefined };
    }
    default:
      return { kind: 'unknown', leaf };
  }
}
