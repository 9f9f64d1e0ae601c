/**
 * Which path of a PDB an editor's path means. PDBs have the paths of the machine that built them: other case, other
 * slashes, another drive, folders that do not exist here.
 *
 *   mapped   `sourceMap` says so: its `pdb` prefix stands for its `local` one
 *   exact    the same path, but for case and slashes
 *   suffix   the last folders and the name agree, more of them than with any other path of the PDB
 */

export interface SourceMapping {
  /** Prefix in the PDB: `d:\os\src`. */
  readonly pdb: string;
  /** Prefix here: `/home/me/src`. */
  readonly local: string;
}

export type PathMatch = 'mapped' | 'exact' | 'suffix';

/** Lower case, forward slashes, no `.` or empty parts, `..` resolved: for comparing, never for opening. */
export function comparable(path: string): string {
  const parts: string[] = [];
  for (const part of path.toLowerCase().split(/[\\/]+/)) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** The paths that `path` may mean, and how they were found; several if nothing tells them apart. */
export function matchPaths<T extends { readonly path: string }>(
  path: string,
  candidates: readonly T[],
  sourceMap: readonly SourceMapping[],
): { readonly how: PathMatch; readonly paths: T[] } | undefined {
  const wanted = comparable(path);
  const name = wanted.slice(wanted.lastIndexOf('/') + 1);
  // Comparing names first keeps the rest to a handful.
  const sameName = candidates
    .filter((candidate) => candidate.path.toLowerCase().endsWith(name))
    .map((candidate) => ({ candidate, text: comparable(candidate.path) }))
    .filter(({ text }) => text === name || text.endsWith(`/${name}`));
  const equal = (text: string): T[] =>
    sameName.filter((s) => s.text === text).map(({ candidate }) => candidate);

  for (const { pdb, local } of sourceMap) {
    const prefix = `${comparable(local)}/`;
    if (!wanted.startsWith(prefix)) continue;
    const paths = equal(`${comparable(pdb)}/${wanted.slice(prefix.length)}`);
    if (paths.length > 0) return { how: 'mapped', paths };
  }
  const exact = equal(wanted);
  if (exact.length > 0) return { how: 'exact', paths: exact };

  const scored = sameName.map(({ candidate, text }) => ({ candidate, score: commonParts(wanted, text) }));
  const best = Math.max(0, ...scored.map(({ score }) => score));
  if (best === 0) return undefined;
  return {
    how: 'suffix',
    paths: scored.filter(({ score }) => score === best).map(({ candidate }) => candidate),
  };
}

/** Where a path of the PDB is here, by the source map; undefined if it says nothing of it. */
export function localPath(path: string, sourceMap: readonly SourceMapping[]): string | undefined {
  const forward = path.replace(/\\/g, '/');
  for (const { pdb, local } of sourceMap) {
    const prefix = pdb.replace(/\\/g, '/').replace(/\/+$/, '');
    if (!forward.toLowerCase().startsWith(`${prefix.toLowerCase()}/`)) continue;
    const separator = local.includes('\\') ? '\\' : '/';
    const rest = forward
      .slice(prefix.length + 1)
      .split('/')
      .filter((part) => part !== '' && part !== '.');
    // A PDB must not lead out of the folder that was given to it.
    if (rest.includes('..')) return undefined;
    return [local.replace(/[\\/]+$/, ''), ...rest].join(separator);
  }
  return undefined;
}

function commonParts(a: string, b: string): number {
  const [x, y] = [a.split('/').reverse(), b.split('/').reverse()];
  let count = 0;
  while (count < x.length && count < y.length && x[count] === y[count]) count++;
  return count;
}
