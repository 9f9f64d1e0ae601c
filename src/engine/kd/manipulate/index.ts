/** All manipulate APIs, by number: the one table that client, server and packet log look things up in. */

import type { MachineType } from '../machineType';
import * as breakpoint from './breakpoint';
import * as context from './context';
import * as execution from './execution';
import * as io from './io';
import * as memory from './memory';
import type { ManipulateApi } from './message';
import { getVersion } from './version';

const x64Only: ManipulateApi[] = [execution.continue2X64];
const x86Only: ManipulateApi[] = [execution.continue2X86];

const isApi = (value: unknown): value is ManipulateApi =>
  typeof value === 'object' && value !== null && 'number' in value && 'answer' in value;

const common: readonly ManipulateApi[] = [breakpoint, context, execution, io, memory, { getVersion }]
  .flatMap((family): unknown[] => Object.values(family))
  .filter(isApi)
  .filter((api) => !x64Only.includes(api) && !x86Only.includes(api));

const byNumber: Record<MachineType, ReadonlyMap<number, ManipulateApi>> = {
  x64: new Map([...common, ...x64Only].map((api) => [api.number, api])),
  x86: new Map([...common, ...x86Only].map((api) => [api.number, api])),
};

/** All APIs of a machine, in the order of their numbers. */
export const manipulateApis = (machine: MachineType): readonly ManipulateApi[] =>
  [...byNumber[machine].values()].sort((a, b) => a.number - b.number);

/** Undefined for a number that we do not know: its packets are passed on, not refused. */
export const manipulateApi = (number: number, machine: MachineType): ManipulateApi | undefined =>
  byNumber[machine].get(number);
