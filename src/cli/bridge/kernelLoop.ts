/**
 * A kernel for the companion pipe, again and again: the machine may be off, boot, be reset, come back elsewhere.
 *
 *   wait for its link ─▶ find whose it is ─▶ attach, as it is ─▶ until the link is lost ─▶ …
 *
 * Its memory is looked for anew each time, and used only once it is proven to be this kernel's. While it stands, and nothing but
 * memory is asked for, its machine is parked. If the bridge is killed, or cannot let the kernel go, a guardian does.
 */

import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../../engine/core/clock';
import { asVmkdError, VmkdError } from '../../engine/core/errors';
import { sessionsFolder } from '../../engine/core/userFolder';
import type { Companion } from '../../engine/companion/companion';
import { readCertain, type MemorySource } from '../../engine/companion/memorySource';
import { createEndpoint } from '../../engine/link/endpoint';
import type { ByteLink, LinkEndpoint } from '../../engine/link/link';
import type { TraceWriter } from '../../engine/link/trace';
import type { MachineControl } from '../../engine/machine/control';
import type { Machine } from '../../engine/machine/machine';
import { NotedParking } from '../../engine/machine/notedParking';
import { ParkedNote } from '../../engine/machine/parkedNote';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import type { GuestRam } from '../../engine/machine/ram/guestRam';
import type { RamLocation } from '../../engine/machine/ram/location';
import { GuestMemory } from '../../engine/target/guestMemory/guestMemory';
import { RevertWatch } from '../../engine/target/guestMemory/revertWatch';
import { Guardian } from '../../engine/target/guard/guardian';
import { LiveTarget } from '../../engine/target/liveTarget';
import type { TerminalHost } from './terminalHost';

export interface LoopOptions {
  /** The kernel's link. @throws machine-* */
  readonly link: () => Promise<string>;
  /** Whose it is, of those that run now; undefined: nobody knows. */
  readonly find: (link: string) => Promise<Machine | undefined>;
  /** Its memory, and the mailbox in it, are used. */
  readonly usesRam: boolean;
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
    await setTimeout(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** Not narrowed by the compiler: it changes behind its back. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** @returns Why it is over. @throws what finding or attaching throws */
async function oneKernel(options: LoopOptions): Promise<VmkdError> {
  const { signal, say } = options;
  const link = await options.link();
  const endpoint = createEndpoint(link, systemClock, { onExposed: options.onError });
  try {
    say(`waits for ${link}`);
    const opened = await endpoint.open({ waitMilliseconds: Infinity, signal });
    try {
      return await follow(link, startingWith(opened, endpoint), options);
    } finally {
      opened.close();
    }
  } finally {
    await endpoint.dispose();
  }
}

/** Whose link it is can be known when somebody is there. */
async function follow(link: string, endpoint: LinkEndpoint, options: LoopOptions): Promise<VmkdError> {
  const { companion, host, trace, leaveStopped, signal, say } = options;
  const onError = (thrown: unknown): void => options.onError(asVmkdError(thrown));
  const machine = await options.find(link).catch(() => undefined);
  const location = (options.usesRam ? machine?.ramLocation() : undefined) ?? noRam;
  const stateFolder = sessionsFolder();
  const note = new ParkedNote(stateFolder, link);
  const wasLeft = await note.resume().catch(onError);
  if (wasLeft === true) say('the machine was paused by a debugger that was killed: it runs again');
  const ram = openRam(location, onError);
  const parking = await openParking(machine, note, options);
  // A guest that rests shows no sign of life: its module is looked for first.
  let isSearched = ram === undefined;
  const rest = (): void => {
    if (parking) parking.parking.stands = client.state.kind === 'stopped' && isSearched;
  };
  const hasSearched = (): void => {
    isSearched = true;
    rest();
  };
  const target: LiveTarget = new LiveTarget({
    endpoint,
    linkMilliseconds: Infinity,
    ...(trace && { trace }),
    ...(ram && {
      mailbox: {
        ram,
        onCarrier: (carrying) => {
          say(carrying === 'mailbox' ? 'packets go by mailbox' : 'packets go by serial port');
          hasSearched();
        },
        onNoMailbox: hasSearched,
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
  new RevertWatch({ guestMemory: memory, client, clock: systemClock, onReplaced: onError });
  const unfollow = client.restarts.add(() => {
    isSearched = ram === undefined;
    memory.restarted();
  });
  const over = new Promise<VmkdError>((resolve) => {
    client.states.add((state) => {
      rest();
      if (state.kind === 'lost') resolve(state.error);
    });
  });
  const aborted = new AbortController();
  let guardian: Guardian | undefined;
  let isLetGo = false;
  try {
    companion.follow({ client, memory: sourceOf(memory) });
    host.target = target;
    await target.attach({ breakIn: false, milliseconds: attachLimit, signal });
    guardian = new Guardian({ link, stateFolder, leaveStopped });
    say(`${link}: the kernel ${client.state.kind === 'stopped' ? 'stands' : 'runs'}`);
    const abort = once(signal, 'abort', { signal: aborted.signal }).catch(() => undefined);
    if (!isAborted(signal)) await Promise.race([over, abort]);
    isLetGo = !isAborted(signal) || leaveStopped;
    if (!isAborted(signal)) return await over;
    if (!leaveStopped)
      await host.leave().then(
        () => (isLetGo = true),
        (thrown: unknown) => onError(thrown),
      );
    return new VmkdError('cancelled', 'The bridge ends');
  } finally {
    aborted.abort();
    unfollow();
    host.target = undefined;
    // A guest that rests would not see that its mailbox is let go.
    const isAwake =
      parking === undefined ||
      (await parking.end().then(
        () => true,
        (thrown: unknown) => {
          onError(thrown);
          return false;
        },
      ));
    target.detach();
    memory.restarted();
    ram?.close();
    await endpoint.dispose();
    // Else it sees that this process ends, and does what could not be done.
    if (isLetGo && isAwake) await guardian?.dismiss();
  }
}

/** The same endpoint; what it has opened already comes first. */
function startingWith(opened: ByteLink, endpoint: LinkEndpoint): LinkEndpoint {
  let first: ByteLink | undefined = opened;
  return {
    spec: endpoint.spec,
    async open(options) {
      const link = first ?? (await endpoint.open(options));
      first = undefined;
      return link;
    },
    dispose: () => endpoint.dispose(),
  };
}

const noRam: RamLocation = {
  kind: 'none',
  reason: new VmkdError('ram-absent', 'Nobody knows where the machine’s memory is'),
};

/** @returns Undefined: there is no parking; said, if it was asked for. */
async function openParking(
  machine: Machine | undefined,
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
