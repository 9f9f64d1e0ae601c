/**
 * Source files: where those of a PDB are here, and how a client names them. A file that is not here has a number instead,
 * for which `source` gives a text.
 */

import { statSync } from 'node:fs';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../engine/core/errors';
import { localPath } from '../engine/symbols/services/sourcePaths';
import { Handles } from './handles';
import type { Session } from './session';

/** No view shows more; each is looked for on the disk. */
const mostSources = 10_000;

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
    const own = isOfNetwork(pdbPath) ? undefined : pdbPath;
    const found = [mapped, own].find((path) => path !== undefined && isFile(path));
    this.#here.set(pdbPath, found);
    return found;
  }

  /** The file of that name, there or here, that some symbols name: others are none of a debugger's business. */
  known(path: string): string | undefined {
    for (const named of this.#named()) {
      const here = this.here(named);
      if (here !== undefined && (here === path || named === path)) return here;
    }
    return undefined;
  }

  /** What the loaded symbols name, by their paths as clients have them. @throws target-not-attached */
  all(): Map<string, P.Source> {
    const found = new Map<string, P.Source>();
    for (const named of this.#named()) {
      const source = this.describe(named);
      found.set(source.path ?? named, source);
      if (found.size === mostSources) break;
    }
    return found;
  }

  /** Of a PDB that is damaged there, none. */
  *#named(): Generator<string> {
    for (const module of this.session.target.symbols.modules)
      for (const { path } of module.ask(() => module.pdb?.sourcePaths ?? [], [])) yield path;
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

/** `\\server\share`: a PDB must not send us there, for Windows tells every server who we are. */
const isOfNetwork = (path: string): boolean => /^[\\/]{2}/.test(path);

/** A pipe or a device would be read for ever. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The path that a client means. @throws request-bad */
export function pathOf(session: Session, { path, sourceReference }: P.Source): string {
  if (sourceReference !== undefined && sourceReference > 0)
    return session.sources.absent.get(sourceReference);
  if (path === undefined) throw new VmkdError('request-bad', 'The request names no source file');
  return session.positions.pathFromClient(path);
}
