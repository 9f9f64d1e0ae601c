/** Lines of a variables view as DAP's: with numbers for what can be unfolded, references for memory and source. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { memoryReference } from '../memoryReferences';
import type { Session } from '../session';
import type { Container, Shown } from './shown';

/** What a value is, wherever DAP has one: a variable, an evaluation, an assignment. */
type ValueBody = Pick<
  P.EvaluateResponse['body'],
  | 'type'
  | 'variablesReference'
  | 'namedVariables'
  | 'indexedVariables'
  | 'memoryReference'
  | 'presentationHint'
  | 'valueLocationReference'
>;

export function describeVariable(session: Session, shown: Shown): P.Variable {
  const { name, value, evaluateName } = shown;
  return {
    name,
    value,
    ...describeValue(session, shown),
    ...(evaluateName === undefined ? {} : { evaluateName }),
  };
}

export function describeValue(session: Session, shown: Shown): ValueBody {
  const { type, memory, target, inside } = shown;
  const hint = hintOf(shown);
  return {
    ...(type === undefined || session.client.supportsVariableType !== true ? {} : { type }),
    ...describeContainer(session, inside),
    ...(memory === undefined ? {} : { memoryReference: memoryReference(memory) }),
    ...(hint && { presentationHint: hint }),
    ...(target && { valueLocationReference: session.things.locations.add(target) }),
  };
}

/** A number for a container, with how much is in it where that is known. */
export function describeContainer(
  session: Session,
  container: Container | undefined,
): Pick<P.Variable, 'variablesReference' | 'namedVariables' | 'indexedVariables'> {
  if (container === undefined) return { variablesReference: 0 };
  const { counts } = container;
  return {
    variablesReference: session.things.containers.add({ container, seen: new Map() }),
    // A client pages what it is given a number of; VS Code takes 0 for “none”.
    ...(counts && counts.indexed > 0
      ? { namedVariables: counts.named, indexedVariables: counts.indexed }
      : {}),
  };
}

function hintOf({ kind, readOnly, lazy }: Shown): P.VariablePresentationHint | undefined {
  if (kind === undefined && readOnly !== true && lazy !== true) return undefined;
  return {
    ...(kind && { kind }),
    ...(readOnly === true ? { attributes: ['readOnly'] } : {}),
    ...(lazy === true ? { lazy: true } : {}),
  };
}
