/**
 * LF_ records of the TPI stream. Every record: u16 length of what follows, u16 leaf, fields; offsets below are from the
 * leaf's end.
 *
 *   LF_MODIFIER   1001  0 type  4 u16 (1 const, 2 volatile, 4 unaligned)
 *   LF_POINTER    1002  0 type  4 u32: kind:5 mode:3 flat32:1 volatile:1 const:1 unaligned:1 restrict:1 size:6 …
 *                       then, for pointers to members: 8 class  c u16 representation
 *   LF_PROCEDURE  1008  0 result  4 u8 convention  5 u8 options  6 u16 parameters  8 LF_ARGLIST
 *   LF_MFUNCTION  1009  0 result  4 class  8 this  c u8 convention  d u8 options  e u16 parameters  10 LF_ARGLIST
 *                       14 i32 adjustment of this
 *   LF_ARGLIST    1201, LF_DERIVED 1204   0 u32 count  4 types
 *   LF_BITFIELD   1205  0 type  4 u8 length  5 u8 position
 *   LF_METHODLIST 1206  {u16 attributes, u16 0, type, u32 vtable offset if introducing}…
 *   LF_ARRAY      1503  0 element  4 index type  8 size, name
 *   LF_CLASS      1504, LF_STRUCTURE 1505, LF_INTERFACE 1519
 *                       0 u16 members  2 u16 properties  4 field list  8 derived  c vtable shape  10 size, name[, unique]
 *   LF_UNION      1506  0 u16 members  2 u16 properties  4 field list  8 size, name[, unique name]
 *   LF_ENUM       1507  0 u16 members  2 u16 properties  4 underlying  8 field list  c name[, unique name]
 *   LF_VFTABLE    151d  0 class  4 base vtable  8 u32 offset  c u32 bytes of names  10 names
 *   LF_VTSHAPE    000a  0 u16 entries, then 4 bits each;   LF_LABEL 000e  0 u16 mode
 *
 * Source: microsoft-pdb, cvinfo.h; LLVM's CodeViewTypes.def.
 */

import type { FileBytes } from '../fileBytes';
import { attributesOf, decodeMembers, introduces } from './decodeMember';
import { RecordReader } from './recordReader';
import { pointerModes } from './records';
import type { ClassType, Method, PointerType, TagProperties, TypeIndex, TypeRecord } from './records';

export const LF = {
  VTSHAPE: 0x000a,
  LABEL: 0x000e,
  MODIFIER: 0x1001,
  POINTER: 0x1002,
  PROCEDURE: 0x1008,
  MFUNCTION: 0x1009,
  ARGLIST: 0x1201,
  FIELDLIST: 0x1203,
  DERIVED: 0x1204,
  BITFIELD: 0x1205,
  METHODLIST: 0x1206,
  ARRAY: 0x1503,
  CLASS: 0x1504,
  STRUCTURE: 0x1505,
  UNION: 0x1506,
  ENUM: 0x1507,
  INTERFACE: 0x1519,
  VFTABLE: 0x151d,
} as const;

/** @param bytes The record from its leaf on. @throws file-damaged */
export function decodeType(bytes: FileBytes): TypeRecord {
  const reader = new RecordReader(bytes);
  const leaf = reader.u16();
  switch (leaf) {
    case LF.MODIFIER: {
      const type = reader.u32();
      const flags = reader.u16();
      return {
        kind: 'modifier',
        type,
        isConst: (flags & 1) !== 0,
        isVolatile: (flags & 2) !== 0,
        unaligned: (flags & 4) !== 0,
      };
    }
    case LF.POINTER:
      return decodePointer(reader);
    case LF.PROCEDURE:
      return { kind: 'procedure', result: reader.u32(), ...signature(reader) };
    case LF.MFUNCTION: {
      const [result, classType, thisType] = [reader.u32(), reader.u32(), reader.u32()];
      const common = signature(reader);
      return { kind: 'memberFunction', result, classType, thisType, ...common, thisAdjust: reader.i32() };
    }
    case LF.ARGLIST:
      return { kind: 'arguments', types: indices(reader) };
    case LF.DERIVED:
      return { kind: 'derived', types: indices(reader) };
    case LF.FIELDLIST:
      return { kind: 'fieldList', members: decodeMembers(reader) };
    case LF.BITFIELD:
      return { kind: 'bitfield', type: reader.u32(), length: reader.u8(), position: reader.u8() };
    case LF.METHODLIST:
      return { kind: 'methodList', methods: methods(reader) };
    case LF.ARRAY:
      return {
        kind: 'array',
        element: reader.u32(),
        indexType: reader.u32(),
        size: reader.size(),
        name: reader.string(),
      };
    case LF.CLASS:
      return decodeClass('class', reader);
    case LF.STRUCTURE:
      return decodeClass('struct', reader);
    case LF.INTERFACE:
      return decodeClass('interface', reader);
    case LF.UNION: {
      const memberCount = reader.u16();
      const properties = propertiesOf(reader.u16());
      const fieldList = reader.u32();
      const size = reader.size();
      return { kind: 'union', memberCount, properties, fieldList, size, ...names(reader, properties) };
    }
    case LF.ENUM: {
      const memberCount = reader.u16();
      const properties = propertiesOf(reader.u16());
      const underlying = reader.u32();
      const fieldList = reader.u32();
      return { kind: 'enum', memberCount, properties, underlying, fieldList, ...names(reader, properties) };
    }
    case LF.VTSHAPE: {
      const count = reader.u16();
      const packed = reader.bytes.part(reader.at, (count + 1) >> 1);
      const entries = Array.from({ length: count }, (_, i) => (packed.u8(i >> 1) >> (i & 1 ? 0 : 4)) & 15);
      return { kind: 'vtableShape', entries };
    }
    case LF.VFTABLE:
      return decodeVtable(reader);
    case LF.LABEL:
      return { kind: 'label', mode: reader.u16() };
    default:
      return { kind: 'unknown', leaf };
  }
}

/** Of tags alone: forward or not, by the record's bytes, without decoding it. Undefined for other records. */
export function tagNameAt(bytes: FileBytes): { name: string; at: number; properties: number } | undefined {
  const leaf = bytes.u16(0);
  let at: number;
  switch (leaf) {
    case LF.CLASS:
    case LF.STRUCTURE:
    case LF.INTERFACE:
      at = afterNumeric(bytes, 18);
      break;
    case LF.UNION:
      at = afterNumeric(bytes, 10);
      break;
    case LF.ENUM:
      at = 14;
      break;
    default:
      return undefined;
  }
  return { name: bytes.string(at), at, properties: bytes.u16(4) };
}

function afterNumeric(bytes: FileBytes, at: number): number {
  if (bytes.u16(at) < 0x8000) return at + 2;
  const reader = new RecordReader(bytes, at);
  reader.numeric();
  return reader.at;
}

export const isForward = (properties: number): boolean => (properties & 0x80) !== 0;

function propertiesOf(raw: number): TagProperties {
  return {
    packed: (raw & 1) !== 0,
    nested: (raw & 8) !== 0,
    forward: isForward(raw),
    scoped: (raw & 0x100) !== 0,
    intrinsic: (raw & 0x2000) !== 0,
    raw,
  };
}

function names(reader: RecordReader, properties: TagProperties): { name: string; uniqueName: string } {
  const name = reader.string();
  return { name, uniqueName: (properties.raw & 0x200) !== 0 && reader.left > 0 ? reader.string() : '' };
}

function decodeClass(kind: ClassType['kind'], reader: RecordReader): ClassType {
  const memberCount = reader.u16();
  const properties = propertiesOf(reader.u16());
  const [fieldList, derivedFrom, vtableShape] = [reader.u32(), reader.u32(), reader.u32()];
  const size = reader.size();
  return {
    kind,
    memberCount,
    properties,
    fieldList,
    derivedFrom,
    vtableShape,
    size,
    ...names(reader, properties),
  };
}

function decodePointer(reader: RecordReader): PointerType {
  const to = reader.u32();
  const attributes = reader.u32();
  const pointerKind = attributes & 0x1f;
  const mode = pointerModes[(attributes >> 5) & 7] ?? 'pointer';
  const memberOf = mode === 'dataMember' || mode === 'functionMember' ? reader.u32() : 0;
  const bytes = (attributes >> 13) & 0x3f;
  return {
    kind: 'pointer',
    to,
    mode,
    size: bytes > 0 ? bytes : pointerKind === 0x0c ? 8 : pointerKind === 0x0a ? 4 : 2,
    isVolatile: (attributes & 0x200) !== 0,
    isConst: (attributes & 0x400) !== 0,
    unaligned: (attributes & 0x800) !== 0,
    restrict: (attributes & 0x1000) !== 0,
    pointerKind,
    memberOf,
  };
}

function signature(reader: RecordReader): {
  callingConvention: number;
  options: number;
  parameterCount: number;
  parameters: TypeIndex;
} {
  return {
    callingConvention: reader.u8(),
    options: reader.u8(),
    parameterCount: reader.u16(),
    parameters: reader.u32(),
  };
}

/** A count and so many indices. */
export function indices(reader: RecordReader, count = reader.u32()): TypeIndex[] {
  if (count * 4 > reader.left) throw reader.damaged(`a list of ${count} types in ${reader.left} bytes`);
  return Array.from({ length: count }, () => reader.u32());
}

function methods(reader: RecordReader): Method[] {
  const found: Method[] = [];
  while (reader.left >= 8) {
    const attributes = attributesOf(reader.u16());
    reader.skip(2);
    const type = reader.u32();
    found.push({ type, attributes, vtableOffset: introduces(attributes) ? reader.i32() : -1 });
  }
  return found;
}

function decodeVtable(reader: RecordReader): TypeRecord {
  const [type, base, offset, length] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  const end = reader.at + Math.min(length, reader.left);
  const found: string[] = [];
  while (reader.at < end) found.push(reader.string());
  return { kind: 'vtable', type, base, offset, names: found };
}
