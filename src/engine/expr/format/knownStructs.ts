/**
 * Structures that everybody reads as one thing: counted strings, GUIDs, LARGE_INTEGERs, heads of lists. They are known by
 * their names and checked by their members, for a name alone promises nothing.
 */

import type { Access } from '../access';
import { findField, type FoundField } from '../types/fields';
import type { StructType } from '../types/type';
import { within } from '../values/place';
import { decode, unsignedOf } from '../values/scalar';
import { countedString } from '../values/text';
import type { Value } from '../values/value';
import type { DisplayOptions, Format } from './format';
import { isListEntry, walkList } from './lists';
import { integerText } from './numbers';
import { quoted } from './quoted';
import { fileTimeText } from './times';

const mostCharacters = 256;
const usualListEntries = 16;

/** Undefined if the structure is none of those. @throws what Access.load throws */
export async function knownStructText(
  access: Access,
  value: Value & { readonly type: StructType },
  format: Format,
  options: DisplayOptions,
): Promise<string | undefined> {
  const { type, place } = value;
  const counted = await countedString(access, value, mostCharacters);
  if (counted) {
    const { text, cut } = counted;
    return format.unquoted === true ? text : quoted(text, cut);
  }
  switch (type.name.replace(/^_/, '')) {
    case 'GUID':
      return isGuid(type) ? guidText(await access.load(place, 16)) : undefined;
    case 'LARGE_INTEGER':
    case 'ULARGE_INTEGER': {
      const whole = plainField(type, 'QuadPart');
      if (whole?.type.kind !== 'integer' || whole.type.size !== 8) return undefined;
      const number = decode(whole.type, await access.load(within(place, whole.offset), 8)) as bigint;
      if (format.time === true) return fileTimeText(number);
      const usual = options.hex ? 'hex' : whole.type.signed ? 'decimal' : 'unsigned';
      return integerText(number, 64, format.radix ?? usual);
    }
    case 'LIST_ENTRY':
      return isListEntry(type) ? listText(access, value, options) : undefined;
    default:
      return undefined;
  }
}

function plainField(type: StructType, name: string): FoundField | undefined {
  const field = findField(type, name);
  return field === 'ambiguous' ? undefined : field;
}

function isGuid(type: StructType): boolean {
  return (
    type.size === 16 && plainField(type, 'Data1')?.type.size === 4 && plainField(type, 'Data4')?.offset === 8
  );
}

/** `{6b29fc40-ca47-1067-b31d-00dd010662da}` */
function guidText(bytes: Uint8Array): string {
  const digits = (at: number, size: number): string =>
    unsignedOf(bytes.subarray(at), size)
      .toString(16)
      .padStart(size * 2, '0');
  const tail = Array.from(bytes.subarray(8, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `{${digits(0, 4)}-${digits(4, 2)}-${digits(6, 2)}-${tail.slice(0, 4)}-${tail.slice(4)}}`;
}

/** How many entries; undefined of one that is in no list, whose members say more. */
async function listText(
  access: Access,
  { place, type }: Value,
  options: DisplayOptions,
): Promise<string | undefined> {
  if (place.kind !== 'memory') return undefined;
  const most = options.mostListEntries ?? usualListEntries;
  const { entries, end } = await walkList(access, place.address, most, type.size);
  const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`;
  switch (end) {
    case 'closed':
      return entries.length === 0 ? '{empty list}' : `{list of ${count}}`;
    case 'cut':
      return `{list of more than ${count}}`;
    case 'broken':
      return entries.length === 0 ? undefined : `{list, broken after ${count}}`;
  }
}
