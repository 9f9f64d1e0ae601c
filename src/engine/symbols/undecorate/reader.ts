/**
 * The state of reading one decorated name: the place in it, what back references can refer to, and what may still be
 * spent. A name is hostile: it may nest without end, and back references let a short one describe an endless text.
 *
 * Invariants: the place only moves forward; depth, text written and nodes made are bounded, so that any name is done
 * with in time proportional to those bounds; every failure is the one `NotDecorated`.
 */

import type { Identifier, TypeNode } from './ast';

/** Thrown within this folder alone, where the name is not one that we understand. It carries nothing: it is frequent. */
export const notDecorated = new Error('not a decorated name');

/** MSVC cuts names at 4,096 characters (it then writes a hash); other compilers let them grow. */
export const longestName = 65_536;
const deepest = 200;
const mostNodes = 50_000;
const mostText = 512 * 1024;
const backReferences = 10;

/** What `0` to `9` mean, in a name and, apart from it, in each template argument list. */
export interface BackReferences {
  readonly names: { readonly key: string; readonly identifier: Identifier }[];
  readonly types: TypeNode[];
}

export class Reader {
  at = 0;
  references: BackReferences = { names: [], types: [] };
  #depth = 0;
  #nodes = 0;
  #text = 0;

  constructor(readonly name: string) {}

  get left(): number {
    return this.name.length - this.at;
  }

  /** '' at the end. */
  peek(offset = 0): string {
    return this.name.charAt(this.at + offset);
  }

  /** One character. @throws at the end */
  take(): string {
    if (this.at >= this.name.length) throw notDecorated;
    return this.name.charAt(this.at++);
  }

  startsWith(text: string): boolean {
    return this.name.startsWith(text, this.at);
  }

  /** Steps over `text` if it is what comes. */
  skip(text: string): boolean {
    if (!this.startsWith(text)) return false;
    this.at += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.skip(text)) throw notDecorated;
  }

  /** The characters before the next `end`, which is stepped over too. */
  until(end: string): string {
    const found = this.name.indexOf(end, this.at);
    if (found < 0) throw notDecorated;
    const text = this.name.slice(this.at, found);
    this.at = found + end.length;
    return text;
  }

  /** Runs `read` one level deeper. */
  nested<T>(read: () => T): T {
    if (++this.#depth > deepest || ++this.#nodes > mostNodes) throw notDecorated;
    const result = read();
    this.#depth--;
    return result;
  }

  /** Notes that `characters` were written. */
  spend(characters: number): void {
    this.#text += characters + 1;
    if (this.#text > mostText) throw notDecorated;
  }

  rememberName(key: string, identifier: Identifier): void {
    const { names } = this.references;
    if (names.length >= backReferences || names.some((known) => known.key === key)) return;
    names.push({ key, identifier });
  }

  rememberType(type: TypeNode): void {
    if (this.references.types.length < backReferences) this.references.types.push(type);
  }

  /** `?` is a minus; `0`…`9` mean 1 to 10; else digits `A`…`P` of base 16, ended by `@`. */
  number(): bigint {
    const negative = this.skip('?');
    const magnitude = this.unsigned();
    return negative ? -magnitude : magnitude;
  }

  /** As `number`, but never negative. */
  unsigned(): bigint {
    const digit = this.take();
    if (digit >= '0' && digit <= '9') return BigInt(Number(digit) + 1);
    let value = 0n;
    for (let next = digit; next !== '@'; next = this.take()) {
      if (next < 'A' || next > 'P') throw notDecorated;
      value = BigInt.asUintN(64, (value << 4n) | BigInt(next.charCodeAt(0) - 0x41));
    }
    return value;
  }
}
