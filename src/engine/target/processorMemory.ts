/**
 * Memory as one processor of a stopped target has it. The kernel's half is everybody's; the user half belongs to the process
 * that the processor is in. KD knows only that of the processor which stopped; of others guest RAM has it, by their own tables.
 *
 *   kernel half, or the same process   ─▶ memory of the stop
 *   another process                    ─▶ guest RAM; what it lacks is absent, for KD would read the wrong process
 *   another, and no guest RAM          ─▶ memory of the stop: there is nothing better
 */

import type { VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { GuestMemory } from './guestMemory/guestMemory';
import type { TargetMemory } from './target';

export type ProcessorSpaces = Pick<GuestMemory, 'isElsewhere' | 'readAs'>;

const highestBit = 1n << 63n;

export class ProcessorMemory implements TargetMemory {
  constructor(
    private readonly processor: number,
    private readonly memory: TargetMemory,
    private readonly guestMemory: ProcessorSpaces,
  ) {}

  readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    if (!this.#isForeign(address)) return this.memory.readPartial(address, length);
    const into = new Uint8Array(length);
    return Promise.resolve(into.subarray(0, this.guestMemory.readAs(this.processor, address, into)));
  }

  /** @throws target-unsupported for another process's memory */
  async write(address: VirtualAddress, bytes: Uint8Array): Promise<void> {
    if (this.#isForeign(address)) {
      throw new VmkdError(
        'target-unsupported',
        `CPU ${this.processor} is in another process than the one KD can write to`,
        {
          nextStep: 'Stop in that process, then write.',
        },
      );
    }
    if (this.memory.write === undefined)
      throw new VmkdError('target-unsupported', 'The memory of this target cannot be written');
    await this.memory.write(address, bytes);
  }

  #isForeign(address: VirtualAddress): boolean {
    return address < highestBit && this.guestMemory.isElsewhere(this.processor);
  }
}
