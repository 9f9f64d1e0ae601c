/** Expressions of the client: in which frame they are meant, and what comes of them. */

import { VmkdError } from '../engine/core/errors';
import { Access } from '../engine/expr/access';
import { evaluate, type Item } from '../engine/expr/compile';
import type { EvaluationContext } from '../engine/expr/context';
import { isScalar } from '../engine/expr/types/type';
import { typeText } from '../engine/expr/types/typeText';
import { decode } from '../engine/expr/values/scalar';
import type { Session } from './session';
import type { FrameThing } from './stopThings';
import { dataPlaceOf, type ItemView } from './variables/items';
import type { DataPlace } from './variables/shown';

/** The frame that a request names; without one, that of the stop. @throws request-stale, target-running */
export async function frameOf(session: Session, frameId: number | undefined): Promise<FrameThing> {
  const { stop } = session.mustBeStopped();
  if (frameId !== undefined) return session.things.frames.get(frameId);
  const processor = session.processor(stop.processor + 1);
  const [frame] = (await processor.stack(1)).frames;
  if (frame === undefined) throw new VmkdError('unwind-stuck', 'The CPU stands nowhere');
  return { processor, frame, index: 0 };
}

/** @throws as `frameOf` */
export async function viewOf(session: Session, frameId: number | undefined): Promise<ItemView> {
  const context = await session.contexts.ofFrame(await frameOf(session, frameId));
  return { context, symbols: session.target.symbols };
}

/** Where the value of an expression lies; undefined if it lies nowhere, or cannot be evaluated. */
export async function placeOfExpression(
  session: Session,
  text: string,
  frameId: number | undefined,
): Promise<DataPlace | undefined> {
  const { context } = await viewOf(session, frameId);
  const item = await evaluate(text, context);
  return dataPlaceOf(item.value);
}

/** An integer, what a pointer holds, or where a function is. @throws expression-bad */
export async function scalarNumber(context: EvaluationContext, { value }: Item): Promise<bigint> {
  const { type, place, bits } = value;
  if (isScalar(type)) {
    const number = decode(type, await new Access(context).load(place, type.size), bits);
    if (typeof number === 'bigint') return number;
    if (Number.isInteger(number)) return BigInt(number);
  }
  if (type.kind === 'function' && place.kind === 'memory') return place.address;
  throw new VmkdError('expression-bad', `A ${typeText(type)} is no integer`, {
    nextStep: 'Write a number, or an expression that is one.',
  });
}
