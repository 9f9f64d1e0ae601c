/**
 * Writes the tree of a decorated name as C++, the way MSVC's undname does: qualifiers behind what they qualify, calling
 * conventions shown, and a function's parts in the order access, virtue, result, convention, name, parameters.
 *
 * A declarator surrounds its name (`int (*x)[3]`), so that each type is written in two halves: before and after it.
 * Invariant: everything written is paid for from the reader's budget; with the depth of the tree bounded by the parser,
 * this bounds the work, though back references make the tree share its nodes.
 */

import type {
  ArrayNode,
  FunctionNode,
  Identifier,
  PointerNode,
  QualifiedName,
  Qualifiers,
  SymbolNode,
  TemplateArgument,
  Thunk,
  TypeNode,
} from './ast';
import { notDecorated } from './reader';

/** Whoever bounds what is written. */
interface Budget {
  spend(characters: number): void;
}

function paid(text: string, budget: Budget): string {
  budget.spend(text.length);
  return text;
}

/** `text` with a blank behind it where a name would otherwise run into it. */
const spaced = (text: string): string => (/[\w>]$/.test(text) ? `${text} ` : text);

const words = (qualifiers: Qualifiers): string[] => [
  ...(qualifiers.isConst ? ['const'] : []),
  ...(qualifiers.isVolatile ? ['volatile'] : []),
  ...(qualifiers.restrict ? ['__restrict'] : []),
];

const behind = (qualifiers: Qualifiers): string =>
  words(qualifiers)
    .map((word) => ` ${word}`)
    .join('');

export function writeType(type: TypeNode, budget: Budget): string {
  return before(type, budget) + after(type, budget);
}

function before(type: TypeNode, budget: Budget): string {
  switch (type.kind) {
    case 'simple':
      return paid(type.text + behind(type.qualifiers), budget);
    case 'tag':
      return paid(`${type.tag} ${writeQualifiedName(type.name, budget)}${behind(type.qualifiers)}`, budget);
    case 'pointer':
      return paid(beforePointer(type, budget), budget);
    case 'array':
      return paid(before(type.element, budget) + behind(type.qualifiers), budget);
    case 'function':
      return paid(beforeResult(type, budget) + type.callingConvention, budget);
  }
}

function beforeResult(type: FunctionNode, budget: Budget): string {
  return type.result ? `${before(type.result, budget)} ` : '';
}

function beforePointer(type: PointerNode, budget: Budget): string {
  const { pointee } = type;
  const lead = pointee.kind === 'function' ? beforeResult(pointee, budget) : spaced(before(pointee, budget));
  const unaligned = type.qualifiers.unaligned ? '__unaligned ' : '';
  const open =
    pointee.kind === 'function' ? `(${pointee.callingConvention} ` : pointee.kind === 'array' ? '(' : '';
  const owner = type.memberOf ? `${writeQualifiedName(type.memberOf, budget)}::` : '';
  return lead + unaligned + open + owner + type.sign + words(type.qualifiers).join(' ');
}

function after(type: TypeNode, budget: Budget): string {
  switch (type.kind) {
    case 'simple':
    case 'tag':
      return '';
    case 'pointer': {
      const { pointee } = type;
      const close = pointee.kind === 'function' || pointee.kind === 'array' ? ')' : '';
      return paid(close + after(pointee, budget), budget);
    }
    case 'array':
      return paid(brackets(type) + after(type.element, budget), budget);
    case 'function':
      return paid(afterFunction(type, budget), budget);
  }
}

const brackets = (type: ArrayNode): string =>
  type.dimensions.map((count) => `[${count === 0n ? '' : count}]`).join('');

function afterFunction(type: FunctionNode, budget: Budget): string {
  const shown = type.parameters.map((parameter) => writeType(parameter, budget));
  if (type.variadic) shown.push('...');
  const parameters = shown.length > 0 ? shown.join(', ') : 'void';
  const unaligned = type.qualifiers.unaligned ? ' __unaligned' : '';
  const tail = behind(type.qualifiers) + unaligned + (type.noexcept ? ' noexcept' : '');
  const reference = type.reference === '' ? '' : ` ${type.reference}`;
  return `(${parameters})${tail}${reference}${type.result ? after(type.result, budget) : ''}`;
}

export function writeQualifiedName(name: QualifiedName, budget: Budget): string {
  return name.map((identifier) => writeIdentifier(identifier, budget)).join('::');
}

export function writeIdentifier(identifier: Identifier, budget: Budget): string {
  const list = identifier.templateArguments;
  const tail = list ? `<${list.map((argument) => writeArgument(argument, budget)).join(', ')}>` : '';
  return paid(writeText(identifier, tail, budget), budget);
}

function writeText({ text }: Identifier, tail: string, budget: Budget): string {
  switch (text.kind) {
    case 'plain':
      return text.text + tail;
    case 'structor':
      if (!text.owner) throw notDecorated;
      return `${text.destructor ? '~' : ''}${writeIdentifier(text.owner, budget)}${tail}`;
    case 'conversion':
      if (!text.target) throw notDecorated;
      return `operator${tail} ${writeType(text.target, budget)}`;
  }
}

function writeArgument(argument: TemplateArgument, budget: Budget): string {
  switch (argument.kind) {
    case 'type':
      return writeType(argument.type, budget);
    case 'name':
      return writeQualifiedName(argument.name, budget);
    case 'integer':
      return argument.value.toString();
    case 'symbol': {
      const symbol = argument.symbol ? [writeSymbol(argument.symbol, budget)] : [];
      if (argument.offsets.length > 0) return `{${[...symbol, ...argument.offsets].join(', ')}}`;
      return (argument.address ? '&' : '') + symbol.join('');
    }
  }
}

function writeThunk(thunk: Thunk): string {
  switch (thunk.kind) {
    case 'adjustor':
      return `\`adjustor{${thunk.offset}}'`;
    case 'vtordisp':
    case 'vtordispex':
      return `\`${thunk.kind}{${thunk.offsets.join(', ')}}'`;
  }
}

/** The whole declaration. */
export function writeSymbol(symbol: SymbolNode, budget: Budget): string {
  const name = symbol.kind === 'text' ? '' : writeQualifiedName(symbol.name, budget);
  switch (symbol.kind) {
    case 'text':
      return paid(symbol.text, budget);
    case 'variable': {
      const lead = symbol.type ? spaced(before(symbol.type, budget)) : '';
      return paid(symbol.access + lead + name + (symbol.type ? after(symbol.type, budget) : ''), budget);
    }
    case 'table': {
      const lead = [...words(symbol.qualifiers), name].join(' ');
      const targets = symbol.targets.map((target) => `\`${writeQualifiedName(target, budget)}'`);
      return paid(lead + (targets.length > 0 ? `{for ${targets.join('s ')}}` : ''), budget);
    }
    case 'vcall':
      return paid(`[thunk]: ${symbol.callingConvention} ${name}{${symbol.offset}, {flat}}`, budget);
    case 'function':
      return paid(writeFunction(symbol, name, budget), budget);
  }
}

function writeFunction(
  symbol: Extract<SymbolNode, { kind: 'function' }>,
  name: string,
  budget: Budget,
): string {
  const { functionClass, thunk, signature } = symbol;
  const isMember = functionClass.access !== '';
  const virtue =
    functionClass.access +
    (isMember && functionClass.isStatic ? 'static ' : '') +
    (functionClass.isVirtual ? 'virtual ' : '') +
    (functionClass.externC ? 'extern "C" ' : '');
  const lead = (thunk ? '[thunk]: ' : '') + virtue + (signature ? spaced(before(signature, budget)) : '');
  return lead + name + (thunk ? writeThunk(thunk) : '') + (signature ? afterFunction(signature, budget) : '');
}

/** The name alone, as debuggers show it: no types, no parameters. */
export function writeSymbolName(symbol: SymbolNode, budget: Budget): string {
  switch (symbol.kind) {
    case 'text':
      return symbol.text;
    case 'variable':
    case 'table':
    case 'vcall':
      return writeQualifiedName(symbol.name, budget);
    case 'function':
      return writeQualifiedName(symbol.name, budget) + (symbol.thunk ? writeThunk(symbol.thunk) : '');
  }
}
