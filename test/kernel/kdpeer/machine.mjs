// Boots the demo kernel in QEMU for the second opinion: its own few lines, so that nothing of the product is in it.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildKernel } from '../build.mjs';

const FILES = ['ntoskrnl.exe', 'kdcom.dll', 'vmkdemo.sys', 'vmkondem.sys', 'vmkuser.exe'];

export async function boot({ images, append = '' } = {}) {
  images ??= (await buildKernel({ log: (line) => console.log(line) })).imagesDir;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kdpeer-'));
  const at = (name) => path.join(folder, name);
  const socket = (name) => `unix:${at(name)},server=on,wait=off`;
  const child = spawn(
    'qemu-system-x86_64',
    [
      '-M',
      'pc',
      '-accel',
      'tcg',
      '-smp',
      '2',
      '-m',
      '256M',
      '-cpu',
      'max',
      '-display',
      'none',
      '-nodefaults',
      '-serial',
      socket('kd'),
      '-serial',
      socket('console'),
      '-monitor',
      'none',
      '-gdb',
      socket('gdb'),
      '-kernel',
      path.join(images, 'boot.bin'),
      '-append',
      append,
      '-initrd',
      FILES.map((name) => path.join(images, name)).join(','),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const clean = () => {
    child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const stop = async () => {
    clean();
    await ended;
    process.off('exit', clean);
  };
  process.once('exit', clean);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
  process.stdout.on('error', () => process.exit(1)); // the reader of our output has gone
  const deadline = Date.now() + 5000;
  while (!fs.existsSync(at('console'))) {
    if (Date.now() > deadline || child.exitCode !== null) {
      await stop();
      throw new Error('QEMU did not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { kd: at('kd'), console: at('console'), gdb: at('gdb'), images, stop };
}
