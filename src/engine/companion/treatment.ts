/**
 * What becomes of a request that the debugger on the pipe makes, by what it asks and who owns the kernel.
 *
 *                        drives   looks on        stands at a stop that is past
 *   look at the target   pass     pass            refuse
 *   change it            pass     refuse          refuse
 *   registers, as said   pass     compare         refuse          WinDbg writes them back unasked before it goes on
 *   breakpoints          pass     asleep          asleep          or WinDbg would not leave that stop
 *   go on                pass     wait            wait
 *   reboot, bugcheck     pass     again           wait
 *   another processor    pass     again           wait
 *   acknowledged only    pass     swallow         swallow
 *
 * A request that nobody here knows passes from who drives, as all of its do, and counts as a change else.
 */

import {
  clearAllInternalBreakpoints,
  clearSpecialCalls,
  getInternalBreakPoint,
  querySpecialCalls,
  restoreBreakPoint,
  writeBreakPoint,
} from '../kd/manipulate/breakpoint';
import {
  getContext,
  getContextEx,
  readControlSpace,
  setContext,
  writeControlSpace,
} from '../kd/manipulate/context';
import {
  causeBugCheck,
  continue2X64,
  continueApi,
  reboot,
  switchPartition,
  switchProcessor,
} from '../kd/manipulate/execution';
import { getBusData, readIoSpace, readIoSpaceExtended, readMsr } from '../kd/manipulate/io';
import {
  checkLowMemory,
  queryMemory,
  readPhysicalMemory,
  readVirtualMemory,
  searchMemory,
} from '../kd/manipulate/memory';
import type { ManipulateApi } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import type { Ownership } from './ownership';

export type Treatment =
  /** To the target, as it is. */
  | 'pass'
  /** C0000001, at once. */
  | 'refuse'
  /** Granted if it would change nothing. */
  | 'compare'
  /** Kept for when the debugger drives. */
  | 'asleep'
  /** Acknowledged, and the debugger waits for the next stop. */
  | 'wait'
  /** Its stop is told again. */
  | 'again'
  /** Acknowledged, and that is all. */
  | 'swallow';

/** What a request does, as far as it matters here. */
export type Sort = 'look' | 'change' | 'registers' | 'breakpoint' | 'go' | 'elsewhere' | 'silent';

const sorts: ReadonlyMap<number, Sort> = new Map(
  (
    [
      ['go', continueApi, continue2X64],
      ['elsewhere', reboot, causeBugCheck, switchProcessor, switchPartition],
      ['silent', clearAllInternalBreakpoints, clearSpecialCalls],
      ['breakpoint', writeBreakPoint, restoreBreakPoint],
      ['registers', setContext, writeControlSpace],
      ['look', getVersion, getContext, getContextEx, readControlSpace, readMsr],
      ['look', readVirtualMemory, readPhysicalMemory, searchMemory, queryMemory, checkLowMemory],
      ['look', readIoSpace, readIoSpaceExtended, getBusData, getInternalBreakPoint, querySpecialCalls],
    ] as const satisfies readonly (readonly [Sort, ...ManipulateApi[]])[]
  ).flatMap(([sort, ...apis]) => apis.map(({ number }): [number, Sort] => [number, sort])),
);

const lookingOn: Readonly<Record<Sort, Treatment>> = {
  look: 'pass',
  change: 'refuse',
  registers: 'compare',
  breakpoint: 'asleep',
  go: 'wait',
  elsewhere: 'again',
  silent: 'swallow',
};

const inThePast: Readonly<Record<Sort, Treatment>> = {
  look: 'refuse',
  change: 'refuse',
  registers: 'refuse',
  breakpoint: 'asleep',
  go: 'wait',
  elsewhere: 'wait',
  silent: 'swallow',
};

/** @param apiNumber Any number: it need not be known. */
export const requestSort = (apiNumber: number): Sort => sorts.get(apiNumber) ?? 'change';

/** @param apiNumber As for `requestSort`. */
export function treatmentOf(apiNumber: number, { owner, peer }: Ownership): Treatment {
  const sort = requestSort(apiNumber);
  if (peer.kind !== 'stopped') return inThePast[sort];
  return owner.kind === 'peer' ? 'pass' : lookingOn[sort];
}
