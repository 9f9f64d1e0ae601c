/** `--address`: what stands at an address, as WinDbg's ln and dv have it: symbol, source and inline frames, locals. */

import { hex } from '../../engine/core/hex';
import { localsOf } from '../../engine/symbols/services/pdbLocals';
import { findPlace } from '../../engine/symbols/services/namedPlaces';
import type { Local, Location } from '../../engine/symbols/locals/locals';
import type { SectionOffset } from '../../engine/symbols/pdb/sections';
import { functionName } from '../../engine/symbols/types/functionName';
import type { TypeTable } from '../../engine/symbols/types/typeTable';
import { declarationOf } from '../../engine/symbols/types/typeText';
import { displacementText, sourceText, type Answer, type SymbolView } from '../symbolView';

/** @throws name-unknown, name-ambiguous, value-out-of-range */
export function describeAddress(view: SymbolView, text: string): Answer {
  const rva = findPlace(view.finder, text);
  const { open, path, moduleName } = view.session;
  const symbol = open.symbols.symbolAt(rva);
  const frames = open.symbols.framesAt(rva).map(({ name, inlined, source }) => ({ name, inlined, source }));
  const locals = localFrames(view, rva);
  return {
    data: { file: path, module: moduleName, address: view.addressOf(rva), rva, symbol, frames, locals },
    lines: [
      symbol === undefined
        ? `${view.address(rva)}   no symbol: it belongs to nothing that is known here`
        : `(${view.address(symbol.rva)})   ${view.name(symbol.name)}${displacementText(symbol.displacement)}${moved(symbol.separated)}`,
      ...frames.map(({ name, inlined, source }) =>
        `  ${inlined ? '(Inline Function)' : '                 '} ${name === undefined ? '' : view.name(name)} ${source ? sourceText(source) : ''}`.trimEnd(),
      ),
      ...locals.flatMap((frame) => [
        `  ${frame.inlined ? 'inlined ' : ''}${frame.name}: ${frame.locals.length > 0 ? 'locals' : 'no locals'}`,
        ...frame.locals.map(localLine),
      ]),
    ],
  };
}

const moved = (separated: boolean): string => (separated ? '   (in code moved away from it)' : '');

interface ShownLocal {
  readonly name: string;
  readonly declaration: string;
  readonly parameter: boolean;
  readonly hidden: boolean;
  /** Where its value is, in words. */
  readonly place: string;
  readonly location: Location;
}

interface ShownFrame {
  readonly name: string;
  readonly inlined: boolean;
  readonly locals: readonly ShownLocal[];
}

/** Innermost first. */
function localFrames(view: SymbolView, rva: number): ShownFrame[] {
  const { open } = view.session;
  const found = localsOf(open, rva);
  const types = open.types;
  if (found === undefined || types === undefined) return [];
  return found.frames
    .map(({ inlinee, locals }) => ({
      name:
        (inlinee === undefined ? found.procedure.name : functionName(types, inlinee)) ??
        `function ${hex(inlinee ?? 0)}`,
      inlined: inlinee !== undefined,
      locals: locals.map((local) => show(view, types, local)),
    }))
    .reverse();
}

function show(view: SymbolView, types: TypeTable, local: Local): ShownLocal {
  const { name, type, isParameter, hidden, location } = local;
  return {
    name,
    declaration: declarationOf(types, type, name),
    parameter: isParameter,
    hidden,
    place: placeText(view, location),
    location,
  };
}

const localLine = ({ parameter, place, declaration, hidden }: ShownLocal): string =>
  `    prv ${parameter ? 'param' : 'local'}  ${place.padEnd(24)} ${declaration}${hidden ? '   (hidden by one of an inner block)' : ''}`;

function placeText(view: SymbolView, location: Location): string {
  switch (location.kind) {
    case 'register':
      return `@${location.register.name}`;
    case 'memory': {
      const spot = `@${location.base.name}${displacementText(location.offset)}`;
      const behind = location.behindPointer;
      const text = behind === undefined ? spot : `[${spot}]${displacementText(behind)}`;
      return location.baseUnsettled ? `${text} in the body` : text;
    }
    case 'pieces':
      return `{ ${location.pieces.map((piece) => `+${piece.at} ${placeText(view, piece.location)}`).join(', ')} }`;
    case 'bytes':
      return `= ${hex(BigInt(`0x0${Buffer.from(location.bytes).reverse().toString('hex')}`))}`;
    case 'constant':
      return `= ${location.value}`;
    case 'addressOf':
      return `= &${staticText(view, location.place)}`;
    case 'static':
      return location.threadLocal
        ? `<thread-local +${hex(location.place.offset)}>`
        : staticText(view, location.place);
    case 'unavailable':
      return unavailable[location.reason];
  }
}

const unavailable = {
  'optimised-out': '<optimized out>',
  'not-live-here': '<not live here>',
  'unknown-record': '<in an unknown way>',
  'no-frame': '<no frame>',
  'unknown-register': '<unknown register>',
} as const;

function staticText(view: SymbolView, { section, offset }: SectionOffset): string {
  const rva = view.session.open.pdb?.sections.rvaOf(section, offset);
  if (rva === undefined) return `<${section}:${hex(offset)}>`;
  return view.place(rva) ?? view.address(rva);
}
