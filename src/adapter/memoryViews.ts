/**
 * The memory that a client has looked at. It refreshes a pane when an event names the very reference that the pane was
 * opened with, so those are remembered, and told of after writes and at each stop.
 *
 * Invariant: at most `mostViews` references are remembered; the one unused for longest goes first.
 */

import type { VirtualAddress } from '../engine/core/addresses';
import type { EventSink } from './connection';
import { addressOf } from './memoryReferences';

interface View {
  /** [from, to), in bytes from the reference's address. */
  from: number;
  to: number;
}

const mostViews = 64;

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
    this.#views.set(reference, { from, to });
    const [oldest] = this.#views.keys();
    if (this.#views.size > mostViews && oldest !== undefined) this.#views.delete(oldest);
  }

  /** These bytes have changed. */
  written(address: VirtualAddress, count: number): void {
    const end = address + BigInt(count);
    this.#tell((reference, { from, to }) => {
      const start = addressOf(reference);
      return start + BigInt(from) < end && address < start + BigInt(to);
    });
  }

  /** The kernel has run: anything may have changed. */
  allChanged(): void {
    this.#tell(() => true);
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
