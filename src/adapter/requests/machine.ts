/**
 * Orders to the machine behind a session, by a request that is none of DAP's: `vmkd/controlMachine`. Parking holds the machine's
 * control, and QEMU's monitor takes one client: so it goes through the session, where there is one.
 */

import { VmkdError } from '../../engine/core/errors';
import type { MachineControl, Snapshots } from '../../engine/machine/control';
import { withControl } from '../../engine/machine/withControl';
import type { OwnRequests } from '../../protocol/ownRequests';
import type { Family } from '../protocol';
import type { Session } from '../session';

type Order = OwnRequests['vmkd/controlMachine']['arguments'];

export const machine: Family = {
  requests: {
    'vmkd/controlMachine': (session, args) => throughSession(session, (control) => obey(control, args)),
  },
};

async function obey(
  control: MachineControl,
  { order, name = '' }: Order,
): Promise<OwnRequests['vmkd/controlMachine']['body']> {
  switch (order) {
    case 'pause':
      await control.pause();
      return {};
    case 'resume':
      await control.unpause();
      return {};
    case 'reset':
      await control.reset();
      return {};
    case 'listSnapshots':
      return { snapshots: await snapshotsOf(control).list() };
    case 'takeSnapshot':
      await snapshotsOf(control).take(name);
      return {};
    default:
      throw new VmkdError('request-bad', `There is no order “${String(order satisfies never)}” to a machine`);
  }
}

async function throughSession<T>(
  { machine: found, parking }: Session,
  action: (control: MachineControl) => Promise<T>,
): Promise<T> {
  if (found === undefined) throw new VmkdError('target-not-attached', 'There is no machine yet');
  if (found instanceof VmkdError) throw found;
  const ordered = await parking?.order(action);
  if (ordered !== undefined) return ordered.done;
  return withControl(found, action);
}

/** @throws machine-no-control */
function snapshotsOf({ snapshots, way }: MachineControl): Snapshots {
  if (snapshots !== undefined) return snapshots;
  throw new VmkdError('machine-no-control', `There are no snapshots by ${way}`);
}
