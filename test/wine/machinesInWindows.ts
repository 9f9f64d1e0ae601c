/**
 * The search for VMware's machines as Windows sees it; runs in Windows' Node (machines.test.ts starts it there, in a folder
 * of its own) and writes what it found to found.json. A copy of Node under the name vmware-vmx.exe stands for a running
 * machine, with the lock that VMware would have put beside its .vmx.
 *
 * Wine 8 has a tasklist.exe that prints nothing, so that what lives is asked of the system here; what the real one prints is
 * in vmware.test.ts.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findMachine, findMachines } from '../../src/engine/machine/find';
import { thisHost, type Host } from '../../src/engine/machine/host';

/** What found.json holds. */
export interface Found {
  readonly vmx: string;
  readonly pid: number | undefined;
  readonly shown: readonly {
    readonly name: string;
    readonly where: string;
    readonly state: string;
    readonly pid?: number | undefined;
    readonly links: readonly unknown[];
  }[];
  readonly ram: unknown;
  readonly problems: readonly { readonly code: string; readonly nextStep: string }[];
  readonly byPath: string | undefined;
  readonly after: string;
}

async function main(): Promise<void> {
  const folder = process.cwd();
  const vms = path.join(folder, 'Virtual Machines');
  const roaming = path.join(folder, 'Roaming');
  const vmx = path.join(vms, 'Gerät', 'Gerät.vmx');
  const lock = path.join(vms, 'Gerät', '564d0000-0000-0000-0000-000000000001.vmem.lck');
  mkdirSync(lock, { recursive: true });
  mkdirSync(path.join(roaming, 'VMware'), { recursive: true });
  const inventory = `.encoding = "windows-1252"\r\nvmlist1.config = "${vmx}"\r\nvmlist2.config = "${path.join(vms, 'off.vmx')}"\r\n`;
  writeFileSync(path.join(roaming, 'VMware', 'inventory.vmls'), inventory, 'latin1');
  const port = [
    'present = "TRUE"',
    'fileType = "pipe"',
    'fileName = "\\\\.\\pipe\\com_1"',
    'pipe.endPoint = "server"',
  ];
  const lines = [
    '.encoding = "windows-1252"',
    'displayName = "Gerät"',
    'memsize = "64"',
    'uuid.location = "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01"',
  ];
  writeFileSync(vmx, [...lines, ...port.map((line) => `serial0.${line}`), ''].join('\r\n'), 'latin1');
  writeFileSync(path.join(vms, 'off.vmx'), 'displayName = "off"\r\nmemsize = "64"\r\n');
  writeFileSync(lock.replace(/\.lck$/, ''), Buffer.alloc(64 << 20));

  const program = path.join(folder, 'vmware-vmx.exe');
  copyFileSync(process.execPath, program);
  const machine = spawn(program, ['-e', 'setTimeout(() => undefined, 120_000)'], { stdio: 'ignore' });
  await once(machine, 'spawn');
  const holder = `uuid=00-00 ${machine.pid ?? 0}-134219857720971604(vmware-vmx.exe) 1 X lc=1`;
  writeFileSync(path.join(lock, 'M00001.lck'), holder.padEnd(512, '\0'));

  const host: Host = { ...thisHost, environment: { ...process.env, APPDATA: roaming } };
  const { machines, problems } = await findMachines(host);
  const byPath = await findMachine(vmx.toUpperCase(), host).catch(() => undefined);
  machine.kill();
  await once(machine, 'exit');
  const after = await findMachine(vmx, host);
  const shown = machines.map(({ name, where, state, pid, links }) => ({ name, where, state, pid, links }));
  const ram = machines[0]?.ramLocation();
  const found: Found = {
    ...{ vmx, pid: machine.pid, shown, ram, problems },
    ...{ byPath: byPath?.state, after: after.state },
  };
  writeFileSync('found.json', JSON.stringify(found));
}

void main();
