/** Hexadecimal in the forms that kernel people read. */

/** `30 30 69`: bytes separated by blanks. */
export const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** `0x8086`, at least `digits` digits. */
export const hex = (value: number | bigint, digits = 1): string =>
  `0x${value.toString(16).padStart(digits, '0')}`;
