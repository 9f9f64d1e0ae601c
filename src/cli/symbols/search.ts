/** `--search`: symbols by wildcard, as WinDbg's x lists them. */

import { VmkdError } from '../../engine/core/errors';
import type { FoundSymbol } from '../../engine/symbols/services/imageSymbols';
import { withoutModule } from '../../engine/symbols/services/moduleName';
import { nearNames, offer } from '../../engine/symbols/services/nearNames';
import { searchSymbols } from '../../engine/symbols/services/symbolSearch';
import type { SymbolFileSession } from '../../engine/symbols/services/symbolFileSession';
import { declarationOf, parametersOf } from '../../engine/symbols/types/typeText';
import { undecorate } from '../../engine/symbols/undecorate';
import type { Answer, SymbolView } from '../symbolView';

/** Undefined if nothing matches. */
export function searchFile(view: SymbolView, text: string): Answer | undefined {
  const { session, options } = view;
  const pattern = withoutModule(session.moduleName, text);
  if (pattern === undefined) return undefined;
  const { symbols, total } = searchSymbols(session.open.symbols, pattern, options.limit);
  if (total === 0) return undefined;
  const rest = total - symbols.length;
  return {
    data: {
      file: session.path,
      module: session.moduleName,
      total,
      symbols: symbols.map((symbol) => ({
        address: view.addressOf(symbol.rva),
        rva: symbol.rva,
        name: symbol.name,
        undecorated: undecorate(symbol.name),
        kind: symbol.kind,
        type: typeText(session, symbol),
      })),
    },
    lines: [
      ...symbols.map(
        (symbol) =>
          `${view.address(symbol.rva)}          ${view.name(symbol.name)} ${suffix(session, symbol)}`,
      ),
      ...(rest > 0 ? [`… and ${rest} more: --limit shows them`] : []),
    ],
  };
}

export const isPattern = (text: string): boolean => /[*?]/.test(text);

export const symbolNames = ({ session }: SymbolView): string[] =>
  session.open.symbols.search('*', Infinity).map(({ name }) => name);

/** The error to give if no file has the symbol. */
export function noSuchSymbol(text: string, names: readonly string[]): VmkdError {
  const near = nearNames(text.slice(text.indexOf('!') + 1), names);
  return new VmkdError('name-unknown', `No symbol matches “${text}”${offer(near)}`);
}

function suffix(session: SymbolFileSession, symbol: FoundSymbol): string {
  const type = typeText(session, symbol);
  if (symbol.kind === 'data') return `: ${type ?? '<no type information>'}`;
  return type ?? (isCode(session, symbol.rva) ? '(<no parameter info>)' : ': <no type information>');
}

/** Parameters of a procedure, the declaration of a datum. */
function typeText({ open }: SymbolFileSession, { kind, type }: FoundSymbol): string | undefined {
  if (open.types === undefined || type === 0) return undefined;
  return kind === 'data' ? declarationOf(open.types, type) : parametersOf(open.types, type);
}

function isCode({ image, open }: SymbolFileSession, rva: number): boolean {
  const sections = image?.image.sections ?? open.pdb?.sections.sections ?? [];
  const section = sections.find((s) => s.rva <= rva && rva < s.rva + s.size);
  return ((section?.characteristics ?? 0) & 0x2000_0000) !== 0;
}
