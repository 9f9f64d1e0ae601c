/**
 * What expressions are evaluated in: one frame of a stopped target. It is made for each frame that somebody looks at and
 * dies with the stop.
 *
 *   name ─▶ local of the frame ─▶ global of its module ─▶ of the kernel ─▶ of any module
 *
 * Invariants: nothing here loads symbols; a caller's frame shows no register that calls do not preserve.
 */

import { plus, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { frameBodyOf, type FrameBody } from '../../cpu/frameBody';
import { readUnwindInfo, resolveRow } from '../../cpu/unwindInfo';
import type { CodeImage, FrameRegisters } from '../../cpu/unwindX64';
import type { EvaluationContext, Meaning, Register, TypeMeaning } from '../../expr/context';
import type { Type } from '../../expr/types/type';
import type { Place } from '../../expr/values/place';
import type { Local } from '../../symbols/locals/locals';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { CallFrame } from '../callStack';
import type { TargetMemory, TargetProcessor } from '../target';
import { unwindSourceOf } from '../unwindSource';
import type { CodeScope, CodeScopes } from './codeScope';
import { GlobalNames, typeIn } from './globalNames';
import { placeOf, type FrameFacts } from './localPlace';
import { pseudoRegister } from './pseudoRegisters';
import { RegisterFile } from './registerFile';

export interface ScopeSource {
  readonly symbols: KernelSymbols;
  readonly codeScopes: CodeScopes;
}

/** A variable of a frame, for lists of them. */
export interface FrameVariable {
  readonly local: Local;
  readonly type: Type;
  locate(): Promise<Place>;
}

/** What a scope must know of its frame; what costs something is asked for when it is needed. */
interface ScopeFrame {
  /** rip. */
  readonly address: VirtualAddress;
  readonly rsp: VirtualAddress;
  /** Where to look names and live ranges up. */
  readonly lookup: VirtualAddress;
  readonly inlineDepth: number;
  image(): Promise<CodeImage | undefined>;
  /** Undefined: nobody called it. */
  callerRsp(): Promise<VirtualAddress | undefined>;
}

export class FrameScope implements EvaluationContext {
  readonly pointerSize = 8;
  readonly memory: TargetMemory;
  readonly write?: (address: VirtualAddress, bytes: Uint8Array) => Promise<void>;
  readonly #globals: GlobalNames;
  #body: Promise<FrameBody | undefined> | undefined;

  private constructor(
    private readonly source: ScopeSource,
    private readonly frame: ScopeFrame,
    private readonly processor: TargetProcessor,
    readonly registers: RegisterFile,
    readonly scope: CodeScope,
  ) {
    const { symbols } = source;
    const { memory } = processor;
    this.memory = memory;
    this.#globals = new GlobalNames(symbols);
    if (memory.write !== undefined) this.write = (address, bytes) => memory.write!(address, bytes);
  }

  /**
   * Of a frame of the stack.
   * @param innermost Whether it is one of the frames at the processor's own instruction pointer.
   */
  static async of(
    source: ScopeSource,
    frame: CallFrame,
    processor: TargetProcessor,
    innermost: boolean,
  ): Promise<FrameScope> {
    const { address, lookup, inlineDepth, callerRsp } = frame;
    const { registers, image } = frame.frame;
    return FrameScope.#make(source, processor, innermost ? undefined : registers, {
      address,
      lookup,
      inlineDepth,
      rsp: registers.rsp,
      image: () => Promise.resolve(image),
      callerRsp: () => Promise.resolve(callerRsp),
    });
  }

  /** Of where a processor stands, without walking its stack: for conditions, which run often. */
  static async top(source: ScopeSource, processor: TargetProcessor): Promise<FrameScope> {
    const { rip, rsp } = await processor.general();
    const unwinding = unwindSourceOf(processor.memory, source.symbols);
    const image = async (): Promise<CodeImage | undefined> => unwinding.functionAt(rip);
    return FrameScope.#make(source, processor, undefined, {
      address: rip,
      lookup: rip,
      inlineDepth: 0,
      rsp: virtualAddress(rsp),
      image,
      callerRsp: async () =>
        (await processor.stack(2)).frames.find(({ kind }) => kind === 'procedure')?.callerRsp,
    });
  }

  static async #make(
    source: ScopeSource,
    processor: TargetProcessor,
    caller: FrameRegisters | undefined,
    frame: ScopeFrame,
  ): Promise<FrameScope> {
    const { lookup, inlineDepth } = frame;
    const scope = await source.codeScopes.at(lookup, inlineDepth, async () =>
      prologBytesOf(await frame.image()),
    );
    return new FrameScope(source, frame, processor, new RegisterFile(processor, caller), scope);
  }

  /** Locals and parameters, those that hide others first in their block. Statics are among them. */
  variables(): readonly FrameVariable[] {
    const { module, locals } = this.scope;
    if (module === undefined) return [];
    return locals.map((local) => ({
      local,
      type: typeIn(module, local.type),
      locate: () => this.#locate(local, typeIn(module, local.type).size),
    }));
  }

  variable(name: string): Meaning | undefined {
    const { module, locals } = this.scope;
    const local = locals.find((one) => one.name === name && !one.hidden);
    if (module === undefined || local === undefined) return undefined;
    const type = typeIn(module, local.type);
    return {
      kind: 'variable',
      type,
      // A compiled expression asks at each stop anew: of the frame that it is evaluated in then.
      locate: (context) => (context instanceof FrameScope ? context : this).#locate(local, type.size),
    };
  }

  symbol(module: string | undefined, name: string): Meaning | undefined {
    return this.#globals.symbol(module, name, this.scope.module, this.frame.lookup);
  }

  type(module: string | undefined, name: string): TypeMeaning | undefined {
    return this.#globals.type(module, name, this.scope.module);
  }

  register(name: string): Promise<Register | undefined> {
    return this.registers.read(name);
  }

  setRegister(name: string, value: bigint): Promise<void> {
    return this.registers.write(name, value);
  }

  pseudo(name: string): Promise<Meaning | undefined> {
    return pseudoRegister(name, {
      memory: this.memory,
      pointerSize: this.pointerSize,
      kernel: this.source.symbols.moduleNamed('nt'),
      ip: this.frame.address,
      csp: this.frame.rsp,
      callerRsp: () => this.frame.callerRsp(),
      thread: () => this.processor.thread(),
    });
  }

  symbolAt(address: VirtualAddress): string | undefined {
    return this.source.symbols.at(address)?.symbol === undefined
      ? undefined
      : this.source.symbols.nameOf(address);
  }

  #locate(local: Local, size: number): Promise<Place> {
    return placeOf(this.#facts, local.location, size);
  }

  get #facts(): FrameFacts {
    const { module } = this.scope;
    return {
      memory: this.memory,
      pointerSize: this.pointerSize,
      register: (name) => this.registers.whole(name),
      body: () => (this.#body ??= this.#readBody()),
      addressOf: ({ section, offset }) => {
        const rva = module?.pdb?.sections.rvaOf(section, offset);
        return module === undefined || rva === undefined ? undefined : plus(module.base, rva);
      },
    };
  }

  async #readBody(): Promise<FrameBody | undefined> {
    const [callerRsp, image] = [await this.frame.callerRsp(), await this.frame.image()];
    return callerRsp === undefined || image === undefined ? undefined : frameBodyOf(image, callerRsp);
  }
}

/** SizeOfProlog, by which locals of clang's code are judged. Undefined if no unwind data tell. */
async function prologBytesOf(image: CodeImage | undefined): Promise<number | undefined> {
  if (image?.row === undefined) return undefined;
  const { unwindInfo } = await resolveRow(image.xdata, image.row);
  const { parent, prologSize } = await readUnwindInfo(image.xdata, unwindInfo);
  // A part that is chained has its function's prologue behind it.
  return parent === undefined ? prologSize : undefined;
}
