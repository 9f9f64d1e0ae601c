/**
 * Text of source files. Files that are here the client opens itself; of those that are not, it gets a listing instead: the
 * lines that have code, in their places, so that the arrow of the stack and breakpoints still mean something.
 */

import { readFileSync } from 'node:fs';
import { VmkdError } from '../../engine/core/errors';
import type { Family } from '../protocol';
import type { Session } from '../session';

/** Lines of a listing; the largest source files have some 100,000. */
const mostLines = 200_000;

export const source: Family = {
  requests: {
    source(session, { sourceReference, source: named }) {
      const reference = named?.sourceReference ?? sourceReference;
      if (reference > 0) {
        const path = session.sources.absent.get(reference);
        return { content: listingOf(session, path), mimeType: 'text/x-c' };
      }
      const path = named?.path === undefined ? undefined : session.positions.pathFromClient(named.path);
      const here = path === undefined ? undefined : session.sources.known(path);
      if (here !== undefined) return { content: readFileSync(here, 'utf8') };
      throw new VmkdError('file-unreadable', `${path ?? 'This source file'} is not on this machine`, {
        nextStep: 'Map its folder to one of this machine by “sourceMap” in launch.json.',
      });
    },
  },
};

function listingOf({ target }: Session, path: string): string {
  const lines: string[] = [
    `// ${path} is not on this machine: these are the lines that have code. Map the folder by “sourceMap” in launch.json.`,
  ];
  for (const [line, addresses] of target.symbols.linesWithCode(path)) {
    if (line <= 1 || line > mostLines) continue;
    lines[line - 1] = addresses.map((address) => target.symbols.nameOf(address) ?? '').join(', ');
  }
  return Array.from(lines, (text: string | undefined) => text ?? '').join('\n');
}
