/**
 * The end of a session. The kernel is let go before the client hears that it may go, too: clients wait two seconds at most.
 */

import type { Family } from '../protocol';

export const leave: Family = {
  // VS Code says `suspendDebuggee` only to adapters that know `terminateDebuggee` as well.
  capabilities: ({ execution }) => ({
    supportTerminateDebuggee: execution,
    supportSuspendDebuggee: execution,
    // Without it VS Code never sends `cancel` for a request that nobody waits for any more.
    supportsCancelRequest: true,
  }),
  requests: {
    async disconnect(session, { suspendDebuggee = false, terminateDebuggee = false }) {
      if (terminateDebuggee && session.hasTarget) {
        session.output.line('console', 'A kernel does not end with its debugger: vmkd lets it run on.');
      }
      await session.leave({ leaveStopped: suspendDebuggee && !terminateDebuggee });
    },

    cancel(session, { requestId, progressId }) {
      if (requestId !== undefined) session.host.cancel(requestId);
      if (progressId !== undefined) session.progress.cancel(progressId);
    },
  },
};
