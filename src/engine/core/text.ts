/** Text as NT's debugger protocol carries it: ANSI (code page unknown; Windows-1252 is assumed) and UTF-16. */

/** Where Windows-1252 differs from Latin-1: 0x80 to 0x9f. (Node 20's own decoder takes them for Latin-1.) */
const windows1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
const utf16 = new TextDecoder('utf-16le');

export const decodeAnsi = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString('latin1')
    .replace(/[\u0080-\u009f]/g, (character) => windows1252[character.charCodeAt(0) - 0x80]!);

/** What `decodeAnsi` makes of each byte, the other way round. */
const ansiBytes = new Map(Array.from({ length: 256 }, (_, byte) => [decodeAnsi(Uint8Array.of(byte)), byte]));

/** The inverse of `decodeAnsi`. Characters that the code page lacks become '?', as in Windows. */
export const encodeAnsi = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => ansiBytes.get(character) ?? 0x3f);

/** Up to the first NUL, or all of it. */
export function decodeUtf16z(bytes: Uint8Array): string {
  const text = utf16.decode(bytes.subarray(0, bytes.length & ~1));
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Control characters as their pictures, `␛`: such a name is text in a terminal, too, and one without backslashes. */
export const visibleText = (text: string): string =>
  text.replace(/\p{Cc}/gu, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '␡' : '�';
  });

/** With the closing NUL. */
export function encodeUtf16z(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length + 1) * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i), true);
  return bytes;
}

/** Up to the first NUL, or all of it. */
export function decodeAnsiz(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeAnsi(end < 0 ? bytes : bytes.subarray(0, end));
}
