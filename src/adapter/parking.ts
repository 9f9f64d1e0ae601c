/**
 * Parking in a session: while the kernel stands and nobody needs it, its machine is paused; what asks KD wakes it. The client
 * hears of it by an event that is none of DAP's: `vmkd/parking`, { state, why?: { code, message, nextStep } }; people read of it
 * once.
 *
 * Invariants: whatever way a session ends, the machine runs on; if the process is killed, the note tells its guardian.
 */

import { VmkdError, asVmkdError } from '../engine/core/errors';
import type { Machine } from '../engine/machine/machine';
import { NotedParking } from '../engine/machine/notedParking';
import type { ParkedNote } from '../engine/machine/parkedNote';
import type { ParkingState } from '../engine/machine/parking';
import type { Target } from '../engine/target/target';
import { errorText } from './errors';
import type { Session } from './session';

/** What of parking the rest of a session needs. */
export interface SessionParking {
  /** Runs what needs the guest, with the machine awake. @throws machine-* */
  use<T>(action: () => Promise<T>): Promise<T>;
  /** Orders of somebody else's, as NotedParking has it. */
  order: NotedParking['order'];
  /** From now on the machine rests while this target stands. */
  follow(target: Target): void;
  /** Leaves the machine awake, and gives its control back. May be called again. @throws machine-* if it cannot be woken */
  end(): Promise<void>;
}

/**
 * Resumes what a killed session has left paused, then takes the machine's control, unless parking is unwanted.
 * @param machine Or why none is known.
 * @returns undefined: there will be no parking; said, if it was asked for
 * @throws machine-paused if somebody else has paused the machine, and there is no parking that would wait for him
 */
export async function startParking(
  session: Session,
  machine: Machine | VmkdError,
  note: ParkedNote,
): Promise<SessionParking | undefined> {
  const { enabled, after } = session.configuration.parking;
  const wasLeft = await note.resume().catch((thrown: unknown) => {
    session.output.line('stderr', errorText(asVmkdError(thrown)));
    return false;
  });
  if (wasLeft)
    session.output.line('console', 'The machine was paused by a session that was killed: it runs again.');
  try {
    if (machine instanceof VmkdError) throw machine;
    if (!wasLeft && enabled === false && machine.state === 'paused') throw pausedByOthers(machine);
    if (enabled === false) return undefined;
    return new Parked(session, await NotedParking.open({ machine, note, delay: after * 1000 }));
  } catch (thrown) {
    const error = asVmkdError(thrown);
    if (error.code === 'machine-paused') throw error;
    if (enabled === true) session.output.line('console', `There is no parking. ${errorText(error)}`);
    return undefined;
  }
}

const pausedByOthers = ({ name }: Machine): VmkdError =>
  new VmkdError('machine-paused', `${name} is paused: its kernel cannot answer`);

class Parked implements SessionParking {
  #isTold = false;

  constructor(
    private readonly session: Session,
    private readonly noted: NotedParking,
  ) {
    noted.parking.onState.add((state) => this.#tell(state));
  }

  use<T>(action: () => Promise<T>): Promise<T> {
    return this.noted.parking.use(action);
  }

  order: NotedParking['order'] = (action) => this.noted.order(action);

  follow(target: Target): void {
    const look = ({ kind }: Target['state']): void => {
      this.noted.parking.stands = kind === 'stopped';
      // Nobody will ask this kernel for anything again.
      if (kind === 'lost') this.end().catch(() => undefined);
    };
    target.onState.add(look);
    look(target.state);
  }

  end(): Promise<void> {
    return this.noted.end();
  }

  #tell(state: ParkingState): void {
    const { events, output, phase } = this.session;
    if (phase === 'ended') return;
    const why = state.kind === 'failed' ? { why: state.error.toJSON() } : {};
    events.send('vmkd/parking', { state: state.kind, ...why });
    if (state.kind === 'failed')
      output.line('stderr', `Parking has turned itself off. ${errorText(state.error)}`);
    if (state.kind !== 'parked' || this.#isTold) return;
    this.#isTold = true;
    output.line(
      'console',
      `The machine is parked: its processors rest while the kernel stands and nobody needs it (${this.noted.way}).`,
    );
  }
}
