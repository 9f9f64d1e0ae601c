/**
 * Frames that a client knows by number, after the user has written a register or memory, or symbols have come. Where the stacks
 * have kept their shape, the numbers stand for the frames of now, and a client need not ask for stacks again: what VS Code makes
 * of that, invalidation.ts tells.
 */

import type { Handles } from './handles';
import type { FrameThing } from './stopThings';

/**
 * @returns Whether every frame is where it was: only values may be others
 * @throws what walking a stack throws
 */
export async function refreshFrames(frames: Handles<FrameThing>): Promise<boolean> {
  const { known } = frames;
  const depths = new Map<FrameThing['processor'], number>();
  for (const [, { processor, index }] of known)
    depths.set(processor, Math.max(depths.get(processor) ?? 0, index + 1));
  const fresh: [number, FrameThing][] = [];
  for (const [processor, depth] of depths) {
    const { frames: walked } = await processor.stack(depth);
    for (const [number, thing] of known) {
      if (thing.processor !== processor) continue;
      const frame = walked[thing.index];
      if (frame === undefined || !isSame(frame, thing.frame)) return false;
      fresh.push([number, { ...thing, frame }]);
    }
  }
  for (const [number, thing] of fresh) frames.replace(number, thing);
  return true;
}

/** What is shown of it is equal. */
const isSame = (one: FrameThing['frame'], other: FrameThing['frame']): boolean =>
  one.kind === other.kind &&
  one.address === other.address &&
  one.text === other.text &&
  one.source?.path === other.source?.path &&
  one.source?.line === other.source?.line &&
  one.frame.registers.rsp === other.frame.registers.rsp;
