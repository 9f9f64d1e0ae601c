/**
 * What is looked for in symbol stores, and under which name and key. Names come from guests, dumps and PDBs: a file of a
 * hostile name must never land, nor be sought, outside its place in the cache.
 *
 *   PDB     ntkrnlmp.pdb / FB9FB7D58AE247B9988973DAF157F7AB1 / ntkrnlmp.pdb      GUID, age
 *   image   ntoskrnl.exe / 5B6C8A7E1046000 / ntoskrnl.exe                        TimeDateStamp (8 digits), SizeOfImage
 *
 * Invariant: a SymbolFile is only made here, and its name is one component that every file system takes for just that.
 */

import { VmkdError } from '../../core/errors';

export interface SymbolFile {
  readonly kind: 'pdb' | 'image';
  /** One path component, checked. */
  readonly name: string;
  /** Hexadecimal digits, as stores write them. */
  readonly key: string;
}

/**
 * @param name Its last component counts, as in an RSDS record that holds the linker's whole path.
 * @param key See `pdbKey`. @throws symbol-name-refused
 */
export function pdbFile(name: string, key: string): SymbolFile {
  if (!/^[0-9A-F]{33,40}$/i.test(key)) throw refused(`“${printable(key)}” is not the key of a PDB.`);
  return { kind: 'pdb', name: safeName(name), key: key.toUpperCase() };
}

/** @param timeDateStamp and @param sizeOfImage from the image's headers. @throws symbol-name-refused */
export function imageFile(name: string, timeDateStamp: number, sizeOfImage: number): SymbolFile {
  const stamp = (timeDateStamp >>> 0).toString(16).toUpperCase().padStart(8, '0');
  return { kind: 'image', name: safeName(name), key: stamp + (sizeOfImage >>> 0).toString(16) };
}

const longestName = 128;
/** What Windows, or a URL, gives a meaning: separators, drives and streams, wild cards, quotes, escapes. */
const forbidden = /[<>:"/\\|?*%#\p{C}\p{Zl}\p{Zp}]/u;
/** Devices, with or without an extension. */
const device = /^(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)/i;

/** @throws symbol-name-refused */
function safeName(path: string): string {
  const name = path.replace(/^.*[\\/]/s, '');
  const isUnsafe = (form: string): boolean =>
    forbidden.test(form) || device.test(form) || /^[. ]|[. ]$/.test(form) || form.length === 0;
  // Compatibility forms too: a full-width solidus is one to some of the programs that will meet the name.
  if (name.length > longestName || isUnsafe(name) || isUnsafe(name.normalize('NFKC'))) {
    throw refused(`“${printable(path)}” is not the name of a symbol file.`);
  }
  return name;
}

const printable = (text: string): string => text.slice(0, 80).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
const refused = (message: string): VmkdError => new VmkdError('symbol-name-refused', message);

/** `ntdll.pd_`: the name under which stores keep a file compressed. */
export const compressedName = (name: string): string => `${name.slice(0, -1)}_`;
