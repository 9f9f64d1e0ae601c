/**
 * One parser for images wherever they lie. A parser is a generator that yields the ranges it wants (RVAs) and is
 * resumed with their bytes; whoever drives it reads them from a file at once, or from guest memory in its own time.
 * A range that cannot be had is thrown into the parser, which may go on without it: pages of guest images are absent.
 */

import type { ByteSource } from '../../core/byteSource';

export interface ImageRange {
  readonly rva: number;
  readonly length: number;
}

/** A parser of a T. */
export type ImageParser<T> = Generator<ImageRange, T, Uint8Array>;

/** Reads `length` bytes at an offset from the image's base. @throws if any of them is absent. */
export type ImageReader = (rva: number, length: number) => Promise<Uint8Array>;

/** Drives a parser with a source whose offsets are RVAs. */
export function parseAt<T>(parser: ImageParser<T>, source: Pick<ByteSource, 'read'>): T {
  let step = parser.next();
  while (!step.done) {
    let bytes: Uint8Array;
    try {
      bytes = source.read(step.value.rva, step.value.length);
    } catch (error) {
      step = parser.throw(error);
      continue;
    }
    step = parser.next(bytes);
  }
  return step.value;
}

/** Drives a parser with a reader of guest memory. */
export async function parseFrom<T>(parser: ImageParser<T>, read: ImageReader): Promise<T> {
  let step = parser.next();
  while (!step.done) {
    let bytes: Uint8Array;
    try {
      bytes = await read(step.value.rva, step.value.length);
    } catch (error) {
      step = parser.throw(error);
      continue;
    }
    step = parser.next(bytes);
  }
  return step.value;
}
