/**
 * The copies of .pdata and .xdata that Microsoft's linker puts into a PDB: with them a stack is unwound without the
 * image.
 *
 *   00 u32 version 1  04 u32 header bytes  08 u32 data bytes  0c u32 RVA of the data  10 u64 image base  18 reserved
 */

import { mustLieInside, type ByteSource } from '../../core/byteSource';
import { layout, u32 } from '../../core/layout';

const header = layout(16, { headerBytes: [4, u32], dataBytes: [8, u32], rva: [0xc, u32] });

/** A part of the image. `read` takes RVAs; those outside [rva, rva + length) are refused. */
export interface ImagePart extends ByteSource {
  readonly rva: number;
  readonly length: number;
}

/** Undefined if the stream holds no such part. */
export function readRvaBlob(stream: ByteSource): ImagePart | undefined {
  if (stream.size < header.size) return undefined;
  const { headerBytes, dataBytes, rva } = header.read(stream.read(0, header.size));
  if (headerBytes < header.size || headerBytes + dataBytes > stream.size) return undefined;
  return {
    name: stream.name,
    size: rva + dataBytes,
    rva,
    length: dataBytes,
    read(at, length) {
      mustLieInside({ name: stream.name, size: dataBytes }, at - rva, length);
      return stream.read(headerBytes + at - rva, length);
    },
  };
}
