/**
 * How a file comes into a cache folder: written under a name of its own beside its place, checked there, then renamed.
 *
 *   cache/ntdll.pdb/KEY/.vmkd-<pid>-<random>.tmp   ── checked ──▶   cache/ntdll.pdb/KEY/ntdll.pdb
 *
 * Invariants: whoever reads the final name sees a whole and checked file, or none; two processes that bring the same file
 * never write to the same one, and the later rename changes nothing that matters; what fails leaves nothing behind.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { openFileSource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { Cabinet } from '../cab/cabinet';
import { isTwoTier, storeFolder } from './folders';
import type { SymbolFile } from './symbolFile';

/** What a process that died may have left is removed after a day. */
const abandonedMilliseconds = 24 * 3600 * 1000;
const mostAttempts = 20;
const copyPiece = 65536;
const fileFaults: readonly string[] = ['file-damaged', 'file-unsupported', 'file-unreadable'];
const ours = /^\.vmkd-\d+-[0-9a-f]+\.tmp(\.cab)?$/;

/**
 * Brings `file` into the cache at `root`. `fill` writes it; `check` says what is wrong with it, if anything.
 * @returns the final path, or what `fill` or `check` said was wrong
 * @throws file-unwritable; whatever `fill` throws
 */
export async function keep(
  root: string,
  file: SymbolFile,
  fill: (handle: FileHandle, temporaryPath: string) => Promise<string | undefined>,
  check: (candidate: string) => Promise<string | undefined>,
): Promise<{ path: string } | { complaint: string }> {
  const folder = storeFolder(root, file, await isTwoTier(root));
  const final = path.join(folder, file.name);
  const temporary = path.join(folder, `.vmkd-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
  const handle = await create(folder, temporary);
  try {
    let complaint: string | undefined;
    try {
      complaint = await fill(handle, temporary);
      if (complaint === undefined) await handle.sync();
    } finally {
      await handle.close();
    }
    complaint ??= await check(temporary);
    if (complaint !== undefined) return { complaint };
    await putInPlace(temporary, final, check);
    return { path: final };
  } finally {
    await rm(temporary, { force: true });
    await removeIfEmpty(folder);
  }
}

/** Another process may remove the folder, while it is empty, between its making and its first file. */
async function create(folder: string, temporary: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeFolder(folder);
      await sweep(folder);
      return await open(temporary, 'wx');
    } catch (error) {
      if (attempt === mostAttempts || (error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw unwritable(folder, error);
      }
    }
  }
}

/** With those above it. Node's own recursive mkdir never ends where a folder is there that takes none (/proc). */
async function makeFolder(folder: string): Promise<void> {
  const made = async (): Promise<void> => {
    try {
      await mkdir(folder);
    } catch (error) {
      const isThere = (await stat(folder).catch(() => undefined))?.isDirectory() === true;
      if (!isThere) throw error;
    }
  };
  try {
    await made();
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await made();
  }
}

/** On Windows a file that somebody reads cannot be replaced: then the one that is there must be right. */
async function putInPlace(
  temporary: string,
  final: string,
  check: (candidate: string) => Promise<string | undefined>,
): Promise<void> {
  try {
    await rename(temporary, final);
  } catch (error) {
    const isThere = await stat(final).then(
      (found) => found.isFile(),
      () => false,
    );
    if (!isThere || (await check(final)) !== undefined) throw unwritable(final, error);
  }
}

/** Unpacks the only file of a cabinet into an open file. @throws file-damaged, file-unsupported, file-unwritable */
export async function unpackInto(handle: FileHandle, cabinetPath: string): Promise<void> {
  const source = openFileSource(cabinetPath);
  try {
    const cabinet = new Cabinet(source);
    const [first] = cabinet.files;
    if (first === undefined) throw new VmkdError('file-damaged', `${cabinetPath} is an empty cabinet`);
    let at = 0;
    for (const piece of cabinet.extract(first)) {
      await writeAt(handle, at, piece);
      at += piece.length;
    }
  } finally {
    source.close();
  }
}

/** @throws file-unreadable, file-damaged (it shrinks), file-unwritable */
export async function copyInto(handle: FileHandle, path: string): Promise<void> {
  const source = openFileSource(path);
  try {
    for (let at = 0; at < source.size; at += copyPiece) {
      await writeAt(handle, at, source.read(at, Math.min(copyPiece, source.size - at)));
    }
  } finally {
    source.close();
  }
}

/** What a damaged, unreadable or unknown file complains of, as a sentence. Other errors pass. */
export async function complaintOf(
  action: Promise<string | undefined> | Promise<void>,
): Promise<string | undefined> {
  try {
    return (await action) ?? undefined;
  } catch (error) {
    if (error instanceof VmkdError && fileFaults.includes(error.code)) return error.message;
    throw error;
  }
}

/** All of `bytes`, at a position of its own: a handle's would outlive its being cut. @throws file-unwritable */
export async function writeAt(handle: FileHandle, at: number, bytes: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < bytes.length;) {
      done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    }
  } catch (error) {
    throw unwritable('the symbol cache', error);
  }
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!ours.test(name)) continue;
    const left = path.join(folder, name);
    const age = await stat(left).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > abandonedMilliseconds) await rm(left, { force: true });
  }
}

/** A folder KEY without a file would only puzzle; another process may just be making use of it. */
async function removeIfEmpty(folder: string): Promise<void> {
  for (const each of [folder, path.dirname(folder)]) {
    try {
      await rmdir(each);
    } catch {
      return;
    }
  }
}

const unwritable = (where: string, cause: unknown): VmkdError =>
  new VmkdError('file-unwritable', `${where}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
