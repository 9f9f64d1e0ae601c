/**
 * A kernel for the companion pipe, again and again: the machine may be off, boot, be reset, come back elsewhere.
 *
 *   find the machine ─▶ wait for its link ─▶ attach, as it is ─▶ until the link is lost ─▶ …
 *
 * Its memory is looked for anew each time, and used only once it is proven to be this kernel's.
 */

import { asVmkdError, VmkdError } from '../../engine/core/errors';
import type { Companion } from '../../engine/companion/companion';
import { readCertain, type MemorySource } from '../../engine/companion/memorySource';
import { createEndpoint } from '../../engine/link/endpoint';
import type { TraceWriter } from '../../engine/link/trace';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import type { GuestRam } from '../../engine/machine/ram/guestRam';
import type { RamLocation } from '../../engine/machine/ram/location';
import { GuestMemory } from '../../engine/target/guestMemory/guestMemory';
import { LiveTarget } from '../../engine/target/liveTarget';
import type { TerminalHost } from './terminalHost';

/** Where a kernel is. */
export interface KernelPlace {
  readonly link: string;
  readonly ram: RamLocation;
}

export interface LoopOptions {
  readonly find: () => Promise<KernelPlace>;
  readonly companion: Companion;
  readonly host: TerminalHost;
  readonly trace: TraceWriter | undefined;
  readonly leaveStopped: boolean;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly onError: (error: VmkdError) => void;
}

/** Milliseconds for getting into step. */
const attachLimit = 10_000;
/** Milliseconds between two attempts. */
const pause = 1000;

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
  const { companion, host, trace, signal, say, onError } = options;
  const { link, ram: location } = await options.find();
  const endpoint = createEndpoint(link);
  const ram = openRam(location, onError);
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
      if (state.kind === 'lost') resolve(state.error);
    });
  });
  try {
    companion.follow({ client, memory: sourceOf(memory) });
    host.target = target;
    say(`waits for ${link}`);
    await target.attach({ breakIn: false, milliseconds: attachLimit, signal });
    say(`${link}: the kernel ${client.state.kind === 'stopped' ? 'stands' : 'runs'}`);
    await Promise.race([over, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    if (!isAborted(signal)) return await over;
    if (!options.leaveStopped) await host.leave().catch((thrown: unknown) => onError(asVmkdError(thrown)));
    return new VmkdError('cancelled', 'The bridge ends');
  } finally {
    unfollow();
    host.target = undefined;
    target.detach();
    memory.restarted();
    ram?.close();
    await endpoint.dispose();
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
