/**
 * VMware's machines: those that Workstation, Player or Fusion list, those that run, those that vmrun names, and any .vmx by
 * its path.
 */

import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { VmkdError, asVmkdError } from '../../core/errors';
import type { Host, HostSystem } from '../host';
import type { ControlOptions, Machine, MachineLink } from '../machine';
import type { PhysicalLayout } from '../ram/layout';
import type { RamLocation } from '../ram/location';
import { vmxFacts, type VmxFacts } from '../vmx/facts';
import { readDictionary, readDictionaryIfAny } from '../vmx/readDictionary';
import type { Dictionary } from '../vmx/dictionary';
import { kdLink, linkOf } from '../vmx/serialPorts';
import { listedMachines } from './inventory';
import { defaultsFiles, inventoryFiles } from './places';
import { runningMachines, type RunningMachine } from './running';
import { findVmrun, Vmrun } from './runVmrun';
import { runningPaths } from './vmrun';
import { isSamePath, VmrunControl } from './vmrunControl';

/** Milliseconds for vmrun to list what runs. */
const listLimit = 15_000;

export interface VmwareMachines {
  readonly machines: readonly Machine[];
  /** Of the search itself. */
  readonly problems: readonly VmkdError[];
}

export async function findVmwareMachines(host: Host): Promise<VmwareMachines> {
  const { platform } = host;
  const listed: string[] = [];
  for (const file of inventoryFiles(host))
    listed.push(...listedMachines(await readDictionaryIfAny(file), platform));
  const problems: VmkdError[] = [];
  const named =
    listed.length === 0
      ? []
      : await namedByVmrun(host).catch((thrown: unknown) => {
          problems.push(asVmkdError(thrown));
          return [];
        });
  const known = await distinct([...listed, ...named], platform);
  const running = await runningMachines(host, known);
  const all = await distinct([...known, ...running.map(({ vmxPath }) => vmxPath)], platform);
  const machines: Machine[] = [];
  for (const vmxPath of all) machines.push(await describe(host, vmxPath, { running, named }));
  return { machines, problems };
}

/** The machine of one .vmx. */
export async function vmwareMachine(host: Host, vmxPath: string): Promise<Machine> {
  const running = await runningMachines(host, [vmxPath]);
  const named = running.length > 0 ? [] : await namedByVmrun(host).catch(() => []);
  return describe(host, vmxPath, { running, named });
}

async function namedByVmrun(host: Host): Promise<string[]> {
  const vmrun = new Vmrun(await findVmrun(host), undefined);
  return runningPaths(await vmrun.run(['list'], listLimit));
}

/** Paths of different files: one machine may be listed under several. */
async function distinct(files: readonly string[], platform: HostSystem): Promise<string[]> {
  const found = new Map<string, string>();
  for (const file of files) {
    const real = await realPath(file);
    const key = platform === 'win32' ? real.toLowerCase() : real;
    if (!found.has(key)) found.set(key, file);
  }
  return [...found.values()];
}

const realPath = (file: string): Promise<string> => realpath(file).catch(() => file);

// --- one machine

interface Sighted {
  readonly running: readonly RunningMachine[];
  /** By vmrun. */
  readonly named: readonly string[];
}

async function describe(host: Host, vmxPath: string, sighted: Sighted): Promise<Machine> {
  const { platform } = host;
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const real = await realPath(vmxPath);
  const isIt = (file: string): boolean =>
    isSamePath(file, vmxPath, platform) || isSamePath(file, real, platform);
  const pid = sighted.running.find((one) => isIt(one.vmxPath))?.pid;
  const isOn = pid !== undefined || sighted.named.some(isIt);

  const problems: VmkdError[] = [];
  const dictionary = await readVmx(host, vmxPath).catch((thrown: unknown) => {
    problems.push(asVmkdError(thrown));
    return undefined;
  });
  const vmx = dictionary && vmxFacts(dictionary, vmxPath, platform);
  const unreadable = problems[0] ?? (vmx?.encryption === 'full' ? encrypted(vmxPath) : undefined);
  if (dictionary) problems.push(...oddities(dictionary, vmxPath));
  const place = { platform, vmxPath };
  const links = (vmx?.serialPorts ?? []).flatMap((port): MachineLink[] => {
    try {
      return [{ port: port.number + 1, link: linkOf(port, place) }];
    } catch {
      return []; // Reported below if no port is any better.
    }
  });
  const linkWanted = (): string => {
    if (unreadable) throw unreadable;
    return kdLink(vmx?.serialPorts ?? [], place);
  };
  if (links.length === 0) {
    try {
      linkWanted();
    } catch (thrown) {
      if (!problems.includes(thrown as VmkdError)) problems.push(asVmkdError(thrown));
    }
  }
  const layout = vmx && layoutOf(vmx);
  const ram = await ramOf(platform, vmxPath, vmx, layout, isOn, pid);
  if (isOn && ram.kind === 'none') problems.push(ram.reason);
  return {
    name: vmx?.displayName ?? paths.basename(vmxPath, paths.extname(vmxPath)),
    where: vmxPath,
    state: isOn ? 'running' : dictionary ? stateWhenOff(dictionary) : 'unknown',
    facts: { kind: 'vmware', vmx, layout },
    links,
    problems,
    pid,
    kdLink: linkWanted,
    ramLocation: () => ram,
    openControl: async (options: ControlOptions = {}) =>
      new VmrunControl(new Vmrun(await findVmrun(host), options.password), {
        vmxPath,
        realPath: real,
        platform,
        isEncrypted: vmx !== undefined && vmx.encryption !== 'none',
        stateWhenOff: async () => stateWhenOff(await readVmx(host, vmxPath)),
      }),
  };
}

async function readVmx(host: Host, vmxPath: string): Promise<Dictionary> {
  let dictionary = await readDictionary(vmxPath);
  for (const file of defaultsFiles(host)) dictionary = dictionary.over(await readDictionaryIfAny(file));
  return dictionary;
}

/** A suspended machine names the file of its state. */
const stateWhenOff = (vmx: Dictionary): 'suspended' | 'off' =>
  (vmx.text('checkpoint.vmState') ?? '') === '' ? 'off' : 'suspended';

const encrypted = (vmxPath: string): VmkdError =>
  new VmkdError(
    'machine-config-encrypted',
    `${vmxPath} is encrypted as a whole: nothing but its name can be read.`,
  );

/** What VMware refuses to open, or what makes the rest doubtful. */
function oddities(vmx: Dictionary, vmxPath: string): VmkdError[] {
  const complaints: string[] = [];
  if (vmx.duplicates.length > 0)
    complaints.push(`${vmx.duplicates.slice(0, 5).join(', ')} stands more than once`);
  if (vmx.malformedLines.length > 0) complaints.push(`line ${vmx.malformedLines[0]} is no entry`);
  return complaints.map(
    (complaint) =>
      new VmkdError('machine-config-unreadable', `${vmxPath}: ${complaint}.`, {
        nextStep: 'VMware refuses such a file as corrupt. Correct it while the machine is off.',
      }),
  );
}

function layoutOf({ memoryBytes, holeStart }: VmxFacts): PhysicalLayout | undefined {
  return memoryBytes === undefined
    ? undefined
    : { lowBytes: Math.min(memoryBytes, holeStart), totalBytes: memoryBytes };
}

async function ramOf(
  platform: HostSystem,
  vmxPath: string,
  vmx: VmxFacts | undefined,
  layout: PhysicalLayout | undefined,
  isOn: boolean,
  pid: number | undefined,
): Promise<RamLocation> {
  const none = (why: string, nextStep?: string): RamLocation => ({
    kind: 'none',
    reason: new VmkdError(
      isOn ? 'machine-ram-unreachable' : 'machine-off',
      `The memory of ${vmxPath} cannot be seen: ${why}.`,
      nextStep === undefined ? {} : { nextStep },
    ),
  });
  if (!isOn) return none('the machine is off');
  if (vmx === undefined || layout === undefined)
    return none('its configuration does not say how much there is');
  if (platform === 'darwin') return none('Fusion keeps it to itself');
  const vmem = vmx.namedMemory ? await vmemOf(platform, vmx, layout) : undefined;
  if (platform === 'linux' && vmem !== undefined) return { kind: 'file', path: vmem, layout };
  if (platform === 'win32' && !vmx.namedMemory) {
    return none(
      'it has no file with a name',
      'Power the machine off and take mainMem.useNamedFile = "FALSE" out of its .vmx.',
    );
  }
  if (pid === undefined) return none('the process that runs it was not found');
  return { kind: 'process', pid, layout, ...(vmem !== undefined && { vmem }) };
}

/** The file that is as large as the machine's memory, by the names that it may have; else any one beside them. */
async function vmemOf(
  platform: HostSystem,
  { vmemNames }: VmxFacts,
  { totalBytes }: PhysicalLayout,
): Promise<string | undefined> {
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const folder = paths.dirname(vmemNames[0] ?? '');
  const others = (await readdir(folder).catch(() => [])).filter(
    (name) => /^[^.].*\.vmem$/i.test(name) && !/-snapshot\d+\.vmem$/i.test(name),
  );
  for (const file of new Set([...vmemNames, ...others.map((name) => paths.join(folder, name))])) {
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile() === true && found.size === totalBytes) return file;
  }
  return undefined;
}
