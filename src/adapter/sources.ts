/**
 * Source files: where those of a PDB are here, and how a client names them. A file that is not here has a number instead,
 * for which `source` gives a text.
 */

import { existsSync } from 'node:fs';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../engine/core/errors';
import { localPath } from '../engine/symbols/services/sourcePaths';
import { Handles } from './handles';
import type { Session } from './session';

export class Sources {
  /** Files of PDBs that are not here, by number; those last as long as the session. */
  readonly absent: Handles<string>;
  readonly #here = new Map<string, string | undefined>();

  constructor(private readonly session: Session) {
    this.absent = new Handles(session.numbers, 'source');
  }

  /** Where a file of a PDB is on this machine; undefined if it is not. */
  here(pdbPath: string): string | undefined {
    if (this.#here.has(pdbPath)) return this.#here.get(pdbPath);
    const mapped = localPath(pdbPath, this.session.configuration.sourceMap);
    const found = [mapped, pdbPath].find((path) => path !== undefined && existsSync(path));
    this.#here.set(pdbPath, found);
    return found;
  }

  describe(pdbPath: string): P.Source {
    const name = pdbPath.replace(/^.*[\\/]/, '');
    const here = this.here(pdbPath);
    if (here !== undefined) return { name, path: this.session.positions.pathToClient(here) };
    return {
      name,
      path: pdbPath,
      sourceReference: this.absent.addOnce(pdbPath, () => pdbPath),
      presentationHint: 'deemphasize',
      origin: 'not on this machine',
    };
  }
}

/** The path that a client means. @throws request-bad */
export function pathOf(session: Session, { path, sourceReference }: P.Source): string {
  if (sourceReference !== undefined && sourceReference > 0)
    return session.sources.absent.get(sourceReference);
  if (path === undefined) throw new VmkdError('request-bad', 'The request names no source file');
  return session.positions.pathFromClient(path);
}
