/**
 * Fixed-layout structures, described once and used by every reader and writer of them: client, server, tests, and the
 * packet log, which prints any structure from its description alone.
 *
 *   const point = layout(8, { x: [0, u32], y: [4, u32] });
 *   point.read(bytes)               → { x: number, y: number }
 *   point.write(bytes, { x: 1 })      leaves y as it is
 *
 * Invariants: all integers are little endian; a read or write that does not fit the bytes throws
 * `protocol-violation` and never touches anything outside; fields may overlap (unions) and may leave gaps (padding).
 */

import { physicalAddress, virtualAddress, type PhysicalAddress, type VirtualAddress } from './addresses';
import { VmkdError } from './errors';

export interface FieldType<T> {
  readonly size: number;
  /** How the packet log prints it. */
  readonly notation: 'decimal' | 'hex' | 'address' | 'bytes' | 'list';
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

export const u8: FieldType<number> = {
  size: 1,
  notation: 'decimal',
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
};

export const u16: FieldType<number> = {
  size: 2,
  notation: 'decimal',
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value, true),
};

export const u32: FieldType<number> = {
  size: 4,
  notation: 'decimal',
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
};

export const u64: FieldType<bigint> = {
  size: 8,
  notation: 'hex',
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};

/** A u32 that people read in hexadecimal: status codes, flags, registers. */
export const hex32: FieldType<number> = { ...u32, notation: 'hex' };
export const hex16: FieldType<number> = { ...u16, notation: 'hex' };

/** A 64-bit pointer. */
export const va: FieldType<VirtualAddress> = {
  size: 8,
  notation: 'address',
  read: (view, at) => virtualAddress(view.getBigUint64(at, true)),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};

export const pa: FieldType<PhysicalAddress> = {
  size: 8,
  notation: 'address',
  read: (view, at) => physicalAddress(view.getBigUint64(at, true)),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};

/** `length` raw bytes: read as a copy, written padded with zeros; a longer value throws. */
export function bytes(length: number): FieldType<Uint8Array> {
  return {
    size: length,
    notation: 'bytes',
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, length).slice(),
    write(view, at, value) {
      if (value.length > length) throw outOfRange(`${value.length} bytes do not fit a field of ${length}`);
      const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
      target.fill(0);
      target.set(value);
    },
  };
}

/** `count` elements in a row. Writing fewer leaves the rest as it is; more throws. */
export function list<T>(element: FieldType<T>, count: number): FieldType<readonly T[]> {
  return {
    size: element.size * count,
    notation: 'list',
    read(view, at) {
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(element.read(view, at + i * element.size));
      return values;
    },
    write(view, at, values) {
      if (values.length > count) throw outOfRange(`${values.length} elements do not fit a list of ${count}`);
      values.forEach((value, i) => {
        element.write(view, at + i * element.size, value);
      });
    },
  };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a field may be of any type; `any` keeps the inference
export type Fields = Readonly<Record<string, readonly [offset: number, type: FieldType<any>]>>;

export type ValuesOf<F extends Fields> = {
  -readonly [K in keyof F]: F[K][1] extends FieldType<infer T> ? T : never;
};

export class Layout<F extends Fields> {
  readonly #entries: readonly (readonly [name: string, offset: number, type: FieldType<unknown>])[];

  constructor(
    /** Bytes that the whole structure takes, padding included. */
    readonly size: number,
    readonly fields: F,
  ) {
    this.#entries = Object.entries(fields).map(([name, [offset, type]]) => {
      if (offset + type.size > size) throw new VmkdError('internal', `Field ${name} lies outside its layout`);
      return [name, offset, type as FieldType<unknown>] as const;
    });
  }

  /** Reads the structure that begins at `at`. @throws protocol-violation if the bytes end before it does. */
  read(source: Uint8Array, at = 0): ValuesOf<F> {
    this.#mustFit(source, at);
    const view = new DataView(source.buffer, source.byteOffset + at, this.size);
    const values: Record<string, unknown> = {};
    for (const [name, offset, type] of this.#entries) values[name] = type.read(view, offset);
    return values as ValuesOf<F>;
  }

  /** Writes the given fields at `at`; all other bytes stay. @throws protocol-violation if it does not fit. */
  write(target: Uint8Array, values: Partial<ValuesOf<F>>, at = 0): void {
    this.#mustFit(target, at);
    const view = new DataView(target.buffer, target.byteOffset + at, this.size);
    for (const [name, offset, type] of this.#entries) {
      const value = (values as Record<string, unknown>)[name];
      if (value !== undefined) type.write(view, offset, value);
    }
  }

  #mustFit(data: Uint8Array, at: number): void {
    if (at < 0 || at + this.size > data.length) {
      throw new VmkdError(
        'protocol-violation',
        `A structure of ${this.size} bytes at ${at} exceeds ${data.length} bytes`,
      );
    }
  }
}

/** See the head of this file. `size` in bytes; fields as `name: [offset, type]`. */
export const layout = <F extends Fields>(size: number, fields: F): Layout<F> => new Layout(size, fields);

const outOfRange = (message: string): VmkdError => new VmkdError('value-out-of-range', message);
