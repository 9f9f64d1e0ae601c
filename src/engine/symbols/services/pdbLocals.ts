/** The locals at an RVA: finds the procedure that holds it, and asks locals/ about it. */

import { localsAt, type ProcedureLocals } from '../locals/locals';
import { knownMachine } from '../pe/headers';
import type { OpenSymbols } from './openSymbols';

/**
 * Undefined where no procedure of private symbols is: in data, in stripped PDBs, in code that was moved away from its
 * function (no compiler says where locals are there). @throws file-damaged
 */
export function localsOf({ pdb, functions }: OpenSymbols, rva: number): ProcedureLocals | undefined {
  const machine = pdb && knownMachine(pdb.dbi.machine);
  const address = pdb?.sections.placeOf(rva);
  if (pdb === undefined || machine === undefined || address === undefined) return undefined;
  const piece = pdb.contributions.find(address.section, address.offset);
  const module = piece && pdb.module(piece.module);
  const procedure = module?.symbols.find(address.section, address.offset);
  if (module === undefined || procedure?.kind !== 'procedure' || procedure.type === 0) return undefined;
  return localsAt({
    symbols: module.symbolBytes,
    procedureAt: procedure.symbolOffset,
    address,
    machine,
    types: pdb.types,
    globalIndex: (index) => pdb.globalIndex(module, index),
    prologBytes: functions?.find(rva)?.prologBytes ?? 0,
  });
}
