/**
 * Launching: the machine is brought up first — taken back to a snapshot, powered on, resumed — and then attached to. Its control
 * is given back before that: parking will want it.
 */

import { VmkdError } from '../engine/core/errors';
import { findMachine } from '../engine/machine/find';
import { powerOn } from '../engine/machine/powerOn';
import { withControl } from '../engine/machine/withControl';
import type { MachineChoice } from './configuration/configuration';
import type { Call } from './protocol';
import type { Session } from './session';

/** @param snapshot Of the machine; undefined: it is taken as it is. @throws machine-*, cancelled */
export async function bringUp(
  session: Session,
  { machine, snapshot }: { readonly machine: MachineChoice; readonly snapshot: string | undefined },
  { id, signal }: Call,
): Promise<void> {
  const found = await findMachine(machine.kind === 'vm' ? machine.vm : machine.link);
  const title = `Starting ${found.name}`;
  await withControl(found, (control) =>
    session.progress.run(title, { request: id, signal }, async (report) => {
      if (snapshot !== undefined) {
        if (control.snapshots === undefined) throw noSnapshots(control.way);
        report.update(`Going back to “${snapshot}”`);
        await control.snapshots.revert(snapshot);
      }
      if (report.signal.aborted) throw new VmkdError('cancelled', `${title} was cancelled`);
      report.update('Powering on');
      await powerOn(control);
    }),
  );
}

const noSnapshots = (way: string): VmkdError =>
  new VmkdError('machine-no-control', `The machine cannot go back to a snapshot by ${way}`);
