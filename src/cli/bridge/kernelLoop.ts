/**
 * A kernel for the companion pipe, again and again: the machine may be off, boot, be reset, come back elsewhere.
 *
 *   find the machine ─▶ wait for its link ─▶ attach, as it is ─▶ until the link is lost ─▶ …
 *
 * Its memory is looked for anew each time, and used only once it is proven to be this kernel's. While it stands, and nothing but
 * memory is asked for, its machine is parked. If the bridge is killed, a guardian lets the kernel go.
 */

import { asVmkdError, VmkdError } from '../../engine/core/errors';
import { sessionsFolder } from '../../engine/core/userFolder';
import type { Companion } from '../../engine/companion/companion';
import { readCertain, type MemorySource } from '../../engine/companion/memorySource';
import { createEndpoint } from '../../engine/link/endpoint';
import type { TraceWriter } from '../../engine/link/trace';
import type { MachineControl } from '../../engine/machine/control';
import type { Machine } from '../../engine/machine/machine';
import { NotedParking } from '../../engine/machine/notedParking';
import { ParkedNote } from '../../engine/machine/parkedNote';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import type { GuestRam } from '../../engine/machine/ram/guestRam';
import type { RamLocation } from '../../engine/machine/ram/location';
import { GuestMemory } from '../../engine/target/guestMemory/guestMemory';
import { Guardian } from '../../engine/target/guard/guardian';
import { LiveTarget } from '../../engine/target/liveTarget';
import type { TerminalHost } from './terminalHost';

/** Where a kernel is. */
export interface KernelPlace {
  readonly link: string;
  readonly ram: RamLocation;
  /** Whose it is, if that is known. */
  readonly machine?: Machine | undefined;
}

export interface LoopOptions {
  readonly find: () => Promise<KernelPlace>;
  readonly companion: Companion;
  readonly host: TerminalHost;
  readonly trace: TraceWriter | undefined;
  readonly leaveStopped: boolean;
  /** Milliseconds until the machine of a kernel that stands is parked; 0: never; undefined: as its control suggests. */
  readonly parkAfter: number | undefined;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly onError: (error: VmkdError) => void;
}

/** Milliseconds for getting into step. */
const attachLimit = 10_000;
/** Milliseconds between two attempts. */
const pause = 1000;

/** Milliseconds until a machine is parked: where waking is felt, and where it is not. */
const parkSlowly = 5000;
const parkQuickly = 250;

/** Ends with the signal. Never rejects. */
export async function keepKernel(options: LoopOptions): Promise<void> {
  const { signal, onError } = options;
  while (!signal.aborted) {
    const error = await oneKernel(options).catch(asVmkdError);
    if (isAborted(signal)) return;
    onError(error);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pause);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Not narrowed by the compiler: it changes behind its back. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** @returns Why it is over. @throws what finding or attaching throws */
async function oneKernel(options: LoopOptions): Promise<VmkdError> {
  const { companion, host, trace, leaveStopped, signal, say, onError } = options;
  const place = await options.find();
  const { link, ram: location } = place;
  const stateFolder = sessionsFolder();
  const note = new ParkedNote(stateFolder, link);
  if (await note.resume()) say('the machine was paused by a debugger that was killed: it runs again');
  let guardian: Guardian | undefined;
  const endpoint = createEndpoint(link);
  const ram = openRam(location, onError);
  const parking = await openParking(place, note, options);
  const target: LiveTarget = new LiveTarget({
    endpoint,
    linkMilliseconds: Infinity,
    ...(trace && { trace }),
    ...(ram && {
      mailbox: {
        ram,
        onCarrier: (carrying) =>
          say(carrying === 'mailbox' ? 'packets go by mailbox' : 'packets go by serial port'),
      },
    }),
    observer: { relay: (packet) => companion.relay(packet), onError },
    sieve: (stop) => host.onStop(stop),
    ...(parking && { whileAwake: (action) => parking.parking.use(action) }),
  });
  const { client } = target;
  const memory = new GuestMemory({
    client,
    kd: target.memory,
    registers: target.registers,
    location,
    cover: () => undefined,
  });
  memory.onState.add((state) => {
    if (state.kind === 'verified') say(`memory is read from the ${state.way}`);
    if (state.kind === 'refused') onError(state.reason);
  });
  const unfollow = client.restarts.add(() => memory.restarted());
  const over = new Promise<VmkdError>((resolve) => {
    client.states.add((state) => {
      if (parking) parking.parking.stands = state.kind === 'stopped';
      if (state.kind === 'lost') resolve(state.error);
    });
  });
  try {
    companion.follow({ client, memory: sourceOf(memory) });
    host.target = target;
    say(`waits for ${link}`);
    await target.attach({ breakIn: false, milliseconds: attachLimit, signal });
    guardian = new Guardian({ link, stateFolder, leaveStopped });
    say(`${link}: the kernel ${client.state.kind === 'stopped' ? 'stands' : 'runs'}`);
    await Promise.race([over, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    if (!isAborted(signal)) return await over;
    if (!leaveStopped) await host.leave().catch((thrown: unknown) => onError(asVmkdError(thrown)));
    return new VmkdError('cancelled', 'The bridge ends');
  } finally {
    unfollow();
    host.target = undefined;
    // A guest that rests would not see that its mailbox is let go.
    await parking?.end().catch((thrown: unknown) => onError(asVmkdError(thrown)));
    target.detach();
    memory.restarted();
    ram?.close();
    await endpoint.dispose();
    await guardian?.dismiss();
  }
}

/** @returns Undefined: there is no parking; said, if it was asked for. */
async function openParking(
  { machine }: KernelPlace,
  note: ParkedNote,
  { parkAfter, say, onError }: LoopOptions,
): Promise<NotedParking | undefined> {
  if (machine === undefined || parkAfter === 0) return undefined;
  const delay = ({ isQuick }: MachineControl): number => parkAfter ?? (isQuick ? parkQuickly : parkSlowly);
  try {
    const noted = await NotedParking.open({ machine, note, delay });
    let isTold = false;
    noted.parking.onState.add((state) => {
      if (state.kind === 'failed') onError(state.error);
      if (state.kind !== 'parked' || isTold) return;
      isTold = true;
      say(`the machine rests while its kernel stands and nobody needs it (${noted.way})`);
    });
    return noted;
  } catch (thrown) {
    if (parkAfter !== undefined) onError(asVmkdError(thrown));
    return undefined;
  }
}

const sourceOf = (memory: GuestMemory): MemorySource => ({
  enter: (stop) => memory.enter(stop),
  readVirtual: (address, length) => readCertain(memory, address, length),
  readPhysical: (address, length) => memory.readPhysical(address, length),
});

function openRam(location: RamLocation, onError: (error: VmkdError) => void): GuestRam | undefined {
  if (location.kind === 'none') return undefined;
  try {
    return openGuestRam(location);
  } catch (thrown) {
    onError(asVmkdError(thrown));
    return undefined;
  }
}
