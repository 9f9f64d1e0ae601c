/** What bytes are shown as, and how what is typed over them becomes bytes again. Little-endian, as the target is. */

export type Unit =
  'bytes' | 'words' | 'dwords' | 'qwords' | 'floats' | 'doubles' | 'pointers' | 'text' | 'utf16';

interface UnitShape {
  readonly title: string;
  /** Bytes of one. */
  readonly size: number;
  /** At most, where there is room: a power of two. */
  readonly perRow: number;
  /** Characters of the longest. */
  readonly width: number;
  /** Characters between two. */
  readonly gap: number;
  /** What stands beside them: the bytes as characters, the name of what a pointer points at. */
  readonly beside: 'characters' | 'name' | 'nothing';
}

export const units: { readonly [U in Unit]: UnitShape } = {
  bytes: { title: 'Bytes', size: 1, perRow: 16, width: 2, gap: 1, beside: 'characters' },
  words: { title: 'Words (2 bytes)', size: 2, perRow: 8, width: 4, gap: 1, beside: 'characters' },
  dwords: { title: 'Dwords (4 bytes)', size: 4, perRow: 4, width: 8, gap: 1, beside: 'characters' },
  qwords: { title: 'Qwords (8 bytes)', size: 8, perRow: 2, width: 17, gap: 1, beside: 'characters' },
  floats: { title: 'Floats', size: 4, perRow: 4, width: 13, gap: 1, beside: 'characters' },
  doubles: { title: 'Doubles', size: 8, perRow: 2, width: 22, gap: 1, beside: 'characters' },
  pointers: { title: 'Pointers with names', size: 8, perRow: 1, width: 17, gap: 1, beside: 'name' },
  text: { title: 'Text (1 byte)', size: 1, perRow: 32, width: 1, gap: 0, beside: 'nothing' },
  utf16: { title: 'Text (UTF-16)', size: 2, perRow: 32, width: 1, gap: 0, beside: 'nothing' },
};

export function unitText(bytes: DataView, at: number, unit: Unit): string {
  switch (unit) {
    case 'bytes':
      return hexBytes[bytes.getUint8(at)]!;
    case 'words':
      return digits(bytes.getUint16(at, true), 4);
    case 'dwords':
      return digits(bytes.getUint32(at, true), 8);
    case 'qwords':
    case 'pointers':
      return `${digits(bytes.getUint32(at + 4, true), 8)}\`${digits(bytes.getUint32(at, true), 8)}`;
    case 'floats':
      return shorter(bytes.getFloat32(at, true), 7);
    case 'doubles':
      return shorter(bytes.getFloat64(at, true), 15);
    case 'text':
      return visible[bytes.getUint8(at)]!;
    case 'utf16':
      return visibleCode(bytes.getUint16(at, true));
  }
}

const digits = (value: number, count: number): string => value.toString(16).padStart(count, '0');
const hexBytes = Array.from({ length: 256 }, (_, byte) => digits(byte, 2));

function shorter(value: number, precision: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Number(value.toPrecision(precision)).toString();
}

/** What stands for a unit that is not there. */
export const missing = (unit: Unit): string =>
  units[unit].width === 1 ? '\ufffd' : '?'.repeat(Math.min(units[unit].width, 8));

/** @returns undefined: that is no such value */
export function parseUnit(text: string, unit: Unit): Uint8Array | undefined {
  const { size } = units[unit];
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  if (unit === 'text' || unit === 'utf16') {
    if (text.length !== 1 || text.charCodeAt(0) >= 2 ** (8 * size)) return undefined;
    if (unit === 'text') view.setUint8(0, text.charCodeAt(0));
    else view.setUint16(0, text.charCodeAt(0), true);
    return bytes;
  }
  if (unit === 'floats' || unit === 'doubles') {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value) && !/^\s*nan\s*$/i.test(text)) return undefined;
    if (unit === 'floats') view.setFloat32(0, value, true);
    else view.setFloat64(0, value, true);
    return bytes;
  }
  const hex = text.trim().replace(/^0x/i, '').replaceAll('`', '');
  if (!/^[0-9a-f]+$/i.test(hex) || hex.replace(/^0+/, '').length > size * 2) return undefined;
  const value = BigInt(`0x${hex}`);
  for (let at = 0; at < size; at++) bytes[at] = Number((value >> BigInt(8 * at)) & 0xffn);
  return bytes;
}

/** Characters of Windows-1252 that can be seen, and points for all others. */
export function characters(bytes: Uint8Array, from: number, count: number): string {
  let text = '';
  for (let at = from; at < from + count; at++) text += visible[bytes[at] ?? 0]!;
  return text;
}

const visible = Array.from({ length: 256 }, (_, byte) =>
  (byte >= 0x20 && byte < 0x7f) || (byte >= 0xa1 && byte !== 0xad) ? String.fromCharCode(byte) : '.',
);

/** One that stands by itself: none that is half of one, changes its neighbours, or cannot be seen. */
function visibleCode(code: number): string {
  if (code < 256) return visible[code]!;
  const character = String.fromCharCode(code);
  return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? character : '.';
}

/** `fffff803`12345678`: as kernel people read it. */
export const addressText = (address: bigint): string => {
  const hex = address.toString(16).padStart(16, '0');
  return `${hex.slice(0, 8)}\`${hex.slice(8)}`;
};

/** As memory references are. */
export const reference = (address: bigint): string => `0x${address.toString(16).padStart(16, '0')}`;

/** @returns undefined: it is none */
export function parseReference(text: string): bigint | undefined {
  return /^0x[0-9a-f]{1,16}$/i.test(text) ? BigInt(text) : undefined;
}
