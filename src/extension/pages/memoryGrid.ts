/**
 * The grid of a memory view: rows over the whole address space, of which those exist that can be seen; a cursor, a selection,
 * editing in place.
 *
 *   scroller ─ spacer of windowRows rows ─ rows, moved to where the scroller is
 *
 * Invariants: at most one frame is drawn for any number of scrolls and answers; a row's elements are made once for a unit, and
 * touched only where their text or class changes.
 */

import { PageStore, pageBytes, type Page, type Run } from '../memory/pageStore';
import { RowWindow, windowRows } from '../memory/rows';
import {
  addressText,
  bytesPerRow,
  characters,
  missing,
  parseUnit,
  reference,
  units,
  unitText,
  type Unit,
} from '../memory/units';
import type { FromMemory, Space, ToMemory } from '../webviews/messages';
import { element, type Host } from './page';

const rowHeight = 20;
/** Rows beyond the edge, so that a fast scroll finds something. */
const spareRows = 4;
const pagesAhead = 2n;
const mostSelected = 16 << 20;

interface Row {
  readonly element: HTMLElement;
  readonly address: HTMLElement;
  readonly cells: readonly HTMLElement[];
  readonly text: HTMLElement;
}

interface Handlers {
  onCursor(text: string): void;
  onFollow(address: bigint): void;
  onBack(): void;
}

type Answer = Extract<ToMemory, { kind: 'bytes' | 'unread' | 'names' }>;

export class MemoryGrid {
  readonly element: HTMLElement;
  readonly #rows: HTMLElement;
  readonly #spacer: HTMLElement;
  readonly #store = new PageStore();
  readonly #asked = new Map<number, Run>();
  readonly #naming = new Map<number, readonly string[]>();
  /** Of addresses as the target has them. */
  readonly #names = new Map<string, string | null>();
  #shown: Row[] = [];
  #unit: Unit = 'bytes';
  #space: Space = { kind: 'virtual' };
  #window = new RowWindow(16);
  #epoch = 0;
  #count = 0;
  #isDue = false;
  #cursor = 0n;
  /** Where the selection began; the cursor is its other end. */
  #anchor = 0n;
  #isStopped = false;
  #isLive = false;
  #canWrite = false;
  #editor: HTMLInputElement | undefined;

  constructor(
    private readonly host: Host<FromMemory>,
    private readonly handlers: Handlers,
  ) {
    this.#spacer = element('div', { class: 'spacer', role: 'presentation' });
    this.#spacer.style.height = `${windowRows * rowHeight}px`;
    this.#rows = element('div', { class: 'rows', role: 'rowgroup' });
    this.element = element(
      'div',
      {
        class: 'grid',
        role: 'grid',
        tabindex: '0',
        'aria-label': 'Bytes of memory. Arrows move, Enter edits, Control and Enter follows a pointer.',
        onscroll: () => this.#draw(),
        onkeydown: (event: KeyboardEvent) => this.#pressed(event),
        onmousedown: (event: MouseEvent) => this.#clicked(event),
        ondblclick: () => this.#edit(),
      },
      this.#spacer,
      this.#rows,
    );
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  focus(): void {
    this.element.focus();
  }

  /** The bytes that are selected. */
  get selection(): { readonly address: string; readonly count: number } {
    const [from, to] = this.#range();
    return { address: reference(from), count: Number(to - from) };
  }

  setState(
    { phase, epoch, canWrite, canBeLive }: Extract<ToMemory, { kind: 'state' }>,
    isOther: boolean,
  ): void {
    this.#canWrite = canWrite;
    this.#isStopped = phase === 'stopped';
    this.#isLive = phase === 'running' && canBeLive;
    if (isOther) this.#store.clear();
    if (phase === 'stopped' && (epoch !== this.#epoch || isOther)) {
      this.#epoch = epoch;
      this.#renew(epoch);
    }
    this.#draw();
  }

  /** What is known may not be so any more. */
  touched(): void {
    this.#renew(this.#epoch);
    this.#draw();
  }

  /** Other memory: nothing of what is known is in it. */
  setSpace(space: Space): void {
    this.#space = space;
    this.#store.clear();
    this.#renew(this.#epoch);
    this.#draw();
  }

  get space(): Space {
    return this.#space;
  }

  setUnit(unit: Unit): void {
    const top = this.#window.addressOf(this.#top());
    this.#unit = unit;
    this.#window = new RowWindow(bytesPerRow(unit));
    this.#shown = [];
    this.#rows.replaceChildren();
    this.#scrollTo(top);
  }

  /** Scrolls there, and puts the cursor on it. */
  show(address: bigint): void {
    this.#cursor = this.#anchor = address;
    this.#scrollTo(address);
    this.#tellCursor();
  }

  answered(answer: Answer): void {
    switch (answer.kind) {
      case 'bytes': {
        const run = this.#asked.get(answer.id);
        this.#asked.delete(answer.id);
        if (run !== undefined) this.#store.received(run, bytesOf(answer.data), answer.unreadable);
        break;
      }
      case 'unread': {
        const run = this.#asked.get(answer.id);
        this.#asked.delete(answer.id);
        if (run !== undefined) this.#store.refused(run);
        this.handlers.onCursor(answer.message);
        // Asked again by whatever is drawn next, not by this: it might be refused for ever.
        return;
      }
      case 'names': {
        const addresses = this.#naming.get(answer.id) ?? [];
        this.#naming.delete(answer.id);
        for (const [at, address] of addresses.entries()) this.#names.set(address, answer.names[at] ?? null);
      }
    }
    this.#draw();
  }

  copy(): void {
    const [from, to] = this.#range();
    const bytes: string[] = [];
    for (let at = from; at < to && bytes.length < mostSelected; at++) {
      const byte = this.#byteAt(at);
      bytes.push(byte === undefined ? '??' : byte.toString(16).padStart(2, '0'));
    }
    this.host.send({ kind: 'copy', text: bytes.join(' ') });
  }

  /** To where the pointer under the cursor points. */
  follow(): void {
    const at = this.#cursor - (this.#cursor % 8n);
    const page = this.#store.page(at / BigInt(pageBytes));
    if (page?.view === undefined) return;
    this.handlers.onFollow(page.view.getBigUint64(Number(at % BigInt(pageBytes)), true));
  }

  #renew(epoch: number): void {
    this.#store.renew(epoch);
    // Symbols may have come since.
    this.#names.clear();
    this.#naming.clear();
    this.#asked.clear();
  }

  /** While the kernel runs, only what it sees itself can be read. */
  get #canRead(): boolean {
    return this.#isStopped || (this.#isLive && this.#space.kind === 'virtual');
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
    const { scrollTop, clientHeight } = this.element;
    const place = scrollTop / rowHeight;
    if (this.#window.isNearEnd(place)) {
      const within = scrollTop % rowHeight;
      this.element.scrollTop = this.#window.lay(this.#window.at(place)) * rowHeight + within;
      this.#draw();
      return;
    }
    const count = Math.ceil(clientHeight / rowHeight) + spareRows;
    while (this.#shown.length < count) this.#addRow();
    const first = Math.floor(place);
    this.#rows.style.transform = `translateY(${first * rowHeight}px)`;
    const top = this.#window.at(first);
    this.#ask(this.#window.addressOf(top), this.#window.addressOf(top + BigInt(count)));
    const range = this.#range();
    for (let at = 0; at < this.#shown.length; at++)
      this.#drawRow(this.#shown[at]!, this.#window.addressOf(top + BigInt(at)), range, at < count);
    this.#askNames(top, count);
  }

  #addRow(): void {
    const { perRow } = units[this.#unit];
    const address = element('span', { class: 'address', role: 'rowheader' });
    const cells = Array.from({ length: perRow }, () => element('span', { class: 'cell', role: 'gridcell' }));
    const text = element('span', { class: 'text' });
    const row = element('div', { class: 'row', role: 'row' }, address, ...cells, text);
    this.#rows.append(row);
    this.#shown.push({ element: row, address, cells, text });
  }

  #drawRow(row: Row, at: bigint, [from, to]: readonly [bigint, bigint], isShown: boolean): void {
    const { size, perRow } = units[this.#unit];
    const isBeyond = at >= 1n << 64n || !isShown;
    row.element.classList.toggle('beyond', isBeyond);
    if (isBeyond) return;
    set(row.address, addressText(at));
    const page = this.#store.page(at / BigInt(pageBytes));
    const offset = Number(at % BigInt(pageBytes));
    for (let index = 0; index < perRow; index++) {
      const start = at + BigInt(index * size);
      const within = offset + index * size;
      const isSelected = start < to && start + BigInt(size) > from;
      const isCursor = this.#cursor >= start && this.#cursor < start + BigInt(size);
      const cell = row.cells[index]!;
      set(
        cell,
        page === undefined
          ? ''
          : page.view === undefined
            ? missing(this.#unit)
            : unitText(page.view, within, this.#unit),
      );
      const name = classOf(this.#store, page, within, size, isSelected, isCursor);
      if (cell.className !== name) cell.className = name;
      if (isCursor && cell.id !== 'cursor') {
        document.getElementById('cursor')?.removeAttribute('id');
        cell.id = 'cursor';
        this.element.setAttribute('aria-activedescendant', 'cursor');
      }
    }
    set(row.text, this.#sideText(page, offset));
  }

  /** Characters, or the name of what a pointer points at. */
  #sideText(page: Page | undefined, offset: number): string {
    if (page?.bytes === undefined || page.view === undefined) return '';
    if (this.#unit !== 'pointers') return characters(page.bytes, offset, bytesPerRow(this.#unit));
    return this.#names.get(reference(page.view.getBigUint64(offset, true))) ?? '';
  }

  #ask(from: bigint, to: bigint): void {
    if (!this.#canRead) return;
    const last = (1n << 64n) / BigInt(pageBytes) - 1n;
    const first = from / BigInt(pageBytes);
    const wanted = to / BigInt(pageBytes) + pagesAhead;
    for (const run of this.#store.wanted(first > 0n ? first - 1n : first, wanted > last ? last : wanted)) {
      const id = ++this.#count;
      this.#asked.set(id, run);
      this.host.send({
        kind: 'read',
        id,
        space: this.#space,
        address: reference(run.page * BigInt(pageBytes)),
        count: run.count * pageBytes,
      });
    }
  }

  #askNames(top: bigint, count: number): void {
    if (this.#unit !== 'pointers' || this.#naming.size > 0 || !this.#canRead) return;
    const addresses = new Set<string>();
    for (let at = 0; at < count; at++) {
      const address = this.#window.addressOf(top + BigInt(at));
      const view = this.#store.page(address / BigInt(pageBytes))?.view;
      const pointer = view?.getBigUint64(Number(address % BigInt(pageBytes)), true);
      // Numbers are no addresses.
      if (pointer === undefined || pointer < 0x10000n) continue;
      const text = reference(pointer);
      if (!this.#names.has(text)) addresses.add(text);
    }
    if (addresses.size === 0) return;
    const id = ++this.#count;
    this.#naming.set(id, [...addresses]);
    this.host.send({ kind: 'symbolize', id, addresses: [...addresses] });
  }

  #byteAt(address: bigint): number | undefined {
    return this.#store.page(address / BigInt(pageBytes))?.bytes?.[Number(address % BigInt(pageBytes))];
  }

  /** [from, to) of the selection, whole units. */
  #range(): readonly [bigint, bigint] {
    const size = BigInt(units[this.#unit].size);
    const [low, high] =
      this.#anchor < this.#cursor ? [this.#anchor, this.#cursor] : [this.#cursor, this.#anchor];
    return [low - (low % size), high - (high % size) + size];
  }

  #pressed(event: KeyboardEvent): void {
    if (this.#editor !== undefined) return;
    const { size, perRow } = units[this.#unit];
    const row = BigInt(size * perRow);
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
    const last = (1n << 64n) - BigInt(units[this.#unit].size);
    this.#cursor = to < 0n ? 0n : to > last ? last : to;
    if (!extend) this.#anchor = this.#cursor;
    this.#reveal();
    this.#tellCursor();
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
      this.#draw();
    };
    document.addEventListener('mousemove', drag);
    document.addEventListener('mouseup', () => document.removeEventListener('mousemove', drag), {
      once: true,
    });
    this.#tellCursor();
    this.#draw();
  }

  #addressUnder(target: Node): bigint | undefined {
    const first = Math.floor(this.element.scrollTop / rowHeight);
    for (const [index, row] of this.#shown.entries()) {
      const cell = row.cells.findIndex((one) => one.contains(target));
      if (cell >= 0)
        return this.#window.addressOf(this.#window.at(first + index)) + BigInt(cell * units[this.#unit].size);
    }
    return undefined;
  }

  #edit(): void {
    const cell = document.getElementById('cursor');
    if (
      cell === null ||
      !this.#canWrite ||
      this.#space.kind !== 'virtual' ||
      this.#byteAt(this.#cursor) === undefined
    )
      return;
    const size = BigInt(units[this.#unit].size);
    const at = this.#cursor - (this.#cursor % size);
    const editor = element('input', {
      class: 'editor',
      type: 'text',
      'aria-label': `New value at ${reference(at)}`,
    });
    editor.value = cell.textContent;
    const { left, top, width } = cell.getBoundingClientRect();
    editor.style.left = `${left - 3}px`;
    editor.style.top = `${top}px`;
    editor.style.width = `${width + 8}px`;
    const end = (): void => {
      if (this.#editor === undefined) return;
      this.#editor = undefined;
      editor.remove();
      this.focus();
    };
    editor.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Escape') end();
      if (event.key !== 'Enter') return;
      const bytes = parseUnit(editor.value, this.#unit);
      editor.classList.toggle('wrong', bytes === undefined);
      if (bytes === undefined) return;
      this.host.send({ kind: 'write', address: reference(at), data: base64(bytes) });
      end();
      this.#move(at + size, false);
    });
    editor.addEventListener('blur', end);
    this.#editor = editor;
    document.body.append(editor);
    editor.focus();
    editor.select();
  }

  #tellCursor(): void {
    const [from, to] = this.#range();
    const count = to - from;
    this.handlers.onCursor(
      count > BigInt(units[this.#unit].size) ? `${addressText(from)}, ${count} bytes` : addressText(from),
    );
  }
}

function classOf(
  store: PageStore,
  page: Page | undefined,
  offset: number,
  size: number,
  isSelected: boolean,
  isCursor: boolean,
): string {
  let name = 'cell';
  if (page !== undefined && page.view === undefined) name += ' unreadable';
  else if (page?.before !== undefined) {
    for (let at = offset; at < offset + size; at++) {
      if (!store.hasChanged(page, at)) continue;
      name += ' changed';
      break;
    }
  }
  if (isSelected) name += ' selected';
  return isCursor ? `${name} at` : name;
}

function set(target: HTMLElement, text: string): void {
  // A text node is made once, and its data changed: cheaper than a new one.
  const node = target.firstChild as Text | null;
  if (node === null) target.append(text);
  else if (node.data !== text) node.data = text;
}

function bytesOf(base64Text: string): Uint8Array {
  const text = atob(base64Text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
