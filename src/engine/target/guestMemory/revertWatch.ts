/**
 * Sees that a machine was taken back to a snapshot, or was started again, while its debug link stayed: the kernel that is there
 * now does not know of it, and says nothing. Guest RAM tells:
 *
 *   the kernel’s clock is earlier than it was                            it was taken back
 *   its clock has gone on, though it stands and was asked nothing        it was taken back, or elsewhere
 *   its header is not where it was, again and again                      another start of it
 *
 * What is seen once is looked at once more before it is believed. Not seen: a running kernel whose snapshot has a later clock,
 * and what happens before its memory was proven.
 */

import type { Clock, Timer } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import type { KdClient } from '../../kd/client';
import type { StoppedState } from '../../kd/clientState';
import type { GuestMemory } from './guestMemory';
import { LiveSpace } from './liveSpace';

export interface RevertWatchParts {
  readonly guestMemory: Pick<GuestMemory, 'state' | 'onState' | 'proven' | 'fails'>;
  readonly client: Pick<KdClient, 'state' | 'states' | 'restarts' | 'replaced' | 'exchanges' | 'isAsking'>;
  readonly clock: Clock;
  /** Before the client starts anew. @param taken Back, to a kernel that lies where this one did. */
  readonly onReplaced: (error: VmkdError, taken: boolean) => void;
}

/** Milliseconds between two looks, and until the second look at what is suspicious. */
const interval = 250;
const again = 20;
/** Looks at which the kernel is not there, until it is gone. */
const patience = 4;

interface Look {
  /** Of the kernel’s clock, in 100 ns. */
  readonly time: bigint;
  /** The stop it stood in, and was not being asked anything; undefined: it may have run. */
  readonly rested: StoppedState | undefined;
  readonly exchanges: number;
}

type Finding = 'same' | 'suspicious' | 'absent';

export class RevertWatch {
  #space: LiveSpace | undefined;
  #last: Look | undefined;
  #absences = 0;
  #suspects = false;
  #timer: Timer | undefined;

  constructor(private readonly parts: RevertWatchParts) {
    const { guestMemory, client } = parts;
    guestMemory.onState.add(({ kind }) => {
      if (kind === 'verified') this.#arm(interval);
      else this.#rest();
    });
    client.restarts.add(() => this.#forget());
    client.states.add(({ kind }) => {
      if (kind === 'running' || kind === 'stopped') return;
      this.#forget();
      this.#rest();
    });
  }

  #arm(milliseconds: number): void {
    this.#timer?.cancel();
    this.#timer = this.parts.clock.after(milliseconds, () => this.#look());
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#space = undefined;
  }

  /** The kernel is another one, and is known to be. */
  #forget(): void {
    this.#last = undefined;
    this.#absences = 0;
    this.#suspects = false;
  }

  #look(): void {
    let finding: Finding;
    try {
      finding = this.#find();
    } catch (thrown) {
      this.parts.guestMemory.fails(thrown);
      finding = 'same';
    }
    if (this.parts.guestMemory.state.kind !== 'verified') return;
    const isTakenBack = finding === 'suspicious' && this.#suspects;
    this.#suspects = finding === 'suspicious';
    this.#absences = finding === 'absent' ? this.#absences + 1 : 0;
    if (isTakenBack) this.#replaced(wasTakenBack(), true);
    else if (this.#absences >= patience) this.#replaced(isElsewhere(), false);
    else this.#arm(this.#suspects ? again : interval);
  }

  /** @throws ram-* */
  #find(): Finding {
    const { client, guestMemory } = this.parts;
    const { state, exchanges, isAsking } = client;
    const { proven } = guestMemory;
    if ((state.kind !== 'running' && state.kind !== 'stopped') || proven?.proof.lasts !== true) return 'same';
    if (this.#space?.proven !== proven) this.#space = new LiveSpace(proven);
    this.#space.forget();
    const { time } = this.#space;
    if (!this.#space.hasKernel || !this.#space.hasClock) return 'absent';
    // It is being set.
    if (time === undefined) return 'same';
    const rested = state.kind === 'stopped' && !isAsking ? state : undefined;
    const last = this.#last;
    if (last !== undefined) {
      const hasRested = rested !== undefined && last.rested === rested && last.exchanges === exchanges;
      if (time < last.time || (hasRested && time !== last.time)) return 'suspicious';
    }
    this.#last = { time, rested, exchanges };
    return 'same';
  }

  #replaced(error: VmkdError, taken: boolean): void {
    this.#forget();
    this.parts.onReplaced(error, taken);
    this.parts.client.replaced(taken ? undefined : 1);
  }
}

const wasTakenBack = (): VmkdError =>
  new VmkdError(
    'target-replaced',
    'The machine was taken back to an earlier state: the kernel’s clock says so',
  );

const isElsewhere = (): VmkdError =>
  new VmkdError(
    'target-replaced',
    'The kernel is not where it was: the machine was started again, or taken back to another start of it',
  );
