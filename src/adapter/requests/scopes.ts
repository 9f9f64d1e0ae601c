/** What there is to see of a frame: its variables, the registers, the globals of its module. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { evaluate, type Item } from '../../engine/expr/compile';
import type { FrameScope, FrameVariable } from '../../engine/target/scope/frameScope';
import { hasProcessor } from '../contexts';
import { scalarNumber } from '../evaluation';
import type { Family } from '../protocol';
import type { Session } from '../session';
import type { FrameThing } from '../stopThings';
import { describeContainer } from '../variables/describe';
import { globalsOf } from '../variables/globals';
import type { RegisterContext } from '../variables/integerRegisters';
import { itemList, type ItemView } from '../variables/items';
import { callerRegisters, processorRegisters } from '../variables/registers';
import type { Container } from '../variables/shown';

export const scopes: Family = {
  requests: {
    async scopes(session, { frameId }) {
      session.mustBeStopped();
      const thing = session.things.frames.get(frameId);
      const context = await session.contexts.ofFrame(thing);
      const view: ItemView = { context, symbols: session.target.symbols };
      const variables = context.variables();
      const statics = variables.filter(isStatic);
      const locals = variables.filter((variable) => !isStatic(variable));
      const module = thing.frame.named?.module;
      const globals = module && globalsOf(view, module);
      const found: P.Scope[] = [
        {
          ...scope(
            session,
            'Locals',
            itemList(view, () => itemsOf(locals)),
          ),
          presentationHint: 'locals',
        },
      ];
      if (statics.length > 0)
        found.push(
          scope(
            session,
            'Statics',
            itemList(view, () => itemsOf(statics)),
          ),
        );
      found.push({
        ...scope(session, 'Registers', registersOf(session, thing, context)),
        presentationHint: 'registers',
      });
      if (globals !== undefined && module !== undefined)
        found.push({ ...scope(session, `Globals of ${module.alias}`, globals), expensive: true });
      return { scopes: found };
    },
  },
};

const isStatic = ({ local }: FrameVariable): boolean => local.location.kind === 'static';

function scope(session: Session, name: string, container: Container): P.Scope {
  return { name, expensive: false, ...describeContainer(session, container) };
}

/** Those that others hide have no expression: their name means the other. */
async function itemsOf(variables: readonly FrameVariable[]): Promise<Item[]> {
  const items: Item[] = [];
  for (const variable of variables) {
    const { local, type } = variable;
    const { name, hidden } = local;
    const value = { type, place: await variable.locate() };
    items.push({
      name: hidden ? `${name} (hidden, depth ${local.depth})` : name,
      expression: hidden ? undefined : name,
      value,
      format: {},
    });
  }
  return items;
}

function registersOf(session: Session, thing: FrameThing, context: FrameScope): Container {
  const { processor, frame } = thing;
  const registers: RegisterContext = {
    processor,
    symbols: session.target.symbols,
    numberOf: async (text) => scalarNumber(context, await evaluate(text, context)),
  };
  return hasProcessor(thing) ? processorRegisters(registers) : callerRegisters(registers, frame);
}
