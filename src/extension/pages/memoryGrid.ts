/**
 * The grid of a memory view: rows over the whole address space, of which those exist that can be seen; a cursor, a selection,
 * keys and the mouse.
 *
 *   scroller ─ spacer of windowRows rows ─ rows, moved to where the scroller is
 *
 * Invariant: at most one frame is drawn for any number of scrolls and answers.
 */

import { whyReadOnly } from '../memory/abilities';
import { copiedText, mostCopied } from '../memory/copied';
import { layoutFor } from '../memory/layout';
import { MemoryReader, type Answer } from '../memory/memoryReader';
import type { Page } from '../memory/pageStore';
import { RowWindow, windowRows } from '../memory/rows';
import { addressText, reference, type Unit } from '../memory/units';
import type { FromMemory, Space, ToMemory } from '../webviews/messages';
import { editCell, type CellEditor } from './cellEditor';
import { cursorId, MemoryRows } from './memoryRows';
import { element, type Host } from './page';

const rowHeight = 20;
/** Rows beyond the edge, so that a fast scroll finds something. */
const spareRows = 4;

type State = Extract<ToMemory, { kind: 'state' }>;

interface Handlers {
  onCursor(text: string): void;
  onFailure(text: string): void;
  onFollow(address: bigint): void;
  onBack(): void;
}

export class MemoryGrid {
  readonly element: HTMLElement;
  readonly #memory: MemoryReader;
  readonly #rows: MemoryRows;
  /** As wide as a hundred digits. */
  readonly #ruler = element('div', { class: 'ruler', role: 'presentation' });
  #layout = layoutFor('bytes', Infinity);
  #window = new RowWindow(this.#layout.rowBytes);
  #isDue = false;
  #cursor = 0n;
  /** Where the selection began; the cursor is its other end. */
  #anchor = 0n;
  #phase: State['phase'] = 'attaching';
  /** The stop that it is in, or was last. */
  #epoch = 0;
  #edited: { readonly editor: CellEditor; readonly address: bigint } | undefined;

  constructor(
    private readonly host: Host<FromMemory>,
    private readonly handlers: Handlers,
  ) {
    this.#memory = new MemoryReader((message) => host.send(message));
    this.#rows = new MemoryRows(this.#memory);
    const spacer = element('div', { class: 'spacer', role: 'presentation' });
    spacer.style.height = `${windowRows * rowHeight}px`;
    this.element = element(
      'div',
      {
        class: 'grid',
        role: 'grid',
        tabindex: '0',
        'aria-label': 'Bytes of memory. Arrows move, Enter edits, Control and Enter follows a pointer.',
        'aria-multiselectable': 'true',
        // More than anybody can count.
        'aria-rowcount': '-1',
        'aria-activedescendant': cursorId,
        onscroll: () => this.#draw(),
        onkeydown: (event: KeyboardEvent) => this.#pressed(event),
        onmousedown: (event: MouseEvent) => this.#clicked(event),
        ondblclick: () => this.#edit(),
      },
      spacer,
      this.#ruler,
      this.#rows.element,
    );
    new ResizeObserver(() => {
      this.setUnit(this.#layout.unit);
      this.#draw();
    }).observe(this.element);
  }

  focus(): void {
    this.element.focus();
  }

  /** The bytes that are selected. */
  get selection(): { readonly address: string; readonly count: number } {
    const { from, to } = this.#range();
    return { address: reference(from), count: Number(to - from) };
  }

  setState(state: State, isOther: boolean): void {
    this.#phase = state.phase;
    this.#epoch = state.epoch;
    this.#memory.setState(state, isOther);
    this.#draw();
  }

  /** What is known may not be so any more. */
  touched(): void {
    this.#memory.touched();
    this.#draw();
  }

  /** Symbols have come, or gone. */
  renamed(): void {
    this.#memory.renamed();
    this.#draw();
  }

  /** While the kernel runs. */
  lookAgain(): void {
    this.#memory.lookAgain();
    this.#draw();
  }

  get space(): Space {
    return this.#memory.space;
  }

  setSpace(space: Space): void {
    this.#memory.space = space;
    this.#draw();
  }

  /** Lays rows anew, as there is room for them; what is on top stays there. */
  setUnit(unit: Unit): void {
    const layout = layoutFor(unit, this.#columns);
    if (unit === this.#layout.unit && layout.perRow === this.#layout.perRow) return;
    const top = this.#window.addressOf(this.#top());
    this.#layout = layout;
    this.#window = new RowWindow(layout.rowBytes);
    this.#rows.setLayout(layout);
    this.#scrollTo(top);
  }

  /** Characters that fit beside each other; more than enough as long as nobody sees it. */
  get #columns(): number {
    const { clientWidth } = this.element;
    return clientWidth === 0 ? Infinity : Math.floor((100 * clientWidth) / this.#ruler.offsetWidth);
  }

  /** Scrolls there, and puts the cursor on it. */
  show(address: bigint): void {
    this.#cursor = this.#anchor = address;
    this.#scrollTo(address);
    this.tellCursor();
  }

  /** Says where the cursor is. */
  tellCursor(): void {
    const { from, to } = this.#range();
    const count = to - from;
    this.handlers.onCursor(
      count > BigInt(this.#layout.size) ? `${addressText(from)}, ${count} bytes` : addressText(from),
    );
  }

  answered(answer: Answer): void {
    const failure = this.#memory.answered(answer);
    if (failure === undefined) this.#draw();
    else this.handlers.onFailure(failure);
  }

  /** What is shown is copied as it is shown, also while the kernel runs; what was never shown is read first. */
  copy(): void {
    const { from, to } = this.#range();
    if (to - from > BigInt(mostCopied)) {
      this.handlers.onFailure(`At most ${mostCopied >> 20} MiB is copied at once; “Save…” takes more.`);
      return;
    }
    const { unit } = this.#layout;
    const text = copiedText({ from, to, unit }, (at) => this.#shownPage(at));
    this.host.send(
      text === undefined
        ? { kind: 'copyRange', space: this.space, ...this.selection, unit }
        : { kind: 'copy', text },
    );
  }

  /** While the kernel stands, what was read in an earlier stop is not what is there. */
  #shownPage(address: bigint): Page | undefined {
    const page = this.#memory.page(address);
    return page !== undefined && this.#phase === 'stopped' && this.#memory.isOld(page) ? undefined : page;
  }

  /** To where the pointer under the cursor points. */
  follow(): void {
    const pointer = this.#memory.pointer(this.#cursor - (this.#cursor % 8n));
    if (pointer !== undefined) this.handlers.onFollow(pointer);
  }

  #top(): bigint {
    return this.#window.at(this.element.scrollTop / rowHeight);
  }

  #scrollTo(address: bigint): void {
    const place = this.#window.lay(this.#window.rowOf(address));
    this.element.scrollTop = place * rowHeight;
    this.#draw();
  }

  #draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawNow();
    });
  }

  #drawNow(): void {
    this.#keepFromEnds();
    const { scrollTop, clientHeight } = this.element;
    const count = Math.ceil(clientHeight / rowHeight) + spareRows;
    const first = Math.floor(scrollTop / rowHeight);
    const top = this.#window.addressOf(this.#window.at(first));
    const end = top + BigInt(count * this.#layout.rowBytes);
    this.#memory.want(top, end);
    this.#rows.element.style.transform = `translateY(${first * rowHeight}px)`;
    const stop = String(this.#memory.stop);
    if (this.element.dataset['stop'] !== stop) this.element.dataset['stop'] = stop;
    this.#rows.draw(top, count, { cursor: this.#cursor, ...this.#range() });
    this.#edited?.editor.moveTo(
      this.#edited.address === this.#unitUnderCursor ? this.#rows.cursorCell : undefined,
    );
    if (this.#layout.unit === 'pointers') this.#memory.wantNames(this.#pointers(top, end));
  }

  /** Lays the window anew, if what is shown is near an end of it. */
  #keepFromEnds(): void {
    const { scrollTop } = this.element;
    const place = scrollTop / rowHeight;
    if (!this.#window.isNearEnd(place)) return;
    const within = scrollTop % rowHeight;
    this.element.scrollTop = this.#window.lay(this.#window.at(place)) * rowHeight + within;
  }

  *#pointers(from: bigint, to: bigint): Iterable<bigint> {
    for (let at = from; at < to; at += 8n) {
      const pointer = this.#memory.pointer(at);
      if (pointer !== undefined) yield pointer;
    }
  }

  /** The selection, whole units. */
  #range(): { readonly from: bigint; readonly to: bigint } {
    const size = BigInt(this.#layout.size);
    const [low, high] =
      this.#anchor < this.#cursor ? [this.#anchor, this.#cursor] : [this.#cursor, this.#anchor];
    return { from: low - (low % size), to: high - (high % size) + size };
  }

  #pressed(event: KeyboardEvent): void {
    if (this.#edited !== undefined) return;
    const { size, rowBytes } = this.#layout;
    const row = BigInt(rowBytes);
    const page = BigInt(Math.max(1, Math.floor(this.element.clientHeight / rowHeight) - 1)) * row;
    const within = this.#cursor % row;
    const moves: Readonly<Record<string, bigint>> = {
      ArrowLeft: -BigInt(size),
      ArrowRight: BigInt(size),
      ArrowUp: -row,
      ArrowDown: row,
      PageUp: -page,
      PageDown: page,
      Home: -within,
      End: row - BigInt(size) - within,
    };
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
    const move = moves[key];
    if (altKey && key === 'ArrowLeft') this.handlers.onBack();
    else if (move !== undefined && !altKey) this.#move(this.#cursor + move, shiftKey);
    else if (key === 'Enter' && (ctrlKey || metaKey)) this.follow();
    else if (key === 'Enter' || key === 'F2') this.#edit();
    else if (key === 'c' && (ctrlKey || metaKey)) this.copy();
    else return;
    event.preventDefault();
  }

  #move(to: bigint, extend: boolean): void {
    const last = (1n << 64n) - BigInt(this.#layout.size);
    this.#cursor = to < 0n ? 0n : to > last ? last : to;
    if (!extend) this.#anchor = this.#cursor;
    this.#reveal();
    this.tellCursor();
    this.#draw();
  }

  /** Scrolls no further than it must. */
  #reveal(): void {
    const row = this.#window.rowOf(this.#cursor);
    const rows = BigInt(Math.max(1, Math.floor(this.element.clientHeight / rowHeight)));
    const top = this.#top();
    if (row >= top && row < top + rows) return;
    const wanted = row < top ? row : row - rows + 1n;
    const place = wanted - this.#window.base;
    if (place < 0n || place > BigInt(windowRows))
      this.element.scrollTop = this.#window.lay(wanted) * rowHeight;
    else this.element.scrollTop = Number(place) * rowHeight;
  }

  #clicked(event: MouseEvent): void {
    const at = this.#addressUnder(event.target as Node);
    if (at === undefined) return;
    this.#cursor = at;
    if (!event.shiftKey) this.#anchor = at;
    const drag = (moved: MouseEvent): void => {
      const over = this.#addressUnder(moved.target as Node);
      if (over === undefined) return;
      this.#cursor = over;
      this.tellCursor();
      this.#draw();
    };
    document.addEventListener('mousemove', drag);
    document.addEventListener('mouseup', () => document.removeEventListener('mousemove', drag), {
      once: true,
    });
    this.tellCursor();
    this.#draw();
  }

  #addressUnder(target: Node): bigint | undefined {
    const found = this.#rows.cellAt(target);
    if (found === undefined) return undefined;
    const first = Math.floor(this.element.scrollTop / rowHeight);
    const row = this.#window.addressOf(this.#window.at(first + found.row));
    return row + BigInt(found.cell * this.#layout.size);
  }

  /** Its address. */
  get #unitUnderCursor(): bigint {
    return this.#cursor - (this.#cursor % BigInt(this.#layout.size));
  }

  /** What was scrolled away from is shown again first. */
  #edit(): void {
    const why = this.#whyNotEdited();
    if (why !== undefined) {
      this.handlers.onFailure(why);
      return;
    }
    this.#reveal();
    this.#drawNow();
    const cell = this.#rows.cursorCell;
    if (cell === undefined) return;
    const address = this.#unitUnderCursor;
    const epoch = this.#epoch;
    const editor = editCell({
      ...{ cell, within: this.element, address, unit: this.#layout.unit },
      onEnd: (wasLeft) => {
        this.#edited = undefined;
        if (!wasLeft) this.focus();
      },
      onWrite: (bytes) => {
        this.host.send({ kind: 'write', epoch, address: reference(address), data: base64(bytes) });
        this.#move(address + BigInt(bytes.length), false);
      },
    });
    this.#edited = { editor, address };
  }

  #whyNotEdited(): string | undefined {
    const why = whyReadOnly(this.space, this.#phase);
    if (why !== undefined || this.#memory.byte(this.#cursor) !== undefined) return why;
    return this.#memory.page(this.#cursor) === undefined
      ? 'This memory was not read yet.'
      : 'There is no memory that could be changed.';
  }
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
