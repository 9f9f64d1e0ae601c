/** Floating-point numbers of 4, 8 and 10 bytes, the last as near as a double gets. Source: Intel SDM volume 1, chapter 4. */

/** By its length. */
export function decodeFloat(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return view.getFloat32(0, true);
  if (bytes.length === 8) return view.getFloat64(0, true);
  const mantissa = view.getBigUint64(0, true);
  const word = view.getUint16(8, true);
  const sign = (word & 0x8000) === 0 ? 1 : -1;
  const exponent = word & 0x7fff;
  if (exponent === 0x7fff) return BigInt.asUintN(63, mantissa) === 0n ? sign * Infinity : NaN;
  return sign * Number(mantissa) * 2 ** -63 * 2 ** (exponent - bias);
}

const bias = 16383;

/** A mantissa of 64 bits with its leading one, an exponent of 15, a sign. */
export function encodeExtended(value: number): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude === 0) {
    view.setUint16(8, sign, true);
  } else if (!Number.isFinite(magnitude)) {
    view.setBigUint64(0, Number.isNaN(value) ? 0xc000_0000_0000_0000n : 0x8000_0000_0000_0000n, true);
    view.setUint16(8, sign | 0x7fff, true);
  } else {
    const exponent = exponentOf(magnitude);
    // Exact: a double has 53 bits, and scaling by powers of two keeps them.
    view.setBigUint64(0, BigInt((magnitude / 2 ** exponent) * 2 ** 52) << 11n, true);
    view.setUint16(8, sign | (exponent + bias), true);
  }
  return bytes;
}

/** The power of two that is not above it. */
function exponentOf(magnitude: number): number {
  let exponent = Math.floor(Math.log2(magnitude));
  if (magnitude / 2 ** exponent >= 2) exponent++;
  if (magnitude / 2 ** exponent < 1) exponent--;
  return exponent;
}
