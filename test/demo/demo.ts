/**
 * `npm run demo`: the main job on the demo kernel, step by step: find the machine, break in, load symbols, look, set a
 * breakpoint, hit it, step, watch a variable, listen, clean up, let go; by the best way that there is (`transport: auto`), with
 * its speed beside the debug port's. Everything shown is read from the running kernel, names, lines and layouts from its PDBs; a
 * step that does not work out ends the demo with an error.
 */

import { formatAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { VmkdError, asVmkdError } from '../../src/engine/core/errors';
import { hex, hexBytes } from '../../src/engine/core/hex';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { machinesWith } from '../../src/engine/machine/find';
import { readMemory, readPointer } from '../../src/engine/memory/virtualMemory';
import { checkSymbolFile } from '../../src/engine/symbols/store/fileCheck';
import { httpGet } from '../../src/engine/symbols/store/http';
import { parseSymbolPath } from '../../src/engine/symbols/store/symbolPath';
import { SymbolStore } from '../../src/engine/symbols/store/symbolStore';
import { frameText } from '../../src/engine/target/callStack';
import { attachKernel, type KernelTarget } from '../../src/engine/target/kernelTarget';
import type { Stop } from '../../src/engine/target/target';
import { loadSymbols } from '../../src/engine/windows/loadSymbols';
import { describeSymbolState } from '../../src/engine/windows/moduleSymbols';
import { readProcesses } from '../../src/engine/windows/processes';
import { nextStop } from '../fixtures/debugging';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import { rateText, serialSpeeds, settled, speedsOf, type Speeds } from './speeds';

const stopLimit = 10_000;
/** Milliseconds for the guest module's mailbox to be found and tried. */
const mailboxLimit = 5000;
const steps = 5;
const mostFrames = 32;
const memoryMiB = 128;
/** Of guest RAM, read at once. */
const bulkBytes = 64 << 20;
/** Where the build of the demo kernel leaves its PDBs. */
const symbolPath = 'build/kernel/images';

interface DemoResult {
  version: { build: number; machine: string; kernelBase: string; protocol: number };
  /** The way that carried the session, and the debug port beside it. */
  transport: {
    tier: string;
    memory: string | undefined;
    why: string | undefined;
    speeds: Speeds;
    serial: Speeds;
  };
  modules: { name: string; base: string; size: number; symbols: string }[];
  cpus: { processor: number; rip: string; rsp: string; cr3: string; stack: string[] }[];
  /** Read with the layout that the kernel's own PDB has for _EPROCESS. */
  processes: { eprocess: string; id: number; name: string; directoryTableBase: string }[];
  kernelHeader: string;
  breakpointHit: { symbol: string; address: string; processor: number };
  steps: string[];
  watchpointHit: { symbol: string; address: string; rip: string; before: string; after: string };
  debugPrints: string[];
  resumed: { ticksBefore: number; ticksAfter: number };
  /** From the start of QEMU until the kernel serves its console. */
  millisToBoot: number;
  /** From connecting until the kernel has stopped. */
  millisToFirstBreak: number;
}

async function demo(say: (line: string) => void): Promise<DemoResult> {
  say('booting the demo kernel in QEMU, with vmkd.sys in it');
  const started = performance.now();
  const machine = await bootDemoKernel({ memoryMiB, guestModule: 'boot' });
  try {
    const millisToBoot = Math.round(performance.now() - started);
    say(`  up after ${millisToBoot} ms, process ${machine.pid}, KD on ${machine.kdLink}`);
    const serial = await serialSpeeds(machine.kdLink, stopLimit);
    return { ...(await debug(machine, serial, say)), millisToBoot };
  } finally {
    await machine.stop();
    say('the virtual machine has ended');
  }
}

async function debug(
  machine: DemoMachine,
  serial: Speeds,
  say: (line: string) => void,
): Promise<Omit<DemoResult, 'millisToBoot'>> {
  const prints: string[] = [];
  // As a session that was given nothing but the link finds the rest.
  const [found] = await machinesWith(machine.kdLink);
  if (found === undefined) throw new VmkdError('internal', `No machine has ${machine.kdLink}`);
  const endpoint = createEndpoint(machine.kdLink);
  const started = performance.now();
  try {
    const target = await attachKernel({
      endpoint,
      linkMilliseconds: stopLimit,
      milliseconds: stopLimit,
      breakIn: true,
      store: symbolStore(),
      guestRam: found.ramLocation(),
      transport: 'mailbox',
      observer: { onPrint: ({ text }) => prints.push(text.trimEnd()) },
    });
    try {
      const millisToFirstBreak = Math.round(performance.now() - started);
      say(`broke in after ${millisToFirstBreak} ms: ${describe(target, await nextStop(target, () => true))}`);
      await load(target, say);
      const transport = await compare(target, serial, say);
      const looked = await look(target, say);
      const breakpointHit = await hitBreakpoint(target, 'vmkdemo!VmkDemoWork', say);
      const stepped = await step(target, breakpointHit.processor, say);
      const watchpointHit = await watch(target, 'vmkdemo!VmkDemoCounter', say);
      const debugPrints = await listen(target, machine, prints, say);
      const resumed = await letGo(target, machine, say);
      return {
        ...{ ...looked, transport, breakpointHit, steps: stepped, watchpointHit, debugPrints },
        ...{ resumed, millisToFirstBreak },
      };
    } finally {
      // Harmless after the demo has let the kernel go; after a failure it must not stay stopped.
      await target.execution.release();
    }
  } finally {
    await endpoint.dispose();
  }
}

const symbolStore = (): SymbolStore =>
  new SymbolStore({
    path: parseSymbolPath(symbolPath, 'build/cache/symbols'),
    defaultCache: 'build/cache/symbols',
    check: checkSymbolFile,
    get: httpGet(process.env),
  });

/** The PDBs of the modules, from the folder of the build: each is asked for by what the image in memory says of itself. */
async function load({ symbols }: KernelTarget, say: (line: string) => void): Promise<void> {
  const started = performance.now();
  await loadSymbols(symbols.modules, { online: false });
  say(`symbols of ${symbols.modules.length} modules in ${Math.round(performance.now() - started)} ms`);
}

async function compare(
  target: KernelTarget,
  serial: Speeds,
  say: (line: string) => void,
): Promise<DemoResult['transport']> {
  const { tier, memory, why } = await settled(target.transport, mailboxLimit);
  say(`transport: ${tier}${memory === undefined ? '' : `, memory in the ${memory}`}`);
  if (why) say(`  why not better: ${why.message}. ${why.nextStep}`);
  const start = await readPointer(target.memory, addressOf(target, 'nt!MmPhysicalWindow'), 8);
  const speeds = await speedsOf(target.live, target.memory, start, bulkBytes);
  const faster = (ours: number, theirs: number): string => Math.round(ours / theirs).toLocaleString('en');
  say(
    `  reads memory at ${rateText(speeds.bytesPerSecond)}, the debug port at ${rateText(serial.bytesPerSecond)}: ` +
      `${faster(speeds.bytesPerSecond, serial.bytesPerSecond)} times as fast`,
  );
  say(
    `  KD answers in ${speeds.microsToAnswer.toFixed(0)} µs, over the debug port in ${serial.microsToAnswer.toFixed(0)} µs: ` +
      `${faster(serial.microsToAnswer, speeds.microsToAnswer)} times as fast`,
  );
  return { tier, memory, why: why?.message, speeds, serial };
}

async function look(target: KernelTarget, say: (line: string) => void) {
  const { version } = target.live.stopped;
  say(`version: build ${version.build} ${version.machine}, kernel at ${formatAddress(version.kernelBase)}`);
  const modules = target.symbols.modules.map(({ module: { name, base, size }, state }) => {
    say(`  ${formatAddress(base)} ${hex(size, 5)} ${name.padEnd(12)} ${describeSymbolState(state)}`);
    return { name, base: hex(base), size, symbols: describeSymbolState(state) };
  });
  const cpus = await lookAtProcessors(target, say);
  const header = await readMemory(target.memory, version.kernelBase, 64);
  say(`kernel header: ${hexBytes(header.subarray(0, 16))} …`);
  return {
    version: {
      build: version.build,
      machine: version.machine,
      kernelBase: hex(version.kernelBase),
      protocol: version.protocolVersion,
    },
    modules,
    cpus,
    processes: await lookAtProcesses(target, say),
    kernelHeader: Buffer.from(header).toString('hex'),
  };
}

async function lookAtProcessors({ processors }: KernelTarget, say: (line: string) => void) {
  const cpus = [];
  for (const processor of processors) {
    const { rip, rsp, rax, eflags } = await processor.general();
    const { cr3 } = await processor.special();
    say(
      `processor ${processor.number}: rip ${hex(rip)} rsp ${hex(rsp)} rax ${hex(rax)} eflags ${hex(eflags)} cr3 ${hex(cr3)}`,
    );
    const { frames, end } = await processor.stack(mostFrames);
    if (end.kind === 'failed') throw end.error;
    const stack = frames.map(frameText);
    for (const line of stack) say(`  ${line}`);
    cpus.push({ processor: processor.number, rip: hex(rip), rsp: hex(rsp), cr3: hex(cr3), stack });
  }
  return cpus;
}

async function lookAtProcesses({ memory, symbols }: KernelTarget, say: (line: string) => void) {
  const processes = [];
  for (const { eprocess, id, name, directoryTableBase } of await readProcesses(memory, symbols)) {
    const path = `${formatAddress(eprocess.address)} UniqueProcessId ${id} ImageFileName ${name}`;
    say(`_EPROCESS ${path} Pcb.DirectoryTableBase ${hex(directoryTableBase)}`);
    processes.push({
      eprocess: hex(eprocess.address),
      id: Number(id),
      name,
      directoryTableBase: hex(directoryTableBase),
    });
  }
  return processes;
}

async function hitBreakpoint(target: KernelTarget, symbol: string, say: (line: string) => void) {
  const breakpoint = await target.breakpoints.add({ place: { kind: 'function', name: symbol } });
  say(`breakpoint at ${symbol}: ${breakpoint.status.message}; continuing`);
  await target.execution.resume();
  const stop = await nextStop(target, () => true, stopLimit);
  if (stop.reason.kind !== 'breakpoint')
    throw new VmkdError('internal', `Stopped, but not at the breakpoint: ${describe(target, stop)}`);
  say(`hit: ${describe(target, stop)}`);
  await target.breakpoints.remove(breakpoint);
  return { symbol, address: hex(stop.programCounter), processor: stop.processor };
}

async function step(target: KernelTarget, processor: number, say: (line: string) => void): Promise<string[]> {
  const counters = [];
  for (let i = 0; i < steps; i++) {
    await target.execution.step({ kind: 'into', granularity: 'line', processor });
    const { programCounter } = await nextStop(target, () => true, stopLimit);
    say(`step ${i + 1}: ${placeText(target, programCounter)}`);
    counters.push(hex(programCounter));
  }
  return counters;
}

async function watch(target: KernelTarget, symbol: string, say: (line: string) => void) {
  const address = addressOf(target, symbol);
  const value = async (): Promise<string> => hexBytes(await readMemory(target.memory, address, 4));
  const before = await value();
  const place = { kind: 'data', address, size: 4, access: 'write' } as const;
  const breakpoint = await target.breakpoints.add({ place });
  say(`data breakpoint on ${symbol} (now ${before}): ${breakpoint.status.message}; continuing`);
  await target.execution.resume();
  const stop = await nextStop(target, () => true, stopLimit);
  if (stop.reason.kind !== 'breakpoint')
    throw new VmkdError('internal', `Stopped, but not by the data breakpoint: ${describe(target, stop)}`);
  const after = await value();
  say(
    `written by the instruction before ${placeText(target, stop.programCounter)} on processor ${stop.processor}: now ${after}`,
  );
  await target.breakpoints.remove(breakpoint);
  return { symbol, address: hex(address), rip: hex(stop.programCounter), before, after };
}

async function listen(
  target: KernelTarget,
  machine: DemoMachine,
  prints: string[],
  say: (line: string) => void,
) {
  const before = prints.length;
  await target.execution.resume();
  // The answer comes when the last line has been printed, and a print is done when the debugger has it.
  await machine.console.command('print 3');
  const heard = prints.slice(before);
  if (heard.length < 3)
    throw new VmkdError('internal', `${heard.length} lines of DbgPrint came; 3 were printed`);
  for (const line of heard) say(`DbgPrint: ${line}`);
  await target.execution.pause(stopLimit);
  return heard;
}

async function letGo(target: KernelTarget, machine: DemoMachine, say: (line: string) => void) {
  await target.execution.release();
  const ticks = async (): Promise<number> => Number(/\d+/.exec(await machine.console.command('ticks'))?.[0]);
  const ticksBefore = await ticks();
  let ticksAfter = await ticks();
  for (
    const deadline = performance.now() + stopLimit;
    ticksAfter <= ticksBefore;
    ticksAfter = await ticks()
  ) {
    if (performance.now() > deadline)
      throw new VmkdError('internal', 'The guest does not run on: its tick counter stands');
  }
  say(`detached; the guest runs on: its tick counter went from ${ticksBefore} to ${ticksAfter}`);
  return { ticksBefore, ticksAfter };
}

function addressOf({ symbols }: KernelTarget, symbol: string): VirtualAddress {
  const [found] = symbols.search(symbol, 1);
  if (!found) throw new VmkdError('symbols-not-found', `There is no ${symbol}`);
  return found.address;
}

function placeText({ symbols }: KernelTarget, address: VirtualAddress): string {
  const source = symbols.framesAt(address)[0]?.source;
  const where = source ? ` [${source.path.replace(/^.*[\\/]/, '')}:${source.line}]` : '';
  return `${symbols.nameOf(address) ?? hex(address)}${where}`;
}

const describe = (target: KernelTarget, { reason, processor, programCounter }: Stop): string =>
  `${reason.kind} on processor ${processor} at ${placeText(target, programCounter)}`;

const asJson = process.argv.includes('--json');
const say = (line: string): void => void (asJson ? process.stderr : process.stdout).write(`${line}\n`);
try {
  const result = await demo(say);
  if (asJson) process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (thrown) {
  const error = asVmkdError(thrown);
  process.stderr.write(`demo: ${error.message} [${error.code}]\n  ${error.nextStep}\n`);
  process.exitCode = 1;
}
