/**
 * Types as text: declarations as C writes them (`int (*handlers[4])(void *)`), and the short forms of WinDbg's dt
 * (`[4] Ptr64 Uint4B`).
 *
 * Invariant: types nest at most `deepest` levels and write at most `mostText` characters; what is beyond is `…`.
 */

import type { ArrayType, MemberFunctionType, PointerType, ProcedureType, TypeIndex } from './records';
import { firstRecordIndex, nullptrType, simplePointerSize, simpleType } from './simpleTypes';
import type { TypeTable } from './typeTable';

const deepest = 32;
const mostText = 4096;
const mostParameters = 64;
const cut = '…';

/** `unsigned long Corners[4]`; without a name, the type alone: `unsigned long [4]`. @throws file-damaged */
export function declarationOf(types: TypeTable, type: TypeIndex, name = ''): string {
  return new Writer(types).declare(type, name, 0);
}

/** `(unsigned long, ...)`, the parameters of a function's type. Undefined if it is none. @throws file-damaged */
export function parametersOf(types: TypeTable, type: TypeIndex): string | undefined {
  const record = type < firstRecordIndex ? undefined : types.record(type);
  const isFunction = record?.kind === 'procedure' || record?.kind === 'memberFunction';
  return isFunction ? new Writer(types).parameters(record, 0) : undefined;
}

class Writer {
  #written = 0;

  constructor(private readonly types: TypeTable) {}

  /** `inner` is the declarator so far: it grows outwards, from the name. */
  declare(type: TypeIndex, inner: string, depth: number): string {
    this.#written += inner.length + 8;
    if (depth > deepest || this.#written > mostText) return join(cut, inner);
    if (type < firstRecordIndex) return join(simpleText(type), inner);
    const record = this.types.record(type);
    switch (record.kind) {
      case 'class':
      case 'struct':
      case 'interface':
      case 'union':
      case 'enum':
        return join(record.name, inner);
      case 'modifier': {
        const words = qualifiers(record);
        // C writes the qualifiers of a pointer behind its asterisk, where `inner` begins.
        return this.#isPointer(record.type)
          ? this.declare(record.type, join(words, inner), depth + 1)
          : join(words, this.declare(record.type, inner, depth + 1));
      }
      case 'pointer':
        return this.#pointer(record, inner, depth);
      case 'array':
        return this.declare(record.element, `${inner}[${this.#count(record)}]`, depth + 1);
      case 'bitfield':
        return `${this.declare(record.type, inner, depth + 1)} : ${record.length}`;
      case 'procedure':
      case 'memberFunction':
        return this.declare(record.result, inner + this.parameters(record, depth), depth + 1);
      case 'arguments':
      case 'fieldList':
      case 'methodList':
      case 'derived':
      case 'vtableShape':
      case 'vtable':
      case 'label':
      case 'unknown':
        return join(`<type 0x${type.toString(16)}>`, inner);
    }
  }

  #pointer(pointer: PointerType, inner: string, depth: number): string {
    const owner = pointer.memberOf === 0 ? '' : `${this.declare(pointer.memberOf, '', depth + 1)}::`;
    const sign = {
      lvalueReference: '&',
      rvalueReference: '&&',
      pointer: '*',
      dataMember: '*',
      functionMember: '*',
    };
    const declarator = `${owner}${sign[pointer.mode]}${join(qualifiers(pointer), inner)}`;
    return this.declare(
      pointer.to,
      this.#needsBrackets(pointer.to) ? `(${declarator})` : declarator,
      depth + 1,
    );
  }

  #needsBrackets(type: TypeIndex): boolean {
    if (type < firstRecordIndex) return false;
    const { kind } = this.types.record(type);
    return kind === 'array' || kind === 'procedure' || kind === 'memberFunction';
  }

  #isPointer(type: TypeIndex): boolean {
    return type < firstRecordIndex ? simplePointerSize(type) > 0 : this.types.record(type).kind === 'pointer';
  }

  #count({ element, size }: ArrayType): string {
    const each = this.types.sizeOf(element);
    return each === 0 || size === 0 ? '' : String(Math.floor(size / each));
  }

  parameters(procedure: ProcedureType | MemberFunctionType, depth: number): string {
    const list =
      procedure.parameters < firstRecordIndex ? undefined : this.types.record(procedure.parameters);
    if (list?.kind !== 'arguments' || list.types.length === 0) return '(void)';
    const shown = list.types
      .slice(0, mostParameters)
      .map((type, i, all) =>
        type === 0 && i === all.length - 1 ? '...' : this.declare(type, '', depth + 1),
      );
    return `(${shown.join(', ')}${list.types.length > mostParameters ? `, ${cut}` : ''})`;
  }
}

function qualifiers(of: {
  readonly isConst: boolean;
  readonly isVolatile: boolean;
  readonly unaligned: boolean;
  readonly restrict?: boolean;
}): string {
  return [
    of.isConst && 'const',
    of.isVolatile && 'volatile',
    of.unaligned && '__unaligned',
    of.restrict === true && '__restrict',
  ]
    .filter((word) => word !== false)
    .join(' ');
}

function simpleText(type: TypeIndex): string {
  if (type === nullptrType) return 'std::nullptr_t';
  const simple = simpleType(type);
  if (!simple) return `<type 0x${type.toString(16)}>`;
  return simplePointerSize(type) > 0 ? `${simple.name} *` : simple.name;
}

/** A blank where two words meet, and between a word and an asterisk, as C programmers have it. */
function join(left: string, right: string): string {
  if (left === '' || right === '') return left + right;
  return /[*&]$/.test(left) && !right.startsWith('[') ? left + right : `${left} ${right}`;
}

/** What dt prints behind the colon: `Uint4B`, `Ptr64 _EPROCESS`, `[15] UChar`. @throws file-damaged */
export function shortTextOf(types: TypeTable, type: TypeIndex, depth = 0): string {
  if (depth > deepest) return cut;
  if (type < firstRecordIndex) {
    const text = simpleType(type)?.short ?? `<type 0x${type.toString(16)}>`;
    const pointer = simplePointerSize(type);
    return pointer > 0 ? `Ptr${pointer * 8} ${text}` : text;
  }
  const record = types.record(type);
  switch (record.kind) {
    case 'class':
    case 'struct':
    case 'interface':
    case 'union':
    case 'enum':
      return record.name;
    case 'modifier':
      return shortTextOf(types, record.type, depth + 1);
    case 'pointer':
      return `Ptr${record.size * 8} ${shortTextOf(types, record.to, depth + 1)}`;
    case 'array': {
      const each = types.sizeOf(record.element);
      const count = each === 0 ? 0 : Math.floor(record.size / each);
      return `[${count}] ${shortTextOf(types, record.element, depth + 1)}`;
    }
    case 'bitfield':
      return `Pos ${record.position}, ${record.length} Bit${record.length === 1 ? '' : 's'}`;
    case 'procedure':
    case 'memberFunction':
      return declarationOf(types, type);
    case 'arguments':
    case 'fieldList':
    case 'methodList':
    case 'derived':
    case 'vtableShape':
    case 'vtable':
    case 'label':
    case 'unknown':
      return `<type 0x${type.toString(16)}>`;
  }
}
