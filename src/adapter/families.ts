/**
 * All request families. What a client is told to be supported is the union of what they offer for the parts that the
 * target has; there is no other list.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { AnyHandler, Family, OfferedParts } from './protocol';
import { breakpoints } from './requests/breakpoints';
import { companion } from './requests/companion';
import { connect } from './requests/connect';
import { disassembly } from './requests/disassembly';
import { evaluate } from './requests/evaluate';
import { exceptions } from './requests/exceptions';
import { execution } from './requests/execution';
import { inspect } from './requests/inspect';
import { spaces } from './requests/spaces';
import { leave } from './requests/leave';
import { machine } from './requests/machine';
import { memory } from './requests/memory';
import { modules } from './requests/modules';
import { scopes } from './requests/scopes';
import { source } from './requests/source';
import { stacks } from './requests/stacks';
import { variables } from './requests/variables';

/** By the file that each stands in. */
export const families: readonly (Family & { readonly name: string })[] = Object.entries({
  connect,
  companion,
  machine,
  leave,
  breakpoints,
  exceptions,
  execution,
  stacks,
  scopes,
  variables,
  evaluate,
  memory,
  disassembly,
  modules,
  source,
  inspect,
  spaces,
}).map(([name, family]) => ({ name, ...family }));

export function capabilitiesOf(parts: OfferedParts): P.Capabilities {
  return Object.assign({}, ...families.map((family) => family.capabilities?.(parts) ?? {})) as P.Capabilities;
}

export const handlers: ReadonlyMap<string, AnyHandler> = new Map(
  families.flatMap(({ requests }) => Object.entries(requests) as [string, AnyHandler][]),
);
