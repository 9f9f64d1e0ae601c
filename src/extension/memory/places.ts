/**
 * Where a memory view is, and where it was before: in which memory, at which address, by which expression.
 *
 * Invariant: an address is true of the kernel in which its expression was evaluated; of another one, only the expression is.
 */

import type { Space } from '../webviews/messages';

export interface Place {
  readonly space: Space;
  readonly address: bigint;
  readonly expression: string;
  /** In which it was evaluated. */
  readonly kernel: string;
}

/** Two processes may have one name. */
export const isSameSpace = (one: Space, other: Space): boolean =>
  one.kind === 'process'
    ? other.kind === 'process' && one.eprocess === other.eprocess
    : one.kind === other.kind;

/** Where the pointers in a memory point: in physical memory, too, they are virtual addresses. */
export const spaceOfPointers = (space: Space): Space =>
  space.kind === 'physical' ? { kind: 'virtual' } : space;

export function titleOfSpace(space: Space): string {
  switch (space.kind) {
    case 'virtual':
      return 'Virtual';
    case 'physical':
      return 'Physical';
    case 'process':
      return `Virtual, in ${nameOf(space)}`;
  }
}

/** Of a view's tab. @param session Its name, where there are several */
export function titleOf(
  { expression, space }: Pick<Place, 'expression' | 'space'>,
  session: string | undefined,
): string {
  const whose = [nameOf(space), session].filter((one) => one !== undefined);
  return `Memory: ${expression}${whose.length === 0 ? '' : ` (${whose.join(', ')})`}`;
}

function nameOf(space: Space): string | undefined {
  switch (space.kind) {
    case 'virtual':
      return undefined;
    case 'physical':
      return 'physical';
    case 'process':
      return space.name ?? space.eprocess;
  }
}

const mostPast = 1000;

export class Trail {
  #here: Place | undefined;
  readonly #past: Place[] = [];

  get here(): Place | undefined {
    return this.#here;
  }

  get isAtStart(): boolean {
    return this.#past.length === 0;
  }

  /** The user goes there, and may come back. */
  visit(place: Place): void {
    const here = this.#here;
    const isSame = here?.address === place.address && isSameSpace(here.space, place.space);
    if (here !== undefined && !isSame) this.#past.push(here);
    if (this.#past.length > mostPast) this.#past.shift();
    this.#here = place;
  }

  /** What is shown is elsewhere now. */
  move(place: Place): void {
    this.#here = place;
  }

  /** @returns Where the user was before, and is again; undefined: nowhere */
  back(): Place | undefined {
    const place = this.#past.pop();
    this.#here = place ?? this.#here;
    return place;
  }
}
