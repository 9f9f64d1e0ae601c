/**
 * `npm run demo`: the main job on the demo kernel, step by step: break in, look, set a breakpoint, hit it, step, watch a
 * variable, listen, clean up, let go. Everything shown is read from the running kernel; a step that does not work out
 * ends the demo with an error.
 */

import { formatAddress, plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { VmkdError, asVmkdError } from '../../src/engine/core/errors';
import { hex, hexBytes } from '../../src/engine/core/hex';
import { slotsHit } from '../../src/engine/cpu/debugRegisters';
import type { StateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { readExports, readPeImage } from '../../src/engine/symbols/peImage';
import { LiveTarget } from '../../src/engine/target/liveTarget';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import type { LoadedModule } from '../../src/engine/windows/modules';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const stopLimit = 10_000;
const steps = 5;
const driverName = 'vmkdemo.sys';

interface DemoResult {
  version: { build: number; machine: string; kernelBase: string; protocol: number };
  modules: { name: string; base: string; size: number }[];
  cpus: { processor: number; rip: string; rsp: string; cr3: string }[];
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

    const looked = await look(target, say);
    const driver = findModule(looked.loaded, driverName);
    const exported = await exportsOf(target, driver);
    await target.breakpoints.removeAll();

    const breakpointHit = await hitBreakpoint(target, addressOf(exported, driver, 'VmkDemoWork'), say);
    const stepped = await step(target, say);
    const watchpointHit = await watch(target, addressOf(exported, driver, 'VmkDemoCounter'), say);
    const debugPrints = await listen(target, machine, prints, say);

    const left = await target.breakpoints.removeAll();
    say(`removed all breakpoints (${left} were left)`);
    const resumed = await letGo(target, machine, say);
    const { version, modules, cpus, kernelHeader } = looked;
    return {
      version,
      modules,
      cpus,
      kernelHeader,
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

async function look(target: LiveTarget, say: (line: string) => void) {
  const { version, change } = target.stopped;
  say(`version: build ${version.build} ${version.machine}, kernel at ${formatAddress(version.kernelBase)}`);
  const loaded = await target.modules();
  say(`${loaded.length} modules:`);
  for (const { name, base, size } of loaded) say(`  ${formatAddress(base)} ${hex(size, 5)} ${name}`);
  const cpus = [];
  for (let processor = 0; processor < change.numberProcessors; processor++) {
    const { rip, rsp, rax, eflags } = await target.registers.context(processor);
    const { cr3 } = await target.registers.special(processor);
    say(
      `processor ${processor}: rip ${hex(rip)} rsp ${hex(rsp)} rax ${hex(rax)} eflags ${hex(eflags)} cr3 ${hex(cr3)}`,
    );
    cpus.push({ processor, rip: hex(rip), rsp: hex(rsp), cr3: hex(cr3) });
  }
  const header = await readMemory(target.memory, version.kernelBase, 64);
  say(`kernel header: ${hexBytes(header.subarray(0, 16))} …`);
  return {
    loaded,
    cpus,
    version: {
      build: version.build,
      machine: version.machine,
      kernelBase: hex(version.kernelBase),
      protocol: version.protocolVersion,
    },
    modules: loaded.map(({ name, base, size }) => ({ name, base: hex(base), size })),
    kernelHeader: Buffer.from(header).toString('hex'),
  };
}

async function hitBreakpoint(target: LiveTarget, address: VirtualAddress, say: (line: string) => void) {
  const symbol = `${driverName}!VmkDemoWork`;
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

async function step(target: LiveTarget, say: (line: string) => void): Promise<string[]> {
  const counters = [];
  for (let i = 0; i < steps; i++) {
    const { programCounter } = await target.step(stopLimit);
    say(
      `step ${i + 1}: rip ${hex(programCounter)}  ${hexBytes(target.report.instructionStream.subarray(0, 8))} …`,
    );
    counters.push(hex(programCounter));
  }
  return counters;
}

async function watch(target: LiveTarget, address: VirtualAddress, say: (line: string) => void) {
  const symbol = `${driverName}!VmkDemoCounter`;
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
    `written by the instruction before ${hex(change.programCounter)} on processor ${change.processor}: now ${after}`,
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

function findModule(modules: readonly LoadedModule[], name: string): LoadedModule {
  const module = modules.find((candidate) => candidate.name.toLowerCase() === name);
  if (!module) throw new VmkdError('internal', `${name} is not loaded`);
  return module;
}

async function exportsOf(target: LiveTarget, module: LoadedModule): Promise<ReadonlyMap<string, number>> {
  const read = (rva: number, length: number): Promise<Uint8Array> =>
    readMemory(target.memory, plus(module.base, rva), length);
  return readExports(read, await readPeImage(read));
}

function addressOf(
  exported: ReadonlyMap<string, number>,
  module: LoadedModule,
  name: string,
): VirtualAddress {
  const rva = exported.get(name);
  if (rva === undefined) throw new VmkdError('internal', `${module.name} does not export ${name}`);
  return plus(module.base, rva);
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
