/**
 * The checksum of a CFDATA block: the exclusive or of its little-endian u32s. What is left over at the end, one to three
 * bytes, is taken with its first byte highest. The packed bytes and what stands before them are summed apart.
 *
 * Source: [MS-CAB] section 3.1. It counts the reserved bytes; other writers and readers leave them out.
 */

/** @param sizesAndReserve What lies between the checksum and the packed bytes: two u16, and the reserved bytes. */
export function hasChecksum(said: number, sizesAndReserve: Uint8Array, packed: Uint8Array): boolean {
  const own = said ^ checksum(packed);
  return own === checksum(sizesAndReserve) || own === checksum(sizesAndReserve.subarray(0, 4));
}

function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = bytes.length & ~3;
  let sum = 0;
  for (let at = 0; at < words; at += 4) sum ^= view.getUint32(at, true);
  let rest = 0;
  for (let at = words; at < bytes.length; at++) rest = (rest << 8) | bytes[at]!;
  return sum ^ rest;
}
