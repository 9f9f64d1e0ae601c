/** `vmkd trace FILE`: a recorded session in words, or played again. */

import { systemClock } from '../engine/core/clock';
import { VmkdError } from '../engine/core/errors';
import { hexBytes } from '../engine/core/hex';
import { describePacket } from '../engine/kd/describe';
import { PacketType } from '../engine/kd/framing';
import type { MachineType } from '../engine/kd/machineType';
import { createEndpoint } from '../engine/link/endpoint';
import { KdcomChannel } from '../engine/link/kdcomChannel';
import type { ByteLink } from '../engine/link/link';
import { scenesOf, type Scene } from '../engine/link/replay/recording';
import { ReplayDebugger, type Comparison } from '../engine/link/replay/replayDebugger';
import { ReplayTarget } from '../engine/link/replay/replayTarget';
import { formatTraceEvent, machineNamedBy, readTraceChunks, traceEvents } from '../engine/link/trace';
import { parseCommandLine, untilInterrupted, type Command } from './command';
import { printable, type Terminal } from './terminal';

export const trace: Command = {
  name: 'trace',
  usage: 'trace FILE [--as-target LINK | --as-debugger LINK]',
  summary: 'Prints a packet trace that --trace FILE has recorded, one packet a line, or plays it again.',
  details: `  → to the target, ← from it; then milliseconds, packet id, type and fields.

  --as-target LINK    answers a debugger on this link as the recorded target did
  --as-debugger LINK  asks the target on this link what the recorded debugger asked, writes included, and says which answers
                      are not what they were; ends with 1 if there are any
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, {
      'as-target': { type: 'string' },
      'as-debugger': { type: 'string' },
    });
    const [file] = positionals;
    if (file === undefined || positionals.length > 1)
      throw new VmkdError('usage', 'vmkd trace wants one file');
    const { 'as-target': debuggerLink, 'as-debugger': targetLink } = values;
    if (debuggerLink !== undefined && targetLink !== undefined)
      throw new VmkdError('usage', 'Either --as-target or --as-debugger');
    if (debuggerLink !== undefined)
      await withLink(debuggerLink, (link) => playTarget(link, sceneOf(file), terminal));
    else if (targetLink !== undefined)
      await withLink(targetLink, (link) => playDebugger(link, sceneOf(file), terminal));
    else print(file, terminal);
  },
};

const sceneOf = (file: string): Scene[] => scenesOf(traceEvents(readTraceChunks(file)));

function print(file: string, terminal: Terminal): void {
  let machine: MachineType | undefined;
  for (const event of traceEvents(readTraceChunks(file))) {
    machine = machineNamedBy(event) ?? machine;
    terminal.out(`${printable(formatTraceEvent(event, machine))}\n`);
  }
}

async function withLink(spec: string, action: (link: ByteLink) => Promise<void>): Promise<void> {
  const endpoint = createEndpoint(spec);
  try {
    await untilInterrupted(async (signal) => {
      const link = await endpoint.open({ waitMilliseconds: Infinity, signal });
      signal.addEventListener('abort', () => link.close());
      await action(link);
    });
  } finally {
    await endpoint.dispose();
  }
}

/** Ends when the debugger goes. */
async function playTarget(link: ByteLink, scenes: readonly Scene[], terminal: Terminal): Promise<void> {
  const target = new ReplayTarget(
    (owner) => new KdcomChannel(link, owner, { role: 'target', clock: systemClock }),
    scenes,
  );
  let ended = 'The debugger went before the recording was at its end.';
  target.run().then(
    () => (ended = 'The recording was at its end.'),
    () => undefined,
  );
  await target.gone;
  const { stops, answered, unrecorded } = target.report;
  terminal.rows([
    `${stops} stops told, ${answered} requests answered. ${ended}`,
    ...unrecorded.map((request) => `not recorded: ${inWords(request, 'debugger')}`),
  ]);
}

async function playDebugger(link: ByteLink, scenes: readonly Scene[], terminal: Terminal): Promise<void> {
  const replay = new ReplayDebugger(
    (owner) => new KdcomChannel(link, owner, { role: 'debugger', clock: systemClock }),
    systemClock,
  );
  let [same, different] = [0, 0];
  try {
    for await (const comparison of replay.compare(scenes)) {
      if (comparison.isSame) same++;
      else {
        different++;
        terminal.exitCode = 1;
        terminal.rows(describeDifference(comparison));
      }
    }
  } finally {
    replay.close();
  }
  terminal.rows([`${same} answers are what they were, ${different} are not`]);
}

function describeDifference({ request, recorded, now }: Comparison): string[] {
  let at = 0;
  while (at < recorded.length && recorded[at] === now[at]) at++;
  const around = (bytes: Uint8Array): string => hexBytes(bytes.subarray(at, at + 16));
  return [
    request === undefined ? 'another stop' : `another answer to ${inWords(request, 'debugger')}`,
    `  from byte ${at} on: ${around(recorded)} was ${recorded.length} bytes, now ${around(now)} of ${now.length}`,
  ];
}

const inWords = (payload: Uint8Array, sender: 'debugger' | 'target'): string =>
  describePacket({ type: PacketType.StateManipulate, payload }, sender);
