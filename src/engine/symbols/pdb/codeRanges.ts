/**
 * Ranges of code that may lie in one another, as rows of unwind data do: a function, then what is left of it behind each
 * instruction of its prologue. The innermost one holds.
 *
 *   1000 ├───────────────────┤      order: by begin, the larger one first
 *   1001  ├──────────────────┤      outer: the nearest one before that has not ended where this one begins
 *   1004    ├────────┤  ? ─────────▶ 1001's
 *
 * Invariant: a look-up goes from a range to one before it in the order, and so ends, whatever the file says.
 */

export class CodeRanges {
  /** Indices in order. */
  readonly #order: Uint32Array;
  /** By place in the order: the place of the next outer one, -1 if there is none. */
  readonly #outer: Int32Array;

  constructor(
    count: number,
    private readonly beginOf: (index: number) => number,
    private readonly sizeOf: (index: number) => number,
  ) {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    const compare = (a: number, b: number): number => beginOf(a) - beginOf(b) || sizeOf(b) - sizeOf(a);
    let sorted = true;
    for (let i = 1; i < count && sorted; i++) sorted = compare(i - 1, i) <= 0;
    this.#order = sorted ? order : order.sort(compare);
    this.#outer = new Int32Array(count);
    for (let place = 0; place < count; place++) {
      let outer = place - 1;
      while (outer >= 0 && this.#end(outer) <= this.#begin(place)) outer = this.#outer[outer]!;
      this.#outer[place] = outer;
    }
  }

  /** Indices of those that hold an RVA, innermost first. */
  *holding(rva: number): Generator<number> {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#begin(middle) <= rva) low = middle + 1;
      else high = middle;
    }
    for (let place = low - 1; place >= 0; place = this.#outer[place]!)
      if (rva < this.#end(place)) yield this.#order[place]!;
  }

  #begin(place: number): number {
    return this.beginOf(this.#order[place]!);
  }

  #end(place: number): number {
    return this.#begin(place) + this.sizeOf(this.#order[place]!);
  }
}
