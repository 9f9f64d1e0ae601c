/**
 * The debug adapter over the bare UART, as VS Code uses it, beside LLDB's adapter on the same guest through QEMU's gdbstub.
 *
 * What makes the comparison (`dap.step_vs_lldb`) one of like with like:
 *
 *   - both read the same PDBs, of the driver and of the kernel, stop at the same function, and step through the same lines;
 *     both are asked for the same views by the same client (dapStepping.ts). The bench fails if the ways differ;
 *   - both are warm: the visits before the counted ones are the same, too;
 *   - a target's time counts for nobody: neither what it needs to answer nor what it runs between two stops (meteredRelay.ts).
 *     Nor does the client's: it counts from a written request to a read answer;
 *   - the guest has one processor, and QEMU the lowest priority: a kernel that stands in KD polls its UART, and would take
 *     half of a small machine from us alone, for one that stands in a gdbstub is really stopped;
 *   - nothing is traced: requests are counted at the relay.
 *
 * LLDB's last frame is another one than ours (it cannot unwind KiStartThread's frame), but it is one.
 */

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { openFileSource } from '../../src/engine/core/byteSource';
import { PacketScanner, PacketType } from '../../src/engine/kd/framing';
import { PeFile } from '../../src/engine/symbols/peImage';
import { AdapterClient } from '../fixtures/adapter';
import { buildCli } from '../fixtures/cli';
import { kernelImages } from '../fixtures/liveSymbols';
import { MeteredRelay } from '../fixtures/meteredRelay';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import { firstStops } from './attachCost';
import type { Bench, Figure } from './bench';
import {
  countedSteps,
  steppedFunction,
  stepThrough,
  TimedAdapter,
  type StepTime,
  type Stepped,
} from './dapStepping';

const hits = 1_500;
/** Milliseconds; on a machine that is busy with other things they are not all awaited. */
const longestCount = 8_000;
const listings = 5;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!;
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
const own = ({ answered, waited }: StepTime): number => answered - waited;

const bench: Bench = {
  needsKernel: true,
  tools: ['lldb'],
  async figures({ lldb }) {
    buildCli();
    const ours = await stepWithOurs();
    const theirs = await stepWithLldb(lldb![0]!);
    mustBeTheSame(ours.way, theirs.way);
    const others = await measureTheRest();
    const attached = await firstStops();
    process.stderr.write(
      `first stop: ${median(attached.with).toFixed(0)} ms with the large PDB, ` +
        `${median(attached.without).toFixed(0)} ms without\n`,
    );
    const whole = ours.times.map((step) => step.whole);
    const [ourOwn, theirOwn] = [median(ours.times.map(own)), median(theirs.times.map(own))];
    return [
      { id: 'dap.step_p50_ms', value: median(whole), unit: 'ms' },
      { id: 'dap.step_p99_ms', value: percentile(whole, 0.99), unit: 'ms' },
      {
        id: 'dap.step_link_share_pct',
        value: (100 * sum(ours.times.map((step) => step.waited))) / sum(whole),
        unit: '%',
      },
      { id: 'dap.step_own_ms', value: ourOwn, unit: 'ms' },
      { id: 'dap.lldb_step_own_ms', value: theirOwn, unit: 'ms' },
      { id: 'dap.step_vs_lldb', value: theirOwn / ourOwn, unit: 'x', goal: { atLeast: 2 } },
      { id: 'dap.step_kd_requests', value: ours.requests, unit: '', goal: { atMost: 12 } },
      ...others,
      {
        id: 'dap.attach_pdb_cost_ms',
        value: median(attached.with) - median(attached.without),
        unit: 'ms',
        goal: { atMost: 1000 },
      },
    ];
  },
};

async function stepWithOurs(): Promise<Stepped & { readonly requests: number }> {
  const { folder, remove } = temporaryFolder();
  const relayPath = path.join(folder, 'relay');
  const machine = await bootDemoKernel({ cpus: 1 });
  const relay = await MeteredRelay.start({ path: relayPath }, { path: unixPath(machine) });
  const client = new TimedAdapter(process.execPath, ['dist/adapter.js']);
  try {
    yieldToAll(machine);
    const symbols = symbolsOf(client, 'vmkdemo.sys');
    const initialized = client.waitForEvent('initialized');
    await client.initializeRequest();
    await client.attachRequest({ link: `unix:${relayPath}`, symbolPath: kernelImages } as never);
    await initialized;
    const first = client.nextStop();
    await client.configurationDoneRequest();
    const { threadId } = (await first).body;
    // What is measured must not compete with symbols that come in the background.
    await symbols;
    const standing = await client.stopAt(`vmkdemo!${steppedFunction}`, () =>
      client.continueRequest({ threadId: threadId! }),
    );
    const counter = new RequestCounter(relay);
    const stepped = await stepThrough(
      client,
      standing,
      () => relay.take(),
      () => counter.begin(),
    );
    return { ...stepped, requests: counter.count / countedSteps };
  } finally {
    await client.end('kindly');
    await relay.stop();
    await machine.stop();
    remove();
  }
}

async function stepWithLldb(command: string): Promise<Stepped> {
  const port = await freePort();
  const machine = await bootDemoKernel({
    cpus: 1,
    kaslrSeed: 'off',
    cmdline: 'nodebug',
    qemuArgs: ['-gdb', `tcp:127.0.0.1:${port}`],
  });
  const relay = await MeteredRelay.start({}, { port });
  const client = new TimedAdapter(command);
  try {
    yieldToAll(machine);
    const modules = await machine.console.command('modules');
    // QEMU's gdbstub greets a running machine's debugger with a stop that LLDB does not expect.
    await machine.qmp('stop');
    const initialized = client.waitForEvent('initialized');
    await client.initializeRequest();
    const attached = client.attachRequest({
      program: path.join(kernelImages, 'vmkdemo.sys'),
      stopOnEntry: false,
      initCommands: ['settings set plugin.process.gdb-remote.packet-timeout 60'],
      // It finds the kernel by itself, among the driver's imports.
      attachCommands: [
        `process connect --plugin gdb-remote connect://127.0.0.1:${relay.port}`,
        ...['vmkdemo.sys', 'ntoskrnl.exe'].map((name) => loadCommand(name, modules)),
      ],
    } as P.AttachRequestArguments);
    await initialized;
    const standing = await client.stopAt(steppedFunction, async () => {
      await client.configurationDoneRequest();
      await attached;
    });
    return await stepThrough(
      client,
      standing,
      () => relay.take(),
      () => undefined,
    );
  } finally {
    await client.end('at once');
    await relay.stop();
    await machine.stop();
  }
}

/** Tells LLDB where an image was loaded. @param modules What the kernel's console says. */
function loadCommand(name: string, modules: string): string {
  const digits = new RegExp(`${name} ([0-9a-f]+)`, 'i').exec(modules.replaceAll('`', ''))?.[1];
  if (digits === undefined) throw new Error(`There is no ${name} among ${modules}`);
  const file = path.join(kernelImages, name);
  const source = openFileSource(file);
  const { imageBase } = new PeFile(source).image;
  source.close();
  return `target modules load --file ${file} --slide ${BigInt.asUintN(64, BigInt(`0x${digits}`) - imageBase)}`;
}

function mustBeTheSame(ours: readonly string[], theirs: readonly string[]): void {
  const at = ours.findIndex((place, i) => place !== theirs[i]);
  if (ours.length === theirs.length && at < 0) return;
  throw new Error(`Step ${at} went to ${ours[at]} here, to ${theirs[at]} there: nothing can be compared`);
}

/** Counts of the first stop, and what two processors are needed for. */
async function measureTheRest(): Promise<Figure[]> {
  const { folder, remove } = temporaryFolder();
  const relayPath = path.join(folder, 'relay');
  const machine = await bootDemoKernel({});
  const relay = await MeteredRelay.start({ path: relayPath }, { path: unixPath(machine) });
  const client = new AdapterClient();
  try {
    const counter = new RequestCounter(relay);
    counter.begin();
    const { threadId } = await client.attachAndStop(machine, {
      link: `unix:${relayPath}`,
      transport: 'serial',
    });
    const { stackFrames } = (await client.stackTraceRequest({ threadId: threadId!, levels: 20 })).body;
    const { scopes } = (await client.scopesRequest({ frameId: stackFrames[0]!.id })).body;
    for (const { variablesReference, expensive } of scopes)
      if (!expensive) await client.variablesRequest({ variablesReference });
    const firstStopRequests = counter.count;
    await client.event<P.ModuleEvent['body']>('module', 0, isLoaded('vmkdemo.sys'));
    const falseConditions = await countFalseConditions(client, machine, threadId!);
    await client.stopAfter(() => client.pauseRequest({ threadId: threadId! }));
    yieldToAll(machine);
    const disassembly = await timeDisassembly(client, threadId!);
    return [
      { id: 'dap.first_stop_kd_requests', value: firstStopRequests, unit: '', goal: { atMost: 100 } },
      { id: 'dap.disasm400_ms', value: disassembly, unit: 'ms', goal: { atMost: 30 } },
      { id: 'dap.false_conditions_per_s', value: falseConditions, unit: '1/s' },
    ];
  } finally {
    await client.end();
    await relay.stop();
    await machine.stop();
    remove();
  }
}

/** Manipulate requests that go to the target; repetitions count. */
class RequestCounter {
  count = 0;

  constructor(private readonly relay: MeteredRelay) {}

  begin(): void {
    const ignore = (): void => undefined;
    const scanner = new PacketScanner({
      onData: (type) => {
        if (type === PacketType.StateManipulate) this.count++;
      },
      ...{ onControl: ignore, onBreakIn: ignore, onDamaged: ignore, onGarbage: ignore },
    });
    this.relay.onAsked = (bytes) => scanner.push(bytes);
  }
}

const isLoaded =
  (name: string) =>
  ({ module }: P.ModuleEvent['body']): boolean =>
    module.name === name && module.symbolFilePath !== undefined;

/** Resolves when the symbols of a module have come. */
function symbolsOf(client: TimedAdapter, name: string): Promise<void> {
  return new Promise((resolve) => {
    client.on('module', ({ body }: P.ModuleEvent) => {
      if (isLoaded(name)(body)) resolve();
    });
  });
}

const unixPath = ({ kdLink }: DemoMachine): string => kdLink.replace(/^unix:/, '');

/** All that a machine does has time. */
function yieldToAll({ pid }: DemoMachine): void {
  for (const thread of readdirSync(`/proc/${pid}/task`))
    setPriority(Number(thread), constants.priority.PRIORITY_LOW);
}

async function timeDisassembly(client: AdapterClient, threadId: number): Promise<number> {
  const { stackFrames } = (await client.stackTraceRequest({ threadId, levels: 1 })).body;
  const memoryReference = stackFrames[0]!.instructionPointerReference!;
  const times: number[] = [];
  for (let i = 0; i <= listings; i++) {
    const started = performance.now();
    const { instructions } = await client.ask<{ instructions: unknown[] }>('disassemble', {
      memoryReference,
      instructionOffset: -200,
      instructionCount: 400,
      resolveSymbols: true,
    });
    if (instructions.length !== 400) throw new Error(`${instructions.length} rows`);
    // The first one warms up.
    if (i > 0) times.push(performance.now() - started);
  }
  return median(times);
}

/** Both processors run into a breakpoint whose condition is false, as often as they were told to. */
async function countFalseConditions(
  client: AdapterClient,
  machine: DemoMachine,
  threadId: number,
): Promise<number> {
  const condition = 'VmkDemoSharedCounter == -1';
  await client.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'vmkdemo!VmkDemoShared', condition }] });
  const counter = async (): Promise<number> => {
    const answer = await machine.console.command('demo', 60_000);
    const found = /shared (\d+)/.exec(answer)?.[1];
    if (found === undefined) throw new Error(`The demo driver says: ${answer}`);
    return Number(found);
  };
  await client.continueRequest({ threadId });
  await machine.console.command(`hammer ${hits / 2}`, 60_000);
  const [start, started] = [await counter(), performance.now()];
  let now = start;
  while (now < start + hits / 2 && performance.now() - started < longestCount) now = await counter();
  const rate = (now - start) / ((performance.now() - started) / 1000);
  await client.setFunctionBreakpointsRequest({ breakpoints: [] });
  return rate;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export default bench;
