/** The beginning of a session: who is there, to what to attach, and that the breakpoints are set. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../../engine/core/errors';
import { attach } from '../attach';
import { readConfiguration } from '../configuration/configuration';
import { Positions } from '../positions';
import { allParts, type Family } from '../protocol';
import { resume } from '../running';
import { announceStop } from '../stopEvents';
import { runInitCommands } from '../console/initCommands';

export const connect: Family = {
  capabilities: () => ({ supportsConfigurationDoneRequest: true, supportsANSIStyling: true }),
  requests: {
    initialize(session, args): P.Capabilities {
      session.client = args;
      session.positions = new Positions(args);
      session.memoryViews.enabled = args.supportsMemoryEvent === true;
      session.progress.enabled = args.supportsProgressReporting === true;
      // Which kernel it will be is not known yet: a live one can do everything, and a later event takes back the rest.
      return session.host.capabilities(allParts);
    },

    async attach(session, args, call) {
      if (session.phase !== 'new')
        throw new VmkdError('target-attached', 'This session has a kernel already');
      const configuration = readConfiguration(args, (sentence) => session.output.line('console', sentence));
      await session.begin(configuration, () => attach(session, call));
    },

    launch() {
      throw new VmkdError('configuration-bad', 'vmkd attaches to kernels, it does not launch them', {
        nextStep: 'Write "request": "attach" in launch.json.',
      });
    },

    async configurationDone(session, _args, call) {
      if (session.phase !== 'configuring') return;
      const { target, configuration } = session;
      call.holdEvents();
      session.phase = 'active';
      await runInitCommands(session, call);
      // A command may have let it run.
      if (target.state.kind !== 'stopped') return;
      if (configuration.breakOnAttach) announceStop(session, target.state.stop);
      else await resume(session, true);
    },
  },
};
