/**
 * Memory of a target while it runs, out of guest RAM that was proven in its last stop. What is read is of this moment, and
 * pages of one read may be of different ones; nothing is kept.
 *
 * A machine can be reset without a word to KD, and the kernel of before stays in RAM for a while. So each read looks whether
 * the kernel's clock goes, as fast as ours; and if it does not, whether the kernel's header is where it was.
 *
 * Only the kernel's own half can be read: whose the user half is changes with every switch of threads.
 */

import { formatAddress, type VirtualAddress } from '../../core/addresses';
import type { Clock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { notStopped } from '../../kd/clientState';
import type { KdClient } from '../../kd/client';
import type { VirtualMemory } from '../../memory/virtualMemory';
import { mostBytes } from '../kdMemory';
import type { GuestMemory } from './guestMemory';
import { LiveSpace } from './liveSpace';

/** Milliseconds for which a clock may stand still: a tick takes up to 16, a busy computer makes more of it. */
const stillness = 2000;
const aFewTicks = 50;
/** Of the kernel's clock, in a millisecond. */
const timeUnits = 10_000;
const highestBit = 1n << 63n;

interface Watched {
  readonly space: LiveSpace;
  /** The kernel's time, and when it was seen to change; before the first look that is long ago. */
  time: bigint;
  changed: number;
}

export class LiveMemory implements VirtualMemory {
  #watched: Watched | undefined;

  constructor(
    private readonly guestMemory: Pick<GuestMemory, 'state' | 'proven' | 'fails'>,
    private readonly client: Pick<KdClient, 'state'>,
    private readonly clock: Clock,
    private readonly cover: (address: VirtualAddress, bytes: Uint8Array) => void,
  ) {}

  /**
   * @throws the reason why guest RAM is not used; ram-still if its clock does not go, ram-moved if it is not there any more;
   *   memory-unreadable for user addresses; target-not-attached
   */
  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    return this.read(address, length);
  }

  /** As `readPartial`, at once. */
  read(address: VirtualAddress, length: number): Uint8Array {
    const watched = this.#mustBeReadable();
    if (address < highestBit) {
      throw new VmkdError('memory-unreadable', `${formatAddress(address)} is some process’s own memory`, {
        nextStep: 'Stop the kernel while that process runs: another one may run at any moment.',
      });
    }
    if (length > mostBytes)
      throw new VmkdError('value-out-of-range', `${length} bytes are more than ${mostBytes}`);
    const into = new Uint8Array(length);
    try {
      this.#mustLive(watched);
      return into.subarray(0, watched.space.read(address, into));
    } catch (thrown) {
      this.guestMemory.fails(thrown);
      throw thrown;
    }
  }

  #mustBeReadable(): Watched {
    const { state } = this.client;
    if (state.kind !== 'running' && state.kind !== 'stopped') throw notStopped(state);
    const { proven, state: memory } = this.guestMemory;
    if (memory.kind !== 'verified') throw memory.reason;
    if (proven === undefined || !proven.proof.lasts) {
      throw new VmkdError('ram-unproven', 'The kernel does not say which address space lasts', {
        nextStep: 'Stop the kernel to read its memory.',
      });
    }
    if (this.#watched?.space.proven !== proven)
      this.#watched = { space: new LiveSpace(proven, this.cover), time: -1n, changed: -Infinity };
    return this.#watched;
  }

  #mustLive(watched: Watched): void {
    watched.space.forget();
    const now = this.clock.now();
    const passed = now - watched.changed;
    const { time } = watched.space;
    const gone = time === undefined ? -1 : Number(time - watched.time) / timeUnits;
    const goes = gone > 0 ? gone < passed + stillness : gone === 0 && passed < aFewTicks;
    if (time === undefined || !goes || watched.changed < 0) this.#mustBeThere(watched);
    if (gone === 0 && passed > stillness && this.client.state.kind === 'running') {
      throw new VmkdError(
        'ram-still',
        'The kernel’s clock stands still: the machine is paused, hangs, or starts again',
      );
    }
    if (gone === 0 || time === undefined) return;
    watched.time = time;
    watched.changed = now;
  }

  #mustBeThere({ space }: Watched): void {
    if (!space.hasKernel)
      throw new VmkdError('ram-moved', 'The kernel is not where it was: the machine was started again');
  }
}
