/**
 * What a request handler is. DAP names requests by strings and leaves their types to the reader; this table ties each name
 * to what comes with it and what goes back, so that a handler cannot be written for the wrong one.
 *
 * Source: the Debug Adapter Protocol as @vscode/debugprotocol has it.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { Cancellation } from '../engine/expr/access';
import type { Target } from '../engine/target/target';
import type { OwnRequests } from '../protocol/ownRequests';
import type { Session } from './session';

type OwnRow<Name extends keyof OwnRequests> = readonly [
  OwnRequests[Name]['arguments'],
  OwnRequests[Name]['body'],
];

type Row<Arguments, Response extends P.Response> = readonly [Arguments, Response['body']];

/** None of DAP's: who drives the kernel from now on. */
interface HandOverArguments {
  readonly to: 'windbg' | 'session';
}

/** Command → its arguments and the body of its response. What stands here is what some family may handle. */
interface RequestTable {
  attach: Row<P.AttachRequestArguments, P.AttachResponse>;
  breakpointLocations: Row<P.BreakpointLocationsArguments, P.BreakpointLocationsResponse>;
  cancel: Row<P.CancelArguments, P.CancelResponse>;
  completions: Row<P.CompletionsArguments, P.CompletionsResponse>;
  configurationDone: Row<P.ConfigurationDoneArguments, P.ConfigurationDoneResponse>;
  continue: Row<P.ContinueArguments, P.ContinueResponse>;
  dataBreakpointInfo: Row<P.DataBreakpointInfoArguments, P.DataBreakpointInfoResponse>;
  disassemble: Row<P.DisassembleArguments, P.DisassembleResponse>;
  disconnect: Row<P.DisconnectArguments, P.DisconnectResponse>;
  evaluate: Row<P.EvaluateArguments, P.EvaluateResponse>;
  exceptionInfo: Row<P.ExceptionInfoArguments, P.ExceptionInfoResponse>;
  goto: Row<P.GotoArguments, P.GotoResponse>;
  gotoTargets: Row<P.GotoTargetsArguments, P.GotoTargetsResponse>;
  handOver: Row<HandOverArguments, P.Response>;
  initialize: Row<P.InitializeRequestArguments, P.InitializeResponse>;
  launch: Row<P.LaunchRequestArguments, P.LaunchResponse>;
  loadedSources: Row<P.LoadedSourcesArguments, P.LoadedSourcesResponse>;
  locations: Row<P.LocationsArguments, P.LocationsResponse>;
  modules: Row<P.ModulesArguments, P.ModulesResponse>;
  next: Row<P.NextArguments, P.NextResponse>;
  pause: Row<P.PauseArguments, P.PauseResponse>;
  readMemory: Row<P.ReadMemoryArguments, P.ReadMemoryResponse>;
  restart: Row<P.RestartArguments, P.RestartResponse>;
  scopes: Row<P.ScopesArguments, P.ScopesResponse>;
  setBreakpoints: Row<P.SetBreakpointsArguments, P.SetBreakpointsResponse>;
  setDataBreakpoints: Row<P.SetDataBreakpointsArguments, P.SetDataBreakpointsResponse>;
  setExceptionBreakpoints: Row<P.SetExceptionBreakpointsArguments, P.SetExceptionBreakpointsResponse>;
  setExpression: Row<P.SetExpressionArguments, P.SetExpressionResponse>;
  setFunctionBreakpoints: Row<P.SetFunctionBreakpointsArguments, P.SetFunctionBreakpointsResponse>;
  setInstructionBreakpoints: Row<P.SetInstructionBreakpointsArguments, P.SetInstructionBreakpointsResponse>;
  setVariable: Row<P.SetVariableArguments, P.SetVariableResponse>;
  source: Row<P.SourceArguments, P.SourceResponse>;
  stackTrace: Row<P.StackTraceArguments, P.StackTraceResponse>;
  stepIn: Row<P.StepInArguments, P.StepInResponse>;
  stepInTargets: Row<P.StepInTargetsArguments, P.StepInTargetsResponse>;
  stepOut: Row<P.StepOutArguments, P.StepOutResponse>;
  threads: Row<undefined, P.ThreadsResponse>;
  variables: Row<P.VariablesArguments, P.VariablesResponse>;
  'vmkd/controlMachine': OwnRow<'vmkd/controlMachine'>;
  'vmkd/loadSymbols': OwnRow<'vmkd/loadSymbols'>;
  'vmkd/locate': OwnRow<'vmkd/locate'>;
  'vmkd/locateLine': OwnRow<'vmkd/locateLine'>;
  'vmkd/pageTables': OwnRow<'vmkd/pageTables'>;
  'vmkd/processes': OwnRow<'vmkd/processes'>;
  'vmkd/readMemory': OwnRow<'vmkd/readMemory'>;
  'vmkd/startCompanion': OwnRow<'vmkd/startCompanion'>;
  'vmkd/stopCompanion': OwnRow<'vmkd/stopCompanion'>;
  'vmkd/symbolize': OwnRow<'vmkd/symbolize'>;
  'vmkd/threads': OwnRow<'vmkd/threads'>;
  'vmkd/visitThread': OwnRow<'vmkd/visitThread'>;
  writeMemory: Row<P.WriteMemoryArguments, P.WriteMemoryResponse>;
}

export type Command = keyof RequestTable;

/** One that handles any command: it must have been found by its name. */
export type AnyHandler = (session: Session, args: never, call: Call) => unknown;

/** One request under way; also a cancellation, for whoever only looks whether to go on. */
export interface Call extends Cancellation {
  /** Its `seq`, which `cancel` and progress reports name. */
  readonly id: number;
  /** Fires when the client cancels it, or the session ends. */
  readonly signal: AbortSignal;
  /**
   * Keeps events back until the response is out: what a request causes must not be heard of before the request has
   * succeeded.
   */
  holdEvents(): void;
}

/** @throws VmkdError, which becomes the error response. */
export type Handler<C extends Command> = (
  session: Session,
  args: RequestTable[C][0],
  call: Call,
) => Promise<RequestTable[C][1]> | RequestTable[C][1];

export type Handlers = { readonly [C in Command]?: Handler<C> };

/** The parts that a back end may lack. */
type TargetParts = Pick<Target, 'execution' | 'breakpoints'>;

/** Which of them there are, or may come to be. */
export type OfferedParts = { readonly [Part in keyof TargetParts]-?: boolean } & {
  /** It can be stopped at places of ours: breakpoints, steps. */
  readonly places: boolean;
};

/** What a live kernel has; of which machine it is shows later. */
export const allParts: OfferedParts = { execution: true, breakpoints: true, places: true };

/** Requests that belong together, and what a client may know of them beforehand. */
export interface Family {
  readonly requests: Handlers;
  /** What is offered by virtue of these requests. Target parts that are not there take away what needs them. */
  capabilities?(parts: OfferedParts): P.Capabilities;
}
