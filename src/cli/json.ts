/** Results for machines. JSON has neither bigints nor bytes: both become hexadecimal strings. */

import { hex } from '../engine/core/hex';

export const toJson = (report: unknown): string => `${JSON.stringify(report, jsonValue, 2)}\n`;

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return hex(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}
