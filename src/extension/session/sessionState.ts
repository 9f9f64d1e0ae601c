/**
 * What a debug session is in, as the messages between VS Code and the adapter tell it. A pure function of them: who shows
 * something of a session need not ask the adapter.
 *
 *   attaching ──stopped──▶ stopped ◀──▶ running ──▶ ended
 *
 * Invariants: `epoch` counts stops; what was read in one is old in the next. `boot` counts kernels that have gone, by a reboot or
 * a snapshot; what was known of one is not true of the next.
 */

import type { OwnCompanion, OwnEvents } from '../../protocol/ownRequests';

export interface ModuleShown {
  /** Its base address. */
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly addressRange: string;
  readonly symbolStatus: string;
  readonly symbolFilePath?: string;
  readonly isKernel?: boolean;
}

export interface SessionState {
  readonly phase: 'attaching' | 'running' | 'stopped' | 'ended';
  readonly epoch: number;
  readonly boot: number;
  /** In the adapter's words: “breakpoint 1”; while it stands. */
  readonly reason: string | undefined;
  /** DAP's number of the processor that stopped. */
  readonly threadId: number | undefined;
  /** DAP's numbers of processors → names with what runs there. */
  readonly threads: ReadonlyMap<number, string>;
  readonly transport: OwnEvents['vmkd/transport'] | undefined;
  readonly parking: OwnEvents['vmkd/parking']['state'] | undefined;
  /** The pipe at which WinDbg may attach, and who drives. */
  readonly companion: OwnCompanion | undefined;
  /** By base address, in the order in which they came. */
  readonly modules: ReadonlyMap<string, ModuleShown>;
  /** Why there was no attaching. */
  readonly failure: string | undefined;
}

export const newSession: SessionState = {
  phase: 'attaching',
  epoch: 0,
  boot: 0,
  reason: undefined,
  threadId: undefined,
  threads: new Map(),
  transport: undefined,
  parking: undefined,
  companion: undefined,
  modules: new Map(),
  failure: undefined,
};

/** Any message of DAP. */
export interface Message {
  readonly type: string;
  readonly seq?: number;
  readonly request_seq?: number;
  readonly arguments?: unknown;
  readonly event?: string;
  readonly command?: string;
  readonly success?: boolean;
  readonly message?: string;
  readonly body?: unknown;
}

const running: ReadonlySet<string> = new Set(['continue', 'next', 'stepIn', 'stepOut', 'goto']);

/** @param message One from the adapter. @returns The same object, if it tells nothing new */
export function follow(state: SessionState, message: Message): SessionState {
  if (message.type === 'event') return followEvent(state, message.event ?? '', message.body);
  if (message.type !== 'response') return state;
  return followResponse(state, message);
}

function followEvent(state: SessionState, event: string, body: unknown): SessionState {
  switch (event) {
    case 'stopped': {
      const { reason, description, threadId, asleep } = body as StoppedBody;
      if (asleep === true) return state;
      return { ...state, phase: 'stopped', epoch: state.epoch + 1, reason: description ?? reason, threadId };
    }
    case 'continued':
      return runs(state);
    case 'terminated':
      return { ...state, phase: 'ended' };
    case 'vmkd/transport':
      return { ...state, transport: body as OwnEvents['vmkd/transport'] };
    case 'vmkd/parking':
      return { ...state, parking: (body as OwnEvents['vmkd/parking']).state };
    case 'vmkd/companion': {
      const companion = body as OwnEvents['vmkd/companion'];
      return { ...state, companion: companion.pipe === null ? undefined : companion };
    }
    case 'module':
      return followModule(state, body as ModuleBody);
    default:
      return state;
  }
}

interface StoppedBody {
  readonly reason: string;
  readonly description?: string;
  readonly threadId?: number;
  /** The kernel has not stopped anew: a thread that sleeps is looked at. */
  readonly asleep?: boolean;
}

interface ModuleBody {
  readonly reason: 'new' | 'changed' | 'removed';
  readonly module: ModuleShown;
}

function followModule(state: SessionState, { reason, module }: ModuleBody): SessionState {
  const modules = new Map(state.modules);
  if (reason === 'removed') modules.delete(module.id);
  else modules.set(module.id, module);
  const isEnd = reason === 'removed' && module.isKernel === true;
  return { ...state, modules, boot: state.boot + (isEnd ? 1 : 0) };
}

function followResponse(
  state: SessionState,
  { command = '', success, message, body }: Message,
): SessionState {
  if (success !== true) {
    if (command !== 'attach' && command !== 'launch') return state;
    // A user who breaks it off needs no reason.
    const isOver = message === 'cancelled' || state.phase === 'ended';
    return { ...state, phase: 'ended', ...(!isOver && { failure: message ?? 'The kernel was not reached' }) };
  }
  switch (command) {
    case 'threads': {
      const { threads } = body as { readonly threads: readonly { id: number; name: string }[] };
      return { ...state, threads: new Map(threads.map(({ id, name }) => [id, name])) };
    }
    case 'modules': {
      const { modules } = body as { readonly modules: readonly ModuleShown[] };
      return { ...state, modules: new Map(modules.map((module) => [module.id, module])) };
    }
    case 'disconnect':
      return { ...state, phase: 'ended' };
    default:
      return running.has(command) ? runs(state) : state;
  }
}

/** The adapter tells of a stop after the response to what led to it. */
function runs(state: SessionState): SessionState {
  if (state.phase !== 'stopped') return state.phase === 'attaching' ? { ...state, phase: 'running' } : state;
  return { ...state, phase: 'running', reason: undefined };
}
