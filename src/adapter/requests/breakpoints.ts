/** Breakpoints of every kind, where they can be, and what they may carry. */

import { readFileSync } from 'node:fs';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError, VmkdError } from '../../engine/core/errors';
import type { BreakpointPlace } from '../../engine/target/target';
import { breakpointModes, type BreakpointBook, type Wanted } from '../breakpointBook';
import { dataPlaceOf, describeData } from '../dataPlaces';
import { addressOf } from '../memoryReferences';
import type { Family } from '../protocol';
import type { Session } from '../session';
import { pathOf } from '../sources';

export const breakpoints: Family = {
  capabilities: (parts) => ({
    supportsFunctionBreakpoints: parts.places,
    supportsConditionalBreakpoints: parts.places,
    supportsHitConditionalBreakpoints: parts.places,
    supportsLogPoints: parts.places,
    supportsInstructionBreakpoints: parts.places,
    supportsDataBreakpoints: parts.places,
    supportsDataBreakpointBytes: parts.places,
    supportsBreakpointLocationsRequest: true,
    breakpointModes: parts.places ? breakpointModes : [],
  }),
  requests: {
    setBreakpoints(session, { source, breakpoints: wanted = [] }) {
      const path = pathOf(session, source);
      const content = contentOf(source, path);
      const { sourceMap } = session.configuration;
      return replace(
        session,
        `source ${path}`,
        wanted.map((one) => ({
          place: {
            kind: 'source',
            path,
            line: session.positions.lineFromClient(one.line),
            sourceMap,
            ...(content && { content }),
          },
          mode: one.mode,
          rule: one,
        })),
      );
    },

    setFunctionBreakpoints: (session, { breakpoints: wanted }) =>
      replace(
        session,
        'function',
        wanted.map((one) => wantedAt(() => ({ kind: 'function', name: functionName(one.name) }), one)),
      ),

    setInstructionBreakpoints: (session, { breakpoints: wanted }) =>
      replace(
        session,
        'instruction',
        wanted.map((one) =>
          wantedAt(
            () => ({ kind: 'instruction', address: addressOf(one.instructionReference, one.offset) }),
            one,
          ),
        ),
      ),

    setDataBreakpoints: (session, { breakpoints: wanted }) =>
      replace(
        session,
        'data',
        wanted.map((one) => wantedAt(() => dataPlaceOf(one), one)),
      ),

    dataBreakpointInfo: (session, args) => describeData(session, args),

    breakpointLocations(session, { source, line, endLine = line }) {
      const { positions, target, configuration } = session;
      const path = pathOf(session, source);
      const last = positions.lineFromClient(endLine);
      const lines = new Set<number>();
      for (let at = positions.lineFromClient(line); at <= last;) {
        const matches = target.symbols.findLine({ path, line: at, sourceMap: configuration.sourceMap });
        const found = Math.min(...matches.map((match) => match.line));
        if (found > last) break;
        lines.add(found);
        at = found + 1;
      }
      return { breakpoints: [...lines].map((found) => ({ line: positions.lineToClient(found) })) };
    },
  },
};

async function replace(
  session: Session,
  group: string,
  wanted: readonly (Wanted | VmkdError)[],
): Promise<{ breakpoints: P.Breakpoint[] }> {
  const book: BreakpointBook = session.breakpoints;
  return session.turn.run(async () => ({ breakpoints: await book.replace(group, wanted) }));
}

/** A place that cannot be understood is the breakpoint's own failure. */
function wantedAt(
  place: () => BreakpointPlace,
  one: Wanted['rule'] & { readonly mode?: string },
): Wanted | VmkdError {
  try {
    return { place: place(), mode: one.mode, rule: one };
  } catch (thrown) {
    return asVmkdError(thrown);
  }
}

/** @throws request-bad */
function functionName(text: string): string {
  const name = text.trim();
  if (name !== '') return name;
  throw new VmkdError('request-bad', 'This breakpoint has no name', {
    nextStep: 'Write a function, as nt!KeSetEvent or mydriver!*Dispatch*.',
  });
}

/** To tell whether the file here is the one that was compiled; an unreadable one, or one that is not here, cannot be told. */
function contentOf({ sourceReference = 0 }: P.Source, path: string): Uint8Array | undefined {
  if (sourceReference > 0) return undefined;
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
