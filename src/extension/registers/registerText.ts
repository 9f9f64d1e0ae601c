/** Registers as texts: the number in the radix that is wanted, what it means behind it; and which have changed. */

import type { RegisterGroup, RegisterLine } from '../webviews/messages';

export type Radix = 'hex' | 'decimal' | 'signed' | 'binary';

export interface RegisterText {
  readonly number: string;
  /** A symbol, or the flags that are set. */
  readonly meaning: string;
}

/** @param value As the adapter has it: `0xfffff80312345678 nt!KeSetEvent+0x12`, `0x00000246 zf pf if` */
export function registerText(value: string, radix: Radix): RegisterText {
  const [, digits, meaning] = /^0x([0-9a-f`]+)(?: (.*))?$/i.exec(value) ?? [];
  // Floats, and what could not be read.
  if (digits === undefined) return { number: value, meaning: '' };
  return { number: inRadix(digits.replaceAll('`', ''), radix), meaning: meaning ?? '' };
}

function inRadix(digits: string, radix: Radix): string {
  const bits = digits.length * 4;
  const number = BigInt(`0x${digits}`);
  switch (radix) {
    case 'hex':
      return digits.length === 16 ? `${digits.slice(0, 8)}\`${digits.slice(8)}` : digits;
    case 'decimal':
      return number.toString();
    case 'signed':
      return BigInt.asIntN(bits, number).toString();
    case 'binary':
      return number
        .toString(2)
        .padStart(bits, '0')
        .replace(/(?<=\d)(?=(?:\d{8})+$)/g, ' ');
  }
}

/** @returns The address that it has; undefined: no number is there, or a longer one */
export function addressIn(value: string): string | undefined {
  const digits = /^0x([0-9a-f`]+)(?: |$)/i.exec(value)?.[1]?.replaceAll('`', '');
  return digits === undefined || digits.length > 16 ? undefined : `0x${digits.padStart(16, '0')}`;
}

/** What is typed over a value, as an expression. @param shown What it was: what has no radix is typed as it is shown */
export function typedAs(text: string, radix: Radix, shown: string): string {
  const bare = text.trim();
  if (!/^0x/i.test(shown)) return bare;
  if (radix === 'hex' && /^[0-9a-f`]+$/i.test(bare)) return `0x${bare.replaceAll('`', '')}`;
  if (radix === 'binary' && /^[01 ]+$/.test(bare)) return `0b${bare.replaceAll(' ', '')}`;
  return bare;
}

/** By path: `General/rax`. */
type RegisterValues = ReadonlyMap<string, string>;

const valuesOf = (groups: readonly RegisterGroup[]): RegisterValues =>
  new Map(groups.flatMap(({ name, lines = [] }) => valuesIn(name, lines)));

const valuesIn = (within: string, lines: readonly RegisterLine[]): (readonly [string, string])[] =>
  lines.flatMap(({ name, value, parts }) => {
    const path = `${within}/${name}`;
    return [[path, value] as const, ...valuesIn(path, parts?.lines ?? [])];
  });

/**
 * What registers were in the stop before, for each processor of each session.
 *
 * Invariant: showing the same stop again, with more groups or after a register was set, leaves what it is compared with.
 */
export class RegisterHistory {
  readonly #stops = new Map<
    string,
    { epoch: number; now: RegisterValues; before: RegisterValues | undefined }
  >();

  /** @param of Which processor of which session. @returns Paths of lines whose values are others than in the stop before */
  changes(of: string, epoch: number, groups: readonly RegisterGroup[]): ReadonlySet<string> {
    const now = valuesOf(groups);
    const known = this.#stops.get(of);
    const before = known?.epoch === epoch ? known.before : known?.now;
    this.#stops.set(of, { epoch, now, before });
    return new Set(
      [...now].filter(([name, value]) => (before?.get(name) ?? value) !== value).map(([name]) => name),
    );
  }
}
