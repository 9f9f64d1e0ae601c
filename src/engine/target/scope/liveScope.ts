/**
 * What expressions are evaluated in while the target runs: global names and memory of this moment. There are no frames, no
 * registers, and nothing can be assigned.
 */

import type { VirtualAddress } from '../../core/addresses';
import type { EvaluationContext, Meaning, TypeMeaning } from '../../expr/context';
import type { VirtualMemory } from '../../memory/virtualMemory';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import { GlobalNames } from './globalNames';

export class LiveScope implements EvaluationContext {
  readonly pointerSize = 8;
  readonly #globals: GlobalNames;

  constructor(
    readonly memory: VirtualMemory,
    private readonly symbols: KernelSymbols,
  ) {
    this.#globals = new GlobalNames(symbols);
  }

  /** Modules come and go: each is asked anew. */
  get scope(): unknown {
    return this;
  }

  variable(): undefined {
    return undefined;
  }

  symbol(module: string | undefined, name: string): Meaning | undefined {
    return this.#globals.symbol(module, name, undefined, undefined);
  }

  type(module: string | undefined, name: string): TypeMeaning | undefined {
    return this.#globals.type(module, name, undefined);
  }

  register(): undefined {
    return undefined;
  }

  pseudo(): undefined {
    return undefined;
  }

  symbolAt(address: VirtualAddress): string | undefined {
    return this.symbols.at(address)?.symbol === undefined ? undefined : this.symbols.nameOf(address);
  }
}
