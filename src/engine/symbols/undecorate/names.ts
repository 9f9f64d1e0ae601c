/**
 * Names within decorated names, innermost first:
 *
 *   name   = piece scope… @
 *   piece  = 0…9 | ?$ template | ? operator-code | text @          (operators in the names of symbols only)
 *   scope  = 0…9 | ?$ template | ?A text @ | ? number ? symbol | text @
 *
 * Each text or template is remembered, for 0…9 to refer to; a template's inside has references of its own.
 */

import type { Identifier, QualifiedName, TemplateArgument } from './ast';
import { operatorTables } from './operators';
import { writeIdentifier, writeSymbol } from './printer';
import { notDecorated } from './reader';
import type { Reader } from './reader';
import { readSymbol } from './symbols';
import { readType } from './types';

const mostScopes = 512;
const mostTemplateArguments = 4096;

/** The name of a class, struct, union or enum. */
export function readTypeName(reader: Reader): QualifiedName {
  return readScopes(reader, readUnqualifiedTypeName(reader));
}

/** The name of a function or variable. */
export function readSymbolName(reader: Reader): QualifiedName {
  const identifier = readUnqualifiedSymbolName(reader, true);
  const name = readScopes(reader, identifier);
  if (identifier.text.kind === 'structor') {
    const owner = name.at(-2);
    if (!owner) throw notDecorated;
    identifier.text.owner = owner;
  }
  return name;
}

export function readUnqualifiedTypeName(reader: Reader): Identifier {
  if (isDigit(reader.peek())) return readReference(reader);
  if (reader.startsWith('?$')) return readTemplate(reader, true);
  return readPlain(reader, true);
}

/** The scopes around `innermost`, up to and with the closing `@`. */
export function readScopes(reader: Reader, innermost: Identifier): QualifiedName {
  const pieces = [innermost];
  while (!reader.skip('@')) {
    if (pieces.length > mostScopes) throw notDecorated;
    pieces.push(readScope(reader));
  }
  return pieces.reverse();
}

function readUnqualifiedSymbolName(reader: Reader, remember: boolean): Identifier {
  if (isDigit(reader.peek())) return readReference(reader);
  if (reader.startsWith('?$')) return readTemplate(reader, false);
  if (reader.skip('?')) return readOperator(reader);
  return readPlain(reader, remember);
}

function readOperator(reader: Reader): Identifier {
  if (reader.skip('0')) return { text: { kind: 'structor', destructor: false } };
  if (reader.skip('1')) return { text: { kind: 'structor', destructor: true } };
  if (reader.skip('B')) return { text: { kind: 'conversion' } };
  if (reader.skip('__K')) return plain(`operator ""${reader.until('@')}`);
  const table = reader.skip('__')
    ? operatorTables.twiceUnderscored
    : reader.skip('_')
      ? operatorTables.underscored
      : operatorTables.basic;
  const text = table[reader.take()];
  if (text === undefined) throw notDecorated;
  return plain(text);
}

function readReference(reader: Reader): Identifier {
  const known = reader.references.names[Number(reader.take())];
  if (!known) throw notDecorated;
  return known.identifier;
}

export const plain = (text: string): Identifier => ({ text: { kind: 'plain', text } });

function readPlain(reader: Reader, remember: boolean): Identifier {
  const text = reader.until('@');
  if (text === '') throw notDecorated;
  const identifier = plain(text);
  if (remember) reader.rememberName(text, identifier);
  return identifier;
}

function readScope(reader: Reader): Identifier {
  if (isDigit(reader.peek())) return readReference(reader);
  if (reader.startsWith('?$')) return readTemplate(reader, true);
  if (reader.skip('?A')) {
    const key = reader.until('@');
    const identifier = plain("`anonymous namespace'");
    reader.rememberName(`?A${key}`, identifier);
    return identifier;
  }
  if (isLocalScope(reader)) return readLocalScope(reader);
  return readPlain(reader, true);
}

/** `?` number `?`: the block of that number in the function that follows. */
function isLocalScope(reader: Reader): boolean {
  if (reader.peek() !== '?') return false;
  if (reader.peek(2) === '?') return isDigit(reader.peek(1)) || reader.peek(1) === '@';
  return /^\?[B-P][A-P]{0,15}@\?/.test(reader.name.slice(reader.at, reader.at + 19));
}

function readLocalScope(reader: Reader): Identifier {
  reader.expect('?');
  const block = reader.number();
  reader.expect('?');
  const symbol = reader.nested(() => readSymbol(reader));
  return plain(`\`${writeSymbol(symbol, reader)}'::\`${block}'`);
}

/** @param isType Whether it may be remembered, as the names of types and scopes are. */
function readTemplate(reader: Reader, isType: boolean): Identifier {
  reader.expect('?$');
  const outer = reader.references;
  reader.references = { names: [], types: [] };
  const { text } = reader.nested(() => readUnqualifiedSymbolName(reader, true));
  const templateArguments = readTemplateArguments(reader);
  reader.references = outer;
  const identifier = { text, templateArguments };
  if (isType) {
    if (text.kind !== 'plain') throw notDecorated;
    reader.rememberName(writeIdentifier(identifier, reader), identifier);
  }
  return identifier;
}

function readTemplateArguments(reader: Reader): TemplateArgument[] {
  const found: TemplateArgument[] = [];
  while (!reader.skip('@')) {
    // Empty packs, and the ends of packs.
    if (['$$V', '$$$V', '$$Z', '$S'].some((pack) => reader.skip(pack))) continue;
    if (found.length >= mostTemplateArguments) throw notDecorated;
    found.push(readTemplateArgument(reader));
  }
  return found;
}

function readTemplateArgument(reader: Reader): TemplateArgument {
  if (reader.skip('$$Y')) return { kind: 'name', name: readTypeName(reader) };
  if (reader.skip('$$B')) return { kind: 'type', type: readType(reader, 'bare') };
  if (reader.skip('$$C')) return { kind: 'type', type: readType(reader, 'qualified') };
  // `auto` parameters say their type before the value.
  if (reader.skip('$M')) {
    readType(reader, 'bare');
    return readValueArgument(reader, '');
  }
  if (reader.peek() === '$' && reader.peek(1) !== '$') return readValueArgument(reader, '$');
  return { kind: 'type', type: readType(reader, 'bare') };
}

/** How many offsets go with a pointer to member, by the inheritance of its class. */
const memberOffsets: Readonly<Record<string, number>> = { 1: 0, H: 1, I: 2, J: 3, F: 2, G: 3 };

function readValueArgument(reader: Reader, lead: string): TemplateArgument {
  reader.expect(lead);
  if (reader.skip('0')) return { kind: 'integer', value: reader.number() };
  if (reader.skip('E')) {
    return { kind: 'symbol', symbol: readArgumentSymbol(reader), address: false, offsets: [] };
  }
  const code = reader.take();
  const count = memberOffsets[code];
  if (count === undefined) throw notDecorated;
  const symbol =
    code !== 'F' && code !== 'G' && reader.peek() === '?' ? readArgumentSymbol(reader) : undefined;
  const offsets: bigint[] = [];
  for (let i = 0; i < count; i++) offsets.push(reader.number());
  return { kind: 'symbol', symbol, address: true, offsets };
}

function readArgumentSymbol(reader: Reader): Extract<TemplateArgument, { kind: 'symbol' }>['symbol'] {
  const symbol = reader.nested(() => readSymbol(reader));
  const innermost = symbol.kind === 'text' ? undefined : symbol.name.at(-1);
  if (innermost) reader.rememberName(writeIdentifier(innermost, reader), innermost);
  return symbol;
}

const isDigit = (character: string): boolean => character >= '0' && character <= '9' && character !== '';
