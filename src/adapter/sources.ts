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

  /** The file of that name, there or here, that some symbols name: others are none of a debugger's business. */
  known(path: string): string | undefined {
    for (const { pdb } of this.session.target.symbols.modules) {
      for (const source of pdb?.sourcePaths ?? []) {
        const here = this.here(source.path);
        if (here !== undefined && (here === path || source.path === path)) return here;
      }
    }
    return undefined;
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
