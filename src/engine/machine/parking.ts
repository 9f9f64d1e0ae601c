/**
 * Parking: while the kernel stands at a break and nobody needs it, the machine's processors rest. A broken-in guest burns
 * them otherwise: KD polls its port, and the frozen processors spin.
 *
 *            stands, idle for `delay`                     use(), reset, end(), switched off
 *   awake ─────────────────────────────▶ pause ▶ parked ───────────────────────────────────▶ unpause ▶ awake
 *     │                                                                                          │
 *     └──────── pausing or resuming fails, control is lost ──▶ failed ◀───────────────────────────┘
 *
 * If control is lost while the machine rests it is taken once more, to wake the machine for good.
 *
 * What needs the guest runs inside `use`, which wakes the machine first and keeps it awake meanwhile: the KD client's hook
 * `whileAwake`. Memory that the host reads by itself does not need it.
 *
 * Invariants: the machine is never paused while somebody is inside `use`; whoever ends parking leaves the machine awake; what
 * somebody else has paused is never resumed, what somebody else resumes stays so until the guest was needed again; every
 * wait is bounded.
 */

import type { Clock, Timer } from '../core/clock';
import { VmkdError, asVmkdError } from '../core/errors';
import { Listeners } from '../core/listeners';
import { Mutex } from '../core/mutex';
import { Waiters } from '../core/waiters';
import type { MachineControl, MachineEvent } from './control';

export type ParkingState =
  /** Switched off. */
  | { readonly kind: 'off' }
  | { readonly kind: 'awake' }
  | { readonly kind: 'parked' }
  /** It has turned itself off. The machine may still be paused, if resuming it is what failed. */
  | { readonly kind: 'failed'; readonly error: VmkdError };

export interface ParkingOptions {
  readonly control: MachineControl;
  readonly clock: Clock;
  /** Milliseconds that nobody needs the guest, until it is parked. */
  readonly delay: number;
  /** Milliseconds that waking may take, and that a machine which somebody else has paused is waited for. */
  readonly wakeLimit?: number;
  /** Takes control anew, after the first was lost while the machine was paused by us. */
  readonly reopen?: () => Promise<MachineControl>;
}

const usualWakeLimit = 10_000;

export class Parking {
  readonly onState = new Listeners<ParkingState>();
  readonly #control: MachineControl;
  readonly #clock: Clock;
  readonly #delay: number;
  readonly #wakeLimit: number;
  readonly #reopen: ParkingOptions['reopen'];
  /** One order to the machine at a time. */
  readonly #turn = new Mutex();
  /** For those who wait for a machine that somebody else has paused: also a session that was killed. */
  readonly #resumed: Waiters<undefined>;
  readonly #unwatch: () => void;
  /** It is known whether the machine was paused before. */
  readonly #begun: Promise<void>;
  #state: ParkingState = { kind: 'awake' };
  /** The machine is paused by us, or being so. */
  #isParked = false;
  #isOrdering = false;
  #isPausedByOthers = false;
  #stands = false;
  #users = 0;
  #timer: Timer | undefined;

  constructor({ control, clock, delay, wakeLimit = usualWakeLimit, reopen }: ParkingOptions) {
    this.#control = control;
    this.#clock = clock;
    this.#delay = delay;
    this.#wakeLimit = wakeLimit;
    this.#reopen = reopen;
    this.#resumed = new Waiters(clock);
    this.#unwatch = control.watch((event) => this.#onEvent(event));
    this.#begun = this.#begin();
  }

  get state(): ParkingState {
    return this.#state;
  }

  /** Whether the kernel stands at a break, for longer than a moment. */
  set stands(stands: boolean) {
    this.#stands = stands;
    this.#rest();
  }

  /**
   * Runs what needs the guest, with the machine awake.
   * @throws what `action` throws; machine-* if the machine cannot be woken; machine-paused if somebody else keeps it paused
   */
  async use<T>(action: () => Promise<T>): Promise<T> {
    this.#users++;
    this.#timer?.cancel();
    try {
      await this.#begun;
      if (this.#isParked) await this.#wake();
      if (this.#isPausedByOthers) await this.#waitForOthers();
      return await action();
    } finally {
      this.#users--;
      this.#rest();
    }
  }

  /** The switch. Off wakes the machine; on forgets what failed before. */
  async enable(on: boolean): Promise<void> {
    if (on) {
      if (this.#state.kind === 'off' || this.#state.kind === 'failed') this.#become({ kind: 'awake' });
      this.#rest();
      return;
    }
    this.#timer?.cancel();
    if (this.#isParked) await this.#wake();
    this.#become({ kind: 'off' });
  }

  /** Leaves the machine awake, for good. The control stays open. @throws machine-* if it cannot be woken */
  async end(): Promise<void> {
    this.#stands = false;
    try {
      await this.enable(false);
    } finally {
      this.#unwatch();
      this.#resumed.fail(new VmkdError('cancelled', 'Parking has ended'));
    }
  }

  /** Never rejects: a machine that cannot be asked is taken as running. */
  async #begin(): Promise<void> {
    const news: MachineEvent[] = [];
    const stop = this.#control.watch((event) => news.push(event));
    const state = await this.#control.power().catch(() => 'unknown' as const);
    stop();
    // What happened meanwhile is newer.
    if (state === 'paused' && news.length === 0 && !this.#isParked) this.#isPausedByOthers = true;
  }

  /** The time of rest begins anew, if there is any. */
  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#mayPark()) return;
    this.#timer = this.#clock.after(this.#delay, () => void this.#park());
  }

  #mayPark(): boolean {
    return (
      this.#state.kind === 'awake' &&
      this.#stands &&
      this.#users === 0 &&
      !this.#isPausedByOthers &&
      !this.#isParked
    );
  }

  /** Never rejects. */
  #park(): Promise<void> {
    return this.#turn.run(async () => {
      if (!this.#mayPark()) return;
      this.#isParked = true;
      try {
        await this.#order(() => this.#control.pause());
        this.#become({ kind: 'parked' });
      } catch (thrown) {
        this.#fail(asVmkdError(thrown));
        // It may obey yet. Should this fail as well, it is as good as done: the error is told already.
        await this.#order(() => this.#control.unpause()).catch(() => undefined);
        this.#isParked = false;
      }
    });
  }

  #wake(): Promise<void> {
    return this.#turn.run(async () => {
      if (!this.#isParked) return;
      try {
        await this.#order(() => this.#control.unpause());
        this.#isParked = false;
        if (this.#state.kind === 'parked') this.#become({ kind: 'awake' });
      } catch (thrown) {
        // The next one who needs the guest tries again.
        const error = asVmkdError(thrown);
        this.#fail(error);
        throw error;
      }
    });
  }

  /** Who needs the guest meanwhile waits for the outcome. Never rejects: it may be paused for ever, and KD's silence will show. */
  #rescue(reopen: () => Promise<MachineControl>): Promise<void> {
    return this.#turn.run(async () => {
      const wakeAnew = async (): Promise<void> => {
        const control = await reopen();
        try {
          await control.unpause();
        } finally {
          control.close();
        }
      };
      await this.#order(wakeAnew).catch(() => undefined);
      this.#isParked = false;
    });
  }

  async #order(order: () => Promise<void>): Promise<void> {
    const limit = new Waiters<undefined>(this.#clock);
    const tooLate = (): VmkdError =>
      new VmkdError(
        'machine-control-timeout',
        `The machine did not obey within ${this.#wakeLimit / 1000} s (${this.#control.way})`,
      );
    const waiting = limit.wait(this.#wakeLimit, tooLate);
    this.#isOrdering = true;
    try {
      order().then(
        () => limit.succeed(undefined),
        (thrown: unknown) => limit.fail(asVmkdError(thrown)),
      );
      await waiting;
    } finally {
      this.#isOrdering = false;
    }
  }

  async #waitForOthers(): Promise<void> {
    const message = `Somebody else has paused the machine, and did not resume it within ${this.#wakeLimit / 1000} s`;
    await this.#resumed.wait(this.#wakeLimit, () => new VmkdError('machine-paused', message));
  }

  #onEvent(event: MachineEvent): void {
    switch (event.kind) {
      case 'paused':
        if (!this.#isParked) this.#isPausedByOthers = true;
        return;
      case 'resumed':
        if (this.#isPausedByOthers) this.#endOfForeignPause();
        else if (this.#isParked && !this.#isOrdering) this.#resumedByOthers();
        return;
      case 'reset':
        // The kernel stands no more, but cannot say so while its processors rest.
        this.#stands = false;
        this.#rest();
        if (this.#isParked) this.#wake().catch(() => undefined);
        return;
      case 'on':
        return;
      case 'off':
        this.#stands = false;
        this.#isParked = false;
        this.#isPausedByOthers = false;
        this.#rest();
        if (this.#state.kind === 'parked') this.#become({ kind: 'awake' });
        return;
      case 'lost':
        if (this.#isParked && this.#reopen) void this.#rescue(this.#reopen);
        // It may be paused for ever now. That KD gets no answer will show; to keep it from asking would help nobody.
        else this.#isParked = false;
        this.#endOfForeignPause();
        this.#fail(event.error);
        return;
    }
  }

  #endOfForeignPause(): void {
    this.#isPausedByOthers = false;
    this.#resumed.succeed(undefined);
    this.#rest();
  }

  /** Somebody wants it to run: it rests again after the guest was needed again. */
  #resumedByOthers(): void {
    this.#isParked = false;
    if (this.#state.kind === 'parked') this.#become({ kind: 'awake' });
  }

  #fail(error: VmkdError): void {
    this.#timer?.cancel();
    if (this.#state.kind !== 'off') this.#become({ kind: 'failed', error });
  }

  #become(state: ParkingState): void {
    if (state.kind === this.#state.kind && state.kind !== 'failed') return;
    this.#state = state;
    this.onState.tell(state);
  }
}
