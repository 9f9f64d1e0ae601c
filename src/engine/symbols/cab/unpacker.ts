/** What a compression of cabinets must be able to do: one block after another. */

/** Bytes of an unpacked block, at most; all but a folder's last have as many. LZX calls them frames. */
export const blockSize = 32768;

/** Turns the blocks of one folder, in order, into their bytes. */
export interface Unpacker {
  /**
   * @param unpackedSize 1 to `blockSize`.
   * @returns that many bytes, which stay as they are
   * @throws file-damaged
   */
  unpack(block: Uint8Array, unpackedSize: number): Uint8Array;
}
