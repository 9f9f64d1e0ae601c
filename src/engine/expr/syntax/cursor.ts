/**
 * The place in the tokens while they are parsed, and what may still be spent on them.
 *
 * Invariant: nesting and the number of nodes are bounded, so that whoever walks a tree may do so by recursion.
 */

import { bad, type Span } from '../expressionError';
import { tokensOf, type Token } from './lexer';

const deepest = 100;
/** Long chains nest too: `a+b+c` is (a+b)+c. */
const mostNodes = 1000;

export class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  #nodes = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  get token(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The one after it. */
  get next(): Token {
    return this.#tokens[this.#at + 1] ?? this.token;
  }

  /** Steps over the token and returns it. */
  take(): Token {
    const { token } = this;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  isSign(sign: string): boolean {
    const { token } = this;
    return token.kind === 'sign' && token.sign === sign;
  }

  /** Steps over that sign, if it comes. */
  skip(sign: string): Span | undefined {
    return this.isSign(sign) ? this.take().span : undefined;
  }

  /** Steps over that sign. @throws expression-bad if another thing comes */
  expect(sign: string, after: string): Span {
    return this.skip(sign) ?? this.fail(`“${sign}” is missing ${after}.`);
  }

  /** @throws expression-bad, pointing at the token */
  fail(message: string): never {
    throw bad(message, this.token.span);
  }

  /** Runs `parse` one level deeper. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > deepest) this.fail('This nests too deep.');
    this.count();
    const result = parse();
    this.#depth--;
    return result;
  }

  /** Notes that a node is made. */
  count(): void {
    if (++this.#nodes > mostNodes) this.fail('This expression has too many parts.');
  }

  /** What `parse` makes; if it makes nothing, as if it had not been tried. It must not fail on what it cannot read. */
  attempt<T>(parse: () => T | undefined): T | undefined {
    const [at, depth] = [this.#at, this.#depth];
    const result = parse();
    if (result === undefined) [this.#at, this.#depth] = [at, depth];
    return result;
  }
}
