/**
 * From what the user wants to addresses of code, or to the reason why there are none. Only what is loaded answers: nothing is
 * downloaded for a breakpoint.
 *
 *   source        lines ─▶ the first code of the line in each function or inlined copy
 *   function      names, wildcards ─▶ behind each prologue
 *   instruction   an address ─▶ itself, if an instruction begins there; kept as module and symbol
 */

import { formatAddress, plus, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { FoundInModule, KernelSymbols, LineInModule } from '../../windows/kernelSymbols';
import { describeSymbolState, type ModuleSymbols } from '../../windows/moduleSymbols';
import { insideInstruction, type Code } from '../code';
import type { BreakpointPlace } from '../target';

export interface BoundCode {
  readonly address: VirtualAddress;
  readonly source: { readonly path: string; readonly line: number } | undefined;
}

export type Binding =
  | { readonly kind: 'bound'; readonly code: readonly BoundCode[]; readonly notes: readonly string[] }
  | { readonly kind: 'pending'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

/** An address that finds its place again in another boot, or when its module was loaded elsewhere. */
export interface Anchor {
  readonly address: VirtualAddress;
  readonly module?: {
    readonly alias: string;
    readonly rva: number;
    /** `Name` and bytes behind it, for a build in which the RVA is another. */
    readonly symbol: { readonly name: string; readonly displacement: number } | undefined;
    /** The image's key: in the same build the RVA is the same. */
    readonly entry: ModuleSymbols;
  };
}

/** A wildcard that matches more is not meant. */
const mostFunctions = 256;

type CodePlace = Exclude<BreakpointPlace, { kind: 'data' }>;

export class Binder {
  /** Bodies of functions, by start: they are looked up again whenever a module comes. */
  readonly #bodies = new WeakMap<ModuleSymbols, Map<VirtualAddress, VirtualAddress>>();

  constructor(
    private readonly code: Code,
    private readonly symbols: KernelSymbols,
  ) {}

  /** Whether something that is loaded now would match: asks nothing of the target. */
  matches(place: CodePlace, module: ModuleSymbols): boolean {
    switch (place.kind) {
      case 'source':
        return linesOf(this.symbols, place).some((line) => line.module === module);
      case 'function':
        return this.symbols.search(place.name, mostFunctions).some((found) => found.module === module);
      case 'instruction':
        return true;
    }
  }

  /** @throws what the target throws */
  bind(place: CodePlace, anchor: Anchor | undefined): Promise<Binding> {
    switch (place.kind) {
      case 'source':
        return this.#bindSource(place);
      case 'function':
        return this.#bindFunction(place.name);
      case 'instruction':
        return this.#bindInstruction(anchor ?? { address: place.address });
    }
  }

  /** Where an address is, in words that outlive a boot. */
  anchorOf(address: VirtualAddress): Anchor {
    const at = this.symbols.at(address);
    if (at === undefined) return { address };
    const { module, rva, symbol } = at;
    return {
      address,
      module: {
        alias: module.alias,
        rva,
        symbol: symbol && { name: symbol.name, displacement: symbol.displacement },
        entry: module,
      },
    };
  }

  /** Where an anchor is now. Undefined: its module is not loaded. */
  find({ address, module }: Anchor): VirtualAddress | undefined {
    if (module === undefined) return address;
    const now = this.symbols.moduleNamed(module.alias);
    if (now === undefined) return undefined;
    if (now === module.entry) return address;
    if (module.symbol !== undefined) {
      const found = this.symbols.search(`${module.alias}!${module.symbol.name}`, 2);
      if (found.length === 1) return plus(found[0]!.address, module.symbol.displacement);
    }
    return now.module.size === module.entry.module.size ? plus(now.base, module.rva) : undefined;
  }

  async #bindSource(place: CodePlace & { kind: 'source' }): Promise<Binding> {
    const lines = linesOf(this.symbols, place);
    if (lines.length === 0) {
      const file = place.path.replace(/^.*[\\/]/, '');
      const [other] = this.symbols.findLine(place);
      const lookalike = other && `; ${other.path} in ${other.module.alias} has other contents`;
      const message = `No loaded symbols have code of ${file}${lookalike ?? ''}${this.#lacking()}`;
      return { kind: 'pending', message };
    }
    const code: BoundCode[] = [];
    for (const line of lines) {
      const source = { path: line.path, line: line.line };
      for (const { address, first } of line.code)
        if (first) code.push({ address: await this.#behindOpening(line.module, address), source });
    }
    return { kind: 'bound', code: distinct(code), notes: notesOf(place.line, lines) };
  }

  /** A breakpoint on a function's opening line is one on the function. */
  async #behindOpening(module: ModuleSymbols, address: VirtualAddress): Promise<VirtualAddress> {
    const symbol = module.symbols?.symbolAt(Number(address - module.base));
    return symbol?.kind === 'procedure' && symbol.displacement === 0
      ? this.#bodyOf(module, address)
      : address;
  }

  async #bindFunction(name: string): Promise<Binding> {
    const found = this.symbols.search(name, 4 * mostFunctions);
    const code: BoundCode[] = [];
    for (const one of found) {
      if (!(await this.#isFunction(one))) continue;
      const address = await this.#bodyOf(one.module, one.address);
      const source = this.symbols.framesAt(address).at(-1)?.source;
      code.push({ address, source: source && { path: source.path, line: source.line } });
      if (code.length > mostFunctions) {
        const message = `${name} matches more than ${mostFunctions} functions. Write more of the name.`;
        return { kind: 'failed', message };
      }
    }
    if (code.length > 0) {
      const bound = distinct(code);
      return { kind: 'bound', code: bound, notes: bound.length > 1 ? [`${bound.length} functions`] : [] };
    }
    if (found.length > 0) {
      const message = `${name} is no function. To stop when a variable is written, set a data breakpoint.`;
      return { kind: 'failed', message };
    }
    const bang = name.indexOf('!');
    const module = name.slice(0, Math.max(0, bang));
    if (bang > 0 && !/[*?]/.test(module) && this.symbols.moduleNamed(module) === undefined)
      return { kind: 'pending', message: `${module} is not loaded` };
    return { kind: 'pending', message: `No loaded symbols have ${name}${this.#lacking()}` };
  }

  /** Publics and exports are of data as well. */
  async #isFunction({ kind, address }: FoundInModule): Promise<boolean> {
    if (kind === 'procedure' || kind === 'thunk') return true;
    if (kind === 'data') return false;
    return (await this.code.sectionAt(address))?.isCode ?? false;
  }

  async #bodyOf(module: ModuleSymbols, start: VirtualAddress): Promise<VirtualAddress> {
    const known = this.#bodies.get(module) ?? new Map<VirtualAddress, VirtualAddress>();
    this.#bodies.set(module, known);
    let body = known.get(start);
    if (body === undefined) {
      body = await this.code.bodyOf(start);
      known.set(start, body);
    }
    return body;
  }

  async #bindInstruction(anchor: Anchor): Promise<Binding> {
    const address = this.find(anchor);
    if (address === undefined) return { kind: 'pending', message: `${anchor.module!.alias} is not loaded` };
    const refusal = await this.#refusal(address);
    if (refusal !== undefined) return { kind: 'failed', message: refusal };
    const source = this.symbols.framesAt(address).at(0)?.source;
    const code = [{ address, source: source && { path: source.path, line: source.line } }];
    return { kind: 'bound', code, notes: [] };
  }

  /** Why no instruction begins at an address. Undefined: one does, as far as can be told. */
  async #refusal(address: VirtualAddress): Promise<string | undefined> {
    const name = this.symbols.nameOf(address) ?? formatAddress(address);
    let section: Awaited<ReturnType<Code['sectionAt']>>;
    try {
      section = await this.code.sectionAt(address);
    } catch (thrown) {
      if (!(thrown instanceof VmkdError) || !/^(memory-unreadable|file-damaged)$/.test(thrown.code))
        throw thrown;
      section = undefined;
    }
    if (section !== undefined && !section.isCode)
      return `${name} is data, in section ${section.name}. To stop when it is written, set a data breakpoint.`;
    const present = (await this.code.memory.readPartial(address, 1)).length === 1;
    if (!present) {
      if (this.symbols.moduleAt(address) !== undefined) return undefined;
      return `No memory is at ${formatAddress(address)}. Give an address of code, or set it by function or line: then it waits.`;
    }
    const start = await this.code.instructionAt(address);
    if (start !== undefined && start !== address)
      return insideInstruction(address, start, this.symbols.nameOf(start) ?? formatAddress(start));
    if (start === undefined && (await this.code.inspect(address)) === undefined)
      return `${name} is no instruction. The disassembly shows where instructions begin.`;
    return undefined;
  }

  #lacking(): string {
    const lacking = this.symbols.modules.filter(({ pdb }) => pdb === undefined);
    if (lacking.length === 0) return '';
    const [one] = lacking;
    return lacking.length === 1
      ? ` (${one!.alias}: ${describeSymbolState(one!.state)})`
      : ` (${lacking.length} of ${this.symbols.modules.length} modules have no PDB loaded)`;
  }
}

/** Code of a line. A file whose name alone agrees must have the same contents, or it is another file. */
function linesOf(symbols: KernelSymbols, place: CodePlace & { kind: 'source' }): LineInModule[] {
  const lines = symbols.findLine(place);
  const certain = lines.filter(({ how }) => how !== 'suffix');
  return certain.length > 0 ? certain : lines.filter(({ checksum }) => checksum !== 'mismatch');
}

function distinct(code: readonly BoundCode[]): BoundCode[] {
  return [...new Map(code.map((one) => [one.address, one])).values()];
}

function notesOf(wanted: number, lines: readonly LineInModule[]): string[] {
  const notes: string[] = [];
  const moved = lines.find(({ line }) => line !== wanted);
  if (moved !== undefined) notes.push(`line ${wanted} has no code; stops at line ${moved.line}`);
  if (lines.some(({ checksum }) => checksum === 'mismatch'))
    notes.push('the file differs from the one that was compiled');
  return notes;
}
