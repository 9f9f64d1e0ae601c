/** Dictionaries on disk: regular files of a size that such files have. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { VmkdError } from '../../core/errors';
import { parseDictionary, type Dictionary } from './dictionary';

/** Bytes. The largest that were seen, encrypted ones with a virtual TPM, have some 50 KB. */
const largestFile = 4 << 20;

/** @throws machine-config-unreadable: no such file, not to be read, no file at all, too large */
export async function readDictionary(file: string): Promise<Dictionary> {
  return parseDictionary(await readSmallFile(file, largestFile));
}

/** An empty dictionary if there is no such file, or it cannot be read: for files that need not be there. */
export async function readDictionaryIfAny(file: string): Promise<Dictionary> {
  return readDictionary(file).catch(() => parseDictionary(new Uint8Array(0)));
}

/** The whole of a regular file. @param limit Bytes. @throws machine-config-unreadable */
export async function readSmallFile(file: string, limit: number): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK a pipe under that name would keep us waiting for its writer. (Windows has no such flag.)
    const handle = await open(file, constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0));
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new Error('it is not a regular file');
      if (stat.size > limit) throw new Error(`its ${stat.size} bytes are more than such a file has`);
      const bytes = new Uint8Array(stat.size);
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new VmkdError('machine-config-unreadable', `${file} cannot be read: ${why}`, { cause });
  }
}
