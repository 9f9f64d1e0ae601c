/**
 * MSF 7.00, the container of every PDB since Visual C++ 7: numbered streams cut into blocks that may lie anywhere in
 * the file, like a small file system. Only the directory is read at opening; a stream's bytes when somebody asks.
 *
 *   superblock (56 bytes, block 0)
 *     00 "Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"   20 u32 block size (512 … 65536)   24 u32 free block map (1 or 2)
 *     28 u32 number of blocks   2c u32 directory bytes   30 u32 unknown   34 u32 block map: the block(s) in a row
 *        that list the blocks of the directory
 *   directory: u32 streams, u32 size[streams] (ffffffff: no such stream), then the block numbers of each in turn
 *
 * Source: LLVM's docs/PDB/MsfFile.rst; Microsoft's pdb-rs, docs/msf.md and msfz.md.
 * Invariants: a stream claims no more bytes than the file has, and every block it names lies in the file; a read that
 * leaves the stream throws `file-damaged`.
 */

import { fileDamaged, mustLieInside, type ByteSource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { layout, u32 } from '../../core/layout';

/** A stream of an MSF: a source like any other. Its `read` is a view of the file's cache or a copy. */
export interface MsfStream extends ByteSource {
  readonly index: number;
}

export interface Msf {
  readonly name: string;
  /** Bytes of the file itself. */
  readonly fileSize: number;
  readonly streamCount: number;
  /** Undefined if there is no stream of that number, or it is nil (deleted). Cheap; the same object every time. */
  stream(index: number): MsfStream | undefined;
  /** As `stream`. @throws file-damaged if there is none; `what` names it in the error. */
  needStream(index: number, what: string): MsfStream;
}

const magic = 'Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0';
const magicOfMsf2 = 'Microsoft C/C++ program database 2.00\r\n';
const magicOfMsfz = 'Microsoft MSFZ Container\r\n\x1aALD';

const superBlock = layout(56, {
  blockSize: [0x20, u32],
  blockCount: [0x28, u32],
  directoryBytes: [0x2c, u32],
  blockMap: [0x34, u32],
});

const nil = 0xffff_ffff;

/** @throws file-damaged; file-unsupported if it is a PDB of another container (MSFZ, MSF 2). */
export function openMsf(file: ByteSource): Msf {
  return new MsfFile(file);
}

class MsfFile implements Msf {
  readonly name: string;
  readonly fileSize: number;
  readonly streamCount: number;
  readonly #file: ByteSource;
  readonly #blockSize: number;
  readonly #directory: DataView;
  /** For each stream, where in the directory its block numbers begin. */
  readonly #blockLists: Uint32Array;
  readonly #streams = new Map<number, MsfStream>();

  constructor(file: ByteSource) {
    this.#file = file;
    this.name = file.name;
    this.fileSize = file.size;
    refuseOtherContainers(file);
    const { blockSize, blockCount, directoryBytes, blockMap } = superBlock.read(
      file.read(0, superBlock.size),
    );
    if (blockSize < 512 || blockSize > 65536 || (blockSize & (blockSize - 1)) !== 0) {
      throw fileDamaged(this.name, `a block size of ${blockSize}`);
    }
    // Writers may leave the last block short.
    if (blockCount > Math.ceil(file.size / blockSize)) {
      throw fileDamaged(this.name, `${blockCount} blocks of ${blockSize} exceed its ${file.size} bytes`);
    }
    if (directoryBytes < 4 || directoryBytes > file.size) {
      throw fileDamaged(this.name, `a directory of ${directoryBytes} bytes`);
    }
    this.#blockSize = blockSize;
    const directoryBlocks = viewOf(
      file.read(blockMap * blockSize, 4 * Math.ceil(directoryBytes / blockSize)),
    );
    const directory = new BlockStream(file, blockSize, 'directory', -1, directoryBytes, directoryBlocks, 0);
    this.#directory = viewOf(directory.read(0, directoryBytes).slice());
    this.streamCount = this.#directory.getUint32(0, true);
    if (4 + this.streamCount * 4 > directoryBytes)
      throw fileDamaged(this.name, `${this.streamCount} streams`);
    this.#blockLists = new Uint32Array(this.streamCount);
    let at = 4 + this.streamCount * 4;
    for (let i = 0; i < this.streamCount; i++) {
      this.#blockLists[i] = at;
      const size = this.#sizeOf(i);
      if (size > file.size) throw fileDamaged(this.name, `stream ${i} claims ${size} bytes`);
      at += 4 * Math.ceil(size / blockSize);
      if (at > directoryBytes) throw fileDamaged(this.name, `stream ${i} exceeds the directory`);
    }
  }

  stream(index: number): MsfStream | undefined {
    if (!(index >= 0 && index < this.streamCount)) return undefined;
    if (this.#directory.getUint32(4 + index * 4, true) === nil) return undefined;
    let stream = this.#streams.get(index);
    if (stream === undefined) {
      const list = this.#blockLists[index] ?? 0;
      const name = `stream ${index}`;
      const size = this.#sizeOf(index);
      stream = new BlockStream(this.#file, this.#blockSize, name, index, size, this.#directory, list);
      this.#streams.set(index, stream);
    }
    return stream;
  }

  needStream(index: number, what: string): MsfStream {
    const stream = this.stream(index);
    if (stream === undefined) throw fileDamaged(this.name, `${what}: there is no stream ${index}`);
    return stream;
  }

  #sizeOf(index: number): number {
    const size = this.#directory.getUint32(4 + index * 4, true);
    return size === nil ? 0 : size;
  }
}

class BlockStream implements MsfStream {
  readonly name: string;
  readonly #file: ByteSource;
  readonly #blockSize: number;
  readonly #blocks: DataView;
  readonly #firstBlock: number;

  /** `blocks` at `firstBlock` holds the numbers of this stream's blocks; the caller saw to it that it does. */
  constructor(
    file: ByteSource,
    blockSize: number,
    name: string,
    readonly index: number,
    readonly size: number,
    blocks: DataView,
    firstBlock: number,
  ) {
    this.name = `${name} of ${file.name}`;
    this.#file = file;
    this.#blockSize = blockSize;
    this.#blocks = blocks;
    this.#firstBlock = firstBlock;
  }

  read(offset: number, length: number): Uint8Array {
    mustLieInside(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const first = this.#run(offset, length);
    if (first.length === length) return this.#file.read(first.offset, length);
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const run = done === 0 ? first : this.#run(offset + done, length - done);
      bytes.set(this.#file.read(run.offset, run.length), done);
      done += run.length;
    }
    return bytes;
  }

  /** The longest part of [offset, offset + length) from its start that lies in one piece in the file. */
  #run(offset: number, length: number): { offset: number; length: number } {
    let block = Math.floor(offset / this.#blockSize);
    const within = offset - block * this.#blockSize;
    const start = this.#number(block);
    let reach = this.#blockSize - within;
    while (reach < length && this.#number(block + 1) === this.#number(block) + 1) {
      block++;
      reach += this.#blockSize;
    }
    return { offset: start * this.#blockSize + within, length: Math.min(reach, length) };
  }

  #number(block: number): number {
    return this.#blocks.getUint32(this.#firstBlock + block * 4, true);
  }
}

function refuseOtherContainers(file: ByteSource): void {
  const start = latin1(file.read(0, Math.min(file.size, 64)));
  if (start.startsWith(magic)) return;
  if (start.startsWith(magicOfMsfz)) {
    throw new VmkdError(
      'file-unsupported',
      `${file.name} is a compressed PDB (MSFZ), which vmkd does not read yet`,
      {
        nextStep:
          'Get the same PDB uncompressed: a symbol server that is not asked for “msfz0” sends it so, and pdbtool can expand it.',
      },
    );
  }
  if (start.startsWith(magicOfMsf2)) {
    throw new VmkdError('file-unsupported', `${file.name} is a PDB of before Visual C++ 7 (MSF 2.00)`);
  }
  throw fileDamaged(file.name, 'it is no PDB: it does not begin with the MSF 7.00 signature');
}

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
