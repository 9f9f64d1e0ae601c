/** The locals of the procedure at an RVA: which module has it, which record is its own, then locals/locals.ts. */

import type { Pdb } from '../pdb/pdb';
import { localsAt, type ProcedureLocals } from '../locals/locals';
import type { SymbolMachine } from '../locals/registers';
import { machines } from '../pe/headers';

/**
 * @param prologBytes SizeOfProlog of the unwind data: clang's procedures do not say where their prolog ends.
 * @returns Undefined: no procedure is known there. @throws file-damaged
 */
export function localVariablesAt(pdb: Pdb, rva: number, prologBytes?: number): ProcedureLocals | undefined {
  const machine = machineOf(pdb);
  const address = pdb.sections.placeOf(rva);
  const piece = address && pdb.contributions.find(address.section, address.offset);
  const module = piece && pdb.module(piece.module);
  if (machine === undefined || address === undefined || module === undefined) return undefined;
  const found = module.symbols.find(address.section, address.offset);
  // Code that the linker moved away is described by the function that it was moved from.
  const procedure =
    found?.kind === 'separated' ? module.symbols.find(found.parent.section, found.parent.offset) : found;
  if (procedure?.kind !== 'procedure') return undefined;
  return localsAt({
    symbols: module.symbolBytes,
    procedureAt: procedure.symbolOffset,
    address,
    machine,
    types: pdb.types,
    ...(prologBytes !== undefined && { prologBytes }),
  });
}

function machineOf({ dbi }: Pdb): SymbolMachine | undefined {
  switch (dbi.machine) {
    case machines.x64:
      return 'x64';
    case machines.x86:
      return 'x86';
    case machines.arm64:
      return 'arm64';
    default:
      return undefined;
  }
}
