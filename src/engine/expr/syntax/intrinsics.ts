/**
 * What looks like a call and is none of the target's: `poi(x)` and its kin, and the macros of NT's headers that take
 * types and fields. A `#` before a macro, as WinDbg wants it, is accepted.
 *
 *   CONTAINING_RECORD(address, type, field)   FIELD_OFFSET(type, field)   offsetof(type, field)
 *   RTL_FIELD_SIZE(type, field)   RTL_SIZEOF_THROUGH_FIELD(type, field)
 */

import { span, type Span } from '../expressionError';
import type { FieldFact, FieldPath, NameNode, Node } from './ast';
import type { Parser } from './parser';

/** Functions of one value. */
export const functionNames = ['poi', 'by', 'wo', 'dwo', 'qwo', 'hi', 'low'] as const;
export type FunctionName = (typeof functionNames)[number];

const isFunction = (name: string): name is FunctionName =>
  (functionNames as readonly string[]).includes(name);

const fieldFacts = new Map<string, FieldFact>([
  ['FIELD_OFFSET', 'offset'],
  ['UFIELD_OFFSET', 'offset'],
  ['offsetof', 'offset'],
  ['RTL_FIELD_SIZE', 'size'],
  ['RTL_SIZEOF_THROUGH_FIELD', 'end'],
]);

/** Behind its name. Undefined if it is none. @throws expression-bad */
export function parseIntrinsic(parser: Parser, { module, name }: NameNode, start: Span): Node | undefined {
  const { cursor } = parser;
  if (module !== undefined || !cursor.isSign('(')) return undefined;
  if (isFunction(name)) {
    cursor.take();
    const argument = parser.expression();
    return { kind: 'call', name, argument, span: span(start, close(parser, name)) };
  }
  if (name === 'CONTAINING_RECORD') {
    cursor.take();
    const address = parser.expression();
    cursor.expect(',', 'after the address');
    const { type, field } = typeAndField(parser);
    return { kind: 'containingRecord', address, type, field, span: span(start, close(parser, name)) };
  }
  const what = fieldFacts.get(name);
  if (what === undefined) return undefined;
  cursor.take();
  const { type, field } = typeAndField(parser);
  return { kind: 'fieldOf', what, type, field, span: span(start, close(parser, name)) };
}

const close = ({ cursor }: Parser, name: string): Span => cursor.expect(')', `at the end of ${name}`);

function typeAndField(parser: Parser): { type: ReturnType<Parser['type']>; field: FieldPath } {
  const type = parser.type();
  parser.cursor.expect(',', 'after the type');
  return { type, field: fieldPath(parser) };
}

const largestIndex = 0x7fff_ffffn;

/** `Tail.Overlay.ListEntry`, `Ids[2].Value`. @throws expression-bad */
export function fieldPath({ cursor }: Parser): FieldPath {
  const steps: FieldPath['steps'][number][] = [];
  const start = cursor.token.span;
  do {
    const { token } = cursor;
    if (token.kind !== 'name' || token.module !== undefined)
      return cursor.fail('A field’s name is missing here.');
    cursor.take();
    cursor.count();
    steps.push({ kind: 'name', name: token.name, span: token.span });
    while (cursor.skip('[')) {
      const { token: index } = cursor;
      if (index.kind !== 'number' || typeof index.value !== 'bigint' || index.value > largestIndex) {
        return cursor.fail('The index of a field must be a number.');
      }
      cursor.take();
      cursor.count();
      steps.push({ kind: 'index', index: Number(index.value), span: index.span });
      cursor.expect(']', 'after the index');
    }
  } while (cursor.skip('.'));
  return { steps, span: span(start, steps.at(-1)!.span) };
}
