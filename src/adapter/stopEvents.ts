/** Changes of the target's state as DAP's events. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { Stop, StopReason, Target, TargetState, UserBreakpoint } from '../engine/target/target';
import { errorText } from './errors';
import type { Session } from './session';
import { bugcheckText, exceptionText } from './stopText';

/** From now on the client hears of what the target does, once the session is active. */
export function followTarget(session: Session, target: Target): void {
  target.onState.add((state) => onState(session, state));
}

/** Tells the client of the stop that the target is in. */
export function announceStop(session: Session, stop: Stop): void {
  session.output.flush();
  session.invalidation.stopped();
  session.events.send('stopped', {
    ...describeStop(session, stop.reason),
    threadId: stop.processor + 1,
    allThreadsStopped: true,
  } satisfies P.StoppedEvent['body']);
  session.memoryViews.allChanged();
}

function onState(session: Session, state: TargetState): void {
  session.things.clear();
  session.contexts.forget();
  const mayBegin = session.phase === 'configuring' && state.kind === 'lost';
  if (session.phase !== 'active' && !mayBegin) return;
  switch (state.kind) {
    case 'stopped':
      announceStop(session, state.stop);
      return;
    case 'running':
      if (!session.runExpected) session.events.send('continued', { threadId: 1, allThreadsContinued: true });
      return;
    case 'lost':
      session.output.line('important', errorText(state.error));
      session.output.flush();
      session.events.send('terminated');
      return;
    case 'attaching':
      return;
    case 'detached':
      session.events.send('terminated');
      return;
  }
}

function describeStop(
  session: Session,
  reason: StopReason,
): Pick<P.StoppedEvent['body'], 'reason' | 'description' | 'text' | 'hitBreakpointIds'> {
  switch (reason.kind) {
    case 'entry':
      return { reason: 'entry', description: 'Paused on attach' };
    case 'pause':
      return { reason: 'pause' };
    case 'foreign':
      return { reason: 'pause', description: 'Paused in WinDbg' };
    case 'step':
      return { reason: 'step' };
    case 'goto':
      return { reason: 'goto' };
    case 'breakpoint':
      return {
        reason: breakpointReason(reason.breakpoints),
        hitBreakpointIds: reason.breakpoints.map(({ id }) => id),
      };
    case 'code-breakpoint':
      return { reason: 'breakpoint', description: 'Paused on an int3 of the code' };
    case 'exception': {
      const { name, description } = exceptionText(reason.exception, session.target.symbols);
      return { reason: 'exception', description: `Paused on ${name}`, text: description };
    }
    case 'bugcheck': {
      const { code, parameters } = reason;
      const { name, description } = bugcheckText(code, parameters, session.target.symbols);
      session.output.line('important', session.style(description, 'red'));
      session.output.flush();
      return { reason: 'exception', description: `Paused on bugcheck ${name}`, text: description };
    }
    case 'module': {
      const what = reason.unloaded ? 'unload' : 'load';
      return { reason: `module ${what}`, description: `Paused on the ${what} of ${reason.name}` };
    }
  }
}

function breakpointReason(hit: readonly UserBreakpoint[]): string {
  switch (hit[0]?.request.place.kind) {
    case 'function':
      return 'function breakpoint';
    case 'instruction':
      return 'instruction breakpoint';
    case 'data':
      return 'data breakpoint';
    case 'source':
    case undefined:
      return 'breakpoint';
  }
}
