/**
 * The members of an LF_FIELDLIST (1203): sub-records in a row, each with a leaf of its own and padded to 4.
 *
 *   LF_BCLASS    1400, LF_BINTERFACE 151a   u16 attributes, type, offset (numeric)
 *   LF_VBCLASS   1401, LF_IVBCLASS 1402     u16 attributes, type, pointer type, pointer offset, table index (numeric)
 *   LF_INDEX     1404  u16 0, field list that goes on; a record holds 64 KiB, and NT's EPROCESS is larger
 *   LF_VFUNCTAB  1409  u16 0, type;   LF_VFUNCOFF 140c  u16 0, type, u32 offset
 *   LF_ENUMERATE 1502  u16 attributes, value (numeric), name
 *   LF_MEMBER    150d  u16 attributes, type, offset (numeric), name
 *   LF_STMEMBER  150e  u16 attributes, type, name
 *   LF_METHOD    150f  u16 count, method list, name
 *   LF_NESTTYPE  1510, LF_NESTTYPEEX 1512   u16 attributes or 0, type, name
 *   LF_ONEMETHOD 1511  u16 attributes, type, u32 vtable offset if introducing, name
 *   LF_FRIENDCLS 150a  u16 0, type;   LF_FRIENDFCN 150c  u16 0, type, name
 *
 * Source: microsoft-pdb, cvinfo.h. A member has no length of its own: after an unknown leaf nothing can be read, and
 * the list counts as damaged.
 */

import type { RecordReader } from './recordReader';
import { methodKinds } from './records';
import type { Member, MemberAttributes } from './records';

const accesses = ['none', 'private', 'protected', 'public'] as const;

export function attributesOf(raw: number): MemberAttributes {
  return { access: accesses[raw & 3]!, method: methodKinds[(raw >> 2) & 7] ?? 'vanilla', raw };
}

/** Whether an offset into the vtable is stored with it. */
export const introduces = ({ method }: MemberAttributes): boolean =>
  method === 'introducing' || method === 'pureIntroducing';

/** @throws file-damaged */
export function decodeMembers(reader: RecordReader): Member[] {
  const members: Member[] = [];
  for (;;) {
    reader.skipPadding();
    if (reader.left < 2) return members;
    members.push(decodeMember(reader));
  }
}

function decodeMember(reader: RecordReader): Member {
  const leaf = reader.u16();
  const first = reader.u16();
  switch (leaf) {
    case 0x150d: {
      const attributes = attributesOf(first);
      const type = reader.u32();
      const offset = reader.size();
      return { kind: 'field', type, offset, name: reader.string(), attributes };
    }
    case 0x1502: {
      const value = reader.numeric();
      return { kind: 'enumerator', name: reader.string(), value, attributes: attributesOf(first) };
    }
    case 0x1400:
    case 0x151a:
      return { kind: 'base', type: reader.u32(), offset: reader.size(), attributes: attributesOf(first) };
    case 0x1401:
    case 0x1402:
      return {
        kind: 'virtualBase',
        indirect: leaf === 0x1402,
        type: reader.u32(),
        pointerType: reader.u32(),
        pointerOffset: reader.size(),
        tableIndex: reader.size(),
        attributes: attributesOf(first),
      };
    case 0x1404:
      return { kind: 'continued', list: reader.u32() };
    case 0x1409:
      return { kind: 'vtablePointer', type: reader.u32(), offset: 0 };
    case 0x140c:
      return { kind: 'vtablePointer', type: reader.u32(), offset: reader.u32() };
    case 0x150e: {
      const type = reader.u32();
      return { kind: 'static', type, name: reader.string(), attributes: attributesOf(first) };
    }
    case 0x150f: {
      const list = reader.u32();
      return { kind: 'overloads', count: first, list, name: reader.string() };
    }
    case 0x1510:
    case 0x1512: {
      const type = reader.u32();
      return { kind: 'nested', type, name: reader.string() };
    }
    case 0x1511: {
      const attributes = attributesOf(first);
      const type = reader.u32();
      const vtableOffset = introduces(attributes) ? reader.i32() : -1;
      return { kind: 'method', type, vtableOffset, name: reader.string(), attributes };
    }
    case 0x150a:
      return { kind: 'friend', type: reader.u32(), name: '' };
    case 0x150c: {
      const type = reader.u32();
      return { kind: 'friend', type, name: reader.string() };
    }
    default:
      throw reader.damaged(`a member of unknown kind 0x${leaf.toString(16)}`);
  }
}
