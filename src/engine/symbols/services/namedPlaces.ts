/**
 * Places in an image as people write them, to RVAs.
 *
 *   1a2b  0x1a2b  fffff803`12345678      an RVA, or an address of the image as it is loaded at `base`
 *   KeBugCheckEx  nt!KeBugCheckEx+1c     a symbol; case counts only where names differ in nothing else
 *   nt+1a2b                              as bugchecks say it: an RVA
 *
 * What begins with a letter is a symbol if there is one of that name, else a number: `add` may be either.
 */

import { parseAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { hex } from '../../core/hex';
import type { FoundSymbol, ImageSymbols } from './imageSymbols';
import { withoutModule } from './moduleName';
import { nearNames, offer } from './nearNames';

export interface PlaceFinder {
  readonly moduleName: string;
  readonly symbols: ImageSymbols;
  /** Bytes that the image takes. */
  readonly size: number;
  /** Where it is, or is taken to be, loaded. */
  readonly base: bigint;
}

/** @throws name-unknown, name-ambiguous, value-out-of-range */
export function findPlace(finder: PlaceFinder, text: string): number {
  const number = parseAddress(text);
  if (number !== undefined && /^[0-9]/.test(text)) return rvaOf(finder, number);
  const [, name = '', offset = '0'] = /^(.*?)(?:\+(?:0x)?([0-9a-f]{1,8}))?$/is.exec(text) ?? [];
  const wanted = withoutModule(finder.moduleName, name);
  const found = wanted === undefined ? [] : namesakes(finder.symbols, wanted);
  if (found.length === 0 && number !== undefined) return rvaOf(finder, number);
  if (found.length === 0 && name.toLowerCase() === finder.moduleName.toLowerCase())
    return rvaOf(finder, BigInt(parseInt(offset, 16)));
  if (found.length === 0) throw notFound(finder, name);
  const places = [...new Set(found.map(({ rva }) => rva))];
  if (places.length > 1) throw ambiguous(finder, name, found);
  return rvaOf(finder, BigInt(places[0]! + parseInt(offset, 16)));
}

/** @throws value-out-of-range */
export function rvaOf({ moduleName, base, size }: PlaceFinder, address: bigint): number {
  if (address < size) return Number(address);
  if (address >= base && address < base + BigInt(size)) return Number(address - base);
  const range = base === 0n ? '' : `, its addresses ${hex(base)} to ${hex(base + BigInt(size))}`;
  throw new VmkdError(
    'value-out-of-range',
    `${hex(address)} lies outside ${moduleName}: its RVAs go to ${hex(size)}${range}`,
    { nextStep: 'Give an RVA, or an address inside the image; --base says where it was loaded.' },
  );
}

const mostNamesakes = 1000;

/** Symbols of that name; where some have it in the very same case, those alone. */
function namesakes(symbols: ImageSymbols, name: string): FoundSymbol[] {
  // A decorated name begins with a wildcard: only equal names count.
  const found = symbols
    .search(name, mostNamesakes)
    .filter((symbol) => symbol.name.toLowerCase() === name.toLowerCase());
  const exact = found.filter((symbol) => symbol.name === name);
  return exact.length > 0 ? exact : found;
}

function notFound({ moduleName, symbols }: PlaceFinder, name: string): VmkdError {
  const wanted = name.slice(name.indexOf('!') + 1);
  const near = nearNames(
    wanted,
    symbols.search('*', Infinity).map((symbol) => symbol.name),
  );
  return new VmkdError('name-unknown', `${moduleName} has no symbol “${name}”${offer(near)}`);
}

function ambiguous({ symbols }: PlaceFinder, name: string, found: readonly FoundSymbol[]): VmkdError {
  // Overloads differ in their decorated names, which publics have.
  const decorated = new Map(
    symbols
      .search(`*${name.replace(/^.*(?:::|!)/s, '')}*`, Infinity)
      .filter((symbol) => symbol.kind === 'public')
      .map((symbol) => [symbol.rva, symbol.name]),
  );
  const rows = found.map(({ rva }) => [hex(rva), decorated.get(rva) ?? ''].join(' ').trim());
  return new VmkdError(
    'name-ambiguous',
    `${found.length} symbols are called “${name}”: ${rows.slice(0, 20).join(', ')}${rows.length > 20 ? ', …' : ''}`,
  );
}
