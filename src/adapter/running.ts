/** The ways to let a kernel run, for requests and console commands alike. */

import { VmkdError } from '../engine/core/errors';
import type { Execution, StepOptions } from '../engine/target/target';
import type { Session } from './session';

/** @throws target-unsupported, target-not-attached */
export function executionOf({ target }: Session): Execution {
  if (target.execution !== undefined) return target.execution;
  throw new VmkdError('target-unsupported', 'This target cannot run: it is no live kernel');
}

/**
 * @param announced The client does not know yet that the kernel runs. @param options See Execution. @throws target-running, link-*
 */
export async function resume(
  session: Session,
  announced: boolean,
  options: { readonly passException?: boolean } = {},
): Promise<void> {
  session.mustBeStopped();
  await session.symbolLoading.beforeRunning();
  await session.turn.run(async () => {
    session.runExpected = !announced;
    try {
      await executionOf(session).resume(options);
    } finally {
      session.runExpected = false;
    }
  });
}

/** @throws as `resume` */
export async function step(session: Session, options: StepOptions): Promise<void> {
  session.mustBeStopped();
  await session.symbolLoading.beforeRunning();
  await session.turn.run(() => executionOf(session).step(options));
}
