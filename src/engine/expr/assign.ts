/** Changing a value that is shown: what a variables view does with the text that was typed into it. */

import type { Access } from './access';
import { Binder } from './bind/binder';
import { asScalar } from './bind/bound';
import { castTo } from './bind/casts';
import { bad, placed } from './expressionError';
import { parse } from './syntax/parser';
import { isScalar } from './types/type';
import { typeText } from './types/typeText';
import { storeScalar } from './values/store';
import type { Value } from './values/value';

/**
 * Evaluates `text` and writes it to `target`, converted to its type; enumerators need no qualification.
 * @throws ExpressionError: of the text, and expression-refused if the target cannot be changed
 */
export async function assign(access: Access, target: Value, text: string): Promise<void> {
  const { root } = parse(text);
  const { type, place, bits } = target;
  if (!isScalar(type))
    throw bad(`${typeText(type)} cannot be assigned to as a whole.`, root.span, 'Change a member of it.');
  const binder = new Binder(access.context);
  try {
    const value = await binder.bind(root, type.kind === 'enum' ? type : undefined);
    const whole = asScalar(await castTo(binder, value, type, root.span), binder.pointerSize);
    await storeScalar(access, type, place, await whole.compute(access), bits);
  } catch (error) {
    throw placed(error, root.span);
  }
}
