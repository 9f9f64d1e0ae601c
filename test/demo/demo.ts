/**
 * `npm run demo`: the main job on the demo kernel, step by step: break in, load symbols, look, set a breakpoint, hit it,
 * step, watch a variable, listen, clean up, let go. Everything shown is read from the running kernel, names, lines and
 * layouts from its PDBs; a step that does not work out ends the demo with an error.
 */

import { formatAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { VmkdError, asVmkdError } from '../../src/engine/core/errors';
import { hex, hexBytes } from '../../src/engine/core/hex';
import { slotsHit } from '../../src/engine/cpu/debugRegisters';
import { registersOf } from '../../src/engine/cpu/unwindX64';
import type { StateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { checkSymbolFile } from '../../src/engine/symbols/store/fileCheck';
import { httpGet } from '../../src/engine/symbols/store/http';
import { parseSymbolPath } from '../../src/engine/symbols/store/symbolPath';
import { SymbolStore } from '../../src/engine/symbols/store/symbolStore';
import { callStack, frameText } from '../../src/engine/target/callStack';
import { LiveTarget } from '../../src/engine/target/liveTarget';
import { unwindSourceOf } from '../../src/engine/target/unwindSource';
import { KernelSymbols } from '../../src/engine/windows/kernelSymbols';
import { loadSymbols } from '../../src/engine/windows/loadSymbols';
import { describeSymbolState } from '../../src/engine/windows/moduleSymbols';
import { readProcesses } from '../../src/engine/windows/processes';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const stopLimit = 10_000;
const steps = 5;
const mostFrames = 32;
/** Where the build of the demo kernel leaves its PDBs. */
const symbolPath = 'build/kernel/images';

interface DemoResult {
  version: { build: number; machine: string; kernelBase: string; protocol: number };
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
  say('booting the demo kernel in QEMU');
  const started = performance.now();
  const machine = await bootDemoKernel({});
  try {
    const millisToBoot = Math.round(performance.now() - started);
    say(`  up after ${millisToBoot} ms, process ${machine.pid}, KD on ${machine.kdLink}`);
    return { ...(await debug(machine, say)), millisToBoot };
  } finally {
    await machine.stop();
    say('the virtual machine has ended');
  }
}

async function debug(
  machine: DemoMachine,
  say: (line: string) => void,
): Promise<Omit<DemoResult, 'millisToBoot'>> {
  const prints: string[] = [];
  const endpoint = createEndpoint(machine.kdLink);
  const target = new LiveTarget({
    endpoint,
    linkMilliseconds: 10_000,
    observer: { onPrint: ({ text }) => prints.push(text.trimEnd()) },
  });
  try {
    const started = performance.now();
    const first = await target.attach({ breakIn: true, milliseconds: stopLimit });
    const millisToFirstBreak = Math.round(performance.now() - started);
    say(`broke in after ${millisToFirstBreak} ms: ${describe(first)}`);

    const symbols = await load(target, say);
    const looked = await look(target, symbols, say);
    await target.breakpoints.removeAll();

    const breakpointHit = await hitBreakpoint(target, symbols, 'vmkdemo!VmkDemoWork', say);
    const stepped = await step(target, symbols, say);
    const watchpointHit = await watch(target, symbols, 'vmkdemo!VmkDemoCounter', say);
    const debugPrints = await listen(target, machine, prints, say);

    const left = await target.breakpoints.removeAll();
    say(`removed all breakpoints (${left} were left)`);
    const resumed = await letGo(target, machine, say);
    symbols.forget();
    return {
      ...looked,
      breakpointHit,
      steps: stepped,
      watchpointHit,
      debugPrints,
      resumed,
      millisToFirstBreak,
    };
  } finally {
    // Harmless after the demo has let the kernel go; after a failure it must not stay stopped.
    await target.release();
    await endpoint.dispose();
  }
}

/** The PDBs of the modules, from the folder of the build: each is asked for by what the image in memory says of itself. */
async function load(target: LiveTarget, say: (line: string) => void): Promise<KernelSymbols> {
  const store = new SymbolStore({
    path: parseSymbolPath(symbolPath, 'build/cache/symbols'),
    defaultCache: 'build/cache/symbols',
    check: checkSymbolFile,
    get: httpGet(process.env),
  });
  const symbols = new KernelSymbols({ memory: target.memory, store });
  symbols.update(await target.modules());
  const started = performance.now();
  await loadSymbols(symbols.modules, { online: false });
  say(`symbols of ${symbols.modules.length} modules in ${Math.round(performance.now() - started)} ms`);
  return symbols;
}

async function look(target: LiveTarget, symbols: KernelSymbols, say: (line: string) => void) {
  const { version } = target.stopped;
  say(`version: build ${version.build} ${version.machine}, kernel at ${formatAddress(version.kernelBase)}`);
  const modules = symbols.modules.map(({ module: { name, base, size }, state }) => {
    say(`  ${formatAddress(base)} ${hex(size, 5)} ${name.padEnd(12)} ${describeSymbolState(state)}`);
    return { name, base: hex(base), size, symbols: describeSymbolState(state) };
  });
  const cpus = await lookAtProcessors(target, symbols, say);
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
    processes: await lookAtProcesses(target, symbols, say),
    kernelHeader: Buffer.from(header).toString('hex'),
  };
}

async function lookAtProcessors(target: LiveTarget, symbols: KernelSymbols, say: (line: string) => void) {
  const cpus = [];
  for (let processor = 0; processor < target.stopped.change.numberProcessors; processor++) {
    const context = await target.registers.context(processor);
    const { rip, rsp, rax, eflags } = context;
    const { cr3 } = await target.registers.special(processor);
    say(
      `processor ${processor}: rip ${hex(rip)} rsp ${hex(rsp)} rax ${hex(rax)} eflags ${hex(eflags)} cr3 ${hex(cr3)}`,
    );
    const source = unwindSourceOf(target.memory, symbols);
    const { frames, end } = await callStack(source, symbols, registersOf(context), mostFrames);
    if (end.kind === 'failed') throw end.error;
    const stack = frames.map(frameText);
    for (const line of stack) say(`  ${line}`);
    cpus.push({ processor, rip: hex(rip), rsp: hex(rsp), cr3: hex(cr3), stack });
  }
  return cpus;
}

async function lookAtProcesses(target: LiveTarget, symbols: KernelSymbols, say: (line: string) => void) {
  const processes = [];
  for (const { eprocess, id, name, directoryTableBase } of await readProcesses(target.memory, symbols)) {
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

async function hitBreakpoint(
  target: LiveTarget,
  symbols: KernelSymbols,
  symbol: string,
  say: (line: string) => void,
) {
  const address = addressOf(symbols, symbol);
  await target.breakpoints.set(address);
  say(`breakpoint at ${symbol} ${formatAddress(address)}; continuing`);
  await target.resume();
  const change = await target.nextStop(stopLimit);
  if (change.programCounter !== address) {
    throw new VmkdError(
      'internal',
      `Stopped at ${formatAddress(change.programCounter)}, not at the breakpoint`,
    );
  }
  say(`hit: ${describe(change)}`);
  return { symbol, address: hex(address), processor: change.processor };
}

async function step(
  target: LiveTarget,
  symbols: KernelSymbols,
  say: (line: string) => void,
): Promise<string[]> {
  const counters = [];
  for (let i = 0; i < steps; i++) {
    const { programCounter } = await target.step(stopLimit);
    const [line] = symbols.framesAt(programCounter);
    const where = line?.source && `${line.source.path.replace(/^.*[\\/]/, '')}:${line.source.line}`;
    const bytes = hexBytes(target.report.instructionStream.subarray(0, 8));
    say(
      `step ${i + 1}: ${symbols.nameOf(programCounter) ?? hex(programCounter)} [${where ?? '?'}]  ${bytes} …`,
    );
    counters.push(hex(programCounter));
  }
  return counters;
}

async function watch(
  target: LiveTarget,
  symbols: KernelSymbols,
  symbol: string,
  say: (line: string) => void,
) {
  const address = addressOf(symbols, symbol);
  const processors = target.stopped.change.numberProcessors;
  const value = async (): Promise<string> => hexBytes(await readMemory(target.memory, address, 4));
  const before = await value();
  await target.breakpoints.watch(0, address, 'write', 4, processors);
  say(`hardware write watchpoint on ${symbol} (now ${before}); continuing`);
  await target.resume();
  const change = await target.nextStop(stopLimit);
  if (!slotsHit(target.report.dr6).includes(0)) {
    throw new VmkdError('internal', `Stopped by ${describe(change)}, not by the watchpoint`);
  }
  const after = await value();
  say(
    `written by the instruction before ${symbols.nameOf(change.programCounter) ?? '?'} on processor ${change.processor}: now ${after}`,
  );
  await target.breakpoints.unwatch(0, processors);
  return { symbol, address: hex(address), rip: hex(change.programCounter), before, after };
}

async function listen(
  target: LiveTarget,
  machine: DemoMachine,
  prints: string[],
  say: (line: string) => void,
) {
  const before = prints.length;
  await target.resume();
  // The answer comes when the last line has been printed, and a print is done when the debugger has it.
  await machine.console.command('print 3');
  const heard = prints.slice(before);
  if (heard.length < 3)
    throw new VmkdError('internal', `${heard.length} lines of DbgPrint came; 3 were printed`);
  for (const line of heard) say(`DbgPrint: ${line}`);
  await target.breakIn(stopLimit);
  return heard;
}

async function letGo(target: LiveTarget, machine: DemoMachine, say: (line: string) => void) {
  await target.release();
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

function addressOf(symbols: KernelSymbols, symbol: string): VirtualAddress {
  const [found] = symbols.search(symbol, 1);
  if (!found) throw new VmkdError('symbols-not-found', `There is no ${symbol}`);
  return found.address;
}

function describe(change: StateChange | undefined): string {
  if (change?.kind !== 'exception') return change?.kind ?? 'nothing';
  return `exception ${hex(change.code)} on processor ${change.processor} at ${formatAddress(change.programCounter)}`;
}

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
