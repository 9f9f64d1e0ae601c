/**
 * Which way the bytes of a live target come, and why not a better one:
 *
 *   mailbox   KD's packets go through guest RAM, memory is read there
 *   hybrid    memory is read in guest RAM; KD's packets go over the debug port
 *   serial    everything goes over the debug port
 *
 * A way that fails falls back to the one below, and comes back when it can; every change is told.
 */

import { VmkdError } from '../core/errors';
import { Listeners } from '../core/listeners';
import type { Carrying } from '../link/mailbox/hybridChannel';
import type { GuestMemory } from './guestMemory/guestMemory';

/** From the slowest to the fastest. */
export const tiers = ['serial', 'hybrid', 'mailbox'] as const;
export type Tier = (typeof tiers)[number];

export interface TransportState {
  readonly tier: Tier;
  /** Where memory is read, for people: “backing file /dev/shm/x”; undefined: by KD. */
  readonly memory: string | undefined;
  /** Why it is not the best that was wanted. */
  readonly why: VmkdError | undefined;
}

export const noMailbox = new VmkdError('mailbox-absent', 'The guest has no module of vmkd loaded');

export class Transport {
  /** Told after each change. */
  readonly onChange = new Listeners<TransportState>();
  #carrying: Carrying = 'serial';
  #whyCarried: VmkdError | undefined;
  #whyNoMailbox = noMailbox;
  #state: TransportState;

  /** @param best The best way that is wanted. */
  constructor(
    private readonly guestMemory: GuestMemory,
    private readonly best: Tier,
  ) {
    this.#state = this.#now();
    guestMemory.onState.add(() => this.#changed());
  }

  get state(): TransportState {
    return this.#state;
  }

  /** KD's packets go another way. */
  carried(carrying: Carrying, why: VmkdError | undefined): void {
    this.#carrying = carrying;
    this.#whyCarried = why;
    this.#changed();
  }

  /** There is no mailbox. @param failure Of the module in this kernel; undefined: it was not loaded. */
  hasNoMailbox(failure: VmkdError | undefined): void {
    if (failure?.message === this.#whyNoMailbox.message) return;
    this.#whyNoMailbox = failure ?? noMailbox;
    this.#changed();
  }

  #changed(): void {
    const before = this.#state;
    const state = this.#now();
    this.#state = state;
    if (state.tier !== before.tier || state.memory !== before.memory || state.why !== before.why)
      this.onChange.tell(state);
  }

  #now(): TransportState {
    const { state } = this.guestMemory;
    const memory = state.kind === 'verified' ? state.way : undefined;
    const tier = this.#carrying === 'mailbox' ? 'mailbox' : memory === undefined ? 'serial' : 'hybrid';
    const whyMemory = state.kind === 'verified' || this.best === 'serial' ? undefined : state.reason;
    const whyCarrier =
      tier === 'mailbox' || this.best !== 'mailbox' ? undefined : (this.#whyCarried ?? this.#whyNoMailbox);
    return { tier, memory, why: whyMemory ?? whyCarrier };
  }
}
