/**
 * What a check-up is made of: steps, one after the other, each of which looks at one thing between the debugger and the
 * kernel. A new one is an object with a name and `run`, put into the list of steps.ts at its place.
 *
 * Invariant: a step that needs what an earlier one did not find is skipped, and says which.
 */

import type { VmkdError } from '../../engine/core/errors';
import type { ByteLink, LinkEndpoint } from '../../engine/link/link';
import type { Machine } from '../../engine/machine/machine';
import type { LiveTarget } from '../../engine/target/liveTarget';

export type StepResult =
  | { readonly kind: 'pass'; readonly sentence: string }
  /** Debugging works without it, but less well. */
  | { readonly kind: 'warn'; readonly error: VmkdError }
  | { readonly kind: 'fail'; readonly error: VmkdError }
  | { readonly kind: 'skip'; readonly sentence: string };

export interface Step {
  /** One or two words. */
  readonly name: string;
  /** What it throws is a failure of the step. */
  run(patient: Patient): Promise<StepResult>;
}

/** What is examined, and what the steps so far have found. */
export interface Patient {
  /** As the user named it. */
  readonly subject: string;
  /** Milliseconds for the guest to answer. */
  readonly milliseconds: number;
  /** Of the encryption of the machine. */
  readonly password: string | undefined;
  readonly signal: AbortSignal;
  machine?: Machine;
  link?: string;
  endpoint?: LinkEndpoint;
  /** Open, and not yet the target's. */
  open?: ByteLink;
  /** Stopped by us, until the end. */
  target?: LiveTarget;
  /** Why no kernel answered, after the link was open. */
  silence?: VmkdError;
  /** Guest RAM is that of the kernel that answered. */
  ramIsVerified?: boolean;
  /** The guest's module lives, and its mailbox may be written to. */
  moduleIsLoaded?: boolean;
}

export const pass = (sentence: string): StepResult => ({ kind: 'pass', sentence });
export const skip = (sentence: string): StepResult => ({ kind: 'skip', sentence });
export const warn = (error: VmkdError): StepResult => ({ kind: 'warn', error });
export const fail = (error: VmkdError): StepResult => ({ kind: 'fail', error });
