/** Unfolding and changing what the variables view shows, and where functions that values point at are. */

import { VmkdError } from '../../engine/core/errors';
import { understood } from '../errors';
import type { Family } from '../protocol';
import { describeValue, describeVariable } from '../variables/describe';
import type { Page } from '../variables/shown';
import { typedOver } from '../variables/typedOver';

/** Lines of one answer: clients that do not page get no more. */
const mostChildren = 2000;

export const variables: Family = {
  capabilities: ({ execution }) => ({
    supportsSetVariable: execution,
    supportsValueFormattingOptions: true,
  }),
  requests: {
    async variables(session, { variablesReference, filter, start = 0, count = 0, format }, call) {
      session.mustBeStopped();
      const { container, seen } = session.things.containers.get(variablesReference);
      const page: Page = {
        ...(filter && { filter }),
        start,
        count: Math.min(count > 0 ? count : mostChildren, mostChildren),
        hex: format?.hex ?? session.hex,
        signal: call,
      };
      const children = await container.children(page);
      for (const child of children) seen.set(child.name, child);
      const shown = children.map((child) => describeVariable(session, child));
      // Who pages knows that there is more.
      if (count === 0 && shown.length === mostChildren)
        shown.push({ name: '…', value: 'there is more', variablesReference: 0 });
      return { variables: shown };
    },

    async setVariable(session, { variablesReference, name, value, format }, call) {
      session.mustBeStopped();
      const { container, seen } = session.things.containers.get(variablesReference);
      if (container.set === undefined || seen.get(name)?.readOnly === true)
        throw new VmkdError('expression-refused', `${name} cannot be changed here`);
      const page = { start: 0, count: Infinity, hex: format?.hex ?? session.hex, signal: call };
      const meant = typedOver(seen.get(name)?.value, value);
      const shown = await session.turn.run(() => understood(value, () => container.set!(name, meant, page)));
      seen.set(name, shown);
      await session.valueWritten(shown.place);
      return { value: shown.value, ...describeValue(session, shown) };
    },

    locations(session, { locationReference }) {
      const { path, line, column } = session.things.locations.get(locationReference);
      const { positions, sources } = session;
      return {
        source: sources.describe(path),
        line: positions.lineToClient(line),
        ...(column > 0 ? { column: positions.columnToClient(column) } : {}),
      };
    },
  },
};
