/**
 * Two ByteLinks in one process, each the other's peer: for tests, benches, and bridges between parts of vmkd.
 *
 * Delivery is asynchronous, in order, and cheap: what is written goes out in the next microtask. Every 4096th time a
 * timer of the clock takes the microtask's place, so that two ends that never stop talking do not starve the timers
 * of those who watch over them. Closing either end closes both; what was written before is delivered first.
 */

import type { Clock } from '../core/clock';
import { VmkdError } from '../core/errors';
import type { ByteLink, LinkHandlers } from './link';
import { lostError } from './osErrors';

const microtasksInARow = 4096;

/** Two connected links; `names` are for messages. */
export function memoryLinkPair(
  clock: Clock,
  names: readonly [string, string] = ['memory:a', 'memory:b'],
): [ByteLink, ByteLink] {
  const a = new MemoryLink(names[0], clock);
  const b = new MemoryLink(names[1], clock);
  a.peer = b;
  b.peer = a;
  return [a, b];
}

class MemoryLink implements ByteLink {
  readonly name: string;
  peer!: MemoryLink;
  readonly #clock: Clock;
  #handlers: LinkHandlers | undefined;
  /** Chunks on their way to this end. */
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #scheduled = false;
  #deliveries = 0;
  #state: 'open' | 'ending' | 'closed' = 'open';
  #error: VmkdError | undefined;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
  }

  get queuedBytes(): number {
    return this.#state === 'open' ? this.peer.#inboxBytes : 0;
  }

  attach(handlers: LinkHandlers): void {
    if (this.#handlers !== undefined) throw new VmkdError('internal', `${this.name} has a reader already.`);
    this.#handlers = handlers;
    this.#schedule();
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== 'open' || bytes.length === 0) return;
    // Not bytes.slice(): a Buffer's slice is a view.
    this.peer.#inbox.push(new Uint8Array(bytes));
    this.peer.#inboxBytes += bytes.length;
    this.peer.#schedule();
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#schedule();
    this.peer.#peerClosed();
  }

  #peerClosed(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#error = lostError(this.name);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#handlers === undefined) return;
    if (this.#inbox.length === 0 && this.#state !== 'ending') return;
    this.#scheduled = true;
    const deliver = () => this.#deliver();
    if (++this.#deliveries % microtasksInARow === 0) this.#clock.after(0, deliver);
    else queueMicrotask(deliver);
  }

  #deliver(): void {
    this.#scheduled = false;
    const chunks = this.#inbox;
    this.#inbox = [];
    this.#inboxBytes = 0;
    for (const chunk of chunks) {
      this.#handlers?.onBytes(chunk);
      // The reader may have closed the link: then it wants no more of it.
      if (this.#state === 'ending' && this.#error === undefined) break;
    }
    // A reader's own write may have brought more; the end comes after that.
    if (this.#inbox.length > 0) this.#schedule();
    else if (this.#state === 'ending') {
      this.#state = 'closed';
      this.#handlers?.onClosed(this.#error);
    }
  }
}
