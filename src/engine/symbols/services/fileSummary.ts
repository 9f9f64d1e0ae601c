/** What a PDB and an image are, in figures: what a person wants to know before asking for a symbol. */

import { VmkdError } from '../../core/errors';
import { debugStreams } from '../pdb/dbi';
import type { Pdb } from '../pdb/pdb';
import { guidText, pdbKey } from '../pdbKey';
import type { PeFile } from '../peImage';
import { imageFile } from '../store/symbolFile';

export interface PdbSummary {
  readonly container: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly streams: number;
  readonly guid: string;
  /** That of the DBI header: images name the PDB by it. */
  readonly age: number;
  /** That of the info stream: how often the file was written. */
  readonly infoAge: number;
  readonly key: string;
  readonly machine: number;
  readonly quality: 'private' | 'public';
  readonly incrementallyLinked: boolean;
  readonly modules: number;
  readonly publics: number;
  readonly globals: number;
  /** Undefined if they are of an age that is not read. */
  readonly types: number | undefined;
  readonly sourceFiles: number;
  /** Which of the streams that not every linker writes are there, with their bytes. */
  readonly optionalStreams: Readonly<Partial<Record<keyof typeof debugStreams, number>>>;
}

/** @throws file-damaged */
export function summarisePdb(pdb: Pdb): PdbSummary {
  const { info, dbi, msf } = pdb;
  const names = Object.keys(debugStreams) as (keyof typeof debugStreams)[];
  const sizes = names.map((name) => [name, dbi.debugStream(debugStreams[name])?.size ?? 0] as const);
  return {
    container: 'MSF 7.00',
    size: msf.fileSize,
    streams: msf.streamCount,
    guid: guidText(info.guid),
    age: dbi.age,
    infoAge: info.age,
    key: pdbKey(info.guid, dbi.age),
    machine: dbi.machine,
    quality: dbi.stripped ? 'public' : 'private',
    incrementallyLinked: dbi.incrementallyLinked,
    modules: dbi.modules.length,
    publics: pdb.publics.count,
    globals: pdb.globals.count,
    types: countTypes(pdb),
    sourceFiles: pdb.sourcePaths.length,
    optionalStreams: Object.fromEntries(sizes.filter(([, size]) => size > 0)),
  };
}

function countTypes(pdb: Pdb): number | undefined {
  try {
    return pdb.types.types.end - pdb.types.types.begin;
  } catch (error) {
    if (error instanceof VmkdError && error.code === 'file-unsupported') return undefined;
    throw error;
  }
}

export interface ImageSummary {
  readonly machine: number;
  readonly timeDateStamp: number;
  /** Bytes in memory. */
  readonly sizeOfImage: number;
  readonly imageBase: bigint;
  readonly entryPoint: number;
  /** As symbol stores have it. */
  readonly key: string;
  readonly sections: readonly SectionSummary[];
  readonly exports: number;
  /** Entries of the function table; undefined where there is none (x86). */
  readonly functions: number | undefined;
}

interface SectionSummary {
  readonly name: string;
  readonly rva: number;
  readonly size: number;
  /** `rx`, `rw`… */
  readonly access: string;
}

/** @throws file-damaged */
export function summariseImage(file: PeFile): ImageSummary {
  const { machine, timeDateStamp, sizeOfImage, imageBase, entryPoint, sections } = file.image;
  return {
    machine,
    timeDateStamp,
    sizeOfImage,
    imageBase,
    entryPoint,
    key: imageFile('image', timeDateStamp, sizeOfImage).key,
    sections: sections.map(({ name, rva, size, characteristics }) => ({
      name,
      rva,
      size,
      access: accessOf(characteristics),
    })),
    exports: file.exports().symbols.length,
    functions: file.functions()?.count,
  };
}

const accessOf = (characteristics: number): string =>
  (['r', 'w', 'x'] as const)
    .filter((right) => (characteristics & { r: 0x4000_0000, w: 0x8000_0000, x: 0x2000_0000 }[right]) !== 0)
    .join('');
