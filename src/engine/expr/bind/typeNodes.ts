/**
 * Types by their names. A name that the PDB does not have, as public symbols have no typedefs, is tried as NT's headers
 * form theirs: `EPROCESS` is `_EPROCESS`, and `PEPROCESS` a pointer to it.
 */

import { bad, ExpressionError } from '../expressionError';
import type { EvaluationContext, TypeMeaning } from '../context';
import type { NameNode, TypeNode } from '../syntax/ast';
import { builtinType } from '../types/builtinTypes';
import { arrayOf, functionType, pointerTo, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import type { Binder } from './binder';

/** @throws expression-bad, symbols-not-loaded */
export async function bindType(binder: Binder, node: TypeNode): Promise<Type> {
  switch (node.kind) {
    case 'known':
      return node.type;
    case 'named': {
      const { module, name } = node.name;
      const missing: Missing = {};
      const type = await namedType(binder.context, node.name, missing);
      if (type) return type;
      const shown = module === undefined ? name : `${module}!${name}`;
      if (missing.module !== undefined) {
        throw new ExpressionError(
          'symbols-not-loaded',
          `The type “${shown}” is not known: the symbols of ${missing.module} are not loaded.`,
          node.span,
        );
      }
      throw bad(`There is no type “${shown}”.`, node.span, 'Name its module too, as in (nt!_EPROCESS *).');
    }
    case 'pointer': {
      const to = await bindType(binder, node.to);
      return { ...pointerTo(to, binder.pointerSize), reference: node.reference };
    }
    case 'array': {
      const element = await bindType(binder, node.element);
      if (element.size === 0) throw bad(`An array of ${typeText(element)} has no size.`, node.span);
      return arrayOf(element, node.count);
    }
    case 'function':
      return functionType;
  }
}

/** The module whose symbols might have told. */
interface Missing {
  module?: string;
}

/** Undefined if there is none of that name. */
export async function namedType(
  context: EvaluationContext,
  { module, name }: NameNode,
  missing: Missing = {},
): Promise<Type | undefined> {
  const builtin = module === undefined ? builtinType(name, context.pointerSize) : undefined;
  if (builtin) return builtin;
  const find = async (wanted: string): Promise<Type | undefined> => {
    const found: TypeMeaning | undefined = await context.type(module, wanted);
    if (found?.kind === 'symbols-not-loaded') missing.module ??= found.module;
    return found?.kind === 'type' ? found.type : undefined;
  };
  const exact = (await find(name)) ?? (/^[A-Z]/.test(name) ? await find(`_${name}`) : undefined);
  if (exact) return exact;
  const pointed = /^(?:LP|P)([A-Z]\w+)$/.exec(name)?.[1];
  const to = pointed === undefined ? undefined : ((await find(`_${pointed}`)) ?? (await find(pointed)));
  return to && pointerTo(to, context.pointerSize);
}
