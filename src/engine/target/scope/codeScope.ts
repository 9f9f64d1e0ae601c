/**
 * What names mean at one code address, whatever frame stands there: the variables of the procedure and of what was inlined
 * into it. It is the same object for the same address and the same symbols, so that expressions look names up once.
 */

import type { VirtualAddress } from '../../core/addresses';
import type { Local, ProcedureLocals } from '../../symbols/locals/locals';
import { localVariablesAt } from '../../symbols/services/localVariables';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { ModuleSymbols } from '../../windows/moduleSymbols';

export interface CodeScope {
  /** Undefined: the address lies in no module. */
  readonly module: ModuleSymbols | undefined;
  /** Of its PDB; undefined if nothing is known. */
  readonly procedure: ProcedureLocals['procedure'] | undefined;
  /** Parameters first, then from the outermost block inwards. */
  readonly locals: readonly Local[];
}

const mostKept = 1024;

export class CodeScopes {
  readonly #kept = new Map<string, CodeScope>();
  #generation = -1;

  constructor(private readonly symbols: KernelSymbols) {}

  /**
   * @param address Where to look: a return address less 1.
   * @param inlineDepth Which of the functions at that address: 0 is the innermost that was inlined, the last the procedure itself.
   * @param prologBytes See localVariablesAt; asked once.
   * @throws what `prologBytes` throws
   */
  async at(
    address: VirtualAddress,
    inlineDepth: number,
    prologBytes: () => Promise<number | undefined>,
  ): Promise<CodeScope> {
    if (this.#generation !== this.symbols.generation) {
      this.#generation = this.symbols.generation;
      this.#kept.clear();
    }
    const key = `${address} ${inlineDepth}`;
    let scope = this.#kept.get(key);
    if (scope === undefined) {
      scope = this.#make(address, inlineDepth, await prologBytes());
      if (this.#kept.size >= mostKept) this.#kept.clear();
      this.#kept.set(key, scope);
    }
    return scope;
  }

  #make(address: VirtualAddress, inlineDepth: number, prologBytes: number | undefined): CodeScope {
    const module = this.symbols.moduleAt(address);
    const found = module?.pdb && localVariablesAt(module.pdb, Number(address - module.base), prologBytes);
    const frame = found?.frames.at(-1 - inlineDepth) ?? found?.frames[0];
    return { module, procedure: found?.procedure, locals: frame?.locals ?? [] };
  }
}
