/** All machines of this computer, and the one that somebody means. */

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { VmkdError } from '../core/errors';
import { thisHost, type Host } from './host';
import type { Machine } from './machine';
import { findQemuMachines } from './qemu/qemuMachine';
import { findVmwareMachines, vmwareMachine } from './vmware/vmwareMachine';

export interface FoundMachines {
  /** Running ones first, then by name. */
  readonly machines: readonly Machine[];
  /** Of the search itself: a tool that is missing. */
  readonly problems: readonly VmkdError[];
}

export async function findMachines(host: Host = thisHost): Promise<FoundMachines> {
  const [qemu, vmware] = await Promise.all([findQemuMachines(host), findVmwareMachines(host)]);
  const machines = [...qemu, ...vmware.machines].sort(
    (a, b) =>
      Number(isOn(b)) - Number(isOn(a)) || a.name.localeCompare(b.name) || a.where.localeCompare(b.where),
  );
  return { machines, problems: vmware.problems };
}

const isOn = ({ state }: Machine): boolean => state === 'running' || state === 'paused';

/**
 * The machine that is meant.
 * @param text Its name, the path of its .vmx or of the folder with it, its link, or a part of any of these.
 * @throws machine-unknown, machine-ambiguous, with the machines that there are
 */
export async function findMachine(text: string, host: Host = thisHost): Promise<Machine> {
  const file = await vmxAt(text, host);
  if (file !== undefined) return vmwareMachine(host, file);
  return chooseMachine((await findMachines(host)).machines, text);
}

/** Those that have this very link: one machine, unless two are set up alike. */
export async function machinesWith(link: string): Promise<Machine[]> {
  const { machines } = await findMachines();
  return machines.filter(({ links }) => links.some((one) => one.link === link));
}

/** As findMachine, among those given: a whole name or place counts more than a part of one. */
export function chooseMachine(machines: readonly Machine[], text: string): Machine {
  const wanted = text.toLowerCase();
  const tests: ((machine: Machine) => boolean)[] = [
    ({ where }) => where === text,
    ({ name }) => name.toLowerCase() === wanted,
    ({ where, links }) =>
      where.toLowerCase() === wanted || links.some(({ link }) => link.toLowerCase() === wanted),
    ({ name, where }) =>
      // A link is no part of another: who takes hold of a machine by it must have that very one.
      wanted !== '' &&
      !looksLikeLink.test(text) &&
      (name.toLowerCase().includes(wanted) || where.toLowerCase().includes(wanted)),
  ];
  for (const test of tests) {
    const [first, ...others] = machines.filter(test);
    if (first === undefined) continue;
    if (others.length === 0) return first;
    throw new VmkdError('machine-ambiguous', `“${text}” may be ${list([first, ...others])}.`);
  }
  const all = machines.length === 0 ? 'there are none on this computer' : `there are ${list(machines)}`;
  throw new VmkdError('machine-unknown', `No machine is called “${text}”; ${all}.`);
}

const looksLikeLink = /^[a-z]{2,}(-listen)?:/i;

const mostListed = 20;

function list(machines: readonly Machine[]): string {
  const shown = machines.slice(0, mostListed).map(({ name, where }) => `“${name}” (${where})`);
  const more = machines.length - shown.length;
  return shown.join(', ') + (more > 0 ? `, and ${more} more` : '');
}

/** The .vmx that a path means: itself, or the only one in that folder (Fusion's bundles are folders). */
async function vmxAt(text: string, { platform }: Host): Promise<string | undefined> {
  const looksLikePath = /\.vmx$/i.test(text) || (platform === 'win32' ? /[\\/]/ : /\//).test(text);
  if (!looksLikePath || /^[a-z-]+:(?![\\/])/i.test(text)) return undefined;
  const file = path.resolve(text);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() === true && /\.vmx$/i.test(file)) return file;
  if (found?.isDirectory() !== true) return undefined;
  const [only, ...others] = (await readdir(file).catch(() => [])).filter((name) => /\.vmx$/i.test(name));
  return only !== undefined && others.length === 0 ? path.join(file, only) : undefined;
}
