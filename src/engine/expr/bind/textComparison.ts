/** `name == "System"`: a string literal against arrays and pointers of characters, and NT's counted strings. */

import type { Access } from '../access';
import { bad, placed, type Span } from '../expressionError';
import { countedFields, countedString, readText } from '../values/text';
import type { ComparisonOperator } from '../syntax/ast';
import { boolType } from '../types/builtinTypes';
import type { Binder } from './binder';
import { computed, constant, type Bound, type PlaceBound } from './bound';
import { pointee } from './members';
import { typeText } from '../types/typeText';

/** Undefined if neither is a string literal. @throws expression-bad */
export function bindTextComparison(
  binder: Binder,
  operator: ComparisonOperator,
  span: Span,
  left: Bound,
  right: Bound,
): Bound | undefined {
  const [literal, other] = isLiteral(left) ? [left, right] : [right, left];
  if (!isLiteral(literal)) return undefined;
  if (operator !== '==' && operator !== '!=') throw bad('Strings can be compared by == and != only.', span);
  const wanted = literal.text;
  const same = operator === '==' ? 1n : 0n;
  if (isLiteral(other)) return constant(boolType, span, other.text === wanted ? same : 1n - same);
  const read = reader(binder, other);
  return computed(boolType, span, async (access) => {
    try {
      return (await read(access, wanted.length + 1)) === wanted ? same : 1n - same;
    } catch (error) {
      throw placed(error, other.span);
    }
  });
}

const isLiteral = (bound: Bound): bound is PlaceBound & { readonly text: string } =>
  bound.kind === 'place' && bound.text !== undefined;

type Reader = (access: Access, most: number) => Promise<string>;

/** What the other side says, as far as it matters. @throws expression-bad if it is no text */
function reader(binder: Binder, bound: Bound): Reader {
  const { type } = bound;
  if (bound.kind === 'place' && type.kind === 'struct') return structReader(bound);
  if (bound.kind === 'place' && type.kind === 'array') {
    const unit = characterSize(type.element);
    if (unit !== undefined) {
      return async (access, most) => {
        const place = await bound.locate(access);
        return (await readText(access, place, unit, Math.min(most, type.count))).text;
      };
    }
  }
  if (type.kind === 'pointer') {
    if (type.to.kind === 'struct') return structReader(pointee(binder, bound, bound.span));
    const unit = characterSize(type.to);
    if (unit !== undefined) {
      const pointer = pointee(binder, bound, bound.span);
      return async (access, most) => (await readText(access, await pointer.locate(access), unit, most)).text;
    }
  }
  throw notText(bound);
}

const notText = ({ type, span }: Bound): Error =>
  bad(`${typeText(type)} cannot be compared with a string.`, span);

/** Bytes; undefined if it is no character. `unsigned short` is what WCHAR is in C. */
function characterSize(type: Bound['type']): 1 | 2 | undefined {
  if (type.kind !== 'integer') return undefined;
  return type.size === 1 || type.size === 2 ? type.size : undefined;
}

function structReader(bound: PlaceBound): Reader {
  const { type } = bound;
  if (type.kind !== 'struct' || !countedFields(type)) throw notText(bound);
  return async (access, most) => {
    const text = await countedString(access, { type, place: await bound.locate(access) }, most);
    return text?.text ?? '';
  };
}
