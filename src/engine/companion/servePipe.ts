/** The life of a companion pipe: debuggers come and go, one at a time. */

import type { Clock } from '../core/clock';
import { VmkdError } from '../core/errors';
import { encodeDebugIo } from '../kd/debugIo';
import { PacketType, encodeDataPacket, initialPacketId, syncPacketId } from '../kd/framing';
import { createEndpoint } from '../link/endpoint';
import type { LinkEndpoint } from '../link/link';
import type { ListenSpec } from '../link/spec';
import { traced, type TraceWriter } from '../link/trace';
import type { Companion } from './companion';

const text = 'vmkd: another debugger is attached to this pipe\n';

/** What a second debugger is told: a kernel's print, the one thing that every debugger shows. */
const refusal = encodeDataPacket(
  PacketType.DebugIo,
  (initialPacketId | syncPacketId) >>> 0,
  encodeDebugIo({ kind: 'print', processorLevel: 0, processor: 0, text }),
);

export interface PipeOptions {
  readonly companion: Companion;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Records what passes the pipe. */
  readonly trace?: TraceWriter;
}

/**
 * An endpoint for the pipe; nothing listens yet.
 * @param onExposed It listens, and others than this user may open it: why. @throws link-bad-spec
 */
export const pipeEndpoint = (
  spec: ListenSpec | string,
  clock: Clock,
  onExposed: (why: VmkdError) => void,
): LinkEndpoint => createEndpoint(spec, clock, { refusal, onExposed });

/** Serves one debugger after the other until the signal. @throws link-in-use, link-denied, link-failed */
export async function servePipe(endpoint: LinkEndpoint, options: PipeOptions): Promise<void> {
  const { companion, signal, trace } = options;
  try {
    for (;;) {
      const link = await endpoint.open({ waitMilliseconds: Infinity, signal });
      await companion.serve(trace ? traced(link, trace, 'debugger') : link);
    }
  } catch (thrown) {
    if (!(thrown instanceof VmkdError) || thrown.code !== 'cancelled') throw thrown;
  }
}
