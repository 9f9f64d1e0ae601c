/**
 * What a client may see while the kernel runs: memory of this moment, and watches of global names in it. Views that are open
 * are looked at in turns, and the client is told of those that have changed; it asks for them again by itself.
 */

import { VmkdError } from '../engine/core/errors';
import type { LiveMemory } from '../engine/target/guestMemory/liveMemory';
import { LiveScope } from '../engine/target/scope/liveScope';
import type { VirtualMemory } from '../engine/memory/virtualMemory';
import type { KernelTarget } from '../engine/target/kernelTarget';
import type { Session } from './session';
import type { ItemView } from './variables/items';

/** What memory there is to be read now. @throws target-running and others */
export function memoryNow(session: Session): { readonly memory: VirtualMemory; readonly live: boolean } {
  const { target } = session;
  if (isLive(session)) return { memory: target.liveMemory!, live: true };
  session.mustBeStopped();
  return { memory: target.memory, live: false };
}

/** Global names in memory of this moment; undefined unless the kernel runs and may be looked at. */
export function liveView(session: Session): ItemView | undefined {
  if (!isLive(session)) return undefined;
  const { liveMemory, symbols } = session.target;
  session.liveWatched = true;
  return { context: new LiveScope(liveMemory!, symbols), symbols };
}

const isLive = ({ target, configuration }: Session): boolean =>
  target.state.kind === 'running' && configuration.live.memory && target.liveMemory !== undefined;

/** As long as the kernel runs, the client hears of what changes. */
export function followLive(session: Session, target: Pick<KernelTarget, 'onState' | 'liveMemory'>): void {
  const { memory, refreshesPerSecond } = session.configuration.live;
  if (!memory || refreshesPerSecond === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const refresh = (): void => {
    try {
      session.memoryViews.compare((address, count) => readOrNothing(target.liveMemory, address, count));
      refreshWatches(session);
    } catch (thrown) {
      // Whoever asks for it hears why; it may be there again the next time.
      if (!(thrown instanceof VmkdError)) throw thrown;
    }
  };
  target.onState.add(({ kind }) => {
    stop();
    if (kind === 'running') timer = setInterval(refresh, 1000 / refreshesPerSecond);
  });
  session.atEnd.push(stop);
}

/** A pane on user memory, or beyond what is there, is no reason not to look at the others. */
function readOrNothing(memory: LiveMemory, ...range: Parameters<LiveMemory['read']>): Uint8Array {
  try {
    return memory.read(...range);
  } catch (thrown) {
    if (!(thrown instanceof VmkdError) || thrown.code !== 'memory-unreadable') throw thrown;
    return new Uint8Array(0);
  }
}

function refreshWatches(session: Session): void {
  if (!session.liveWatched || session.client.supportsInvalidatedEvent !== true) return;
  session.liveWatched = false;
  session.events.send('invalidated', { areas: ['variables'] });
}
