/**
 * A value in one line, for variables views, hovers, watches and logpoints.
 *
 *   42   0x2a   65 'A'   STATUS_ACCESS_DENIED (0xc0000022)   true   1.5   PagedPool (1)   A | B (0x3)
 *   0xfffff80312345678 nt!KiTimer+0x10   0xffffa10000000010 "text"
 *   {1, 2, 3, …}   {Flink=0x…, Blink=0x…}   {list of 3 entries}   <unreadable: fffff803`12345678>
 *
 * Invariants: a line is bounded, whatever the target holds; memory that is absent is shown as such, and fails nothing
 * but its own part; links that fail and cancelled requests do throw.
 */

import type { Access } from '../access';
import { completed } from '../bind/members';
import { foundField, layoutOfStruct } from '../types/fields';
import { isScalar, type ArrayType, type StructType, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import { inMemory, within, type Place } from '../values/place';
import { addressOf, decode } from '../values/scalar';
import type { Value } from '../values/value';
import { inherited, type DisplayOptions, type Format } from './format';
import { knownStructText } from './knownStructs';
import { addressText, mostCharacters, pointerText, textAt, textUnit, unitOfCharacter } from './pointerText';
import { isPlain, scalarText } from './scalarText';
import { quoted } from './quoted';
import { unreadableText } from './unreadable';

const mostElements = 10;
const mostFields = 12;
const longestLine = 160;
/** Of a structure or an array, what is read at once for its line. */
const snapshotBytes = 512;
const largestOpaque = 64;

/** @throws link and target errors, cancelled */
export async function summary(
  access: Access,
  { value, format }: { readonly value: Value; readonly format: Format },
  options: DisplayOptions,
): Promise<string> {
  return new Summary(access, options).of(value, format, 0);
}

class Summary {
  constructor(
    private readonly access: Access,
    private readonly options: DisplayOptions,
  ) {}

  /** @param depth 0 for the value itself, 1 for its parts. */
  async of(value: Value, format: Format, depth: number): Promise<string> {
    try {
      return await this.#text(value, format, depth);
    } catch (error) {
      return unreadableText(error, value.place);
    }
  }

  async #text(value: Value, format: Format, depth: number): Promise<string> {
    const { type, place } = value;
    if (isScalar(type)) return this.#scalar(value, format, depth);
    switch (type.kind) {
      case 'array':
        return this.#array(type, place, format, depth);
      case 'struct':
        return this.#struct(await completed(this.access.context, type), place, format, depth);
      case 'function':
        return place.kind === 'memory' ? this.#address(place, format) : '<function>';
      case 'void':
        return '<void>';
      case 'opaque':
        return this.#opaque(type, place, format);
    }
  }

  async #scalar({ type, place, bits }: Value, format: Format, depth: number): Promise<string> {
    const { access } = this;
    if (!isScalar(type)) return '';
    const value = decode(type, await access.load(place, type.size), bits);
    if (type.kind === 'pointer') {
      if (format.count !== undefined && depth === 0 && format.text === undefined) {
        const first = inMemory(addressOf(value as bigint, type.size));
        return this.#elements(first, type.to, format.count, format, depth);
      }
      return pointerText(access, type, value as bigint, format);
    }
    const unit = textUnit(format);
    if (unit !== undefined && type.kind === 'integer' && type.size >= access.context.pointerSize) {
      return textAt(access, inMemory(addressOf(value as bigint, type.size)), unit, format);
    }
    return scalarText(type, value, bits, format, this.options);
  }

  async #array(type: ArrayType, place: Place, format: Format, depth: number): Promise<string> {
    if (format.raw !== true && format.count === undefined) {
      const text = await this.#arrayText(type, place, format);
      if (text !== undefined) return text;
    }
    return this.#elements(place, type.element, format.count ?? type.count, format, depth);
  }

  /** Of an array of characters. */
  async #arrayText(
    { element, size, count }: ArrayType,
    place: Place,
    format: Format,
  ): Promise<string | undefined> {
    const unit = textUnit(format) ?? unitOfCharacter(element);
    if (unit !== undefined) {
      return textAt(this.access, place, unit, format, Math.floor(size / (unit === 'utf8' ? 1 : unit)));
    }
    // Bytes that are letters up to a NUL, as in EPROCESS.ImageFileName.
    const isBytes = element.kind === 'integer' && element.character === 'byte';
    if (!isBytes || count === 0 || count > mostCharacters) return undefined;
    const bytes = await this.access.load(place, count);
    const end = bytes.indexOf(0);
    const used = end < 0 ? bytes : bytes.subarray(0, end);
    if (used.length === 0 || !used.every((byte) => isPlain(BigInt(byte)))) return undefined;
    return quoted(String.fromCharCode(...used), false);
  }

  async #elements(place: Place, type: Type, count: number, format: Format, depth: number): Promise<string> {
    const { size } = type.kind === 'struct' ? await completed(this.access.context, type) : type;
    if (depth > 1 || size === 0) return '{…}';
    const shown = Math.min(count, mostElements);
    const start = await this.#snapshot(place, shown * size);
    return this.#listed(shown, shown < count, (i) =>
      this.of({ type, place: within(start, i * size) }, inherited(format), depth + 1),
    );
  }

  async #struct(type: StructType, place: Place, format: Format, depth: number): Promise<string> {
    // Within a line, lists are not counted: each of their entries costs a read.
    if (format.raw !== true && !(depth > 0 && type.name.endsWith('LIST_ENTRY'))) {
      const known = await knownStructText(this.access, { type, place }, format, this.options);
      if (known !== undefined) return known;
    }
    const layout = layoutOfStruct(type);
    if (!layout) return `<${type.name} is not defined>`;
    if (depth > 0) return '{…}';
    const start = await this.#snapshot(place, type.size);
    const fields = layout.fields.filter(({ kind }) => kind === 'field');
    const shown = Math.min(fields.length, mostFields);
    return this.#listed(shown, shown < fields.length, async (i) => {
      const { type: fieldType, offset, bits } = foundField(type, fields[i]!);
      const inner: Value = { type: fieldType, place: within(start, offset) };
      return `${fields[i]!.name}=${await this.of(bits ? { ...inner, bits } : inner, inherited(format), depth + 1)}`;
    });
  }

  /** In braces, with commas between them, as many as a line holds. */
  async #listed(count: number, more: boolean, part: (i: number) => Promise<string>): Promise<string> {
    const parts: string[] = [];
    let length = 0;
    for (let i = 0; i < count && length < longestLine; i++) {
      parts.push(await part(i));
      length += parts[i]!.length + 2;
    }
    if (more || parts.length < count) parts.push('…');
    return `{${parts.join(', ')}}`;
  }

  /** The same place, its beginning read at once: links are slow. What is absent is left to fail where it is needed. */
  async #snapshot(place: Place, size: number): Promise<Place> {
    if (place.kind !== 'memory') return place;
    const bytes = await this.access.readPartial(place.address, Math.min(size, snapshotBytes));
    const rest = { at: bytes.length, size: size - bytes.length, place: within(place, bytes.length) };
    return { kind: 'pieces', pieces: [{ at: 0, size: bytes.length, place: { kind: 'bytes', bytes } }, rest] };
  }

  #address({ address }: Place & { kind: 'memory' }, format: Format): Promise<string> {
    return addressText(this.access, address, this.access.context.pointerSize, format);
  }

  async #opaque(type: Type, place: Place, format: Format): Promise<string> {
    const name = typeText(type);
    if (type.size > 0 && type.size <= largestOpaque) {
      const bytes = await this.access.load(place, type.size);
      return `${name} ${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}`;
    }
    return place.kind === 'memory' ? `${name} ${await this.#address(place, format)}` : name;
  }
}
