/**
 * Types within decorated names.
 *
 *   type      = [qualifiers] body                            whether qualifiers stand in front depends on the place
 *   body      = code | _code                                 char, bool …
 *             | T name | U name | V name | W4 name           union, struct, class, enum
 *             | (P Q R S A B $$Q) [E][I][F] type             pointer, reference
 *             | (P Q R S) 6 function                         pointer to function
 *             | (P …) [E] (Q R S T) class body, (P …) 8 class function     pointers to member
 *             | Y rank dimension… [$$C qualifiers] body      array
 *             | $$A6 function | $$A8@@ function
 *   function  = [this-qualifiers] convention (result | @) (X | body… (@ | Z)) [throw]
 *
 * Source: MSVC's decoration as documented in public; behaviour compared with llvm-undname in undecorate.test.ts.
 */

import { bothQualifiers, noQualifiers } from './ast';
import type { FunctionNode, Qualifiers, TypeNode } from './ast';
import { readTypeName, readUnqualifiedTypeName } from './names';
import { writeIdentifier } from './printer';
import { notDecorated } from './reader';
import type { Reader } from './reader';

/** Whether cv qualifiers come before the type: always, after a `?` (results), or not at all. */
type Leading = 'qualified' | 'result' | 'bare';

const simpleTypes: Readonly<Record<string, string>> = {
  X: 'void',
  D: 'char',
  C: 'signed char',
  E: 'unsigned char',
  F: 'short',
  G: 'unsigned short',
  H: 'int',
  I: 'unsigned int',
  J: 'long',
  K: 'unsigned long',
  M: 'float',
  N: 'double',
  O: 'long double',
  _D: '__int8',
  _E: 'unsigned __int8',
  _F: '__int16',
  _G: 'unsigned __int16',
  _H: '__int32',
  _I: 'unsigned __int32',
  _J: '__int64',
  _K: 'unsigned __int64',
  _L: '__int128',
  _M: 'unsigned __int128',
  _N: 'bool',
  _P: 'auto',
  _Q: 'char8_t',
  _S: 'char16_t',
  _T: 'decltype(auto)',
  _U: 'char32_t',
  _W: 'wchar_t',
};

const tags = { T: 'union', U: 'struct', V: 'class' } as const;

const callingConventions: Readonly<Record<string, string>> = {
  A: '__cdecl',
  B: '__cdecl',
  C: '__pascal',
  D: '__pascal',
  E: '__thiscall',
  F: '__thiscall',
  G: '__stdcall',
  H: '__stdcall',
  I: '__fastcall',
  J: '__fastcall',
  M: '__clrcall',
  N: '__clrcall',
  O: '__eabi',
  P: '__eabi',
  Q: '__vectorcall',
  S: '__attribute__((__swiftcall__)) ',
  W: '__attribute__((__swiftasynccall__)) ',
};

const mostDimensions = 64;
const mostParameters = 1024;

/** @throws notDecorated */
export function readType(reader: Reader, leading: Leading): TypeNode {
  return reader.nested(() => {
    if (leading === 'qualified') return qualify(reader, readQualifiers(reader).qualifiers);
    if (leading === 'result' && reader.skip('?')) return qualify(reader, readQualifiers(reader).qualifiers);
    return readBody(reader);
  });
}

function qualify(reader: Reader, qualifiers: Qualifiers): TypeNode {
  return withQualifiers(readBody(reader), qualifiers);
}

export const withQualifiers = (type: TypeNode, more: Qualifiers): TypeNode => ({
  ...type,
  qualifiers: bothQualifiers(type.qualifiers, more),
});

function readBody(reader: Reader): TypeNode {
  const code = reader.peek();
  switch (code) {
    case 'T':
    case 'U':
    case 'V':
      reader.take();
      return { kind: 'tag', qualifiers: noQualifiers, tag: tags[code], name: readTypeName(reader) };
    case 'W':
      reader.expect('W4');
      return { kind: 'tag', qualifiers: noQualifiers, tag: 'enum', name: readTypeName(reader) };
    case 'A':
    case 'B':
    case 'P':
    case 'Q':
    case 'R':
    case 'S':
      return readPointer(reader);
    case 'Y':
      reader.take();
      return readArray(reader);
    case '?': {
      // A placeholder: `auto` as clang writes it.
      reader.take();
      const text = writeIdentifier(readUnqualifiedTypeName(reader), reader);
      reader.expect('@');
      return { kind: 'simple', qualifiers: noQualifiers, text };
    }
    case '$':
      return readDollar(reader);
    default: {
      const text = simpleTypes[code === '_' ? reader.take() + reader.take() : reader.take()];
      if (text === undefined) throw notDecorated;
      return { kind: 'simple', qualifiers: noQualifiers, text };
    }
  }
}

function readDollar(reader: Reader): TypeNode {
  if (reader.startsWith('$$Q') || reader.startsWith('$$R')) return readPointer(reader);
  if (reader.skip('$$T')) return { kind: 'simple', qualifiers: noQualifiers, text: 'std::nullptr_t' };
  if (reader.skip('$$A8@@')) return readFunction(reader, true);
  reader.expect('$$A6');
  return readFunction(reader, false);
}

const ofMember: Readonly<Record<string, string>> = { Q: 'A', R: 'B', S: 'C', T: 'D' };

/** A…D: none, const, volatile, both; Q…T: the same, of what a pointer to member points at. */
export function readQualifiers(reader: Reader): { qualifiers: Qualifiers; member: boolean } {
  const code = reader.take();
  const plain = ofMember[code] ?? code;
  if (plain < 'A' || plain > 'D') throw notDecorated;
  const qualifiers = {
    ...noQualifiers,
    isConst: plain === 'B' || plain === 'D',
    isVolatile: plain === 'C' || plain === 'D',
  };
  return { qualifiers, member: plain !== code };
}

/** `E` (64 bits: not shown), `I` __restrict, `F` __unaligned. */
export function readPointerExtras(reader: Reader): Qualifiers {
  reader.skip('E');
  const restrict = reader.skip('I');
  const unaligned = reader.skip('F');
  return { ...noQualifiers, restrict, unaligned };
}

const pointers: Readonly<Record<string, { sign: '*' | '&' | '&&'; isConst?: true; isVolatile?: true }>> = {
  A: { sign: '&' },
  B: { sign: '&', isVolatile: true },
  P: { sign: '*' },
  Q: { sign: '*', isConst: true },
  R: { sign: '*', isVolatile: true },
  S: { sign: '*', isConst: true, isVolatile: true },
  $$Q: { sign: '&&' },
  $$R: { sign: '&&', isVolatile: true },
};

function readPointer(reader: Reader): TypeNode {
  const code = reader.skip('$$') ? `$$${reader.take()}` : reader.take();
  const { sign, isConst = false, isVolatile = false } = pointers[code]!;
  const own = { ...noQualifiers, isConst, isVolatile };
  if (reader.skip('6')) {
    return { kind: 'pointer', qualifiers: own, sign, pointee: readFunction(reader, false) };
  }
  const ofFunction = sign === '*' && reader.peek() === '8';
  if (ofFunction) reader.take();
  const qualifiers = bothQualifiers(own, readPointerExtras(reader));
  if (ofFunction || (sign === '*' && reader.skip('8'))) {
    const memberOf = readTypeName(reader);
    return { kind: 'pointer', qualifiers, sign, memberOf, pointee: readFunction(reader, true) };
  }
  if (sign === '*' && reader.peek() in ofMember) {
    const pointed = readQualifiers(reader).qualifiers;
    const memberOf = readTypeName(reader);
    const pointee = withQualifiers(readType(reader, 'bare'), pointed);
    return { kind: 'pointer', qualifiers, sign, memberOf, pointee };
  }
  return { kind: 'pointer', qualifiers, sign, pointee: readType(reader, 'qualified') };
}

function readArray(reader: Reader): TypeNode {
  const rank = reader.number();
  if (rank < 1n || rank > mostDimensions) throw notDecorated;
  const dimensions: bigint[] = [];
  for (let i = 0; i < rank; i++) dimensions.push(reader.unsigned());
  const qualifiers = reader.skip('$$C') ? readQualifiers(reader).qualifiers : noQualifiers;
  return { kind: 'array', qualifiers, dimensions, element: readType(reader, 'bare') };
}

/** One of the letters of calling conventions, as text. */
export function readCallingConvention(reader: Reader): string {
  const text = callingConventions[reader.take()];
  if (text === undefined) throw notDecorated;
  return text;
}

/** @param member Whether the qualifiers of `this` come first. */
export function readFunction(reader: Reader, member: boolean): FunctionNode {
  let qualifiers = noQualifiers;
  let reference: FunctionNode['reference'] = '';
  if (member) {
    const extras = readPointerExtras(reader);
    if (reader.skip('G')) reference = '&';
    else if (reader.skip('H')) reference = '&&';
    qualifiers = bothQualifiers(extras, readQualifiers(reader).qualifiers);
  }
  const callingConvention = readCallingConvention(reader);
  const result = reader.skip('@') ? undefined : readType(reader, 'result');
  const { parameters, variadic } = readParameters(reader);
  const noexcept = reader.skip('_E');
  if (!noexcept) reader.expect('Z');
  return {
    kind: 'function',
    qualifiers,
    callingConvention,
    result,
    parameters,
    variadic,
    reference,
    noexcept,
  };
}

function readParameters(reader: Reader): { parameters: readonly TypeNode[]; variadic: boolean } {
  const parameters: TypeNode[] = [];
  if (reader.skip('X')) return { parameters, variadic: false };
  while (!reader.skip('@')) {
    if (reader.skip('Z')) return { parameters, variadic: true };
    if (parameters.length >= mostParameters) throw notDecorated;
    parameters.push(readParameter(reader));
  }
  return { parameters, variadic: false };
}

function readParameter(reader: Reader): TypeNode {
  const code = reader.peek();
  if (code >= '0' && code <= '9') {
    const known = reader.references.types[Number(reader.take())];
    if (known === undefined) throw notDecorated;
    return known;
  }
  const start = reader.at;
  const type = readType(reader, 'bare');
  // A type of one letter is not worth a reference.
  if (reader.at - start > 1) reader.rememberType(type);
  return type;
}
