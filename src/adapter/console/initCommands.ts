/** Console commands of the launch configuration: run one after the other, each with what it says; a failure ends none. */

import { asVmkdError } from '../../engine/core/errors';
import { errorText } from '../errors';
import type { Call } from '../protocol';
import type { Session } from '../session';
import { runConsole } from './console';

export async function runInitCommands(session: Session, call: Call): Promise<void> {
  for (const command of session.configuration.initCommands) {
    session.output.line('console', `> ${command}`);
    try {
      const { result } = await runConsole(session, command, {
        frameId: undefined,
        call,
        look: { hex: session.hex, signal: call },
      });
      if (result !== '') session.output.line('console', result);
    } catch (thrown) {
      session.output.line('stderr', errorText(asVmkdError(thrown)));
    }
  }
}
