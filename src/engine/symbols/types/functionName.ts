/** Names of functions out of the id stream, by which inline sites refer to them. */

import type { TypeIndex } from './records';
import type { TypeTable } from './typeTable';

/** `ns::Class::method`; undefined if the id is none of a function. @throws file-damaged */
export function functionName(types: TypeTable, id: TypeIndex): string | undefined {
  const found = types.id(id);
  if (found?.kind === 'memberFunctionId') return qualified(types.tag(found.classType)?.name, found.name);
  if (found?.kind !== 'functionId') return undefined;
  const scope = found.scope === 0 ? undefined : types.id(found.scope);
  return qualified(scope?.kind === 'stringId' ? scope.text : undefined, found.name);
}

const qualified = (scope: string | undefined, name: string): string =>
  scope === undefined ? name : `${scope}::${name}`;
