/** What somebody may have meant who wrote a name that does not exist: names that hold it, else names a few letters off. */

const most = 5;
const longestCompared = 256;

/** At most five, the nearest first; letters match in either case. */
export function nearNames(wanted: string, names: Iterable<string>): string[] {
  const text = wanted.toLowerCase().slice(0, longestCompared);
  const farthest = Math.max(1, Math.floor(text.length / 3));
  const found = new Map<string, number>();
  for (const name of names) {
    const candidate = name.toLowerCase();
    const distance =
      text !== '' && candidate.includes(text)
        ? (candidate.length - text.length) / 1000
        : editDistance(text, candidate, farthest);
    if (distance <= farthest) found.set(name, distance);
  }
  return [...found]
    .sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
    .slice(0, most)
    .map(([name]) => name);
}

/** `. Near it: …`, to end a sentence with; empty if nothing is near. */
export const offer = (near: readonly string[]): string =>
  near.length === 0 ? '' : `. Near it: ${near.join(', ')}`;

/** How many letters must be put in, taken out or changed; Infinity if more than `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    if (Math.min(...next) > limit) return Infinity;
    row = next;
  }
  return row[b.length]! <= limit ? row[b.length]! : Infinity;
}
