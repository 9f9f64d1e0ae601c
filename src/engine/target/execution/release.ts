/**
 * Leaving a target for good: everything of ours comes out of it, and it runs on, with nobody there to answer.
 *
 * A target that stops once more after we have gone would stand for ever. So nothing may still be on its way to us: no thread
 * that owes a trap, no break-in that was sent too often, no processor that has run into a place of ours and waits for its turn
 * to report it. Whether one does is written on its stack.
 */

import { plus, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { systemClock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { layout, u16, u32 } from '../../core/layout';
import type { StoppedState } from '../../kd/clientState';
import { restingDr7 } from '../breakpoints/debugSlots';
import type { LiveProcessor } from '../processors';
import type { ExecutionParts } from './liveExecution';

/** Milliseconds in all; then we go, whatever is left. */
const longest = 10_000;
/** Frames of a processor that is on its way into the debugger: its trap is among the first. */
const mostFrames = 24;
/** How NT calls what the processor enters at an int3 and at a debug register. */
const trapEntry = /!Ki(Breakpoint|Debug)Trap/;

/** @throws target-did-not-stop: it is left as it is */
export async function release(parts: ExecutionParts, leaveStopped: boolean): Promise<void> {
  const { client } = parts.live;
  if (client.state.kind !== 'running' && client.state.kind !== 'stopped') return;
  // Then nothing of ours is in it, and what is to become of it is another's business.
  if (parts.control.looksOn) return;
  // Those that wait for modules shall not find theirs any more.
  parts.breakpoints.clear();
  if (leaveStopped || client.state.kind === 'stopped' || mayHoldOurs(parts))
    await withdraw(
      parts,
      async () => {
        parts.slots.clear();
        await parts.sites.removeAll();
      },
      (stop) => (leaveStopped ? quieten(parts, parts.slots.dr7) : parts.control.letGo(stop)),
    );
  if (!leaveStopped) await parts.control.settle();
}

/**
 * Another debugger drives from now on: ours goes out of the target, and is kept for when it comes back.
 * @param last Done in the same stop. @throws target-did-not-stop: it is left as it is
 */
export async function giveAway(parts: ExecutionParts, last: () => Promise<void>): Promise<void> {
  const { control, breakpoints, sites, slots } = parts;
  await withdraw(
    parts,
    async () => {
      slots.lapse();
      await sites.lift();
    },
    async () => {
      await quieten(parts, restingDr7);
      await last();
      control.lookOn();
      breakpoints.sleep('Another debugger drives the kernel');
    },
  );
  await control.decided();
}

/** Takes out what is ours until nothing of it is on its way to us, and then, in the same stop, does what is to be done last. */
async function withdraw(
  parts: ExecutionParts,
  takeOut: () => Promise<void>,
  last: (stop: StoppedState) => Promise<void>,
): Promise<void> {
  const { control } = parts;
  control.cancelStep();
  const end = systemClock.now() + longest;
  for (;;) {
    const left = await control
      .atRest(async (stop) => {
        await takeOut();
        if (systemClock.now() < end && (parts.passing.owed > 0 || (await anybodyArriving(parts, stop))))
          return false;
        await last(stop);
        return true;
      }, longest)
      .catch((thrown: unknown) => {
        // A guest that does not stop any more can be left all the same, if there is nothing to take out.
        if (isClean(parts) && thrown instanceof VmkdError && thrown.code === 'target-did-not-stop')
          return true;
        throw thrown;
      });
    if (left) break;
    // If nobody was told of the stop, it goes on by itself.
    await control.resume().catch(unlessRunning);
  }
}

/**
 * A kernel that was only looked at has nothing to stop for. If its machine rests, a break-in would stop it when it goes on, and
 * nobody would be there. Of one that has never stopped for us, it is not known what a session before ours has left.
 */
const mayHoldOurs = ({ sites, slots, passing, processors }: ExecutionParts): boolean =>
  sites.wasUsed || slots.wasUsed || passing.owed > 0 || processors.list.length === 0;

const isClean = ({ sites, slots, passing }: ExecutionParts): boolean =>
  slots.isIdle && passing.owed === 0 && [...sites.all].every(({ planted }) => planted.kind === 'none');

async function anybodyArriving(parts: ExecutionParts, { change, version }: StoppedState): Promise<boolean> {
  if (version.machine !== 'x64') return false;
  for (const processor of parts.processors.list)
    if (processor.number !== change.processor && (await isArriving(parts, processor))) return true;
  return false;
}

/** Whether a frozen processor has trapped for a debugger and did not get to say so. */
async function isArriving(parts: ExecutionParts, processor: LiveProcessor): Promise<boolean> {
  const { frames } = await processor.stack(mostFrames);
  if (frames.some(({ text }) => trapEntry.test(text))) return true;
  const entries = await trapEntries(parts, processor);
  for (const { frame } of frames) {
    const { image } = frame;
    if (image?.row === undefined) continue;
    const [begin, end] = [image.imageBase + BigInt(image.row.begin), image.imageBase + BigInt(image.row.end)];
    if (entries.some((entry) => entry >= begin && entry < end)) return true;
  }
  return false;
}

const gate = layout(16, { low: [0, u16], middle: [6, u16], high: [8, u32] });
const trapVectors = [1, 3];

/** Where the processor enters the kernel at a debug register and at an int3, by its own table. */
async function trapEntries({ memory }: ExecutionParts, processor: LiveProcessor): Promise<VirtualAddress[]> {
  const { idtBase } = await processor.special();
  const entries: VirtualAddress[] = [];
  for (const vector of trapVectors) {
    const bytes = await memory.readPartial(plus(idtBase, vector * gate.size), gate.size);
    if (bytes.length < gate.size) continue;
    const { low, middle, high } = gate.read(bytes);
    entries.push(virtualAddress((BigInt(high) << 32n) | (BigInt(middle) << 16n) | BigInt(low)));
  }
  return entries;
}

/** Debug registers that watch would stop it as soon as somebody lets it go. */
async function quieten({ live, processors }: ExecutionParts, dr7: bigint): Promise<void> {
  if (live.stopped.version.machine !== 'x64') return;
  for (const processor of processors.list) await processor.setSpecial({ dr7 });
}

function unlessRunning(thrown: unknown): void {
  if (!(thrown instanceof VmkdError) || thrown.code !== 'target-running') throw thrown;
}
