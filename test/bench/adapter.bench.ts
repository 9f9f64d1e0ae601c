/**
 * The debug adapter over the bare UART, as VS Code uses it, beside LLDB's adapter on the same guest through QEMU's gdbstub.
 * LLDB reads the same PDB, steps through the same loop, and is asked for the same views. What each of them waits for its
 * target is measured at a relay by one rule and left out of the comparison: the lines are not what is compared.
 */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { openFileSource } from '../../src/engine/core/byteSource';
import { PacketType } from '../../src/engine/kd/framing';
import { readTraceChunks, traceEvents } from '../../src/engine/link/trace';
import { PeFile } from '../../src/engine/symbols/peImage';
import { AdapterClient } from '../fixtures/adapter';
import { MeteredRelay } from '../fixtures/meteredRelay';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import type { Bench, Figure } from './bench';
import { LldbClient, showStop, timeSteps, type StepTime } from './dapStepping';

/** They stay within the first loop of VmkDemoWork, which goes round 32 times on two lines. */
const steps = 50;
const hits = 1_500;
const listings = 5;
const driver = path.resolve('build/kernel/images/vmkdemo.sys');

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!;
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
const own = ({ whole, waited }: StepTime): number => whole - waited;

const bench: Bench = {
  needsKernel: true,
  async figures() {
    const ours = await measureOurs();
    const theirs = await measureLldb();
    const whole = ours.steps.map((step) => step.whole);
    const ratio = median(theirs.map(own)) / median(ours.steps.map(own));
    process.stderr.write(
      `own time of a step: ours ${median(ours.steps.map(own)).toFixed(1)} ms, LLDB's ` +
        `${median(theirs.map(own)).toFixed(1)} ms (whole ${median(theirs.map((s) => s.whole)).toFixed(1)} ms)\n`,
    );
    const share = (100 * sum(ours.steps.map((s) => s.waited))) / sum(whole);
    return [
      { id: 'dap.step_p50_ms', value: median(whole), unit: 'ms' },
      { id: 'dap.step_p99_ms', value: percentile(whole, 0.99), unit: 'ms' },
      { id: 'dap.step_link_share_pct', value: share, unit: '%' },
      { id: 'dap.step_vs_lldb', value: ratio, unit: 'x', goal: { atLeast: 2 } },
      { id: 'dap.step_kd_requests', value: ours.stepRequests, unit: '', goal: { atMost: 12 } },
      { id: 'dap.first_stop_kd_requests', value: ours.firstStopRequests, unit: '', goal: { atMost: 100 } },
      { id: 'dap.disasm400_ms', value: ours.disassembly, unit: 'ms', goal: { atMost: 30 } },
      { id: 'dap.false_conditions_per_s', value: ours.falseConditions, unit: '1/s' },
    ] satisfies Figure[];
  },
};

async function measureOurs() {
  const { folder, remove } = temporaryFolder();
  const machine = await bootDemoKernel({});
  const relayPath = path.join(folder, 'relay');
  const relay = await MeteredRelay.start({ path: relayPath }, { path: machine.kdLink.replace(/^unix:/, '') });
  const client = new AdapterClient();
  const trace = path.join(folder, 'trace');
  try {
    const first = await client.attachAndStop(machine, { link: `unix:${relayPath}`, trace });
    await showStop(client, first.threadId!);
    const firstStopRequests = requestsIn(trace);
    await modulesSettled(client);

    await client.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'vmkdemo!VmkDemoWork' }] });
    const { threadId } = await client.stopAfter(() => client.continueRequest({ threadId: first.threadId! }));
    await client.setFunctionBreakpointsRequest({ breakpoints: [] });
    await timeSteps(client, threadId!, 2, () => 0);
    const before = requestsIn(trace);
    const stepTimes = await timeSteps(client, threadId!, steps, () => relay.take());
    const stepRequests = (requestsIn(trace) - before) / steps;
    const disassembly = await timeDisassembly(client, threadId!);
    const falseConditions = await countFalseConditions(client, machine, threadId!);
    return { steps: stepTimes, stepRequests, firstStopRequests, disassembly, falseConditions };
  } finally {
    await client.end();
    await relay.stop();
    await machine.stop();
    remove();
  }
}

/** Manipulate requests that went to the target, by the packet trace; repetitions count. */
function requestsIn(trace: string): number {
  let count = 0;
  for (const { sender, what } of traceEvents(readTraceChunks(trace))) {
    if (sender === 'debugger' && what.kind === 'packet' && what.packet.type === PacketType.StateManipulate)
      count++;
  }
  return count;
}

/** Symbols come in the background; what is measured after it must not compete with them. */
async function modulesSettled(client: AdapterClient): Promise<void> {
  await client.event<{ module: { name: string; symbolFilePath?: string } }>(
    'module',
    0,
    ({ module }) => module.name === 'vmkdemo.sys' && module.symbolFilePath !== undefined,
  );
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
  while (now < start + hits / 2) now = await counter();
  const rate = (now - start) / ((performance.now() - started) / 1000);
  await client.setFunctionBreakpointsRequest({ breakpoints: [] });
  return rate;
}

async function measureLldb(): Promise<StepTime[]> {
  const command = lldbCommand();
  const port = await freePort();
  const machine = await bootDemoKernel({
    cpus: 1,
    kaslrSeed: 'off',
    cmdline: 'nodebug',
    qemuArgs: ['-gdb', `tcp:127.0.0.1:${port}`],
  });
  const relay = await MeteredRelay.start({}, { port });
  const client = new LldbClient(command);
  try {
    const base = BigInt(
      `0x${/vmkdemo\.sys\D*?([0-9a-f]{16})/i.exec((await machine.console.command('modules')).replaceAll('`', ''))![1]!}`,
    );
    const source = openFileSource(driver);
    const { imageBase } = new PeFile(source).image;
    source.close();
    // QEMU's gdbstub greets a running machine's debugger with a stop that LLDB does not expect.
    await machine.qmp('stop');
    const threadId = await client.stopAt(driver, base, imageBase, relay.port, 'VmkDemoWork');
    await timeSteps(client, threadId, 2, () => 0);
    return await timeSteps(client, threadId, steps, () => relay.take());
  } finally {
    await client.end();
    await relay.stop();
    await machine.stop();
  }
}

/** Debian's name has the version in it. @throws if LLDB is not there */
function lldbCommand(): string {
  for (const name of [
    'lldb-vscode',
    'lldb-vscode-14',
    'lldb-dap',
    'lldb-dap-19',
    'lldb-vscode-15',
    'lldb-vscode-16',
  ]) {
    if (spawnSync('which', [name]).status === 0) return name;
  }
  throw new Error('LLDB’s debug adapter is not installed (Debian: lldb)');
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
