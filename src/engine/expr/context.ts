/**
 * What an expression is evaluated in: a frame of a target with its variables, the symbols of all modules, memory,
 * registers. The engine's target implements it.
 *
 * Nothing that is asked here may change the target, load symbols or wait for the user. Where symbols would be needed
 * that are not loaded, the answer says so.
 */

import type { VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { Type } from './types/type';
import type { Place } from './values/place';

export type Awaitable<T> = T | Promise<T>;

export interface EvaluationContext {
  /**
   * Names mean the same in all contexts whose `scope` is the same (`===`): the same code address, the same symbols.
   * A compiled expression asks for names and types once a scope; places are asked for at each evaluation.
   */
  readonly scope: unknown;
  readonly pointerSize: 4 | 8;
  readonly memory: VirtualMemory;
  /** Absent if the target cannot be written to (a dump, or it runs). @throws target errors, memory-unreadable */
  write?(address: VirtualAddress, bytes: Uint8Array): Promise<void>;
  /** The frame's own: locals of inline scopes inside out, parameters, `this`, statics of the function. */
  variable(name: string): Awaitable<Meaning | undefined>;
  /** Globals, functions, constants, publics; without a module, of the frame's first, then of any. */
  symbol(module: string | undefined, name: string): Awaitable<Meaning | undefined>;
  /** A class, struct, union, enum or typedef; modules as for symbols. Complete, if anybody has it complete. */
  type(module: string | undefined, name: string): Awaitable<TypeMeaning | undefined>;
  /** By its name in lower letters, parts of registers too (`al`). Undefined if the machine has none such. */
  register(name: string): Awaitable<Register | undefined>;
  /** The whole of what `register` calls by that name. Absent if registers cannot be set. */
  setRegister?(name: string, value: bigint): Promise<void>;
  /** `proc`, `thread`, `teb`, `peb`, `ip`, `ra`, `csp`, …: the name without `$`, in lower letters. */
  pseudo(name: string): Awaitable<Meaning | undefined>;
  /** `nt!KiTimer+0x10`. Undefined if nothing is known of the address. */
  symbolAt(address: VirtualAddress): Awaitable<string | undefined>;
}

/** What a name stands for. */
export type Meaning =
  | {
      readonly kind: 'variable';
      readonly type: Type;
      /** Where it is now, in the given context: one of the same scope as that which was asked. */
      locate(context: EvaluationContext): Awaitable<Place>;
    }
  | { readonly kind: 'function'; readonly address: VirtualAddress; readonly type: Type | undefined }
  /** A name without a type: a public symbol of data, an export. */
  | { readonly kind: 'untyped'; readonly address: VirtualAddress }
  | { readonly kind: 'constant'; readonly type: Type; readonly value: bigint }
  | SymbolsNotLoaded;

export type TypeMeaning = { readonly kind: 'type'; readonly type: Type } | SymbolsNotLoaded;

/** The name may well exist, but the symbols of this module are not loaded. */
export interface SymbolsNotLoaded {
  readonly kind: 'symbols-not-loaded';
  readonly module: string;
}

export interface Register {
  /** Bytes. */
  readonly size: number;
  /** Undefined in a frame that does not know it: calls do not preserve it. */
  readonly value: bigint | undefined;
}
