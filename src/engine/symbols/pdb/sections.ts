/**
 * From a symbol's section and offset to an RVA of the image, and back. The PDB has its own copy of the image's section
 * headers, so the image is not needed. If the image was rearranged after linking (OMAP), symbols still speak of the
 * old order: old section headers, then the map.
 *
 *   section:offset ──(original) sections──▶ RVA before ──OmapFromSource──▶ RVA in the image
 *   OMAP: sorted pairs {u32 rva, u32 rva there}; each holds until the next; 0 there: nowhere
 */

import { FileBytes } from '../fileBytes';
import { parseSections, type Section } from '../pe/headers';
import { debugStreams, type Dbi } from './dbi';

/** 1-based, as in symbols. */
export interface SectionOffset {
  readonly section: number;
  readonly offset: number;
}

export class SectionMap {
  /** Of the image, in order of number. */
  readonly sections: readonly Section[];
  /** What symbols speak of: the same, unless the image was rearranged. */
  readonly #symbolSections: readonly Section[];
  readonly #fromSource: Omap | undefined;
  readonly #toSource: Omap | undefined;

  /** @throws file-damaged */
  constructor(dbi: Dbi) {
    const bytesOf = (which: Parameters<Dbi['debugStream']>[0]): FileBytes | undefined => {
      const stream = dbi.debugStream(which);
      return stream === undefined || stream.size === 0
        ? undefined
        : new FileBytes(stream.read(0, stream.size), stream.name);
    };
    const sectionsOf = (bytes: FileBytes | undefined): Section[] =>
      bytes === undefined ? [] : parseSections(bytes);
    this.sections = sectionsOf(bytesOf(debugStreams.sections));
    const fromSource = bytesOf(debugStreams.omapFromSource);
    const toSource = bytesOf(debugStreams.omapToSource);
    const original = bytesOf(debugStreams.originalSections);
    this.#fromSource = fromSource && new Omap(fromSource);
    this.#toSource = toSource && new Omap(toSource);
    this.#symbolSections = this.#fromSource && original ? sectionsOf(original) : this.sections;
  }

  /** Whether addresses go through an OMAP. */
  get rearranged(): boolean {
    return this.#fromSource !== undefined;
  }

  /** Undefined if the section does not exist or the address has no place in the image. */
  rvaOf(section: number, offset: number): number | undefined {
    const found = this.#symbolSections[section - 1];
    if (found === undefined) return undefined;
    return this.imageRva(found.rva + offset);
  }

  /** Where an RVA of the image as it was linked is now. Undefined: nowhere. */
  imageRva(linkedRva: number): number | undefined {
    return this.#fromSource ? this.#fromSource.map(linkedRva) : linkedRva;
  }

  /** The other way. */
  linkedRva(imageRva: number): number | undefined {
    return this.#toSource ? this.#toSource.map(imageRva) : imageRva;
  }

  /** Where symbols say an RVA of the image is. */
  placeOf(rva: number): SectionOffset | undefined {
    const linked = this.linkedRva(rva);
    return linked === undefined ? undefined : this.linkedPlaceOf(linked);
  }

  /** The same for an RVA of the image as it was linked. */
  linkedPlaceOf(linkedRva: number): SectionOffset | undefined {
    for (let i = this.#symbolSections.length - 1; i >= 0; i--) {
      const section = this.#symbolSections[i]!;
      if (linkedRva < section.rva) continue;
      const offset = linkedRva - section.rva;
      return offset < section.size ? { section: i + 1, offset } : undefined;
    }
    return undefined;
  }

  /** Whether a section holds code. */
  isCode(section: number): boolean {
    return ((this.#symbolSections[section - 1]?.characteristics ?? 0) & 0x2000_0020) !== 0;
  }
}

class Omap {
  readonly #count: number;

  constructor(private readonly pairs: FileBytes) {
    this.#count = pairs.length >> 3;
  }

  map(rva: number): number | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.pairs.u32(middle * 8) <= rva) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const at = (low - 1) * 8;
    const target = this.pairs.u32(at + 4);
    return target === 0 ? undefined : target + rva - this.pairs.u32(at);
  }
}
