/** At which of its hits a breakpoint stops: `5` or `==5`, `>=3`, `>3`, `<3`, `<=3`, `!=3`, `%4` (every fourth). */

import { bad } from './expressionError';

/** @param hits How often it was hit, this time included. */
export type HitCondition = (hits: number) => boolean;

const comparisons: Readonly<Record<string, (hits: number, number: number) => boolean>> = {
  '=': (hits, number) => hits === number,
  '==': (hits, number) => hits === number,
  '!=': (hits, number) => hits !== number,
  '>': (hits, number) => hits > number,
  '>=': (hits, number) => hits >= number,
  '<': (hits, number) => hits < number,
  '<=': (hits, number) => hits <= number,
  '%': (hits, number) => hits % number === 0,
};

/** @throws expression-bad */
export function parseHitCondition(text: string): HitCondition {
  const found = /^\s*(==?|!=|>=?|<=?|%)?\s*(\d{1,15})\s*$/.exec(text);
  const number = Number(found?.[2]);
  if (!found || (found[1] === '%' && number === 0)) {
    throw bad(
      `“${text}” is no number of hits.`,
      { offset: 0, length: text.length },
      'Write 5 for the fifth hit, >=5 from the fifth on, %5 for every fifth.',
    );
  }
  const holds = comparisons[found[1] ?? '=='];
  return (hits) => holds?.(hits, number) === true;
}
