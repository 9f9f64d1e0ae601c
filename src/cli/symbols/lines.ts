/** `--lines FILE:LINE`: where the code of a source line is, by the path that an editor has. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { VmkdError } from '../../engine/core/errors';
import { nearNames, offer } from '../../engine/symbols/services/nearNames';
import { findLine, type LineMatch } from '../../engine/symbols/services/sourceLines';
import { localPath } from '../../engine/symbols/services/sourcePaths';
import type { Answer, SymbolView } from '../symbolView';

export interface SourceLineQuery {
  readonly path: string;
  readonly line: number;
  /** Of the file, if it is here. */
  readonly content: Uint8Array | undefined;
}

/** @throws usage */
export function parseSourceLine(text: string): SourceLineQuery {
  const [, path, line] = /^(.+):(\d{1,7})$/s.exec(text) ?? [];
  if (path === undefined || line === undefined || Number(line) === 0)
    throw new VmkdError('usage', `--lines wants FILE:LINE, not “${text}”`);
  const content = contentOf(path);
  // An editor gives whole paths.
  return { path: content === undefined ? path : resolve(path), line: Number(line), content };
}

/** The editor may show a file that is not on this disk: then nothing is compared. */
function contentOf(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Undefined if no file of the PDB is meant, or none has code at or after the line. */
export function describeLine(view: SymbolView, query: SourceLineQuery): Answer | undefined {
  const { session, options } = view;
  const { pdb } = session.open;
  const { path, line, content } = query;
  const found =
    pdb && findLine(pdb, { path, line, sourceMap: options.sourceMap, ...(content && { content }) });
  if (found === undefined || found.length === 0) return undefined;
  return {
    data: {
      file: session.path,
      module: session.moduleName,
      matches: found.map((match) => ({
        ...match,
        localPath: localPath(match.path, options.sourceMap),
        code: match.code.map((code) => ({
          address: view.addressOf(code.rva),
          symbol: view.place(code.rva),
          ...code,
        })),
      })),
    },
    lines: found.flatMap((match) => matchLines(view, query, match)),
  };
}

export const sourceNames = ({ session }: SymbolView): string[] =>
  (session.open.pdb?.sourcePaths ?? []).map(({ path }) => path);

/** The error to give if no file has code of the line. @param sources All paths that there are. */
export function noSuchLine({ path, line }: SourceLineQuery, sources: readonly string[]): VmkdError {
  const nameOf = (source: string): string => source.replace(/^.*[\\/]/s, '');
  const name = nameOf(path);
  if (sources.some((source) => nameOf(source).toLowerCase() === name.toLowerCase())) {
    return new VmkdError('name-unknown', `There is no code at line ${line} of ${path}, nor behind it`, {
      nextStep: 'Choose an earlier line. Code that was optimised away has no lines.',
    });
  }
  const near = nearNames(name, new Set(sources.map(nameOf)));
  return new VmkdError('name-unknown', `No code comes from a file like ${path}${offer(near)}`, {
    nextStep:
      sources.length > 0
        ? 'Give a file that was compiled into it; --source-map PDB=LOCAL says where its folders are here.'
        : 'Lines are in private PDBs only. Get the one that the build made.',
  });
}

const verdicts = {
  match: 'the file here is the one that was compiled',
  mismatch: 'the file here is not the one that was compiled: lines may be off',
  unknown: 'whether the file here is the one that was compiled is not known',
} as const;

function matchLines(view: SymbolView, query: SourceLineQuery, match: LineMatch): string[] {
  const here = localPath(match.path, view.options.sourceMap);
  const moved = match.line === query.line ? '' : ` (line ${query.line} has no code)`;
  return [
    `${match.path} @ ${match.line}${moved}`,
    `  ${match.how} path${here === undefined ? '' : ` of ${here}`}; ${verdicts[match.checksum]}`,
    ...match.code.map(({ rva, length, first, inlined }) => {
      const notes = [first ? 'first' : '', inlined ? 'inlined' : ''].filter((note) => note !== '').join(', ');
      return `  ${view.address(rva)}   ${view.place(rva) ?? '?'}   ${length} bytes${notes === '' ? '' : `   ${notes}`}`;
    }),
  ];
}
