/** What commands on symbol files have in common: options, where PDBs are looked for, progress of downloads. */

import { parseAddress } from '../engine/core/addresses';
import { VmkdError } from '../engine/core/errors';
import type { SourceMapping } from '../engine/symbols/services/sourcePaths';
import { openSymbolFile, type SymbolFileSession } from '../engine/symbols/services/symbolFileSession';
import { defaultCacheFolder } from '../engine/symbols/store/cacheFolder';
import type { DownloadProgress } from '../engine/symbols/store/download';
import { httpGet } from '../engine/symbols/store/http';
import { parseSymbolPath, symbolPathFrom } from '../engine/symbols/store/symbolPath';
import { printableLine, type Terminal } from './terminal';

export const symbolFileOptions = {
  json: { type: 'boolean', default: false },
  'symbol-path': { type: 'string' },
  download: { type: 'boolean', default: false },
  base: { type: 'string' },
  'source-map': { type: 'string', multiple: true, default: [] as string[] },
} as const;

export const symbolFileDetails = `  --symbol-path PATH      where PDBs are looked for, as WinDbg takes it; default: _NT_SYMBOL_PATH. The folder of the image
                          always comes first. Servers are asked only with --download
  --download              lets symbol servers be asked; what comes is kept in the cache of the path
  --base ADDRESS          where the image is taken to be loaded; default: where it wants to be
  --source-map PDB=LOCAL  where source files are here; may be repeated
  --json                  the same as one JSON object
`;

interface SymbolFileValues {
  readonly 'symbol-path'?: string | undefined;
  readonly download: boolean;
}

/** @throws what opening throws; cancelled */
export async function withSymbolFile<T>(
  file: string,
  values: SymbolFileValues,
  terminal: Terminal,
  signal: AbortSignal,
  action: (session: SymbolFileSession) => T | Promise<T>,
): Promise<T> {
  const defaultCache = defaultCacheFolder(process.env);
  const session = await openSymbolFile(file, {
    symbolPath: parseSymbolPath(values['symbol-path'] ?? symbolPathFrom(process.env), defaultCache),
    defaultCache,
    get: httpGet(process.env),
    online: values.download ? { signal, onProgress: progressOn(terminal) } : undefined,
  });
  try {
    return await action(session);
  } finally {
    session.close();
  }
}

/** Why exports serve, in a sentence; undefined if they do not. */
export function whyExports({ search, open }: SymbolFileSession): string | undefined {
  if (open.symbols.quality !== 'exports') return undefined;
  if (search === undefined) return 'The image names no PDB: exports serve as symbols';
  const { fileName, key } = search.reference;
  const wrong = search.attempts.filter(({ outcome }) => outcome === 'wrong' || outcome === 'failed');
  const tried = wrong.map(({ where, reason }) => `${where}: ${reason}`);
  const why = search.refused ?? (tried.length > 0 ? tried.join('; ') : 'it was not found');
  return `No PDB: exports serve as symbols. ${fileName} ${key}: ${why}`;
}

/** @throws usage */
export function parseBase(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const base = parseAddress(text);
  if (base === undefined) throw new VmkdError('usage', `--base wants an address, not “${text}”`);
  return base;
}

/** A whole number from 1 to `most`. @throws usage */
export function parseCount(text: string, option: string, most: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > most)
    throw new VmkdError('usage', `--${option} wants a number from 1 to ${most}, not “${text}”`);
  return count;
}

/** @throws usage */
export function parseSourceMap(texts: readonly string[]): SourceMapping[] {
  return texts.map((text) => {
    const [, pdb, local] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (pdb === undefined || local === undefined)
      throw new VmkdError('usage', `--source-map wants PDB=LOCAL, not “${text}”`);
    return { pdb, local };
  });
}

const step = 4 << 20;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** A line when a download begins, and every few megabytes. */
export function progressOn(terminal: Terminal): (progress: DownloadProgress) => void {
  let next = 0;
  return ({ url, received, total }) => {
    if (received === 0) next = 0;
    if (received < next) return;
    next = received + step;
    const of = total === undefined ? '' : ` of ${megabytes(total)}`;
    terminal.error(`vmkd: ${printableLine(url)}: ${megabytes(received)}${of} MB\n`);
  };
}
