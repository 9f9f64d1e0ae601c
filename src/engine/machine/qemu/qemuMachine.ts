/**
 * QEMU's machines: processes whose program is a qemu-system for x86 (Linux hosts). What the command line does not say, their
 * monitor does: state, ports that the system chose, how memory lies. A monitor takes one client at a time; if somebody has
 * it, the rules that QEMU follows must do.
 */

import { stat } from 'node:fs/promises';
import { VmkdError, asVmkdError } from '../../core/errors';
import type { PowerState } from '../control';
import type { Host } from '../host';
import type { Machine, MachineLink } from '../machine';
import { linuxProcesses, type HostProcess } from '../processes';
import type { PhysicalLayout } from '../ram/layout';
import type { RamLocation } from '../ram/location';
import { qemuLink, type QemuSerial } from './characterDevices';
import { parseQemuCommandLine, type QemuCommandLine } from './commandLine';
import { expectedLayout, layoutFromMemoryTree } from './layout';
import { connectQmp, formatQmpAddress, isRecord, type Qmp } from './qmp';
import { QmpControl } from './qmpControl';

/** Milliseconds for a monitor to greet us while machines are looked for. */
const lookLimit = 1000;

const isQemu = (program: string): boolean =>
  /^(?:qemu-system-(?:x86_64|i386)|qemu-kvm|kvm)(?:[.-].*)?$/.test(program);

export async function findQemuMachines(host: Host): Promise<Machine[]> {
  if (host.platform !== 'linux') return [];
  const processes = await linuxProcesses(host, isQemu);
  return Promise.all(processes.map(describe));
}

/** What the monitor adds to the command line. */
interface Told {
  readonly state: PowerState;
  readonly serials: readonly QemuSerial[];
  readonly layout: PhysicalLayout | undefined;
  readonly problems: readonly VmkdError[];
}

async function describe(process: HostProcess): Promise<Machine> {
  const commandLine = parseQemuCommandLine(process.args.slice(1), process.folder);
  const told = await askMonitor(commandLine);
  const links: MachineLink[] = [];
  const problems = [...told.problems];
  for (const [index, serial] of told.serials.entries()) {
    try {
      links.push({ port: index + 1, link: qemuLink(serial) });
    } catch {
      // Reported below if no port is any better.
    }
  }
  const noLink = links.length > 0 ? undefined : whyNoLink(told.serials);
  if (noLink) problems.push(noLink);
  const ram = await ramOf(commandLine, told.layout);
  if (ram.kind === 'none') problems.push(ram.reason);
  return {
    name: commandLine.name ?? commandLine.image ?? `QEMU ${commandLine.machineType ?? 'pc'}`,
    where: whereOf(process, commandLine, links),
    state: told.state,
    facts: { kind: 'qemu', commandLine, layout: told.layout },
    links,
    problems,
    pid: process.pid,
    kdLink() {
      if (noLink) throw noLink;
      return links[0]!.link;
    },
    ramLocation: () => ram,
    openControl: async () => {
      const [address] = commandLine.monitors;
      if (address === undefined) throw noMonitor(commandLine);
      return new QmpControl(await connectQmp(address));
    },
  };
}

function whereOf({ pid }: HostProcess, { monitors }: QemuCommandLine, links: readonly MachineLink[]): string {
  const [monitor] = monitors;
  return links[0]?.link ?? (monitor && formatQmpAddress(monitor)) ?? `process ${pid}`;
}

function whyNoLink(serials: readonly QemuSerial[]): VmkdError {
  const [first] = serials;
  if (first === undefined) {
    return new VmkdError('machine-no-serial', 'The machine has no serial port that is a socket.', {
      nextStep: 'Start QEMU with -serial unix:/PATH,server=on,wait=off.',
    });
  }
  try {
    qemuLink(first);
  } catch (thrown) {
    return asVmkdError(thrown);
  }
  throw new VmkdError('internal', 'A port has a link and has none');
}

const noMonitor = ({ otherMonitors }: QemuCommandLine): VmkdError =>
  new VmkdError(
    'machine-no-control',
    otherMonitors
      ? 'The machine has a QMP monitor, but none that others can connect to.'
      : 'The machine has no QMP monitor.',
    { nextStep: 'Start QEMU with -qmp unix:/PATH,server=on,wait=off.' },
  );

// --- the monitor

async function askMonitor(commandLine: QemuCommandLine): Promise<Told> {
  const { monitors, serials } = commandLine;
  const [address] = monitors;
  const byRule = { serials, layout: expectedLayout(commandLine) };
  if (address === undefined) return { ...byRule, state: 'running', problems: [noMonitor(commandLine)] };
  let qmp: Qmp | undefined;
  try {
    qmp = await connectQmp(address, { milliseconds: lookLimit });
    const state = await new QmpControl(qmp).power();
    const bound = await boundPorts(qmp, serials);
    // What is not in one file nobody maps: that the rule may be wrong does not matter then.
    if (commandLine.memory.kind === 'private') return { ...byRule, state, serials: bound, problems: [] };
    const told = await layoutOf(qmp, commandLine.memory.id, commandLine.memoryBytes).catch(asVmkdError);
    const isTold = !(told instanceof VmkdError);
    return { state, serials: bound, layout: isTold ? told : undefined, problems: isTold ? [] : [told] };
  } catch (thrown) {
    return { ...byRule, state: 'running', problems: [asVmkdError(thrown)] };
  } finally {
    qmp?.close();
  }
}

/** `disconnected:tcp:127.0.0.1:41234,server=on` is what QEMU calls a listener. */
async function boundPorts(qmp: Qmp, serials: readonly QemuSerial[]): Promise<readonly QemuSerial[]> {
  if (!serials.some((serial) => serial.kind === 'tcp' && serial.port === 0)) return serials;
  const devices = await qmp.execute('query-chardev');
  const names = new Map<unknown, unknown>();
  for (const device of Array.isArray(devices) ? (devices as unknown[]) : [])
    if (isRecord(device)) names.set(device['label'], device['filename']);
  return serials.map((serial, index) => {
    if (serial.kind !== 'tcp' || serial.port !== 0) return serial;
    const name = names.get(serial.id ?? `serial${index}`);
    const port = /tcp:[^,]*:(\d{1,5})[,<]/.exec(typeof name === 'string' ? `${name},` : '')?.[1];
    return port === undefined ? serial : { ...serial, port: Number(port) };
  });
}

const layoutOf = async (qmp: Qmp, region: string, bytes: number): Promise<PhysicalLayout> =>
  layoutFromMemoryTree(await qmp.human('info mtree -f'), region, bytes);

// --- memory

async function ramOf({ memory }: QemuCommandLine, layout: PhysicalLayout | undefined): Promise<RamLocation> {
  const none = (why: string, nextStep?: string): RamLocation => ({
    kind: 'none',
    reason: new VmkdError(
      'machine-ram-unreachable',
      `The machine’s memory cannot be seen: ${why}.`,
      nextStep === undefined ? {} : { nextStep },
    ),
  });
  if (memory.kind === 'private') {
    return none(
      memory.why,
      'Start QEMU with -object memory-backend-file,id=ram,size=SIZE,mem-path=/dev/shm/NAME,share=on -machine …,memory-backend=ram.',
    );
  }
  if (layout === undefined) return none('how it lies in its file is not known');
  const file = await stat(memory.path).catch(() => undefined);
  if (file?.isFile() !== true) return none(`there is no file ${memory.path}`);
  if (file.size < layout.totalBytes) return none(`${memory.path} is smaller than the machine’s memory`);
  return { kind: 'file', path: memory.path, layout };
}
