/**
 * Where a file may lie in a folder, and looking there.
 *
 *   store      root/name/KEY/name, compressed root/name/KEY/nam_, or root/name/KEY/file.ptr, which names another place
 *   two-tier   the same below root/na: the first two letters of the name; root/index2.txt says so
 *   plain      root/name, root/dll/name, root/symbols/dll/name (dll, exe, sys)
 *
 * Invariant: every path is root and checked components; only a pointer in a folder, never one from a server, leads
 * elsewhere.
 */

import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { compressedName, type SymbolFile } from './symbolFile';

export type Candidate =
  { readonly kind: 'file'; readonly path: string } | { readonly kind: 'compressed'; readonly path: string };

const longestPointer = 4096;

/** The upper folder of a two-tier store. By characters: half a surrogate pair is no name. */
export const firstTier = (name: string): string => Array.from(name).slice(0, 2).join('');

/** The folder of a file inside a store. */
export function storeFolder(root: string, { name, key }: SymbolFile, twoTier: boolean): string {
  return path.join(root, ...(twoTier ? [firstTier(name)] : []), name, key);
}

export const isTwoTier = (root: string): Promise<boolean> => isFile(path.join(root, 'index2.txt'));

/** What a store folder has of it, best first. */
export async function findInStore(root: string, file: SymbolFile): Promise<Candidate[]> {
  const twoTier = await isTwoTier(root);
  const found: Candidate[] = [];
  for (const variant of spellings(file)) {
    const folder = storeFolder(root, variant, twoTier);
    const whole = path.join(folder, variant.name);
    if (await isFile(whole)) found.push({ kind: 'file', path: whole });
    const compressed = path.join(folder, compressedName(variant.name));
    if (await isFile(compressed)) found.push({ kind: 'compressed', path: compressed });
    const pointed = await followPointer(path.join(folder, 'file.ptr'));
    if (pointed !== undefined) {
      const kind = pointed.endsWith('_') ? 'compressed' : 'file';
      if (await isFile(pointed)) found.push({ kind, path: pointed });
    }
    if (found.length > 0) break;
  }
  return found;
}

/** What a plain folder has under its name; whether it is the right one, only its contents tell. */
export async function findInPlainFolder(root: string, file: SymbolFile): Promise<Candidate[]> {
  const places = [[], ...['dll', 'exe', 'sys'].flatMap((kind) => [[kind], ['symbols', kind]])];
  const found: Candidate[] = [];
  for (const place of places) {
    for (const name of new Set([file.name, file.name.toLowerCase()])) {
      const candidate = path.join(root, ...place, name);
      if (await isFile(candidate)) found.push({ kind: 'file', path: candidate });
    }
  }
  return [...found, ...(await findInStore(root, file))];
}

/** Stores were written by Windows, where case does not matter; here it may. */
function spellings(file: SymbolFile): SymbolFile[] {
  const names = new Set([file.name, file.name.toLowerCase()]);
  const keys = new Set([file.key, file.key.toUpperCase(), file.key.toLowerCase()]);
  return [...names].flatMap((name) => [...keys].map((key) => ({ ...file, name, key })));
}

/** `PATH:\\share\ntdll.pdb`; `MSG: …` tells people why there is none. */
async function followPointer(pointer: string): Promise<string | undefined> {
  if (!(await isFile(pointer))) return undefined;
  const handle = await open(pointer, 'r');
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(longestPointer), position: 0 });
    const target = /^\s*PATH:(.+?)\s*$/im.exec(buffer.toString('utf8', 0, bytesRead))?.[1];
    return target !== undefined && path.isAbsolute(target) && !target.includes('\0') ? target : undefined;
  } finally {
    await handle.close();
  }
}

async function isFile(candidate: string): Promise<boolean> {
  try {
    return (await stat(candidate)).isFile();
  } catch {
    return false;
  }
}
