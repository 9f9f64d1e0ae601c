/**
 * Requests that may take their time, on a serial port or with a guest that does not stop: what a client shows of them
 * meanwhile, and which of them need not be waited for when nobody wants them any more.
 */

import type { Command } from './protocol';

interface SlowRequest {
  /** What is being done, for people. */
  readonly title: string;
  /**
   * What a cancel does. `ends`: its handler hears of it. `leaves`: it only looks, so it is answered at once, and what it still
   * does is of no consequence. `nothing`: what it changes it changes as a whole.
   */
  readonly cancel: 'ends' | 'leaves' | 'nothing';
}

const breakpoints: SlowRequest = { title: 'Setting breakpoints', cancel: 'nothing' };
const writing: SlowRequest = { title: 'Writing to the kernel', cancel: 'ends' };
const looking = (title: string): SlowRequest => ({ title, cancel: 'leaves' });

const slowRequests: { readonly [C in Command]?: SlowRequest } = {
  completions: looking('Looking for completions'),
  dataBreakpointInfo: looking('Looking at a variable'),
  disassemble: looking('Reading code'),
  evaluate: { title: 'Evaluating', cancel: 'ends' },
  gotoTargets: looking('Looking for code'),
  pause: { title: 'Stopping the kernel', cancel: 'ends' },
  readMemory: { title: 'Reading memory', cancel: 'ends' },
  restart: { title: 'Rebooting the kernel', cancel: 'nothing' },
  scopes: looking('Looking at a frame'),
  setBreakpoints: breakpoints,
  setDataBreakpoints: breakpoints,
  setExpression: writing,
  setFunctionBreakpoints: breakpoints,
  setInstructionBreakpoints: breakpoints,
  setVariable: writing,
  stackTrace: looking('Walking the stack'),
  stepInTargets: looking('Looking for calls'),
  threads: looking('Looking at the CPUs'),
  variables: { title: 'Reading variables', cancel: 'ends' },
  'vmkd/controlMachine': { title: 'Ordering the machine', cancel: 'nothing' },
  'vmkd/processes': looking('Looking at the processes'),
  'vmkd/threads': looking('Looking at the threads'),
  writeMemory: { title: 'Writing memory', cancel: 'nothing' },
};

export const slowRequest = (command: string): SlowRequest | undefined =>
  Object.hasOwn(slowRequests, command) ? slowRequests[command as Command] : undefined;
