/**
 * What the client knows of its target. KdClient alone changes it.
 *
 *   idle ──attach──▶ connecting ──channel──▶ synchronising ──▶ running ◀──▶ stopped
 *    ▲                   │                        │               │            │
 *    └──── detach ───────┴────────────────────────┴──── closed ───┴────────────┘──▶ lost ──attach──▶ connecting
 */

import { VmkdError } from '../core/errors';
import type { TargetVersion } from './manipulate/version';
import type { StateChange } from './stateChange';

export interface StoppedState {
  readonly kind: 'stopped';
  /** Why it stopped. */
  readonly change: StateChange;
  readonly version: TargetVersion;
}

export type ClientState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' }
  /** A channel is there; nobody has said yet whether the target runs. */
  | { readonly kind: 'synchronising' }
  | { readonly kind: 'running' }
  | StoppedState
  | { readonly kind: 'lost'; readonly error: VmkdError };

/** The error for a wait that reached its limit. */
export const didNotStop = (milliseconds: number): VmkdError =>
  new VmkdError('target-did-not-stop', `The target did not stop within ${milliseconds} ms`);

/** The error for a wish that needs a stopped target. */
export function notStopped(state: Exclude<ClientState, StoppedState>): VmkdError {
  switch (state.kind) {
    case 'running':
      return new VmkdError('target-running', 'The target is running');
    case 'lost':
      return state.error;
    case 'idle':
    case 'connecting':
    case 'synchronising':
      return new VmkdError('target-not-attached', `No target yet: the connection is ${state.kind}`);
  }
}
