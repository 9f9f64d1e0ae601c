/** A value that is typed over a cell of a memory view. */

import { parseUnit, reference, type Unit } from '../memory/units';
import { element } from './page';

interface Edited {
  readonly cell: HTMLElement;
  /** Of the cell. */
  readonly address: bigint;
  readonly unit: Unit;
  /** Enter was pressed, and what was typed is a value. */
  readonly onWrite: (bytes: Uint8Array) => void;
  /** It is gone, however that was. Called once, before `onWrite`. */
  readonly onEnd: () => void;
}

/** Opens it, and puts the keyboard into it: Enter writes, Escape and leaving it do not. */
export function editCell({ cell, address, unit, onWrite, onEnd }: Edited): void {
  const input = element('input', {
    class: 'editor',
    type: 'text',
    spellcheck: 'false',
    'aria-label': `New value at ${reference(address)}`,
  });
  input.value = cell.textContent;
  const { left, top, width } = cell.getBoundingClientRect();
  input.style.left = `${left - 3}px`;
  input.style.top = `${top}px`;
  input.style.width = `${width + 8}px`;
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    input.remove();
    onEnd();
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
  input.addEventListener('blur', end);
  document.body.append(input);
  input.focus();
  input.select();
}
