/** Names as people search them: `Mm*Page?`, letters in either case. */

export interface Wildcard {
  /** Set if there is no `*` or `?`: then a hash table can find it. */
  readonly plain: string | undefined;
  readonly matches: (name: string) => boolean;
}

export function wildcard(pattern: string): Wildcard {
  const wanted = pattern.toLowerCase();
  if (!/[*?]/.test(pattern)) return { plain: pattern, matches: (name) => name.toLowerCase() === wanted };
  return { plain: undefined, matches: (name) => glob(wanted, name.toLowerCase()) };
}

/** Goes back to the last star only, so the time is bounded by the product of the lengths. */
function glob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
