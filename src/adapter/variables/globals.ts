/** Global variables of a module: a great many, so they come in pages, and each is looked at when its page is. */

import { evaluate } from '../../engine/expr/compile';
import { asVmkdError } from '../../engine/core/errors';
import type { Pdb } from '../../engine/symbols/pdb/pdb';
import type { ModuleSymbols } from '../../engine/windows/moduleSymbols';
import { assignItem, showItem, type ItemView } from './items';
import type { Container, Page, Shown } from './shown';

const mostGlobals = 100_000;

/** Undefined if the module's symbols have none: without private symbols, data have no types. */
export function globalsOf(view: ItemView, module: ModuleSymbols): Container | undefined {
  const names = namesOf(module);
  if (names.length === 0) return undefined;
  return {
    counts: { named: 0, indexed: names.length },
    async children({ filter, start, count, ...look }) {
      if (filter === 'named') return [];
      const shown: Shown[] = [];
      for (const name of names.slice(start, start + count)) shown.push(await show(view, module, name, look));
      return shown;
    },
    async set(name, text, page) {
      const item = await evaluate(expressionOf(module, name), view.context, { signal: page.signal });
      return { ...(await assignItem(view, item, text, page)), name };
    },
  };
}

async function show(
  view: ItemView,
  module: ModuleSymbols,
  name: string,
  look: Pick<Page, 'hex' | 'signal'>,
): Promise<Shown> {
  const expression = expressionOf(module, name);
  try {
    const item = await evaluate(expression, view.context, { signal: look.signal });
    return { ...(await showItem(view, item, look)), name };
  } catch (thrown) {
    const error = asVmkdError(thrown);
    // A name that expressions cannot have, a damaged type: the others are still good.
    if (error.code === 'expression-bad' || error.code === 'file-damaged')
      return { name, value: `<${error.message}>`, readOnly: true };
    throw thrown;
  }
}

const expressionOf = ({ alias }: ModuleSymbols, name: string): string => `${alias}!${name}`;

const known = new WeakMap<object, readonly string[]>();

/** In alphabetical order, kept as long as the symbols are. A PDB that is damaged there has none. */
function namesOf(module: ModuleSymbols): readonly string[] {
  const { pdb } = module;
  if (pdb === undefined) return [];
  let names = known.get(pdb);
  if (names === undefined) {
    names = module.ask(() => typedData(pdb), []);
    known.set(pdb, names);
  }
  return names;
}

/** Not by `search`, which looks at every function, too: of a large PDB that takes seconds, at the first frame that is shown. */
function typedData(pdb: Pdb): string[] {
  const names = new Set<string>();
  for (const { name, type } of pdb.globals.data()) {
    if (type !== 0) names.add(name);
    if (names.size === mostGlobals) break;
  }
  return [...names].sort();
}
