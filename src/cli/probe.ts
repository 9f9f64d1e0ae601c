/** `vmkd probe LINK`: who answers on a link, or where the connection failed. The guest runs on afterwards. */

import { formatAddress, type VirtualAddress } from '../engine/core/addresses';
import { systemClock } from '../engine/core/clock';
import { VmkdError } from '../engine/core/errors';
import { hex, hexBytes } from '../engine/core/hex';
import type { ContextX64, SpecialRegistersX64 } from '../engine/cpu/contextX64';
import type { ContextX86 } from '../engine/cpu/contextX86';
import type { TargetVersion } from '../engine/kd/manipulate/version';
import { describeStateChange } from '../engine/kd/stateChange';
import { createEndpoint } from '../engine/link/endpoint';
import type { LinkEndpoint } from '../engine/link/link';
import { TraceWriter } from '../engine/link/trace';
import { LiveTarget } from '../engine/target/liveTarget';
import { readLoadedModules, type LoadedModule } from '../engine/windows/modules';
import { parseCommandLine, parseSeconds, untilInterrupted, type Command } from './command';
import { toJson } from './json';
import { bestMemory, byKd, type MemoryWay, type ProbedMemory } from './probeMemory';
import { stacksOf, type StackOptions, type StackReport } from './probeStacks';
import type { Terminal } from './terminal';

const headerBytes = 64;

/** x86 kernels keep their special registers elsewhere; those are not read yet. */
type ProcessorReport =
  | { readonly machine: 'x64'; readonly context: ContextX64; readonly special: SpecialRegistersX64 }
  | { readonly machine: 'x86'; readonly context: ContextX86 };

interface ProbeReport {
  readonly link: string;
  readonly stop: string;
  readonly version: TargetVersion;
  readonly processors: readonly ProcessorReport[];
  readonly modules: readonly LoadedModule[];
  readonly kernelHeader: Uint8Array;
  readonly memory: MemoryWay;
  /** If asked for. */
  readonly stack?: StackReport;
}

export const probe: Command = {
  name: 'probe',
  usage:
    'probe LINK [--stacks] [--json] [--trace FILE] [--timeout SECONDS] [--wait SECONDS] [--leave-stopped]',
  summary: 'Breaks into a kernel, says who it is, and lets it run on.',
  details: `  LINK               unix:/path, tcp:host:port, pipe:name; with -listen after the kind, vmkd waits to be connected
  --stacks           the call stack of each processor (x64), with symbols of the modules on it
  --symbol-path PATH where their PDBs are looked for, as WinDbg takes it; default: _NT_SYMBOL_PATH
  --download         lets symbol servers be asked for them; the guest waits meanwhile
  --json             the same as one JSON object
  --trace FILE       records every packet; “vmkd trace FILE” prints them; memory is read by KD then
  --timeout SECONDS  how long the guest may take to answer (10)
  --wait SECONDS     how long the link may take to appear (0)
  --leave-stopped    does not let the guest run on

  Memory is read in the machine's RAM, if that can be seen from here and proves to be the kernel's.
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, {
      json: { type: 'boolean', default: false },
      stacks: { type: 'boolean', default: false },
      'symbol-path': { type: 'string' },
      download: { type: 'boolean', default: false },
      trace: { type: 'string' },
      timeout: { type: 'string', default: '10' },
      wait: { type: 'string' },
      'leave-stopped': { type: 'boolean', default: false },
    });
    const [link] = positionals;
    if (link === undefined || positionals.length > 1)
      throw new VmkdError('usage', 'vmkd probe wants one link');
    const milliseconds = parseSeconds(values.timeout, 'timeout');
    const linkMilliseconds = values.wait === undefined ? 0 : parseSeconds(values.wait, 'wait');
    const stacks = values.stacks && { symbolPath: values['symbol-path'], download: values.download };
    const options = { milliseconds, linkMilliseconds, leaveStopped: values['leave-stopped'], stacks };
    const endpoint = createEndpoint(link);
    const report = await untilInterrupted((signal) =>
      withTrace(values.trace, link, terminal, (trace) =>
        probeLink(endpoint, options, terminal, trace, signal),
      ),
    );
    if (values.json) terminal.out(toJson(report));
    else terminal.rows(formatReport(report));
  },
};

/**
 * The link is understood first, then the trace opened: a mistyped link must not cost an old trace, nor a place that cannot
 * be written a session.
 */
async function withTrace<T>(
  path: string | undefined,
  link: string,
  terminal: Terminal,
  action: (trace: TraceWriter | undefined) => Promise<T>,
): Promise<T> {
  if (path === undefined) return action(undefined);
  const trace = new TraceWriter(path, link, systemClock, (error) =>
    terminal.error(`vmkd: ${error.message} [${error.code}]\n`),
  );
  try {
    return await action(trace);
  } finally {
    trace.close();
  }
}

interface ProbeOptions {
  readonly milliseconds: number;
  readonly linkMilliseconds: number;
  readonly leaveStopped: boolean;
  /** False: not wanted. */
  readonly stacks: StackOptions | false;
}

async function probeLink(
  endpoint: LinkEndpoint,
  options: ProbeOptions,
  terminal: Terminal,
  trace: TraceWriter | undefined,
  signal: AbortSignal,
): Promise<ProbeReport> {
  const { milliseconds, linkMilliseconds, leaveStopped } = options;
  const target = new LiveTarget({ endpoint, linkMilliseconds, ...(trace && { trace }) });
  let failure: unknown;
  try {
    await target.attach({ breakIn: true, milliseconds, signal });
    const probed = trace ? byKd(target) : await bestMemory(target, endpoint.spec);
    try {
      const report = await examine(target, probed, endpoint.spec, signal);
      if (options.stacks === false) return report;
      if (report.version.machine !== 'x64') {
        terminal.error('vmkd: stacks of x86 kernels are not shown yet\n');
        return report;
      }
      const { modules } = report;
      const stack = await stacksOf(target, probed.memory, modules, options.stacks, terminal, signal);
      return { ...report, stack };
    } finally {
      probed.close();
    }
  } catch (thrown) {
    failure = thrown;
    throw thrown;
  } finally {
    // What we stopped must not stay stopped because a later step failed; the first failure is the one to tell.
    const released = leaveStopped ? Promise.resolve() : target.release();
    await (failure === undefined ? released : released.catch(() => undefined));
    target.detach();
    await endpoint.dispose();
  }
}

async function examine(
  target: LiveTarget,
  { memory, way, why }: ProbedMemory,
  link: string,
  signal: AbortSignal,
): Promise<ProbeReport> {
  const { change, version } = target.stopped;
  const processors: ProcessorReport[] = [];
  for (let processor = 0; processor < change.numberProcessors; processor++) {
    if (signal.aborted) throw new VmkdError('cancelled', 'The probe was cancelled');
    processors.push(
      version.machine === 'x64'
        ? {
            machine: 'x64',
            context: await target.registers.context(processor),
            special: await target.registers.special(processor),
          }
        : { machine: 'x86', context: await target.registers.contextX86(processor) },
    );
  }
  const modules = await readLoadedModules(
    memory,
    version.loadedModuleList,
    version.machine === 'x64' ? 8 : 4,
  );
  const kernelHeader = await memory.readPartial(version.kernelBase, headerBytes);
  const stop = describeStateChange(change);
  return { link, stop, version, processors, modules, kernelHeader, memory: { way, why } };
}

function formatReport(report: ProbeReport): string[] {
  const { version } = report;
  const kind = version.checkedBuild ? 'checked' : 'free';
  return [
    `${report.link}: a Windows kernel answers`,
    `  build ${version.build} ${version.machine} ${kind}, KD protocol ${version.protocolVersion}, flags ${hex(version.flags)}`,
    `  kernel base ${formatAddress(version.kernelBase)}   module list ${formatAddress(version.loadedModuleList)}`,
    `  stopped by ${report.stop}`,
    `  memory read ${describeWay(report.memory)}`,
    ...report.processors.flatMap((one, i) => [
      ...formatProcessor(one, i),
      ...(report.stack?.stacks[i] ?? []).map((line) => `      ${line}`),
    ]),
    ...(report.stack?.symbols ?? []).map((line) => `  symbols of ${line}`),
    `  ${report.modules.length} modules`,
    ...report.modules.map(
      ({ name, base, size, path }) =>
        `    ${formatAddress(base)} ${hex(size, 6).padStart(10)}  ${name.padEnd(16)} ${path}`,
    ),
    '  memory at the kernel base',
    ...formatDump(version.kernelBase, report.kernelHeader),
  ];
}

const describeWay = ({ way, why }: MemoryWay): string =>
  way !== undefined ? `in ${way}` : why === undefined ? 'by KD' : `by KD: ${why.message}`;

const shownRegisters = {
  x64: [
    ['rip', 'rsp', 'rbp', 'eflags'],
    ['rax', 'rbx', 'rcx', 'rdx'],
    ['rsi', 'rdi', 'r8', 'r9'],
    ['r10', 'r11', 'r12', 'r13'],
    ['r14', 'r15'],
  ],
  x86: [
    ['eip', 'esp', 'ebp', 'eflags'],
    ['eax', 'ebx', 'ecx', 'edx'],
    ['esi', 'edi'],
  ],
} as const;

function formatProcessor(report: ProcessorReport, processor: number): string[] {
  const values = report.context as unknown as Record<string, bigint | number>;
  const digits = report.machine === 'x64' ? 16 : 8;
  const rows = shownRegisters[report.machine].map((names) => {
    const cells = names.map(
      (name) => `${name.padEnd(6)} ${(values[name] ?? 0).toString(16).padStart(digits, '0')}`,
    );
    return `    ${cells.join('  ')}`;
  });
  return [
    `  processor ${processor}`,
    ...rows,
    ...('special' in report ? [formatControl(report.special)] : []),
  ];
}

const formatControl = ({ cr0, cr2, cr3, cr4 }: SpecialRegistersX64): string =>
  `    cr0 ${hex(cr0)}  cr2 ${hex(cr2)}  cr3 ${hex(cr3)}  cr4 ${hex(cr4)}`;

function formatDump(base: VirtualAddress, bytes: Uint8Array): string[] {
  const rows = [];
  for (let at = 0; at < bytes.length; at += 16) {
    rows.push(`    ${formatAddress(base + BigInt(at))}  ${hexBytes(bytes.subarray(at, at + 16))}`);
  }
  return rows.length > 0 ? rows : ['    (not readable)'];
}
