/**
 * Symbol paths as WinDbg takes them. Elements stand between semicolons and are searched from left to right.
 *
 *   C:\symbols                                  a folder: plain, or laid out as a store
 *   srv*C:\cache*\\share\store*https://server   stores: from the nearest to the farthest; what a farther one has
 *                                               fills the nearer ones. srv* alone: Microsoft's server
 *   srv*https://server, srv**https://server     the default cache in front
 *   symsrv*symsrv.dll*C:\cache*https://server   the same in full
 *   cache*C:\cache                              what elements to the right of it bring is kept there
 *
 * Invariant: each chain ends up as folders, then servers; the folder in front is where files are kept.
 *
 * Source: Microsoft's documentation of symbol paths and of SymSrv.
 */

import { VmkdError } from '../../core/errors';

export const microsoftServer = 'https://msdl.microsoft.com/download/symbols';

export type StorePlace =
  { readonly kind: 'folder'; readonly path: string } | { readonly kind: 'server'; readonly url: URL };

export type PathElement =
  | { readonly kind: 'plain'; readonly path: string; readonly cache: string | undefined }
  /** From the nearest to the farthest; the first is a folder. */
  | { readonly kind: 'chain'; readonly stores: readonly StorePlace[] };

/** What the user means who has said nothing: `_NT_SYMBOL_PATH`, else Microsoft's server. */
export function symbolPathFrom(environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment['_NT_SYMBOL_PATH']?.trim() ?? '';
  return given === '' ? 'srv*' : given;
}

/** @param defaultCache The folder where `srv*` keeps what it brings, when none is named. @throws symbol-path-bad */
export function parseSymbolPath(text: string, defaultCache: string): PathElement[] {
  const elements: PathElement[] = [];
  let cache: string | undefined;
  for (const raw of text.split(';')) {
    const element = raw.trim();
    if (element === '') continue;
    if (element.includes('\0')) throw bad(element, 'it holds a NUL');
    const [keyword = '', ...parts] = element.split('*').map((part) => part.trim());
    if (parts.length === 0) {
      if (isUrl(element)) throw bad(element, `write srv*${element}`);
      elements.push({ kind: 'plain', path: element, cache });
      continue;
    }
    switch (keyword.toLowerCase()) {
      case 'cache': {
        if (parts.length > 1 || isUrl(parts[0]!)) throw bad(element, 'cache* takes one folder');
        cache = parts[0] === '' ? defaultCache : parts[0]!;
        elements.push({ kind: 'chain', stores: [{ kind: 'folder', path: cache }] });
        break;
      }
      case 'symsrv':
        // The name of the DLL that would serve it.
        elements.push(chain(element, parts.slice(1), cache, defaultCache));
        break;
      case 'srv':
        elements.push(chain(element, parts, cache, defaultCache));
        break;
      default:
        throw bad(element, 'only srv*, symsrv* and cache* are known');
    }
  }
  return elements;
}

function chain(
  element: string,
  parts: readonly string[],
  cache: string | undefined,
  defaultCache: string,
): PathElement {
  const stores: StorePlace[] = parts.flatMap((part, i) => {
    if (part !== '') return [placeOf(element, part)];
    // srv** : the default cache. An empty end, as in srv*C:\cache* , means nothing.
    return i < parts.length - 1 ? [{ kind: 'folder' as const, path: defaultCache }] : [];
  });
  if (stores.length === 0) stores.push({ kind: 'server', url: new URL(microsoftServer) });
  if (cache !== undefined) stores.unshift({ kind: 'folder', path: cache });
  else if (stores[0]!.kind === 'server') stores.unshift({ kind: 'folder', path: defaultCache });
  const firstServer = stores.findIndex((store) => store.kind === 'server');
  if (firstServer >= 0 && stores.slice(firstServer).some((store) => store.kind === 'folder')) {
    throw bad(element, 'folders come before servers');
  }
  return { kind: 'chain', stores };
}

function placeOf(element: string, part: string): StorePlace {
  if (!isUrl(part)) return { kind: 'folder', path: part };
  let url: URL;
  try {
    url = new URL(part);
  } catch {
    throw bad(element, `${part} is not a URL`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw bad(element, 'servers speak http or https');
  return { kind: 'server', url };
}

/** Two letters at least: C: is a drive. */
const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]+:/i.test(text);

const bad = (element: string, why: string): VmkdError =>
  new VmkdError('symbol-path-bad', `In the symbol path, “${element}”: ${why}.`);
