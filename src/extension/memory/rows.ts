/**
 * Scrolling over an address space that no scroll bar can hold: 2^60 rows. The scroller has a window of them; near an end of it,
 * the window is laid anew around what is shown.
 *
 *   0 ────────[ base … base + windowRows )──────────────── rows
 *                     ▲ top, what the scroller shows first
 *
 * Invariants: a window lies within the rows that there are; laying it anew does not change which row is on top.
 */

/** With rows of 20 pixels, 8 million: browsers have their limits at 16 to 33. */
export const windowRows = 400_000;

const endOfMemory = 1n << 64n;

export class RowWindow {
  /** First row of the window. */
  base = 0n;

  /** @param rowBytes Of each row; the first row of all is at address 0. */
  constructor(private readonly rowBytes: number) {}

  get #rows(): bigint {
    return endOfMemory / BigInt(this.rowBytes);
  }

  rowOf(address: bigint): bigint {
    return address / BigInt(this.rowBytes);
  }

  addressOf(row: bigint): bigint {
    return row * BigInt(this.rowBytes);
  }

  /** Lays the window around a row. @returns Its place in the window, in rows */
  lay(row: bigint): number {
    const last = this.#rows - BigInt(windowRows);
    const wanted = row - BigInt(windowRows / 2);
    this.base = wanted < 0n ? 0n : wanted > last ? last : wanted;
    return Number(row - this.base);
  }

  /** The row at a place in the window. */
  at(place: number): bigint {
    const row = this.base + BigInt(Math.floor(place));
    const last = this.#rows - 1n;
    return row > last ? last : row;
  }

  /** Whether the window must be laid anew, with this place in it on top. */
  isNearEnd(place: number): boolean {
    const margin = windowRows / 8;
    if (place < margin) return this.base > 0n;
    return place > windowRows - margin && this.base + BigInt(windowRows) < this.#rows;
  }
}
