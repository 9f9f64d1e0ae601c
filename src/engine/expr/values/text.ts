/**
 * Text in the target: up to a NUL, or as long as a counted string says. Lengths are the target's claims: no more is read
 * than the caller wants to show.
 */

import { formatAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { decodeAnsi } from '../../core/text';
import type { Access } from '../access';
import { findField } from '../types/fields';
import type { StructType } from '../types/type';
import { inMemory, within, type Place } from './place';
import { addressOf, unsignedOf } from './scalar';
import type { Value } from './value';

export interface FoundText {
  readonly text: string;
  /** There is more of it: it was too long, or the rest is not in memory. */
  readonly cut: boolean;
}

/** Characters of one byte (Windows-1252), of two (UTF-16), of four, or UTF-8. */
export type TextUnit = 1 | 2 | 4 | 'utf8';

/** Bytes read at once: most strings are short, and links slow. */
const portion = 128;

/**
 * Up to a NUL, at most `most` units.
 * @throws memory-unreadable if nothing of it is there; what Access.load throws
 */
export async function readText(
  access: Access,
  place: Place,
  unit: TextUnit,
  most: number,
): Promise<FoundText> {
  const size = unit === 'utf8' ? 1 : unit;
  const whole: number[] = [];
  while (whole.length < most * size) {
    const wanted = Math.min(portion, most * size - whole.length);
    const bytes = await readUpTo(access, within(place, whole.length), wanted, whole.length > 0);
    const end = endOf(bytes, size);
    whole.push(...bytes.subarray(0, end ?? bytes.length));
    if (end !== undefined) return { text: decodeText(whole, unit), cut: false };
    if (bytes.length < wanted) break;
  }
  return { text: decodeText(whole, unit), cut: true };
}

async function readUpTo(access: Access, place: Place, length: number, mayLack: boolean): Promise<Uint8Array> {
  if (place.kind !== 'memory') {
    const there = place.kind === 'bytes' ? Math.min(length, place.bytes.length) : length;
    return access.load(place, there);
  }
  const bytes = await access.readPartial(place.address, length);
  if (bytes.length > 0 || mayLack || length === 0) return bytes;
  throw new VmkdError('memory-unreadable', `No memory at ${formatAddress(place.address)}`);
}

/** Where the NUL is. */
function endOf(bytes: Uint8Array, size: number): number | undefined {
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (bytes.subarray(at, at + size).every((byte) => byte === 0)) return at;
  }
  return undefined;
}

function decodeText(whole: readonly number[], unit: TextUnit): string {
  const bytes = Uint8Array.from(whole);
  switch (unit) {
    case 1:
      return decodeAnsi(bytes);
    case 'utf8':
      return new TextDecoder().decode(bytes);
    case 2:
    case 4: {
      let text = '';
      for (let at = 0; at + unit <= bytes.length; at += unit) {
        const code = Number(unsignedOf(bytes.subarray(at), unit));
        text +=
          unit === 2 ? String.fromCharCode(code) : String.fromCodePoint(code > 0x10ffff ? 0xfffd : code);
      }
      return text;
    }
  }
}

interface CountedFields {
  readonly length: number;
  readonly buffer: number;
  readonly pointerSize: number;
  readonly unit: 1 | 2;
}

/** Where a UNICODE_STRING, an ANSI_STRING and the like have their parts. Undefined if the type is none. */
export function countedFields(type: StructType): CountedFields | undefined {
  const [length, maximum, buffer] = ['Length', 'MaximumLength', 'Buffer'].map((name) =>
    findField(type, name),
  );
  if (!length || !maximum || !buffer) return undefined;
  if (length === 'ambiguous' || maximum === 'ambiguous' || buffer === 'ambiguous') return undefined;
  if (length.type.kind !== 'integer' || length.type.size !== 2 || buffer.type.kind !== 'pointer')
    return undefined;
  const { to, size } = buffer.type;
  if (to.kind !== 'integer' || to.size > 2) return undefined;
  const unit = to.size === 2 ? 2 : 1;
  return { length: length.offset, buffer: buffer.offset, pointerSize: size, unit };
}

/**
 * The text of a UNICODE_STRING or its kin, at most `most` characters. NULs in it belong to it.
 * Undefined if the value is none. @throws as readText
 */
export async function countedString(
  access: Access,
  value: Value,
  most: number,
): Promise<FoundText | undefined> {
  if (value.type.kind !== 'struct') return undefined;
  const fields = countedFields(value.type);
  if (!fields) return undefined;
  const { unit, pointerSize } = fields;
  const length = Number(unsignedOf(await access.load(within(value.place, fields.length), 2), 2));
  const units = Math.floor(length / unit);
  if (units === 0) return { text: '', cut: false };
  const pointer = unsignedOf(await access.load(within(value.place, fields.buffer), pointerSize), pointerSize);
  const wanted = Math.min(units, most);
  const bytes = await readUpTo(access, inMemory(addressOf(pointer, pointerSize)), wanted * unit, false);
  const text = decodeText(Array.from(bytes), unit);
  return { text, cut: wanted < units || bytes.length < wanted * unit };
}
