/** The beginning of a session: who is there, to what to attach, and that the breakpoints are set. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../../engine/core/errors';
import { attach } from '../attach';
import { readConfiguration, readLaunch } from '../configuration/configuration';
import { bringUp } from '../launch';
import { Positions } from '../positions';
import { allParts, type Family } from '../protocol';
import { resume } from '../running';
import type { Session } from '../session';
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
      mustBeNew(session);
      const configuration = readConfiguration(args, (sentence) => session.output.line('console', sentence));
      await session.begin(configuration, () => attach(session, call));
    },

    async launch(session, args, call) {
      mustBeNew(session);
      const { snapshot, rest } = readLaunch(args);
      const configuration = readConfiguration(rest, (sentence) => session.output.line('console', sentence));
      const { machine } = configuration;
      await session.begin(configuration, async () => {
        await bringUp(session, { machine, snapshot }, call);
        await attach(session, call);
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

function mustBeNew({ phase }: Session): void {
  if (phase !== 'new') throw new VmkdError('target-attached', 'This session has a kernel already');
}
