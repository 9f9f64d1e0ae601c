/** What a CPU is called: with the thread that runs on it, where the kernel stands and its symbols tell. */

import { asVmkdError } from '../engine/core/errors';
import { hex } from '../engine/core/hex';
import type { TargetProcessor } from '../engine/target/target';
import { describeThread } from '../engine/windows/threads';
import { guestText } from './output';
import type { Session } from './session';

/** @throws link errors */
export async function threadName({ target }: Session, processor: TargetProcessor): Promise<string> {
  const cpu = processor.asleep === true ? 'Asleep' : `CPU ${processor.number}`;
  if (target.state.kind !== 'stopped') return cpu;
  try {
    const thread = await processor.thread();
    const { processId, processName, threadId } = await describeThread(target.memory, target.symbols, thread);
    if (processId === 0n) return `${cpu}: idle`;
    return `${cpu}: ${guestText(processName)} (${processId}), thread ${threadId} at ${hex(thread, 16)}`;
  } catch (thrown) {
    const error = asVmkdError(thrown);
    // Without symbols, or with a damaged thread, a CPU is still a CPU; and it may run again by now.
    if (error.code.startsWith('link-') || error.code === 'internal') throw thrown;
    return cpu;
  }
}
