/**
 * Which modules have code of which source file: the DBI stream's source info, so that a breakpoint by file and line
 * reads only those modules.
 *
 *   u16 modules, u16 files (cut off at 65535: not to be used), u16 module indices[modules], u16 file counts[modules],
 *   u32 offsets of paths[sum of the counts], the paths (NUL-ended)
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

export interface SourcePath {
  readonly path: string;
  /** 0-based, ascending. */
  readonly modules: readonly number[];
}

/** @throws file-damaged */
export function readSourceInfo(bytes: FileBytes): SourcePath[] {
  if (bytes.length < 4) return [];
  const moduleCount = bytes.u16(0);
  const countsAt = 4 + moduleCount * 2;
  const offsetsAt = countsAt + moduleCount * 2;
  let fileCount = 0;
  for (let i = 0; i < moduleCount; i++) fileCount += bytes.u16(countsAt + i * 2);
  const names = bytes.part(offsetsAt + fileCount * 4, bytes.length - offsetsAt - fileCount * 4);
  const byOffset = new Map<number, number[]>();
  let at = offsetsAt;
  for (let module = 0; module < moduleCount; module++) {
    for (let i = bytes.u16(countsAt + module * 2); i > 0; i--, at += 4) {
      const offset = bytes.u32(at);
      const modules = byOffset.get(offset);
      if (modules === undefined) byOffset.set(offset, [module]);
      else if (modules[modules.length - 1] !== module) modules.push(module);
    }
  }
  let length = 0;
  return [...byOffset].map(([offset, modules]) => {
    const path = names.string(offset, offset + longestPath);
    // Paths lie one after the other; only a hostile file has them overlap.
    length += path.length;
    if (length > bytes.length) throw fileDamaged(bytes.name, 'its source paths overlap');
    return { path, modules };
  });
}

const longestPath = 4096;
