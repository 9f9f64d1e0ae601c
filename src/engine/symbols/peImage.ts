/**
 * PE images: from a file, laid out as on disk, and from guest memory, laid out as loaded and with pages absent. Both
 * are hostile: see pe/headers.ts for what is bounded.
 */

import { mustLieInside, type ByteSource } from '../core/byteSource';
import { FileBytes } from './fileBytes';
import { parsePdbReference, type PdbReference } from './pe/debugDirectory';
import { parseExports, type ExportTable } from './pe/exports';
import { functionTable, type FunctionTable } from './pe/functionTable';
import { parseHeaders, type PeImage } from './pe/headers';
import { parseAt, parseFrom, type ImageReader } from './pe/reading';

const inMemory = 'The image in memory';

/** @throws file-damaged if it is no PE image; whatever `read` throws. */
export async function readPeImage(read: ImageReader): Promise<PeImage> {
  return parseFrom(parseHeaders(inMemory), read);
}

/** Exported names and their RVAs, without forwarders and what is exported by ordinal only. */
export async function readExports(read: ImageReader, image: PeImage): Promise<ReadonlyMap<string, number>> {
  const { symbols } = await readExportTable(read, image);
  return new Map(
    symbols.flatMap(({ name, rva, forwarder }) =>
      name === undefined || forwarder !== undefined ? [] : [[name, rva]],
    ),
  );
}

/** Everything that is exported, as far as its pages are present. */
export async function readExportTable(read: ImageReader, image: PeImage): Promise<ExportTable> {
  return parseFrom(parseExports(image, inMemory), read);
}

/** Which PDB belongs to an image in memory. @throws what `read` throws if that page is absent. */
export async function readPdbReference(read: ImageReader, image: PeImage): Promise<PdbReference | undefined> {
  return parseFrom(parsePdbReference(image, inMemory), read);
}

/** A PE file. All of it is read when it is asked for; an RVA without bytes in the file reads as zeros. */
export class PeFile {
  readonly image: PeImage;
  /** Bytes by RVA, as the loader would lay them out (without relocations). */
  readonly memory: ByteSource;
  #functions: FunctionTable | undefined;

  /** @throws file-damaged if it is no PE image. */
  constructor(readonly file: ByteSource) {
    this.image = parseAt(parseHeaders(file.name), file);
    this.memory = loaded(file, this.image);
  }

  exports(): ExportTable {
    return parseAt(parseExports(this.image, this.file.name), this.memory);
  }

  pdbReference(): PdbReference | undefined {
    return parseAt(parsePdbReference(this.image, this.file.name), this.memory);
  }

  /** Undefined on machines without one (x86). */
  functions(): FunctionTable | undefined {
    const { exceptions, machine } = this.image;
    if (exceptions === undefined) return undefined;
    if (this.#functions === undefined) {
      const pdata = new FileBytes(this.memory.read(exceptions.rva, exceptions.size), this.file.name);
      this.#functions = functionTable(machine, pdata, this.memory);
    }
    return this.#functions;
  }
}

function loaded(file: ByteSource, image: PeImage): ByteSource {
  const headers = Math.min(image.sizeOfHeaders, file.size);
  const parts = [{ rva: 0, fileOffset: 0, fileSize: headers, size: headers }, ...image.sections];
  const present = (part: { fileSize: number; size: number }): number => Math.min(part.fileSize, part.size);
  return {
    name: file.name,
    size: image.sizeOfImage,
    read(rva, length) {
      mustLieInside(this, rva, length);
      const whole = parts.find((p) => p.rva <= rva && rva + length <= p.rva + present(p));
      if (whole !== undefined) return file.read(whole.fileOffset + rva - whole.rva, length);
      // Partly or wholly zeros. SizeOfImage is only a claim: what is longer than the file was not meant seriously.
      mustLieInside({ name: file.name, size: file.size + 0x10000 }, 0, length);
      const bytes = new Uint8Array(length);
      for (const part of parts) {
        const start = Math.max(rva, part.rva);
        const end = Math.min(rva + length, part.rva + present(part));
        if (start < end) bytes.set(file.read(part.fileOffset + start - part.rva, end - start), start - rva);
      }
      return bytes;
    },
  };
}
