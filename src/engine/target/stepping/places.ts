/**
 * The places that one step waits at: int3s like anybody's, that count for its own thread only, and only in the right frame:
 * recursion passes through the same code, and so does every other thread.
 */

import type { VirtualAddress } from '../../core/addresses';
import type { CodeSites } from '../breakpoints/codeSites';
import type { LiveProcessor } from '../processors';

/** What it means that the thread is at a place. */
export type Arrival =
  /** Outside of the step's range. */
  | 'exit'
  /** Back in a caller of the stepped function. */
  | 'returned'
  /** Back from a call that was not to be entered. */
  | 'back'
  /** In the function that was to be entered, behind its prologue. */
  | 'entered'
  /** Before a call or a jump that has to be looked at. */
  | 'fork';

interface Place {
  readonly arrival: Arrival;
  /** It counts with the stack pointer, or the frame's end, at or above this. */
  readonly lowest: VirtualAddress;
  readonly by: 'rsp' | 'frame';
}

export class StepPlaces {
  readonly #places = new Map<VirtualAddress, Place[]>();

  /** @param owner Who owns the sites: the step. */
  constructor(
    private readonly sites: CodeSites,
    private readonly owner: object,
  ) {}

  async add(
    address: VirtualAddress,
    arrival: Arrival,
    lowest: VirtualAddress,
    by: Place['by'],
  ): Promise<void> {
    const here = this.#places.get(address) ?? [];
    here.push({ arrival, lowest, by });
    this.#places.set(address, here);
    await this.sites.claim(address, this.owner);
  }

  clear(): void {
    for (const address of this.#places.keys()) this.sites.release(address, this.owner);
    this.#places.clear();
  }

  /** What the processor, which runs the step's thread, has arrived at. Undefined: nothing that counts. */
  async arrivalAt(address: VirtualAddress, processor: LiveProcessor): Promise<Arrival | undefined> {
    for (const { arrival, lowest, by } of this.#places.get(address) ?? []) {
      const at = by === 'rsp' ? (await processor.general()).rsp : await frameEnd(processor);
      if (at !== undefined && at >= lowest) return arrival;
    }
    return undefined;
  }
}

/** Where the caller's frame begins: the same all through a function, and lower in what it calls. */
export async function frameEnd(processor: LiveProcessor): Promise<VirtualAddress | undefined> {
  return (await processor.stack(2)).frames[0]?.callerRsp;
}
