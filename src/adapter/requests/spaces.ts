/**
 * Memory and threads beyond what the processors are in, by requests that are none of DAP's: `vmkd/readMemory` of any space,
 * `vmkd/pageTables` of an address, `vmkd/visitThread`, which makes a thread that sleeps one of DAP's.
 */

import { physicalAddress, type VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { entryFlags } from '../../engine/memory/tableWalk';
import type { VirtualMemory } from '../../engine/memory/virtualMemory';
import { SleepingThread } from '../../engine/target/sleepingThread';
import { pagingIn, readPhysical, SpaceMemory, walkIn, type PhysicalReader } from '../../engine/target/spaces';
import type { TargetProcessor } from '../../engine/target/target';
import { KernelStruct } from '../../engine/windows/kernelStruct';
import { isProcess } from '../../engine/windows/processes';
import { describeThread } from '../../engine/windows/threads';
import type { OwnSpace } from '../../protocol/ownRequests';
import { addressOf, memoryReference } from '../memoryReferences';
import type { Family } from '../protocol';
import type { Session } from '../session';
import { base64, readInPieces, readNow, wantedAt } from './memory';

type OtherSpace = Exclude<OwnSpace, { kind: 'virtual' }>;

const pageSize = 4096;
/** Above all numbers of processors. */
const firstSleeper = 1000;
const mostSleepers = 64;

export const spaces: Family = {
  requests: {
    async 'vmkd/readMemory'(session, { space, address, count }, call) {
      const from = addressOf(address);
      const wanted = wantedAt(from, count);
      if (space.kind === 'virtual') {
        const { bytes, absent } = await readNow(session, from, wanted, call);
        return { data: base64(bytes), unreadableBytes: absent };
      }
      session.mustBeStopped();
      const bytes = await readInPieces(await readerOf(session, space), from, wanted, call);
      // The rest of the page at which it ended is not there either: a page is whole or absent.
      const end = Number((from + BigInt(bytes.length)) % BigInt(pageSize));
      const absent = Math.min(wanted - bytes.length, pageSize - end);
      return { data: base64(bytes), unreadableBytes: absent };
    },

    async 'vmkd/pageTables'(session, { address, eprocess }) {
      session.mustBeStopped();
      const paging = await pagingOf(session, eprocess);
      const walk = await walkIn(physicalOf(session), paging, addressOf(address));
      return {
        mode: paging.mode,
        root: hex(BigInt(paging.root), 16),
        entries: walk.entries.map((entry) => ({
          name: entry.name,
          address: hex(entry.address, 16),
          value: hex(entry.value, 16),
          flags: entryFlags(entry),
        })),
        ...(walk.kind === 'mapped'
          ? { physical: hex(walk.address, 16), pageBytes: walk.pageBytes }
          : { why: walk.why }),
      };
    },

    async 'vmkd/visitThread'(session, { ethread, listed = false }) {
      session.mustBeStopped();
      const thread = addressOf(ethread);
      for (const processor of session.target.processors) {
        const running = await processor.thread().catch(() => undefined);
        if (running === thread) return { threadId: processor.number + 1 };
      }
      const sleeper = await sleeperOf(session, thread);
      const threadId = sleeper.number + 1;
      if (listed && !sleeper.isListed) {
        sleeper.isListed = true;
        session.events.send('thread', { reason: 'started', threadId });
        // Without it, clients take it for one that runs, and look for no stack. It is no stop of the kernel: `asleep` says so.
        session.events.send('stopped', { reason: 'pause', description: 'Asleep', threadId, asleep: true });
      }
      return { threadId };
    },
  },
};

/** The one that is known, or a new one. @throws if it has no stack; request-stale */
const sleeperOf = (session: Session, thread: VirtualAddress): Promise<SleepingThread> =>
  session.things.sleeping.run(() => foundSleeper(session, thread));

async function foundSleeper(session: Session, thread: VirtualAddress): Promise<SleepingThread> {
  const { sleepers } = session.things;
  const { state } = session.target;
  for (const sleeper of sleepers) if ((await sleeper.thread()) === thread) return sleeper;
  if (sleepers.length >= mostSleepers)
    throw new VmkdError('value-out-of-range', `At most ${mostSleepers} threads are looked at in one stop`);
  const { memory, symbols } = session.target;
  const { process } = await describeThread(memory, symbols, thread);
  const own = await processMemory(session, process);
  const sleeper = new SleepingThread(firstSleeper + sleepers.length, own, symbols, thread);
  // Whoever asks sees at once whether it has a stack.
  await sleeper.stack();
  if (session.target.state !== state)
    throw new VmkdError('request-stale', 'The kernel has gone on since this thread was looked for');
  sleepers.push(sleeper);
  return sleeper;
}

/** @throws target-unsupported */
function physicalOf({ target }: Session): PhysicalReader {
  if (target.physicalMemory !== undefined) return target.physicalMemory;
  throw new VmkdError('target-unsupported', 'The physical memory of this target cannot be read');
}

async function readerOf(
  session: Session,
  space: OtherSpace,
): Promise<(address: VirtualAddress, length: number) => Promise<Uint8Array>> {
  if (space.kind === 'physical') {
    const physical = physicalOf(session);
    return (address, length) => readPhysical(physical, physicalAddress(address), length);
  }
  const memory = await processMemory(session, addressOf(space.eprocess));
  return (address, length) => memory.readPartial(address, length);
}

async function processMemory(session: Session, eprocess: VirtualAddress): Promise<VirtualMemory> {
  const paging = await pagingOf(session, memoryReference(eprocess));
  return new SpaceMemory(physicalOf(session), paging, session.target.memory);
}

/** Of a process, or of the processor that stopped. @throws target-unsupported, symbols-lack-type, memory-unreadable */
async function pagingOf(session: Session, eprocess: string | undefined) {
  const { stop } = session.mustBeStopped();
  const processor: TargetProcessor = session.processor(stop.processor + 1);
  const base = eprocess === undefined ? undefined : await directoryTableBase(session, addressOf(eprocess));
  const paging = await pagingIn(processor, base);
  if (paging !== undefined) return paging;
  throw new VmkdError('target-unsupported', 'The processor does not translate addresses yet');
}

/** @throws value-out-of-range: it is none, or none any more */
async function directoryTableBase(
  { target: { memory, symbols } }: Session,
  eprocess: VirtualAddress,
): Promise<bigint> {
  if (!(await isProcess(memory, symbols, eprocess)))
    throw new VmkdError('value-out-of-range', `There is no process at ${memoryReference(eprocess)}`, {
      nextStep: 'It has ended, or the kernel is another one: the view of processes has those that there are.',
    });
  const struct = KernelStruct.named(symbols.moduleNamed('nt')?.types, '_EPROCESS');
  return struct.readNumber(memory, eprocess, 'Pcb.DirectoryTableBase');
}
