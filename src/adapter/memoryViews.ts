/**
 * The memory that a client has looked at. It refreshes a pane when an event names the very reference that the pane was
 * opened with, so those are remembered, and told of after writes and at each stop. While the kernel runs, those that are open
 * can be compared with what is there now.
 *
 *   seen ─▶ known ──changed──▶ told ──seen: it is open──▶ known
 *                                └──not seen for a while: it was closed──▶ asleep, until it is seen again
 *
 * Invariant: at most `mostViews` references are remembered; the one unused for longest goes first.
 */

import type { VirtualAddress } from '../engine/core/addresses';
import type { EventSink } from './connection';
import type { OwnEvents } from '../protocol/ownRequests';
import { addressOf, memoryReference } from './memoryReferences';

interface View {
  /** [from, to), in bytes from the reference's address. */
  from: number;
  to: number;
  /** What was there when it was last looked at while the kernel ran. */
  last: Uint8Array | undefined;
  /** How often it was told of since the client has asked for it. */
  unheard: number;
}

const mostViews = 64;
/** Bytes of a view that are compared. */
const mostCompared = 64 << 10;
/** A client that does not ask again after so many changes has closed the pane. */
const mostUnheard = 4;

export class MemoryViews {
  readonly #views = new Map<string, View>();
  /** Whether the client understands `memory` events. */
  enabled = false;

  constructor(private readonly events: EventSink) {}

  seen(reference: string, offset: number, count: number): void {
    if (count <= 0) return;
    const known = this.#views.get(reference);
    this.#views.delete(reference);
    const from = Math.min(offset, known?.from ?? offset);
    const to = Math.max(offset + count, known?.to ?? 0);
    this.#views.set(reference, { from, to, last: known?.last, unheard: 0 });
    const [oldest] = this.#views.keys();
    if (this.#views.size > mostViews && oldest !== undefined) this.#views.delete(oldest);
  }

  /** These bytes have changed. */
  written(address: VirtualAddress, count: number): void {
    this.#tellOwn({ address: memoryReference(address), count });
    const end = address + BigInt(count);
    this.#tell((reference, { from, to }) => {
      const start = addressOf(reference);
      return start + BigInt(from) < end && address < start + BigInt(to);
    });
  }

  /**
   * Compares what is open with what is there now, and tells of what has changed.
   * @param read What is there; an empty array where nothing is. @throws what it throws
   */
  compare(read: (address: VirtualAddress, count: number) => Uint8Array): void {
    this.#tell((reference, view) => {
      if (view.unheard >= mostUnheard) return false;
      const { from, to, last } = view;
      const now = read(addressOf(reference, from), Math.min(to - from, mostCompared));
      if (last !== undefined && Buffer.compare(last, now) === 0) return false;
      view.last = now;
      view.unheard++;
      return true;
    });
  }

  /** Somebody else has written, nobody knows where. */
  touched(): void {
    this.#tellOwn({});
    this.allChanged();
  }

  /** The kernel has run: anything may have changed. */
  allChanged(): void {
    this.#tell(() => true);
  }

  /** For views whose reads are not remembered: one event, whatever they show. */
  #tellOwn(body: OwnEvents['vmkd/memoryWritten']): void {
    this.events.send('vmkd/memoryWritten', body);
  }

  #tell(concerns: (reference: string, view: View) => boolean): void {
    if (!this.enabled) return;
    for (const [memoryReference, view] of this.#views) {
      if (!concerns(memoryReference, view)) continue;
      const { from, to } = view;
      this.events.send('memory', { memoryReference, offset: from, count: to - from });
    }
  }
}
