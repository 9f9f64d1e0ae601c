/** How many units stand in a row: as many as there is room for. */

import { units, type Unit } from './units';

export interface Layout {
  readonly unit: Unit;
  /** Bytes of one. */
  readonly size: number;
  readonly perRow: number;
  /** A power of two, at most a page. */
  readonly rowBytes: number;
}

/** Of an address, and what is between it and its row. */
const addressWidth = 21;
const nameWidth = 20;

/** @param columns Characters that fit beside each other. */
export function layoutFor(unit: Unit, columns: number): Layout {
  const { size, perRow: most } = units[unit];
  let perRow = most;
  while (perRow > 1 && widthOf(unit, perRow) > columns) perRow /= 2;
  return { unit, size, perRow, rowBytes: size * perRow };
}

function widthOf(unit: Unit, perRow: number): number {
  const { size, width, gap, beside } = units[unit];
  const cells = addressWidth + perRow * (width + gap);
  switch (beside) {
    case 'characters':
      return cells + 2 + size * perRow;
    case 'name':
      return cells + 2 + nameWidth;
    case 'nothing':
      return cells;
  }
}
