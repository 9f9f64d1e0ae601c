/** `vmkd trace FILE`: a recorded session in words. */

import { VmkdError } from '../engine/core/errors';
import type { MachineType } from '../engine/kd/machineType';
import { formatTraceEvent, machineNamedBy, readTraceChunks, traceEvents } from '../engine/link/trace';
import { parseCommandLine, type Command } from './command';
import { printable } from './terminal';

export const trace: Command = {
  name: 'trace',
  usage: 'trace FILE',
  summary: 'Prints a packet trace that --trace FILE has recorded, one packet a line.',
  details: '  → to the target, ← from it; then milliseconds, packet id, type and fields.\n',
  run(args, terminal) {
    const { positionals } = parseCommandLine(args, {});
    const [file] = positionals;
    if (file === undefined || positionals.length > 1)
      throw new VmkdError('usage', 'vmkd trace wants one file');
    let machine: MachineType | undefined;
    for (const event of traceEvents(readTraceChunks(file))) {
      machine = machineNamedBy(event) ?? machine;
      terminal.out(`${printable(formatTraceEvent(event, machine))}\n`);
    }
    return Promise.resolve();
  },
};
