/**
 * Whole decorated names: functions, variables, and what the compiler makes of its own accord.
 *
 *   symbol   = ? name (0…4 variable | class-letter [offsets] function | 9)
 *            | ?? _7 _8 _S _R4 table | _R0 … _R3 | _9 vcall | _B __J guard | __E __F initializer | _C@_ string
 *   variable = body extras qualifiers                   storage: 0…2 static members, 3 global, 4 in a function
 */

import type { FunctionClass, QualifiedName, SymbolNode, Thunk, TypeNode } from './ast';
import { plain, readScopes, readSymbolName, readTypeName } from './names';
import { writeSymbol, writeQualifiedName } from './printer';
import { notDecorated } from './reader';
import type { Reader } from './reader';
import { readStringLiteral } from './stringLiteral';
import {
  readCallingConvention,
  readFunction,
  readPointerExtras,
  readQualifiers,
  readType,
  withQualifiers,
} from './types';

/** What follows the place in `reader`: a symbol with its leading `?`, or the hash that stands for one too long. */
export function readSymbol(reader: Reader): SymbolNode {
  if (reader.startsWith('??@')) return readHash(reader);
  reader.expect('?');
  const special = readSpecial(reader);
  if (special) return special;
  const name = readSymbolName(reader);
  return readEncoding(reader, name);
}

function readHash(reader: Reader): SymbolNode {
  const start = reader.at;
  reader.expect('??@');
  reader.until('@');
  reader.skip('??_R4@');
  return { kind: 'text', text: reader.name.slice(start, reader.at) };
}

const storageClasses: Readonly<Record<string, string>> = {
  0: 'private: static ',
  1: 'protected: static ',
  2: 'public: static ',
  3: '',
  4: '',
};

function readEncoding(reader: Reader, name: QualifiedName): SymbolNode {
  const access = storageClasses[reader.peek()];
  if (access !== undefined) {
    reader.take();
    // A conversion is named by its result, and a variable has none.
    if (name.at(-1)?.text.kind === 'conversion') throw notDecorated;
    return { kind: 'variable', name, access, type: readVariableType(reader) };
  }
  return readFunctionEncoding(reader, name);
}

function readVariableType(reader: Reader): TypeNode {
  const type = readType(reader, 'bare');
  if (type.kind !== 'pointer') return withQualifiers(type, readQualifiers(reader).qualifiers);
  const extras = readPointerExtras(reader);
  const { qualifiers } = readQualifiers(reader);
  if (type.memberOf) readTypeName(reader);
  return { ...withQualifiers(type, extras), pointee: withQualifiers(type.pointee, qualifiers) } as TypeNode;
}

/** A to X by eights: access; within: plain, static, virtual, adjustor thunk, each near or far. */
function functionClassOf(letter: string): { functionClass: FunctionClass; adjusts: boolean } | undefined {
  const outside = { access: '', isStatic: true, isVirtual: false, externC: false };
  if (letter === 'Y' || letter === 'Z') return { functionClass: outside, adjusts: false };
  const index = letter.charCodeAt(0) - 0x41;
  if (!(index >= 0 && index < 24)) return undefined;
  const kind = (index >> 1) & 3;
  const functionClass = {
    access: accesses[index >> 3]!,
    isStatic: kind === 1,
    isVirtual: kind === 2 || kind === 3,
    externC: false,
  };
  return { functionClass, adjusts: kind === 3 };
}

const accesses = ['private: ', 'protected: ', 'public: '] as const;

function readFunctionEncoding(reader: Reader, name: QualifiedName): SymbolNode {
  const externC = reader.skip('$$J0');
  if (reader.skip('9')) {
    const functionClass = { access: '', isStatic: true, isVirtual: false, externC: true };
    return { kind: 'function', name, functionClass };
  }
  const { functionClass, thunk } = reader.peek() === '$' ? readDisplacement(reader) : readClass(reader);
  const free = functionClass.isStatic;
  const signature = readFunction(reader, !free);
  const innermost = name.at(-1)!.text;
  if (innermost.kind === 'conversion') {
    if (!signature.result) throw notDecorated;
    innermost.target = signature.result;
  }
  const node = { kind: 'function', name, functionClass: { ...functionClass, externC }, signature } as const;
  return thunk ? { ...node, thunk } : node;
}

function readClass(reader: Reader): { functionClass: FunctionClass; thunk: Thunk | undefined } {
  const found = functionClassOf(reader.take());
  if (!found) throw notDecorated;
  const { functionClass, adjusts } = found;
  return { functionClass, thunk: adjusts ? { kind: 'adjustor', offset: reader.number() } : undefined };
}

/** `$0`…`$5` and `$R0`…`$R5`: thunks that find `this` by a displacement kept in the object. */
function readDisplacement(reader: Reader): { functionClass: FunctionClass; thunk: Thunk } {
  reader.expect('$');
  const extended = reader.skip('R');
  const digit = reader.take();
  if (digit < '0' || digit > '5') throw notDecorated;
  const functionClass = {
    access: accesses[Number(digit) >> 1]!,
    isStatic: false,
    isVirtual: true,
    externC: false,
  };
  const offsets: bigint[] = [];
  for (let i = extended ? 4 : 2; i > 0; i--) offsets.push(BigInt.asIntN(32, reader.number()));
  return { functionClass, thunk: { kind: extended ? 'vtordispex' : 'vtordisp', offsets } };
}

const tables: Readonly<Record<string, string>> = {
  '?_7': "`vftable'",
  '?_8': "`vbtable'",
  '?_S': "`local vftable'",
  '?_R4': "`RTTI Complete Object Locator'",
};

function readSpecial(reader: Reader): SymbolNode | undefined {
  for (const [code, text] of Object.entries(tables)) if (reader.skip(code)) return readTable(reader, text);
  if (reader.skip('?_9')) return readVcall(reader);
  if (reader.skip('?_B')) return readGuard(reader, "`local static guard'");
  if (reader.skip('?__J')) return readGuard(reader, "`local static thread guard'");
  if (reader.skip('?__E')) return readInitializer(reader, 'dynamic initializer');
  if (reader.skip('?__F')) return readInitializer(reader, 'dynamic atexit destructor');
  if (reader.skip('?_C')) return { kind: 'text', text: readStringLiteral(reader) };
  if (reader.skip('?_R0')) {
    const type = readType(reader, 'result');
    reader.expect('@8');
    return { kind: 'variable', name: [plain("`RTTI Type Descriptor'")], access: '', type };
  }
  if (reader.skip('?_R1')) return readBaseDescriptor(reader);
  if (reader.skip('?_R2')) return readUntyped(reader, "`RTTI Base Class Array'");
  if (reader.skip('?_R3')) return readUntyped(reader, "`RTTI Class Hierarchy Descriptor'");
  if (reader.startsWith('?_A') || reader.startsWith('?_P')) throw notDecorated;
  return undefined;
}

function readTable(reader: Reader, text: string): SymbolNode {
  const name = readScopes(reader, plain(text));
  if (!reader.skip('6')) reader.expect('7');
  const { qualifiers } = readQualifiers(reader);
  const targets: QualifiedName[] = [];
  while (!reader.skip('@')) {
    if (reader.left === 0 && targets.length > 0) break;
    targets.push(readTypeName(reader));
  }
  return { kind: 'table', name, qualifiers, targets };
}

function readUntyped(reader: Reader, text: string): SymbolNode {
  const name = readScopes(reader, plain(text));
  reader.expect('8');
  return { kind: 'variable', name, access: '' };
}

function readBaseDescriptor(reader: Reader): SymbolNode {
  const numbers = [reader.unsigned(), reader.number(), reader.unsigned(), reader.unsigned()];
  return readUntyped(reader, `\`RTTI Base Class Descriptor at (${numbers.join(', ')})'`);
}

function readVcall(reader: Reader): SymbolNode {
  const name = readScopes(reader, plain("`vcall'"));
  reader.expect('$B');
  const offset = reader.unsigned();
  reader.expect('A');
  return { kind: 'vcall', name, offset, callingConvention: readCallingConvention(reader) };
}

function readGuard(reader: Reader, text: string): SymbolNode {
  const scoped = readScopes(reader, plain(text));
  if (!reader.skip('4IA')) reader.expect('5');
  const index = reader.left > 0 ? reader.unsigned() : 0n;
  const name = [...scoped.slice(0, -1), plain(index > 0n ? `${text}{${index}}` : text)];
  return { kind: 'variable', name, access: '' };
}

/** The function that sets a static variable up, or takes it down: it is named by the variable's own decorated name. */
function readInitializer(reader: Reader, what: string): SymbolNode {
  const isMember = reader.skip('?');
  const name = readSymbolName(reader);
  if (reader.peek() in storageClasses) {
    const variable = reader.nested(() => readEncoding(reader, name));
    reader.expect(isMember ? '@@' : '@');
    return readFunctionEncoding(reader, [plain(`\`${what} for \`${writeSymbol(variable, reader)}''`)]);
  }
  if (isMember) throw notDecorated;
  return readFunctionEncoding(reader, [plain(`\`${what} for '${writeQualifiedName(name, reader)}''`)]);
}

/** `.?AV…`: what type descriptors and the unique names of types hold. */
export function readTypeDescriptorName(reader: Reader): SymbolNode {
  reader.expect('.');
  const type = readType(reader, 'result');
  return { kind: 'variable', name: [plain("`RTTI Type Descriptor Name'")], access: '', type };
}
