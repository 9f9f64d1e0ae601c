/**
 * The rows of a memory view that can be seen: an address, cells, what stands beside them.
 *
 *   00000000`00001000  48 8b c4 … (a cell for each unit)  characters, or the name of what a pointer points at
 *
 * Invariants: a row's elements are made once for a unit, and touched only where their text or class changes; no cell has the
 * cursor's name unless the cursor is on it.
 */

import type { MemoryReader } from '../memory/memoryReader';
import { hasChanged, pageBytes, type Page } from '../memory/pageStore';
import { layoutFor, type Layout } from '../memory/layout';
import { addressText, characters, missing, units, unitText } from '../memory/units';
import { element } from './page';

interface Row {
  readonly element: HTMLElement;
  readonly address: HTMLElement;
  readonly cells: readonly HTMLElement[];
  readonly text: HTMLElement;
}

/** What the user is at: the cursor, and the selection, [from, to). */
export interface Marked {
  readonly cursor: bigint;
  readonly from: bigint;
  readonly to: bigint;
}

/** Of the cell that the cursor is on. */
export const cursorId = 'cursor';
const endOfMemory = 1n << 64n;

export class MemoryRows {
  readonly element = element('div', { class: 'rows', role: 'rowgroup' });
  #rows: Row[] = [];
  #cursorCell: HTMLElement | undefined;
  #layout = layoutFor('bytes', Infinity);

  constructor(private readonly memory: MemoryReader) {}

  /** The one that the cursor is on, if it is among what is drawn. */
  get cursorCell(): HTMLElement | undefined {
    return this.#cursorCell;
  }

  setLayout(layout: Layout): void {
    this.#layout = layout;
    this.#rows = [];
    this.#cursorCell = undefined;
    this.element.replaceChildren();
  }

  /** @param top Address of the first. @param count So many can be seen. */
  draw(top: bigint, count: number, marked: Marked): void {
    while (this.#rows.length < count) this.#addRow();
    const bytes = BigInt(this.#layout.rowBytes);
    const before = this.#cursorCell;
    this.#cursorCell = undefined;
    for (const [index, row] of this.#rows.entries()) {
      const at = top + BigInt(index) * bytes;
      const isThere = index < count && at < endOfMemory;
      row.element.classList.toggle('beyond', !isThere);
      if (isThere) this.#drawRow(row, at, marked);
    }
    if (before !== undefined && !this.#isCursor(before)) {
      before.removeAttribute('id');
      before.removeAttribute('aria-label');
    }
  }

  #isCursor(cell: HTMLElement): boolean {
    return cell === this.#cursorCell;
  }

  /** Which cell it is in: its row, counted from the top, and its place in that. */
  cellAt(target: Node): { readonly row: number; readonly cell: number } | undefined {
    for (const [row, { cells }] of this.#rows.entries()) {
      const cell = cells.findIndex((one) => one.contains(target));
      if (cell >= 0) return { row, cell };
    }
    return undefined;
  }

  #addRow(): void {
    const { perRow } = this.#layout;
    const address = element('span', { class: 'address', role: 'rowheader' });
    const cells = Array.from({ length: perRow }, () => element('span', { class: 'cell', role: 'gridcell' }));
    const text = element('span', { class: 'text', role: 'gridcell' });
    const row = element('div', { class: 'row', role: 'row' }, address, ...cells, text);
    this.element.append(row);
    this.#rows.push({ element: row, address, cells, text });
  }

  #drawRow(row: Row, at: bigint, marked: Marked): void {
    const size = BigInt(this.#layout.size);
    const page = this.memory.page(at);
    const offset = Number(at % BigInt(pageBytes));
    row.element.classList.toggle('stale', page !== undefined && this.memory.isOld(page));
    set(row.address, addressText(at));
    for (const [index, cell] of row.cells.entries()) {
      const start = at + BigInt(index) * size;
      this.#drawCell(cell, page, offset + index * Number(size), {
        isCursor: marked.cursor >= start && marked.cursor < start + size,
        isSelected: start < marked.to && start + size > marked.from,
      });
    }
    set(row.text, this.#sideText(page, at, offset));
  }

  #drawCell(
    cell: HTMLElement,
    page: Page | undefined,
    offset: number,
    { isCursor, isSelected }: { readonly isCursor: boolean; readonly isSelected: boolean },
  ): void {
    const { unit, size } = this.#layout;
    const isAbsent = page !== undefined && page.view === undefined;
    const isChanged = page !== undefined && hasChanged(page, offset, size);
    const text = isAbsent ? missing(unit) : page?.view ? unitText(page.view, offset, unit) : '';
    set(cell, text);
    let name = 'cell';
    if (isAbsent) name += ' unreadable';
    if (isChanged) name += ' changed';
    if (isSelected) name += ' selected';
    if (isCursor) name += ' at';
    if (cell.className !== name) cell.className = name;
    if (isCursor)
      this.#drawCursor(cell, isAbsent ? 'not readable' : `${text}${isChanged ? ', changed' : ''}`);
  }

  /** What is marked by colours is said in words, where somebody listens. */
  #drawCursor(cell: HTMLElement, label: string): void {
    this.#cursorCell = cell;
    if (cell.id !== cursorId) cell.id = cursorId;
    if (cell.getAttribute('aria-label') !== label) cell.setAttribute('aria-label', label);
  }

  #sideText(page: Page | undefined, at: bigint, offset: number): string {
    if (page?.bytes === undefined) return '';
    const { unit, rowBytes } = this.#layout;
    switch (units[unit].beside) {
      case 'characters':
        return characters(page.bytes, offset, rowBytes);
      case 'name': {
        const pointer = this.memory.pointer(at);
        return pointer === undefined ? '' : this.memory.nameOf(pointer);
      }
      case 'nothing':
        return '';
    }
  }
}

/** A text node is made once, and its data changed: cheaper than a new one. */
function set(target: HTMLElement, text: string): void {
  const node = target.firstChild as Text | null;
  if (node === null) target.append(text);
  else if (node.data !== text) node.data = text;
}
