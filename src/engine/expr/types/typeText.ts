/** Types as text: `nt!_EPROCESS *`, `unsigned long [4]`, `int (*)(void *)`. Nesting is bounded. */

import { declarationOf } from '../../symbols/types/typeText';
import type { Type } from './type';

const deepest = 32;

/** @param withModule To be read back: the module stands before a tag's name, as in `nt!_EPROCESS`. */
export function typeText(type: Type, withModule = false): string {
  return declare(type, '', withModule, 0);
}

/** `inner` is the declarator so far: it grows outwards. */
function declare(type: Type, inner: string, withModule: boolean, depth: number): string {
  if (depth > deepest) return join('…', inner);
  switch (type.kind) {
    case 'integer':
    case 'boolean':
    case 'float':
    case 'opaque':
      return join(type.name, inner);
    case 'void':
      return join('void', inner);
    case 'enum':
    case 'struct': {
      const { module } = type.ref;
      return join(withModule && module !== undefined ? `${module}!${type.name}` : type.name, inner);
    }
    case 'pointer': {
      const sign = type.reference ? '&' : '*';
      const { to } = type;
      const bracketed = to.kind === 'array' || to.kind === 'function';
      return declare(to, bracketed ? `(${sign}${inner})` : `${sign}${inner}`, withModule, depth + 1);
    }
    case 'array':
      return declare(type.element, `${inner}[${type.count}]`, withModule, depth + 1);
    case 'function':
      return type.ref === undefined
        ? join('void', `${inner}()`)
        : declarationOf(type.ref.types, type.ref.index, inner);
  }
}

/** A blank where two words meet, and between a word and an asterisk, as C programmers have it. */
function join(left: string, right: string): string {
  return right === '' ? left : `${left} ${right}`;
}
