/** What is shown in the place of a value that cannot be had. Broken links and cancelled requests are no such case. */

import { formatAddress } from '../../core/addresses';
import { VmkdError, type ErrorCode } from '../../core/errors';
import type { Place } from '../values/place';

/** What goes wrong with one value and leaves all others as they are. */
const aboutTheValue: ReadonlySet<ErrorCode> = new Set([
  'memory-unreadable',
  'value-unavailable',
  'value-out-of-range',
  'expression-bad',
  'expression-limit',
  'expression-refused',
  'symbols-not-loaded',
  'file-damaged',
]);

/** `<unreadable: fffff803`12345678>`, `<optimised out>`. @throws `error` itself if it is not about the value */
export function unreadableText(error: unknown, place?: Place): string {
  if (!(error instanceof VmkdError) || !aboutTheValue.has(error.code)) throw error;
  if (error.code === 'memory-unreadable' && place?.kind === 'memory') {
    return `<unreadable: ${formatAddress(place.address)}>`;
  }
  return `<${error.message.replace(/\.$/, '')}>`;
}
