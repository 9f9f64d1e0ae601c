/** Text as NT's debugger protocol carries it: ANSI (code page unknown; Windows-1252 is assumed) and UTF-16. */

const ansi = new TextDecoder('windows-1252');
const utf16 = new TextDecoder('utf-16le');

export const decodeAnsi = (bytes: Uint8Array): string => ansi.decode(bytes);

/** Characters outside Latin-1 become '?', as Windows does when it has no mapping. */
export function encodeAnsi(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0x3f;
    return code <= 0xff ? code : 0x3f;
  });
}

/** Up to the first NUL, or all of it. */
export function decodeUtf16z(bytes: Uint8Array): string {
  const text = utf16.decode(bytes.subarray(0, bytes.length & ~1));
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

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
  return ansi.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
