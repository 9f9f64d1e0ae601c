/**
 * Threads and their stacks. KD knows processors, so these are DAP's threads; the thread that runs on each is part of its
 * name. Threads that no processor runs are among them when a view has asked for them.
 *
 * Clients ask for the top frame alone first, and for the rest when somebody looks. How many frames there are is known only
 * when all are walked; until then it is as many as a stack can have. VS Code loads what is missing to the total at once, and
 * asks for as many as it should have had when it goes to the bottom: one that is too small would give it that many.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { hex } from '../../engine/core/hex';
import { mostFrames } from '../../engine/cpu/stackWalk';
import type { CallFrame } from '../../engine/target/callStack';
import type { TargetProcessor } from '../../engine/target/target';
import { moduleId } from '../moduleEvents';
import type { Family } from '../protocol';
import type { Session } from '../session';
import { threadName } from '../threadNames';

export const stacks: Family = {
  capabilities: () => ({ supportsDelayedStackTraceLoading: true }),
  requests: {
    async threads(session) {
      // A client may ask before there is a kernel, and is content with none.
      const processors = session.hasTarget ? session.target.processors : [];
      const threads: P.Thread[] = [];
      for (const processor of processors)
        threads.push({ id: processor.number + 1, name: await threadName(session, processor) });
      for (const sleeper of session.things.sleepers.filter(({ isListed }) => isListed))
        threads.push({ id: sleeper.number + 1, name: await threadName(session, sleeper) });
      return { threads };
    },

    async stackTrace(session, { threadId, startFrame = 0, levels = 0, format }) {
      session.mustBeStopped();
      const processor = session.processor(threadId);
      const wanted = levels > 0 ? startFrame + levels : undefined;
      // Inlined functions share an unwound frame, so that many unwound frames are always enough.
      const { frames, end } = await processor.stack(wanted);
      if (wanted !== 1) session.invalidation.restTold();
      const shown = frames.slice(startFrame, wanted);
      const isSourceless = frames.every(({ source }) => source === undefined);
      const stackFrames: P.StackFrame[] = shown.map((frame, i) => ({
        ...describeFrame(session, processor, frame, startFrame + i, format),
        // VS Code folds pale frames away. Of a stack that has no source at all, only the top one is not: so it can be selected.
        presentationHint: isSourceless && startFrame + i > 0 ? 'subtle' : 'normal',
      }));
      if (end.kind === 'most-frames') return { stackFrames, totalFrames: mostFrames };
      if (end.kind !== 'failed') return { stackFrames, totalFrames: frames.length };
      // One more, which is none: a stack that is cut short looks like any other.
      const isWanted = startFrame <= frames.length && (wanted ?? Infinity) > frames.length;
      if (isWanted) stackFrames.push(describeEnd(session, end.error.message));
      return { stackFrames, totalFrames: frames.length + 1 };
    },
  },
};

function describeFrame(
  session: Session,
  processor: TargetProcessor,
  frame: CallFrame,
  index: number,
  format: P.StackFrameFormat | undefined,
): P.StackFrame {
  const { positions, sources, things } = session;
  const { source, named, address, kind, interrupted } = frame;
  const sort = kind === 'inline' ? '[inline] ' : interrupted ? '[interrupted] ' : '';
  const line = format?.line === true && source ? `:${source.line}` : '';
  const thing = { processor, frame, index };
  const id = things.frames.addOnce(`${processor.number} ${index}`, () => thing);
  // As it is now.
  things.frames.replace(id, thing);
  return {
    id,
    name: `${sort}${frame.text}${line}`,
    line: source ? positions.lineToClient(source.line) : 0,
    column: source && source.column > 0 ? positions.columnToClient(source.column) : 0,
    ...(source && { source: sources.describe(source.path) }),
    instructionPointerReference: hex(address, 16),
    ...(named && { moduleId: moduleId(named.module) }),
  };
}

const describeEnd = ({ numbers }: Session, why: string): P.StackFrame => ({
  id: numbers.next(),
  name: `[the stack ends here: ${why}]`,
  line: 0,
  column: 0,
  presentationHint: 'label',
});
