/**
 * What the arguments of requests must look like. Clients have defects, too: what one leaves out or misspells is told to it in
 * its own terms, instead of failing somewhere in the middle of a handler. Fields that no handler reads are not checked.
 *
 *   'number'            a number that is one            [shape]   a list of such
 *   { a: 'string' }     an object that has them         'a?'      may be absent
 */

import { VmkdError } from '../engine/core/errors';
import type { Command } from './protocol';

type Shape = 'string' | 'number' | 'boolean' | { readonly [field: string]: Shape } | readonly [Shape];

const source: Shape = { 'path?': 'string', 'sourceReference?': 'number' };
const rule = { 'condition?': 'string', 'hitCondition?': 'string', 'mode?': 'string' } as const;
const format = { 'format?': { 'hex?': 'boolean' } } as const;
const step: Shape = { threadId: 'number', 'granularity?': 'string', 'targetId?': 'number' };

const shapes: { readonly [C in Command]?: Shape } = {
  breakpointLocations: { source, line: 'number', 'endLine?': 'number' },
  cancel: { 'requestId?': 'number', 'progressId?': 'string' },
  completions: { text: 'string', column: 'number', 'line?': 'number', 'frameId?': 'number' },
  dataBreakpointInfo: {
    name: 'string',
    'variablesReference?': 'number',
    'frameId?': 'number',
    'bytes?': 'number',
    'asAddress?': 'boolean',
  },
  disassemble: {
    memoryReference: 'string',
    'offset?': 'number',
    'instructionOffset?': 'number',
    instructionCount: 'number',
  },
  evaluate: { expression: 'string', 'frameId?': 'number', 'context?': 'string', ...format },
  goto: { threadId: 'number', targetId: 'number' },
  gotoTargets: { source, line: 'number' },
  handOver: { to: 'string' },
  initialize: { 'pathFormat?': 'string' },
  locations: { locationReference: 'number' },
  modules: { 'startModule?': 'number', 'moduleCount?': 'number' },
  next: step,
  readMemory: { memoryReference: 'string', 'offset?': 'number', count: 'number' },
  scopes: { frameId: 'number' },
  setBreakpoints: { source, 'breakpoints?': [{ line: 'number', 'logMessage?': 'string', ...rule }] },
  setDataBreakpoints: { breakpoints: [{ dataId: 'string', 'accessType?': 'string', ...rule }] },
  setExceptionBreakpoints: {
    filters: ['string'],
    'filterOptions?': [{ filterId: 'string', 'condition?': 'string' }],
  },
  setExpression: { expression: 'string', value: 'string', 'frameId?': 'number', ...format },
  setFunctionBreakpoints: { breakpoints: [{ name: 'string', ...rule }] },
  setInstructionBreakpoints: {
    breakpoints: [{ instructionReference: 'string', 'offset?': 'number', ...rule }],
  },
  setVariable: { variablesReference: 'number', name: 'string', value: 'string', ...format },
  source: { 'sourceReference?': 'number', 'source?': source },
  stackTrace: {
    threadId: 'number',
    'startFrame?': 'number',
    'levels?': 'number',
    'format?': { 'line?': 'boolean' },
  },
  stepIn: step,
  stepInTargets: { frameId: 'number' },
  stepOut: step,
  variables: {
    variablesReference: 'number',
    'filter?': 'string',
    'start?': 'number',
    'count?': 'number',
    ...format,
  },
  'vmkd/controlMachine': { order: 'string', 'name?': 'string' },
  'vmkd/locateLine': { path: 'string', line: 'number' },
  'vmkd/startCompanion': { 'place?': 'string' },
  writeMemory: { memoryReference: 'string', 'offset?': 'number', data: 'string' },
};

/** @throws request-bad */
export function checkArguments(command: string, given: unknown): void {
  const shape = Object.hasOwn(shapes, command) ? shapes[command as Command] : undefined;
  if (shape !== undefined) check(given, shape, `“${command}”`);
}

function check(value: unknown, shape: Shape, where: string): void {
  if (typeof shape === 'string') {
    if (typeof value !== shape) throw wrong(where, `no ${shape}`);
    if (shape === 'number' && !Number.isSafeInteger(value)) throw wrong(where, 'no whole number');
  } else if (isList(shape)) {
    if (!Array.isArray(value)) throw wrong(where, 'no list');
    for (const [i, item] of value.entries()) check(item, shape[0], `${where}[${i}]`);
  } else {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'no object');
    for (const field in shape) {
      const isOptional = field.endsWith('?');
      const name = isOptional ? field.slice(0, -1) : field;
      const item = (value as Record<string, unknown>)[name];
      const isAbsent = item === undefined || item === null;
      if (!isAbsent) check(item, shape[field]!, `${name} of ${where}`);
      else if (!isOptional) throw new VmkdError('request-bad', `The request has no ${name} of ${where}`);
    }
  }
}

const isList = (shape: Shape): shape is readonly [Shape] => Array.isArray(shape);

const wrong = (where: string, what: string): VmkdError =>
  new VmkdError('request-bad', `The request is damaged: ${where} is ${what}`);
