/**
 * A PDB, opened. Opening reads the directory, the info stream and the list of modules; everything else is read when
 * it is first asked for, and a module's own stream only for an address or line in it.
 *
 *   RVA ─SectionMap─▶ section:offset ─Contributions─▶ Module ─▶ ModuleInfo { symbols, lines, inlinees }
 *                                    └─Publics─▶ name
 *
 * Invariant: at most 64 MiB of module streams are kept (and always the last one used).
 */

import { readOwn, type ByteSource } from '../../core/byteSource';
import { FileBytes } from '../fileBytes';
import { functionTable, type FunctionTable } from '../pe/functionTable';
import { machines } from '../pe/headers';
import { pdbKey } from '../pdbKey';
import { TypeTable } from '../types/typeTable';
import { isImported } from './crossModule';
import { Contributions } from './contributions';
import { debugStreams, readDbi, type Dbi, type Module } from './dbi';
import { Fpo } from './fpo';
import { FrameData, FrameDataTable } from './frameData';
import { Globals } from './globals';
import { readInfo, type PdbInfo } from './info';
import { ModuleInfo } from './moduleInfo';
import { openMsf, type Msf } from './msf';
import { Publics } from './publics';
import { readRvaBlob, type ImagePart } from './rvaBlob';
import { SectionMap } from './sections';
import { readSourceInfo, type SourcePath } from './sourceInfo';
import { StringTable } from './stringTable';

const mostModuleBytes = 64 << 20;
/** Modules of one name that are looked into. */
const mostNamesakes = 16;

export class Pdb {
  readonly msf: Msf;
  readonly info: PdbInfo;
  readonly dbi: Dbi;
  /** GUID and age as symbol stores and images have them. */
  readonly key: string;
  readonly #lazy = new Map<string, unknown>();
  /** Least recently used first. */
  readonly #modules = new Map<number, ModuleInfo>();
  #moduleBytes = 0;
  #lastModule: ModuleInfo | undefined;

  /** @throws file-damaged; file-unsupported */
  constructor(file: ByteSource) {
    this.msf = openMsf(file);
    this.info = readInfo(this.msf);
    this.dbi = readDbi(this.msf);
    this.key = pdbKey(this.info.guid, this.dbi.age);
  }

  get sections(): SectionMap {
    return this.#once('sections', () => new SectionMap(this.dbi));
  }

  get contributions(): Contributions {
    return this.#once('contributions', () => new Contributions(this.dbi.contributions()));
  }

  get publics(): Publics {
    return this.#once(
      'publics',
      () => new Publics(this.#whole(this.dbi.publicsStream, 'publics'), this.#symbolRecords, this.sections),
    );
  }

  get globals(): Globals {
    return this.#once(
      'globals',
      () => new Globals(this.#whole(this.dbi.globalsStream, 'globals'), this.#symbolRecords, this.sections),
    );
  }

  /** Undefined if the PDB has none (it then has no lines either). */
  get strings(): StringTable | undefined {
    return this.#once('strings', () => {
      const index = this.info.namedStreams.get('/names');
      const stream = index === undefined ? undefined : this.msf.stream(index);
      return stream && new StringTable(stream);
    });
  }

  /** @throws file-damaged; file-unsupported if a compiler of before 2005 wrote them */
  get types(): TypeTable {
    return this.#once('types', () => new TypeTable(this.msf, this.info.hasIpi));
  }

  /** Source files with the modules that have code of them. */
  get sourcePaths(): readonly SourcePath[] {
    return this.#once('sourcePaths', () => readSourceInfo(this.dbi.sourceInfo()));
  }

  /** The linker's copies of .pdata and .xdata, if it made them. */
  get pdata(): ImagePart | undefined {
    return this.#once('pdata', () => this.#imagePart(debugStreams.pdata));
  }

  get xdata(): ImagePart | undefined {
    return this.#once('xdata', () => this.#imagePart(debugStreams.xdata));
  }

  /** Where functions begin and end, from those copies. */
  get functions(): FunctionTable | undefined {
    return this.#once('functions', () => {
      const { pdata, xdata } = this;
      if (pdata === undefined || xdata === undefined) return undefined;
      const bytes = new FileBytes(readOwn(pdata, pdata.rva, pdata.length), pdata.name);
      return functionTable(this.dbi.machine, bytes, xdata);
    });
  }

  /** How x86 code unwinds. Undefined: nothing was written about it. */
  get frameData(): FrameData | undefined {
    return this.#once('frameData', () => {
      const { strings, sections } = this;
      if (strings === undefined || this.dbi.machine !== machines.x86) return undefined;
      const rows = this.#wholeDebugStream(debugStreams.newFpo);
      const table = rows && new FrameDataTable([{ rows, base: 0 }]);
      return new FrameData((rva) => table ?? this.#moduleAt(rva)?.frameData, strings, sections);
    });
  }

  /** The same by older compilers, and for assembly code. */
  get fpo(): Fpo | undefined {
    return this.#once('fpo', () => {
      const rows = this.#wholeDebugStream(debugStreams.fpo);
      return rows && new Fpo(rows, this.sections);
    });
  }

  /** What is known of a module; undefined if it has no stream. @throws file-damaged */
  module(index: number): ModuleInfo | undefined {
    if (this.#lastModule?.module.index === index) return this.#lastModule;
    let found = this.#modules.get(index);
    if (found === undefined) {
      const module: Module | undefined = this.dbi.modules[index];
      if (module?.stream === undefined) return undefined;
      found = new ModuleInfo(module, this.msf.needStream(module.stream, module.name));
      this.#moduleBytes += found.size;
      for (const [oldest, info] of this.#modules) {
        if (this.#moduleBytes <= mostModuleBytes) break;
        this.#modules.delete(oldest);
        this.#moduleBytes -= info.size;
      }
    } else {
      this.#modules.delete(index);
    }
    this.#modules.set(index, found);
    this.#lastModule = found;
    return found;
  }

  /**
   * The index into TPI or IPI that a module means by one of its own; the same one, unless it takes it from another module.
   * Undefined if there it is unknown too. @throws file-damaged
   */
  globalIndex(module: ModuleInfo, index: number): number | undefined {
    if (!isImported(index)) return index;
    const imported = module.c13.crossModule.imported(index);
    const name = imported && this.strings?.at(imported.moduleName).toLowerCase();
    if (name === undefined) return undefined;
    for (const exporter of this.#moduleNames.get(name) ?? []) {
      const found = this.module(exporter)?.c13.crossModule.exported(imported!.index);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Modules by their names in lower case: who takes from them writes them so. */
  get #moduleNames(): ReadonlyMap<string, readonly number[]> {
    return this.#once('moduleNames', () => {
      const found = new Map<string, number[]>();
      for (const { index, name } of this.dbi.modules) {
        const key = name.toLowerCase();
        const same = found.get(key);
        if (same === undefined) found.set(key, [index]);
        else if (same.length < mostNamesakes) same.push(index);
      }
      return found;
    });
  }

  get #symbolRecords(): FileBytes {
    return this.#once('symbolRecords', () => this.#whole(this.dbi.symbolRecordsStream, 'symbol records'));
  }

  #whole(index: number, what: string): FileBytes {
    const stream = this.msf.needStream(index, what);
    return new FileBytes(readOwn(stream, 0, stream.size), stream.name);
  }

  #wholeDebugStream(which: Parameters<Dbi['debugStream']>[0]): FileBytes | undefined {
    const stream = this.dbi.debugStream(which);
    return stream && new FileBytes(readOwn(stream, 0, stream.size), stream.name);
  }

  /** The module that an RVA of the image as it was linked came from. */
  #moduleAt(rva: number): ModuleInfo | undefined {
    const place = this.sections.linkedPlaceOf(rva);
    const piece = place && this.contributions.find(place.section, place.offset);
    return piece && this.module(piece.module);
  }

  #imagePart(which: 7 | 8): ImagePart | undefined {
    const stream = this.dbi.debugStream(which);
    return stream && readRvaBlob(stream);
  }

  #once<T>(what: string, make: () => T): T {
    if (!this.#lazy.has(what)) this.#lazy.set(what, make());
    return this.#lazy.get(what) as T;
  }
}
