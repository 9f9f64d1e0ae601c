/** A value that is typed over a cell of a memory view. */

import { parseUnit, reference, type Unit } from '../memory/units';
import { element } from './page';

interface Edited {
  readonly cell: HTMLElement;
  /** What it is part of, and may be scrolled in. */
  readonly within: HTMLElement;
  /** Of the cell. */
  readonly address: bigint;
  readonly unit: Unit;
  /** Enter was pressed, and what was typed is a value. */
  readonly onWrite: (bytes: Uint8Array) => void;
  /** It is gone. Called once, before `onWrite`. @param wasLeft The keyboard is elsewhere already. */
  readonly onEnd: (wasLeft: boolean) => void;
}

export interface CellEditor {
  /** @param cell What stands for the value now; undefined, or out of sight: it is over. */
  moveTo(cell: HTMLElement | undefined): void;
}

/** Opens it, and puts the keyboard into it: Enter writes, Escape and leaving it do not. */
export function editCell({ cell, within, address, unit, onWrite, onEnd }: Edited): CellEditor {
  const input = element('input', {
    class: 'editor',
    type: 'text',
    spellcheck: 'false',
    'aria-label': `New value at ${reference(address)}`,
  });
  input.value = cell.textContent;
  let isOver = false;
  const end = (wasLeft = false): void => {
    if (isOver) return;
    isOver = true;
    input.remove();
    onEnd(wasLeft);
  };
  const moveTo = (under: HTMLElement | undefined): void => {
    const place = under?.getBoundingClientRect();
    if (place !== undefined && isSeen(place, within.getBoundingClientRect())) lay(input, place);
    else end();
  };
  input.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Escape') end();
    if (event.key !== 'Enter') return;
    const bytes = parseUnit(input.value, unit);
    input.classList.toggle('wrong', bytes === undefined);
    input.setAttribute('aria-invalid', String(bytes === undefined));
    if (bytes === undefined) return;
    end();
    onWrite(bytes);
  });
  input.addEventListener('blur', () => end(true));
  document.body.append(input);
  lay(input, cell.getBoundingClientRect());
  input.focus();
  input.select();
  return { moveTo };
}

function lay(input: HTMLElement, { left, top, width }: DOMRect): void {
  Object.assign(input.style, { left: `${left - 3}px`, top: `${top}px`, width: `${width + 8}px` });
}

/** Most of it. */
function isSeen({ top, bottom }: DOMRect, within: DOMRect): boolean {
  const middle = (top + bottom) / 2;
  return middle >= within.top && middle <= within.bottom;
}
