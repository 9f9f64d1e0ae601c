/** Byte strings. */

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && beginsWith(a, b);

export function beginsWith(bytes: Uint8Array, begin: Uint8Array): boolean {
  if (bytes.length < begin.length) return false;
  for (let i = 0; i < begin.length; i++) if (bytes[i] !== begin[i]) return false;
  return true;
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
