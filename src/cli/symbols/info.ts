/** `vmkd symbols FILE`: what a PDB or an image is, and which symbols would serve the image. */

import { hex } from '../../engine/core/hex';
import {
  summariseImage,
  summarisePdb,
  type ImageSummary,
  type PdbSummary,
} from '../../engine/symbols/services/fileSummary';
import { guidText } from '../../engine/symbols/pdbKey';
import type { SymbolFileSession } from '../../engine/symbols/services/symbolFileSession';
import { whyExports } from '../symbolFiles';
import { machineText, type Answer, type SymbolView } from '../symbolView';

export function describeFile({ session }: SymbolView): Answer {
  const { image, open, path, moduleName } = session;
  const common = { file: path, module: moduleName, quality: open.symbols.quality };
  const pdb = open.pdb && summarisePdb(open.pdb);
  if (image === undefined) {
    const summary = pdb!;
    return {
      data: { ...common, kind: 'pdb', pdb: { ...summary, machine: machineText(summary.machine) } },
      lines: [`${path}: a PDB`, ...pdbLines(summary)],
    };
  }
  const summary = summariseImage(image);
  return {
    data: {
      ...common,
      kind: 'image',
      image: { ...summary, machine: machineText(summary.machine) },
      names: namedPdb(session),
      ...(pdb && { pdb: { ...pdb, machine: machineText(pdb.machine) } }),
    },
    lines: [`${path}: a PE image`, ...imageLines(summary), ...servingLines(session, pdb)],
  };
}

function namedPdb({ search }: SymbolFileSession): object | undefined {
  if (search === undefined) return undefined;
  const { reference, path, attempts, refused } = search;
  const { guid, age, key, fileName } = reference;
  return { path: reference.path, fileName, guid: guidText(guid), age, key, found: path, attempts, refused };
}

const row = (what: string, text: string): string => `  ${what.padEnd(12)} ${text}`;
const thousands = (count: number): string => count.toLocaleString('en');
const quantity = (count: number, noun: string): string =>
  `${thousands(count)} ${noun}${count === 1 ? '' : 's'}`;

function pdbLines(pdb: PdbSummary): string[] {
  const optional = Object.entries(pdb.optionalStreams).map(
    ([name, size]) => `${streamNames[name] ?? name} (${thousands(size)} bytes)`,
  );
  return [
    row('container', `${pdb.container}, ${thousands(pdb.size)} bytes, ${quantity(pdb.streams, 'stream')}`),
    row('GUID', pdb.guid),
    row('age', `${pdb.age}, by which images name it; ${pdb.infoAge} in the info stream`),
    row('store key', pdb.key),
    row('machine', machineText(pdb.machine)),
    row(
      'symbols',
      pdb.quality === 'private' ? 'private: types, lines, locals' : 'public: stripped of lines and locals',
    ),
    row(
      'holds',
      [
        quantity(pdb.modules, 'module'),
        quantity(pdb.publics, 'public'),
        quantity(pdb.globals, 'global'),
        pdb.types === undefined ? 'types too old to be read' : quantity(pdb.types, 'type record'),
        quantity(pdb.sourceFiles, 'source file'),
      ].join(', '),
    ),
    row('streams', optional.length > 0 ? optional.join(', ') : 'no optional ones'),
  ];
}

const streamNames: Readonly<Record<string, string>> = {
  fpo: 'FPO',
  newFpo: 'FrameData',
  omapToSource: 'OMAP to source',
  omapFromSource: 'OMAP from source',
  sections: 'section headers',
  originalSections: 'original section headers',
  pdata: '.pdata',
  xdata: '.xdata',
};

function imageLines(image: ImageSummary): string[] {
  return [
    row('machine', machineText(image.machine)),
    row('time stamp', timeStampText(image.timeDateStamp)),
    row(
      'size',
      `${hex(image.sizeOfImage)} bytes in memory, wanted at ${hex(image.imageBase)}, entry point ${hex(image.entryPoint)}`,
    ),
    row('store key', image.key),
    ...image.sections.map(({ name, rva, size, access }, i) =>
      row(
        i === 0 ? 'sections' : '',
        `${name.padEnd(8)} ${hex(rva).padStart(10)} ${hex(size).padStart(10)}  ${access}`,
      ),
    ),
    row('exports', thousands(image.exports)),
    row(
      'functions',
      image.functions === undefined ? 'no function table' : `${thousands(image.functions)} entries in .pdata`,
    ),
  ];
}

/** Reproducible builds put a hash there, which seldom is a date that has been. */
function timeStampText(stamp: number): string {
  const date = new Date(stamp * 1000);
  const isDate = date.getUTCFullYear() > 1992 && date.getTime() < Date.now();
  return (
    hex(stamp, 8) +
    (isDate ? ` (${date.toISOString().replace('T', ' ').slice(0, 19)} UTC, if it is a date)` : '')
  );
}

function servingLines(session: SymbolFileSession, pdb: PdbSummary | undefined): string[] {
  const { search } = session;
  const why = whyExports(session);
  return [
    ...(search === undefined
      ? []
      : [
          row('names', search.reference.path),
          row('', `GUID ${guidText(search.reference.guid)}, age ${search.reference.age}`),
          row('', `key ${search.reference.key}`),
        ]),
    why === undefined ? row('symbols', `out of ${search?.path}`) : row('symbols', why),
    ...(pdb === undefined ? [] : pdbLines(pdb).map((line) => `  ${line}`)),
  ];
}
