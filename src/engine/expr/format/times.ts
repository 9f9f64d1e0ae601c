/** NT's system times: units of 100 ns since 1601-01-01, in UTC. */

const unitsPerMillisecond = 10_000n;
/** From 1601 to 1970. */
const epochDifference = 11_644_473_600_000n;
/** What JavaScript's dates hold. */
const latest = 8_640_000_000_000_000n;

/** `2026-01-31 12:34:56.1234567 UTC`; a negative number, or 0, is an interval, and stays a number of seconds. */
export function fileTimeText(units: bigint): string {
  if (units <= 0n) return `${(Number(units) / 1e7).toString()} s`;
  const milliseconds = units / unitsPerMillisecond - epochDifference;
  if (milliseconds > latest) return units.toString();
  const [date, time] = new Date(Number(milliseconds)).toISOString().split('T') as [string, string];
  const fraction = (units % 10_000_000n).toString().padStart(7, '0');
  return `${date} ${time.slice(0, 8)}.${fraction} UTC`;
}
