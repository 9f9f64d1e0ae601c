/**
 * The local variables of a frame at an address, each with the place where its value is just there. A value that is
 * nowhere any more is said to be so, with the reason; never is a place given that held it earlier or will hold it later.
 *
 * Frames that inlining made are frames here too: the procedure's own first, the innermost last.
 *
 * In a caller's frame, look up the return address less one, and treat a place in a register that calls do not preserve
 * as unavailable: this file does not know which frame it is asked about.
 */

import type { FileBytes } from '../fileBytes';
import { firstRecordIndex } from '../types/simpleTypes';
import type { TypeIndex } from '../types/records';
import type { TypeTable } from '../types/typeTable';
import { isLive, type Place, type Spot } from './places';
import type { FrameRecord, ProcedureRecord, SectionOffset } from './records';
import { cvRegister, frameBaseRegisters, type CvRegister, type SymbolMachine } from './registers';
import { scopesAt } from './scopes';
import { variablesOf, type Variable } from './variables';

export type Location =
  /** The whole value, in the low bytes of the register. */
  | { readonly kind: 'register'; readonly register: CvRegister }
  | {
      readonly kind: 'memory';
      readonly base: CvRegister;
      /** Bytes from the base. */
      readonly offset: number;
      /** If present, a pointer lies there, and the value this many bytes behind what it points at. */
      readonly behindPointer?: number;
      /**
       * The address lies in the prolog or epilog, where the base does not have the value that offsets count from.
       * What it has in the body must be worked out from the caller's frame (CFA) and the unwind data.
       */
      readonly baseUnsettled: boolean;
    }
  /** Parts of an aggregate, by where they stand in it. What no piece covers is unavailable. */
  | {
      readonly kind: 'pieces';
      readonly pieces: readonly { readonly at: number; readonly location: Location }[];
    }
  /** The value itself, as the target would hold it in memory. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'constant'; readonly value: bigint }
  /** The value is the address of this place. */
  | { readonly kind: 'addressOf'; readonly place: SectionOffset }
  | { readonly kind: 'static'; readonly place: SectionOffset; readonly threadLocal: boolean }
  | { readonly kind: 'unavailable'; readonly reason: UnavailableReason };

export type UnavailableReason =
  /** The compiler kept it nowhere, ever. */
  | 'optimised-out'
  /** It has places, but not at this address. */
  | 'not-live-here'
  /** It is somewhere that the records describe in a way that nobody has documented. */
  | 'unknown-record'
  /** FRAMEPROC is missing or says that there is no frame. */
  | 'no-frame'
  /** A register number that means nothing on this machine. */
  | 'unknown-register';

export interface Local {
  readonly name: string;
  readonly type: TypeIndex;
  readonly isParameter: boolean;
  readonly location: Location;
  /** How many blocks it is inside of, within its frame. */
  readonly depth: number;
  /** A variable of the same name in a block further in hides it. */
  readonly hidden: boolean;
}

export interface LocalFrame {
  /** IPI index of the inlined function; undefined for the procedure itself, 0 if it cannot be told. */
  readonly inlinee: number | undefined;
  /** Parameters first, then from the outermost block inwards. */
  readonly locals: readonly Local[];
}

export interface ProcedureLocals {
  readonly procedure: ProcedureRecord;
  readonly frames: readonly LocalFrame[];
}

export interface LocalsQuery {
  /** The module's symbols, signature included. */
  readonly symbols: FileBytes;
  /** The procedure's record in them. */
  readonly procedureAt: number;
  readonly address: SectionOffset;
  readonly machine: SymbolMachine;
  /** Indices into TPI and IPI of what the module has indices for: `Pdb.globalIndex`. Without it, they are the same. */
  readonly globalIndex?: (index: number) => number | undefined;
  /** To tell parameters from locals where the records do not. */
  readonly types?: TypeTable;
  /** SizeOfProlog of the unwind data: clang's procedures do not say where their prolog ends. */
  readonly prologBytes?: number;
}

/** @throws file-damaged */
export function localsAt(query: LocalsQuery): ProcedureLocals {
  const { procedure, frame, scopes } = scopesAt(query.symbols, query.procedureAt, query.address);
  const locator = new Locator(query, procedure, frame);
  const global = (index: number): number => (query.globalIndex ? (query.globalIndex(index) ?? 0) : index);
  const frames: LocalFrame[] = [];
  let members: { variable: Variable; depth: number }[] = [];
  let inlinee: number | undefined;
  let depth = 0;
  const finish = (): void => {
    frames.push({ inlinee, locals: toLocals(members, locator, global) });
  };
  for (const scope of scopes) {
    if (scope.kind === 'inline') {
      finish();
      members = [];
      inlinee = global(scope.inlinee);
      depth = 0;
    } else if (scope.kind === 'block') depth++;
    const count = scope.kind === 'procedure' ? parameterCount(query.types, procedure) : 0;
    for (const variable of variablesOf(scope.records, count)) members.push({ variable, depth });
  }
  finish();
  return { procedure, frames };
}

function toLocals(
  members: readonly { variable: Variable; depth: number }[],
  locator: Locator,
  global: (index: number) => TypeIndex,
): Local[] {
  const locals = members.map(({ variable, depth }) => ({
    name: variable.name,
    type: global(variable.type),
    isParameter: variable.isParameter,
    location: locator.locate(variable),
    depth,
    hidden: members.some((other) => other.depth > depth && other.variable.name === variable.name),
  }));
  return [...locals.filter((local) => local.isParameter), ...locals.filter((local) => !local.isParameter)];
}

/** With `this`. 0 if the type is not known. */
function parameterCount(types: TypeTable | undefined, { type, isId }: ProcedureRecord): number {
  if (!types || type === 0) return 0;
  let index = type;
  if (isId) {
    const id = types.id(type);
    if (id?.kind !== 'functionId' && id?.kind !== 'memberFunctionId') return 0;
    index = id.type;
  }
  if (index < firstRecordIndex) return 0;
  const record = types.record(index);
  if (record.kind === 'procedure') return record.parameterCount;
  if (record.kind === 'memberFunction') return record.parameterCount + (record.thisType === 0 ? 0 : 1);
  return 0;
}

class Locator {
  readonly #unsettled: boolean;
  readonly #machine: SymbolMachine;
  readonly #address: SectionOffset;

  constructor(
    { machine, address, prologBytes = 0 }: LocalsQuery,
    procedure: ProcedureRecord,
    private readonly frame: FrameRecord | undefined,
  ) {
    this.#machine = machine;
    this.#address = address;
    const into = address.offset - procedure.offset;
    const inside = address.section === procedure.section && into >= 0 && into < procedure.length;
    const prologEnd = Math.max(procedure.prologEnd, prologBytes);
    const { epilogStart } = procedure;
    this.#unsettled = inside && (into < prologEnd || (epilogStart > prologEnd && into > epilogStart));
  }

  locate({ home, isParameter }: Variable): Location {
    switch (home.kind) {
      case 'tracked':
        return home.optimisedOut ? unavailable('optimised-out') : this.#live(home.places, isParameter);
      case 'fixed':
        return this.#spot(home.place.spot, isParameter);
      case 'static':
        return { kind: 'static', place: home.place, threadLocal: home.threadLocal };
      case 'constant':
        return { kind: 'constant', value: home.value };
    }
  }

  #live(places: readonly Place[], isParameter: boolean): Location {
    if (places.length === 0) return unavailable('optimised-out');
    const live = places.filter((place) => isLive(place, this.#address));
    const whole = live.find(({ pieceAt }) => pieceAt === undefined);
    if (whole) return this.#spot(whole.spot, isParameter);
    if (live.length === 0) return unavailable('not-live-here');
    const pieces = new Map<number, Location>();
    for (const { pieceAt = 0, spot } of live) {
      if (!pieces.has(pieceAt)) pieces.set(pieceAt, this.#spot(spot, isParameter));
    }
    const ordered = [...pieces].sort(([a], [b]) => a - b);
    return { kind: 'pieces', pieces: ordered.map(([at, location]) => ({ at, location })) };
  }

  #spot(spot: Spot, isParameter: boolean): Location {
    switch (spot.kind) {
      case 'register': {
        const register = cvRegister(this.#machine, spot.register);
        return register ? { kind: 'register', register } : unavailable('unknown-register');
      }
      case 'memory':
        return this.#memory(spot.register, spot.offset, spot.behindPointer);
      case 'frame': {
        const base = isParameter ? this.frame?.parameterBase : this.frame?.localBase;
        if (base === undefined || base === 'none') return unavailable('no-frame');
        return this.#memory(frameBaseRegisters[this.#machine][base], spot.offset, undefined);
      }
      case 'constant':
        return { kind: 'bytes', bytes: spot.bytes };
      case 'addressOf':
        return spot;
      case 'unknown':
        return unavailable('unknown-record');
    }
  }

  #memory(register: number, offset: number, behindPointer: number | undefined): Location {
    const base = cvRegister(this.#machine, register);
    if (!base) return unavailable('unknown-register');
    const isFrame = Object.values(frameBaseRegisters[this.#machine]).includes(register);
    const location = { kind: 'memory', base, offset, baseUnsettled: isFrame && this.#unsettled } as const;
    return behindPointer === undefined ? location : { ...location, behindPointer };
  }
}

const unavailable = (reason: UnavailableReason): Location => ({ kind: 'unavailable', reason });
