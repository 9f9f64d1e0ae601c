/**
 * What the page of a memory view knows of memory, and how it comes to know it: pages by address, names of what pointers point at.
 *
 *   drawn ──want──▶ asked ──answered──▶ known ──▶ drawn        a stop, a write, a moment while it runs: all of it is old
 *
 * Invariants: what is old is shown until what is new has come; an answer to what was asked before something became old is dropped;
 * a few requests are under way at most, and those for what was scrolled past are given up.
 */

import type { FromMemory, Space, ToMemory } from '../webviews/messages';
import { whyNotLive } from './abilities';
import { pageBytes, PageStore, type Page, type Run } from './pageStore';
import { reference } from './units';

const pagesAhead = 2n;
const lastPage = (1n << 64n) / BigInt(pageBytes) - 1n;
/** Numbers below are no addresses. */
const leastPointer = 0x10000n;
const mostNames = 10_000;
/** Requests under way. On a serial line what is shown now would wait for all that was scrolled past, and a step, too. */
const mostReading = 3;

export type Answer = Extract<ToMemory, { kind: 'bytes' | 'unread' | 'names' }>;
type State = Extract<ToMemory, { kind: 'state' }>;

export class MemoryReader {
  readonly #store = new PageStore();
  /** By the ids of requests. What is forgotten has no answer yet, and none is wanted. */
  readonly #reading = new Map<number, { readonly run: Run; isForgotten: boolean }>();
  #naming: { readonly id: number; readonly addresses: readonly string[]; readonly age: number } | undefined;
  /** Of addresses as the target has them; null: there is none. */
  readonly #names = new Map<string, { readonly name: string | null; readonly age: number }>();
  /** Symbols may have come since they were asked for. */
  #nameAge = 0;
  #count = 0;
  #space: Space = { kind: 'virtual' };
  #state: State | undefined;

  constructor(private readonly send: (message: FromMemory) => void) {}

  get space(): Space {
    return this.#space;
  }

  set space(space: Space) {
    this.#space = space;
    this.#store.clear();
  }

  /** @param isOther Another kernel than before. */
  setState(state: State, isOther: boolean): void {
    const before = this.#state;
    this.#state = state;
    const isNewStop = state.phase === 'stopped' && (state.epoch !== before?.epoch || isOther);
    if (isOther) this.#store.clear();
    else if (before?.phase === 'stopped' && (state.phase !== 'stopped' || isNewStop)) this.#store.depart();
    if (isNewStop) this.touched();
  }

  /** The number of the last stop. */
  get stop(): number {
    return this.#state?.epoch ?? 0;
  }

  /** What is known may not be so any more. */
  touched(): void {
    this.#store.renew();
    this.renamed();
  }

  /** Symbols have come, or gone. */
  renamed(): void {
    this.#nameAge++;
  }

  /** Looks again while the kernel runs, unless it is looking: a slow answer is better than none. */
  lookAgain(): void {
    if (this.#reading.size === 0) this.#store.renew();
  }

  page(address: bigint): Page | undefined {
    return this.#store.page(address / BigInt(pageBytes));
  }

  /** Of an earlier stop, and not read again yet. */
  isOld(page: Page): boolean {
    return this.#canRead && !this.#store.isCurrent(page);
  }

  byte(address: bigint): number | undefined {
    return this.page(address)?.bytes?.[Number(address % BigInt(pageBytes))];
  }

  /** Which must be readable: @returns undefined if it is not. @param address Its 8 bytes are in one page. */
  pointer(address: bigint): bigint | undefined {
    return this.page(address)?.view?.getBigUint64(Number(address % BigInt(pageBytes)), true);
  }

  /** Asks for what is not known of [from, to), and a little around it. */
  want(from: bigint, to: bigint): void {
    const top = from / BigInt(pageBytes);
    const first = top > 0n ? top - 1n : top;
    const end = to / BigInt(pageBytes) + pagesAhead;
    const last = end > lastPage ? lastPage : end;
    this.#forget((run) => !this.#canRead || !this.#store.isOf(run, first, last));
    if (!this.#canRead) return;
    for (const run of this.#store.wanted(first, last, mostReading - this.#reading.size)) {
      const id = ++this.#count;
      this.#reading.set(id, { run, isForgotten: false });
      const address = reference(run.page * BigInt(pageBytes));
      this.send({ kind: 'read', id, space: this.#space, address, count: run.count * pageBytes });
    }
  }

  /** Nobody waits for it any more. */
  #forget(isOver: (run: Run) => boolean): void {
    for (const [id, reading] of this.#reading) {
      if (reading.isForgotten || !isOver(reading.run)) continue;
      reading.isForgotten = true;
      this.#store.refused(reading.run);
      this.send({ kind: 'forget', id });
    }
  }

  nameOf(pointer: bigint): string {
    return this.#names.get(reference(pointer))?.name ?? '';
  }

  /** Asks for the names that are not known, once what was asked before has come. */
  wantNames(pointers: Iterable<bigint>): void {
    if (this.#naming !== undefined || !this.#canRead) return;
    const addresses = new Set<string>();
    for (const pointer of pointers) {
      const text = reference(pointer);
      if (pointer >= leastPointer && this.#names.get(text)?.age !== this.#nameAge) addresses.add(text);
    }
    if (addresses.size === 0) return;
    this.#naming = { id: ++this.#count, addresses: [...addresses], age: this.#nameAge };
    this.send({ kind: 'symbolize', id: this.#naming.id, addresses: this.#naming.addresses });
  }

  /** @returns Why what is still wanted cannot be read, if it cannot: it is not asked for again before something else is drawn */
  answered(answer: Answer): string | undefined {
    if (answer.kind === 'names') {
      this.#takeNames(answer);
      return undefined;
    }
    const reading = this.#reading.get(answer.id);
    this.#reading.delete(answer.id);
    if (reading === undefined || reading.isForgotten) return undefined;
    const { run } = reading;
    if (answer.kind === 'unread') return this.#store.refused(run) ? answer.message : undefined;
    this.#store.received(run, bytesOf(answer.data), answer.unreadable);
    return undefined;
  }

  #takeNames({ id, names }: Extract<Answer, { kind: 'names' }>): void {
    if (this.#naming?.id !== id) return;
    const { addresses, age } = this.#naming;
    this.#naming = undefined;
    if (this.#names.size > mostNames) this.#names.clear();
    for (const [at, address] of addresses.entries())
      this.#names.set(address, { name: names[at] ?? null, age });
  }

  /** While the kernel runs, only what it sees itself can be read. */
  get #canRead(): boolean {
    if (this.#state === undefined) return false;
    const { phase, canBeLive } = this.#state;
    return phase === 'stopped' || (phase === 'running' && whyNotLive(this.#space, canBeLive) === undefined);
  }
}

function bytesOf(base64Text: string): Uint8Array {
  const text = atob(base64Text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
