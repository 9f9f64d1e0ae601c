/**
 * Parking that outlives its debugger in a good way: before the machine rests a note is on disk, by which a guardian or the next
 * attach resumes what a debugger that was killed has left paused.
 */

import { systemClock } from '../core/clock';
import type { MachineControl } from './control';
import type { Machine } from './machine';
import type { ParkedNote } from './parkedNote';
import { Parking } from './parking';
import { openControl } from './withControl';

export interface NotedParkingOptions {
  readonly machine: Machine;
  readonly note: ParkedNote;
  /** Milliseconds that nobody needs the guest, until it is parked. */
  readonly delay: number | ((control: MachineControl) => number);
}

export class NotedParking {
  #ending: Promise<void> | undefined;

  private constructor(
    readonly parking: Parking,
    private readonly control: MachineControl,
    private readonly note: ParkedNote,
  ) {
    parking.onState.add((state) => {
      if (state.kind === 'awake') note.remove();
    });
  }

  /** Takes the machine's control. @throws machine-no-control, machine-monitor-busy, machine-monitor-lost */
  static async open({ machine, note, delay }: NotedParkingOptions): Promise<NotedParking> {
    const control = await openControl(machine);
    const parking = new Parking({
      control: noted(control, machine, note),
      clock: systemClock,
      delay: typeof delay === 'number' ? delay : delay(control),
      reopen: async () => noted(await openControl(machine), machine, note),
    });
    return new NotedParking(parking, control, note);
  }

  /** How the machine is controlled, for people. */
  get way(): string {
    return this.control.way;
  }

  /**
   * Orders of somebody else's, by the control that parking has: some machines give one only. A machine that rests is awake
   * meanwhile. @returns undefined if parking has given the control back, or lost it. @throws what `action` throws, machine-*
   */
  async order<T>(action: (control: MachineControl) => Promise<T>): Promise<{ readonly done: T } | undefined> {
    const { kind } = this.parking.state;
    if (this.#ending !== undefined || kind === 'failed') return undefined;
    const act = (): Promise<T> => action(this.control);
    return { done: await (kind === 'parked' ? this.parking.use(act) : act()) };
  }

  /** Leaves the machine awake, and gives its control back. May be called again. @throws machine-* if it cannot be woken */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    try {
      const before = this.parking.state.kind;
      await this.parking.end();
      // Of a machine whose control was lost nobody knows: the next attach shall look.
      if (before !== 'failed') this.note.remove();
    } finally {
      this.control.close();
    }
  }
}

/** The same control; the note is there before the machine rests, and until it runs. */
const noted = (control: MachineControl, machine: Machine, note: ParkedNote): MachineControl => ({
  way: control.way,
  isQuick: control.isQuick,
  power: () => control.power(),
  async pause() {
    note.write(machine);
    await control.pause();
  },
  async unpause() {
    await control.unpause();
    note.remove();
  },
  reset: () => control.reset(),
  watch: (listener) => control.watch(listener),
  close: () => control.close(),
});
