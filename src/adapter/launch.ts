/**
 * Launching: the machine is brought up first — taken back to a snapshot, powered on, resumed — and then attached to. Its control
 * is given back before that: parking will want it.
 */

import { VmkdError } from '../engine/core/errors';
import { findMachine } from '../engine/machine/find';
import type { MachineControl } from '../engine/machine/control';
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
        if (control.snapshots === undefined) throw cannot(`go back to a snapshot by ${control.way}`);
        report.update(`Going back to “${snapshot}”`);
        await control.snapshots.revert(snapshot);
      }
      if (report.signal.aborted) throw new VmkdError('cancelled', `${title} was cancelled`);
      report.update('Powering on');
      await run(control);
    }),
  );
}

/** Whatever state it is in, it runs afterwards. */
async function run(control: MachineControl): Promise<void> {
  const power = await control.power();
  switch (power) {
    case 'running':
    case 'unknown':
      return;
    case 'paused':
      return control.unpause();
    case 'off':
    case 'suspended':
      if (control.start === undefined) throw cannot(`be powered on by ${control.way}`);
      return control.start();
  }
}

const cannot = (what: string): VmkdError => new VmkdError('machine-no-control', `The machine cannot ${what}`);
