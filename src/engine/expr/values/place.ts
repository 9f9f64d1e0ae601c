/**
 * Where a value lives. A place that is no constant can be assigned to; whether the target lets us is another matter.
 * Reading and writing are Access's (access.ts).
 */

import { plus, type VirtualAddress } from '../../core/addresses';

export type Place =
  | { readonly kind: 'memory'; readonly address: VirtualAddress }
  /** The bytes of a register from `offset` on, counted from its low end. */
  | { readonly kind: 'register'; readonly name: string; readonly offset: number }
  /** Parts of an aggregate that live apart, by where they stand in it. What no piece covers is nowhere. */
  | { readonly kind: 'pieces'; readonly pieces: readonly Piece[] }
  /** A constant or something computed, as the target would hold it in memory. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Nowhere now: optimised out, not live here, in a register that calls do not preserve. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface Piece {
  /** Bytes from the start of the whole. */
  readonly at: number;
  /** Bytes. */
  readonly size: number;
  readonly place: Place;
}

/** Which bits of an integer a bit field has. */
export interface BitRange {
  /** From the lowest. */
  readonly position: number;
  readonly length: number;
}

export const inMemory = (address: VirtualAddress): Place => ({ kind: 'memory', address });

/** What begins `offset` bytes behind the start of `place`. */
export function within(place: Place, offset: number): Place {
  if (offset === 0) return place;
  switch (place.kind) {
    case 'memory':
      return { kind: 'memory', address: plus(place.address, offset) };
    case 'register':
      return { ...place, offset: place.offset + offset };
    case 'pieces':
      return { kind: 'pieces', pieces: place.pieces.flatMap((piece) => shifted(piece, offset)) };
    case 'bytes':
      return { kind: 'bytes', bytes: place.bytes.subarray(Math.max(offset, 0)) };
    case 'unavailable':
      return place;
  }
}

function shifted({ at, size, place }: Piece, offset: number): Piece[] {
  if (at + size <= offset) return [];
  if (at >= offset) return [{ at: at - offset, size, place }];
  return [{ at: 0, size: at + size - offset, place: within(place, offset - at) }];
}
