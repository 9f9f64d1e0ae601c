/**
 * Text for the debug console. A kernel may print a hundred thousand lines at a go: what comes within one turn of the event
 * loop becomes one event, events are of bounded size, and a client that is slow is waited for.
 *
 *   write ─▶ pending (in order) ─▶ once a turn, unless congested ─▶ `output` events
 *                └─ over `mostPending` characters: on disk until there is room again
 *
 * The kernel itself cannot be made to wait: it gives a debugger up that does not acknowledge what it prints, and its words are
 * lost from then on.
 *
 * Invariants: nothing is lost, nothing overtakes; control characters of a guest never reach a client as such.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { EventSink } from './connection';
import { Spool } from './spool';

type OutputBody = P.OutputEvent['body'];
export type Category = 'console' | 'important' | 'stdout' | 'stderr';

/** What of a connection this file needs. */
export interface OutputSink extends EventSink {
  readonly congested: boolean;
  drained(): Promise<void>;
}

/** Characters in one event. */
const largestEvent = 32 * 1024;
/** Characters that may wait in memory. */
const mostPending = 4 << 20;

interface Entry {
  readonly category: Category;
  text: string;
  readonly more: Partial<OutputBody>;
}

export class Output {
  readonly #pending: Entry[] = [];
  readonly #spool = new Spool<Entry>();
  #waiting = 0;
  #scheduled = false;

  constructor(private readonly sink: OutputSink) {}

  /** @param more A source position, a variables reference: such a text has an event of its own. */
  write(category: Category, text: string, more: Partial<OutputBody> = {}): void {
    if (text === '') return;
    if (!this.#spool.isEmpty || this.#waiting > mostPending) this.#toDisk({ category, text, more });
    else this.#append({ category, text, more });
    this.#schedule();
  }

  /** A sentence of ours, on a line of its own. */
  line(category: Category, text: string): void {
    this.write(category, `${text}\n`);
  }

  /** Sends what can be sent now: what must be seen before the next event. */
  flush(): void {
    while (!this.sink.congested) {
      if (this.#pending.length === 0) for (const entry of this.#spool.take()) this.#append(entry);
      if (this.#pending.length === 0) return;
      const { category, text, more } = this.#pending[0]!;
      const cut = text.length > largestEvent ? lastCut(text) : text.length;
      this.sink.send('output', { ...more, category, output: text.slice(0, cut) });
      this.#waiting -= cut;
      if (cut === text.length) this.#pending.shift();
      else this.#pending[0]!.text = text.slice(cut);
    }
    this.#schedule();
  }

  close(): void {
    this.#spool.close();
  }

  #append({ category, text, more }: Entry): void {
    const last = this.#pending.at(-1);
    const isPlain = (entry: Pick<Entry, 'more'>): boolean => Object.keys(entry.more).length === 0;
    if (last?.category === category && isPlain(last) && isPlain({ more })) last.text += text;
    else this.#pending.push({ category, text, more });
    this.#waiting += text.length;
  }

  #toDisk(entry: Entry): void {
    try {
      this.#spool.push(entry);
    } catch {
      // The disk is full: better too much memory than lost words, as long as their order is kept.
      for (const older of this.#fromDisk()) this.#append(older);
      this.#append(entry);
    }
  }

  *#fromDisk(): Generator<Entry> {
    while (!this.#spool.isEmpty) yield* this.#spool.take();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const flush = (): void => {
      this.#scheduled = false;
      this.flush();
    };
    if (this.sink.congested) void this.sink.drained().then(flush);
    else setImmediate(flush);
  }
}

/** Behind a line if there is one, and never between the halves of a character. */
function lastCut(text: string): number {
  const line = text.lastIndexOf('\n', largestEvent - 1) + 1;
  if (line > 0) return line;
  const isHalf = /[\ud800-\udbff]/.test(text[largestEvent - 1]!);
  return isHalf ? largestEvent - 1 : largestEvent;
}

/** Text of a guest: lines end as `\n`, control characters other than tabs are made visible. */
export const guestText = (text: string): string =>
  text
    .replace(/\r+\n/g, '\n')
    .replace(/(?![\n\t])\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** Ways to set text off, for clients that understand ANSI's escape sequences. */
const styles = { bold: [1, 22], red: [31, 39] } as const;

export const styled = (text: string, style: keyof typeof styles): string =>
  `\x1b[${styles[style][0]}m${text}\x1b[${styles[style][1]}m`;
