/**
 * Expressions: of watches and hovers, which must not change the kernel; of the debug console, where commands are understood
 * too, and a question of the guest is answered; and assignments to them.
 */

import { compile } from '../../engine/expr/compile';
import { complete } from '../console/complete';
import { runConsole } from '../console/console';
import { understood } from '../errors';
import { viewOf } from '../evaluation';
import { liveView } from '../live';
import type { Family } from '../protocol';
import { wholeText } from '../variables/clipboard';
import { describeValue } from '../variables/describe';
import { assignItem, showItem } from '../variables/items';
import { typedOver } from '../variables/typedOver';

export const evaluate: Family = {
  capabilities: (parts) => ({
    supportsEvaluateForHovers: true,
    supportsClipboardContext: true,
    supportsSetExpression: parts.execution,
    supportsCompletionsRequest: true,
    completionTriggerCharacters: ['!', '.', '>', '@', '$'],
  }),
  requests: {
    async evaluate(session, { expression, context: purpose, frameId, format }, call) {
      const look = { hex: format?.hex ?? session.hex, signal: call };
      if (purpose === 'repl') return runConsole(session, expression, { frameId, call, look });
      const live = purpose === 'watch' && frameId === undefined ? liveView(session) : undefined;
      const view = live ?? (await viewOf(session, frameId));
      const item = await understood(expression, () => compile(expression).evaluate(view.context, look));
      if (live !== undefined) {
        const { value } = await showItem(live, item, look);
        return { result: `${value} (live)`, variablesReference: 0 };
      }
      if (purpose === 'clipboard')
        return { result: await wholeText(view, item, look), variablesReference: 0 };
      const shown = await showItem(view, item, look);
      return { result: shown.value, ...describeValue(session, shown) };
    },

    async setExpression(session, { expression, value, frameId, format }, call) {
      const view = await viewOf(session, frameId);
      const look = { hex: format?.hex ?? session.hex, signal: call };
      const shown = await session.turn.run(async () => {
        const item = await understood(expression, () => compile(expression).evaluate(view.context, look));
        const { value: before } = await showItem(view, item, look);
        return understood(value, () => assignItem(view, item, typedOver(before, value), look));
      });
      await session.valueWritten(shown.place);
      return { value: shown.value, ...describeValue(session, shown) };
    },

    completions: async (session, { text, column, line = 1, frameId }) => ({
      targets: await complete(session, text, { line, column, frameId }),
    }),
  },
};
