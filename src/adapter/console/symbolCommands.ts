/** Commands about modules, their symbols and types. */

import { formatAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { evaluate } from '../../engine/expr/compile';
import { wildcard } from '../../engine/symbols/services/wildcard';
import { layoutOf, type LayoutField } from '../../engine/symbols/types/structLayout';
import { declarationOf } from '../../engine/symbols/types/typeText';
import type { TypeTable } from '../../engine/symbols/types/typeTable';
import { describeSymbolState, type ModuleSymbols } from '../../engine/windows/moduleSymbols';
import { showItem } from '../variables/items';
import { addressOf, badUsage, type ConsoleCommand, type Run } from './command';

const mostFound = 500;

const matching = ({ session }: Run, pattern: string): ModuleSymbols[] => {
  const wanted = wildcard(pattern === '' ? '*' : pattern);
  return session.target.symbols.modules.filter(
    ({ alias, module }) => wanted.matches(alias) || wanted.matches(module.name),
  );
};

const listModules: ConsoleCommand = {
  name: 'lm',
  usage: 'lm [PATTERN]',
  help: 'Lists loaded modules with the state of their symbols.',
  completes: 'module',
  run: async (run) =>
    matching(run, run.args)
      .map(({ base, module, alias, state }) => {
        const range = `${formatAddress(base)} ${formatAddress(base + BigInt(module.size))}`;
        return `${range}  ${alias.padEnd(16)} ${describeSymbolState(state)}`;
      })
      .join('\n'),
};

const find: ConsoleCommand = {
  name: 'x',
  usage: 'x [MODULE!]PATTERN',
  help: 'Finds symbols by name; * and ? stand for any characters.',
  completes: 'symbol',
  async run(run) {
    if (run.args === '') throw badUsage(find);
    const found = run.session.target.symbols.search(run.args, mostFound + 1);
    if (found.length === 0)
      throw new VmkdError('symbols-not-found', `No loaded symbol matches ${run.args}`, {
        nextStep: '“lm” shows which modules have symbols, “.reload” loads them.',
      });
    const rows = found
      .slice(0, mostFound)
      .map(
        ({ address, module, name, kind }) => `${formatAddress(address)}  ${module.alias}!${name} (${kind})`,
      );
    return [...rows, ...(found.length > mostFound ? ['… there are more'] : [])].join('\n');
  },
};

const nearest: ConsoleCommand = {
  name: 'ln',
  usage: 'ln ADDRESS',
  help: 'Says what an address belongs to: symbol, module, line of source.',
  completes: 'symbol',
  async run(run) {
    if (run.args === '') throw badUsage(nearest);
    const address = await addressOf(run, run.args);
    const { symbols } = run.session.target;
    const name = symbols.nameOf(address);
    if (name === undefined) return `${formatAddress(address)} belongs to no module`;
    const lines = symbols
      .framesAt(address)
      .map(({ source, inlined, name: function_ = '' }) =>
        source ? `  ${source.path}:${source.line}${inlined ? ` (inlined ${function_})` : ''}` : '',
      );
    return [`${formatAddress(address)} ${name}`, ...lines.filter((line) => line !== '')].join('\n');
  },
};

const reload: ConsoleCommand = {
  name: '.reload',
  usage: '.reload [PATTERN]',
  help: 'Loads the symbols of modules, from servers too.',
  completes: 'module',
  async run(run) {
    const { session, call } = run;
    session.mustBeStopped();
    const modules = matching(run, run.args);
    if (modules.length === 0)
      throw new VmkdError('usage', `No module matches ${run.args}`, { nextStep: 'See “lm”.' });
    await session.symbolLoading.load(modules, true, call.signal);
    return modules.map(({ alias, state }) => `${alias}: ${describeSymbolState(state)}`).join('\n');
  },
};

const types: ConsoleCommand = {
  name: 'dt',
  usage: 'dt [MODULE!]TYPE [ADDRESS]',
  help: 'Shows the layout of a type, or what of such a type lies at an address.',
  completes: 'symbol',
  async run(run) {
    const [, name = '', address = ''] = /^(\S+)\s*(.*)$/.exec(run.args) ?? [];
    if (name === '') throw badUsage(types);
    if (address !== '') {
      const view = await run.view();
      const item = await evaluate(`*(${name} *)(${address})`, view.context, { signal: run.look.signal });
      return showItem(view, item, run.look);
    }
    const { module, table, index } = typeNamed(run, name);
    const layout = layoutOf(table, index);
    if (layout === undefined) throw new VmkdError('symbols-lack-type', `${name} is no structure`);
    const rows = layout.fields.map(
      (field) =>
        `  +0x${field.offset.toString(16).padStart(3, '0')} ${field.name.padEnd(24)} : ${fieldText(table, field)}`,
    );
    return [`${module.alias}!${layout.name}, ${hex(layout.size)} bytes`, ...rows].join('\n');
  },
};

const fieldText = (table: TypeTable, { type, bits }: LayoutField): string =>
  declarationOf(table, type) + (bits ? `, bits ${bits.position} to ${bits.position + bits.length - 1}` : '');

function typeNamed(
  { session }: Run,
  name: string,
): { module: ModuleSymbols; table: TypeTable; index: number } {
  const bang = name.indexOf('!');
  const { symbols } = session.target;
  const named = bang < 0 ? undefined : symbols.moduleNamed(name.slice(0, bang));
  const modules = bang < 0 ? symbols.modules : named ? [named] : [];
  for (const module of modules) {
    const table = module.types;
    const [index] = table?.find(name.slice(bang + 1)) ?? [];
    if (table !== undefined && index !== undefined) return { module, table, index };
  }
  throw new VmkdError('symbols-lack-type', `No loaded symbols have a type ${name}`);
}

export const symbolCommands: readonly ConsoleCommand[] = [listModules, find, nearest, types, reload];
