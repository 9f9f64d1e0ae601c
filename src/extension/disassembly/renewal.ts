/**
 * Which documents of code have to be read again when modules of the kernel have changed: those whose code is in one that came, went,
 * or got its symbols. A kernel has hundreds of modules, and their symbols come one after the other.
 */

import type { ModuleShown } from '../session/sessionState';
import type { Listing } from './listing';

type Modules = ReadonlyMap<string, ModuleShown>;

/** Of addresses. */
export interface Range {
  readonly from: bigint;
  /** Behind its last byte. */
  readonly to: bigint;
}

/** Where modules are that are not what they were. */
export function changedRanges(before: Modules, now: Modules): Range[] {
  const all = new Set([...before.keys(), ...now.keys()]);
  return [...all]
    .filter((id) => !isAsBefore(before.get(id), now.get(id)))
    .flatMap((id) => [before.get(id), now.get(id)])
    .flatMap((module) => rangeOf(module) ?? []);
}

const isAsBefore = (before: ModuleShown | undefined, now: ModuleShown | undefined): boolean =>
  before === now ||
  (before?.addressRange === now?.addressRange && before?.symbolStatus === now?.symbolStatus);

/** As DAP has it: `0xfffff80312340000-0xfffff80312350000`. */
function rangeOf(module: ModuleShown | undefined): Range | undefined {
  const [, from, to] = /^(0x[0-9a-f]+)-(0x[0-9a-f]+)$/i.exec(module?.addressRange ?? '') ?? [];
  return from === undefined || to === undefined ? undefined : { from: BigInt(from), to: BigInt(to) };
}

export const isWithin = ({ lines }: Listing, ranges: readonly Range[]): boolean =>
  lines.some(
    ({ address }) => address !== undefined && ranges.some(({ from, to }) => from <= address && address < to),
  );
