/**
 * The companion pipe: what a debugger that speaks KDCOM gets through it, beside what it gets over the UART, and what the pipe
 * adds to a request and to a stop. The bridge is a process of its own, as it is for its users.
 *
 *   read     kernel memory, by the same client: over the UART, and over the pipe with the machine's RAM behind it; the bridge
 *            parks the machine meanwhile, as it does wherever it can
 *   passed   a request that the kernel has to answer, both ways over the guest module's mailbox: through the pipe, and without;
 *            beside it what two processes need to exchange as much through a socket and do nothing else, meanwhile
 *   break    from the kernel's own note that it has entered the debugger, seen in its RAM, to the state change at the client
 */

import { setImmediate as turn } from 'node:timers/promises';
import { plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { VmkdError } from '../../src/engine/core/errors';
import { readControlSpace } from '../../src/engine/kd/manipulate/context';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { LiveTarget } from '../../src/engine/target/liveTarget';
import { BareEcho } from '../fixtures/bareEcho';
import { Bridge } from '../fixtures/bridge';
import { buildCli } from '../fixtures/cli';
import { ramOf } from '../fixtures/guestRam';
import { monitorsIn } from '../fixtures/monitors';
import { StopWatch } from '../fixtures/stopWatch';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import type { Bench, Figure } from './bench';

const patience = 60_000;
const attach = { breakIn: true, milliseconds: patience } as const;
/** Through the pipe, and over the UART, whose rate does not depend on how much it is. */
const piped = 16 << 20;
const overUart = 256 << 10;
const piece = 64 << 10;
const passes = 2000;
const rounds = 5;
const stops = 40;

const bench: Bench = {
  needsKernel: true,
  async figures() {
    buildCli();
    return [await readFigure(), ...(await passedFigures()), await breakFigure()];
  },
};
export default bench;

/** A client on a link. */
async function withClient<T>(
  link: string,
  more: Partial<ConstructorParameters<typeof LiveTarget>[0]>,
  action: (target: LiveTarget) => Promise<T>,
): Promise<T> {
  const endpoint = createEndpoint(link);
  const target = new LiveTarget({ endpoint, linkMilliseconds: patience, ...more });
  try {
    await target.attach(attach);
    const result = await action(target);
    await target.release();
    return result;
  } finally {
    target.detach();
    await endpoint.dispose();
  }
}

/** A client on the pipe of a bridge in front of a machine. */
async function throughBridge<T>(
  machine: DemoMachine,
  ready: RegExp,
  action: (target: LiveTarget) => Promise<T>,
): Promise<T> {
  const { folder, remove } = temporaryFolder();
  const bridge = new Bridge(machine.kdLink, folder);
  try {
    await bridge.said(/the kernel (runs|stands)/);
    return await withClient(`unix:${folder}/pipe`, {}, async (target) => {
      await bridge.said(ready);
      return action(target);
    });
  } finally {
    await bridge.end();
    remove();
  }
}

async function readFigure(): Promise<Figure> {
  const { folder, remove } = temporaryFolder();
  const machine = await bootDemoKernel({ memoryMiB: 256, qemuArgs: monitorsIn(folder).qemuArgs });
  try {
    const uart = await withClient(machine.kdLink, {}, (target) => readRate(target, overUart));
    const pipe = await throughBridge(machine, /memory is read from/, (target) => readRate(target, piped));
    process.stderr.write(
      `read: UART ${(uart / 1024).toFixed(0)} KB/s, pipe ${(pipe / 2 ** 20).toFixed(1)} MB/s\n`,
    );
    return { id: 'pipe.read_vs_uart', value: pipe / uart, unit: 'x', goal: { atLeast: 200 } };
  } finally {
    await machine.stop();
    remove();
  }
}

/** Bytes a second, of the kernel's image again and again. */
async function readRate(target: LiveTarget, total: number): Promise<number> {
  const [kernel] = await target.modules();
  if (!kernel) throw new VmkdError('internal', 'the demo kernel has no modules');
  const pieces = Math.floor(kernel.size / piece);
  const started = performance.now();
  for (let done = 0; done < total; done += piece) {
    const address = plus(kernel.base, ((done / piece) % pieces) * piece);
    const bytes = await target.memory.readPartial(address, piece);
    if (bytes.length !== piece) throw new VmkdError('internal', `only ${bytes.length} bytes could be read`);
  }
  return total / ((performance.now() - started) / 1000);
}

async function passedFigures(): Promise<Figure[]> {
  const machine = await bootDemoKernel({ guestModule: 'boot', memoryMiB: 128, cpus: 1 });
  const ram = openGuestRam(ramOf(machine));
  const { folder, remove } = temporaryFolder();
  const echo = await BareEcho.start(folder);
  try {
    const added: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      let carried: () => void = () => undefined;
      const byMailbox = new Promise<void>((resolve) => (carried = resolve));
      const mailbox = { ram, onCarrier: (way: string) => way === 'mailbox' && carried() };
      const direct = await withClient(machine.kdLink, { mailbox }, async (target) => {
        await byMailbox;
        return passTime(target);
      });
      const passed = await throughBridge(machine, /packets go by mailbox/, async (target) => {
        const time = await passTime(target);
        bare.push(await medianTime(() => echo.exchange(new Uint8Array(80))));
        return time;
      });
      process.stderr.write(
        `passed: ${direct.toFixed(0)} µs without, ${passed.toFixed(0)} µs through the pipe; a bare echo ${bare.at(-1)!.toFixed(0)} µs\n`,
      );
      added.push(passed - direct);
    }
    return [
      { id: 'pipe.passthrough_us_p50', value: median(added), unit: 'us', goal: { atMost: 100 } },
      { id: 'pipe.bare_echo_us_p50', value: median(bare), unit: 'us' },
    ];
  } finally {
    await echo.stop();
    remove();
    await machine.stop();
    ram.close();
  }
}

/** Median, in microseconds, of a request that no memory can answer. */
const passTime = ({ client }: LiveTarget): Promise<number> =>
  medianTime(() => client.demand(readControlSpace, { base: 3n, count: 8 }));

async function medianTime(action: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < passes; i++) {
    const started = performance.now();
    await action();
    times.push(performance.now() - started);
    // Whoever else has a turn gets it.
    if (i % 50 === 0) await turn();
  }
  return median(times) * 1000;
}

async function breakFigure(): Promise<Figure> {
  const machine = await bootDemoKernel({ guestModule: 'boot', memoryMiB: 128, cpus: 1 });
  try {
    const flag = await noteOfStop(machine);
    const watch = await StopWatch.start(machine.ramFile, flag);
    try {
      const latencies = await throughBridge(machine, /packets go by mailbox/, async (target) => {
        const times: number[] = [];
        for (let i = 0; i < stops; i++) {
          await target.resume();
          watch.arm();
          const stopped = new Promise<number>((resolve) => {
            const remove = target.client.states.add(({ kind }) => {
              if (kind !== 'stopped') return;
              remove();
              resolve(performance.timeOrigin + performance.now());
            });
          });
          await target.breakIn(patience);
          times.push((await stopped) - (await watch.sawIt()));
        }
        return times;
      });
      return { id: 'pipe.break_latency_ms', value: median(latencies), unit: 'ms', goal: { atMost: 5 } };
    } finally {
      await watch.stop();
    }
  } finally {
    await machine.stop();
  }
}

/** Where in its RAM the kernel notes that it is in the debugger: KdEnteredDebugger, by its physical address. */
async function noteOfStop(machine: DemoMachine): Promise<number> {
  const answer = await machine.console.command('export ntoskrnl.exe!KdEnteredDebugger');
  const address = BigInt(`0x${/[0-9a-f]{16}/i.exec(answer.replace(/`/g, ''))?.[0] ?? ''}`) as VirtualAddress;
  const physical = await machine.console.command(`physical 0x${address.toString(16)}`);
  return Number(BigInt(`0x${physical.trim()}`));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
