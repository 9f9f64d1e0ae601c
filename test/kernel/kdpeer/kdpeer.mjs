// Runs the second opinion against the demo kernel:
//
//   node test/kernel/kdpeer/kdpeer.mjs [--only SECTION,...] [--skip SECTION,...] [--images DIR] [--late SECONDS]
//
// Builds the kernel, boots it in QEMU, attaches (at once, or SECONDS after the boot) and checks. Prints a line for
// each failed check and a count; exit code 1 when something failed. `--kd SOCKET --console SOCKET` uses a machine
// that runs already.

import fs from 'node:fs';
import path from 'node:path';
import * as checks from './checks.mjs';
import * as live from './live.mjs';
import { boot } from './machine.mjs';
import { Peer } from './wire.mjs';

// In this order: the last ones end the machine.
const SECTIONS = {
  memory: checks.memory,
  registers: checks.registers,
  processor: checks.processor,
  refused: checks.refused,
  breakpoints: checks.breakpoints,
  handshake: checks.handshake,
  run: live.run,
  print: live.print,
  modules: live.modulesComeAndGo,
  files: live.files,
  exceptions: live.exceptions,
  user: live.user,
  late: live.late,
  noise: live.noise,
  soak: live.soak,
  bugcheck: live.bugcheck,
  reboot: live.reboot,
  'cause-bugcheck': live.causeBugCheck,
  'reboot-again': live.reboot,
  'cause-bugcheck-at-notice': live.causeBugCheckAtNotice,
  'reboot-after-notice': live.reboot,
  'cause-bugcheck-at-command': live.causeBugCheckAtCommand,
  'reboot-after-command': live.reboot,
  farewell: live.farewell,
};

class Tally {
  passed = 0;
  failed = 0;
  is(what, actual, expected) {
    const text = (value) =>
      JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each));
    if (text(actual) === text(expected)) {
      this.passed++;
      return true;
    }
    this.failed++;
    console.log(`FAILED ${what}: got ${text(actual)}, expected ${text(expected)}`);
    return false;
  }
}

/** Stops a target in whatever state it is: 'b' for a running one, RESET for a stopped one, by turns. */
async function attach(peer) {
  for (let attempt = 0; attempt < 10; attempt++) {
    peer.breakIn();
    const state = await checks.stop(peer, 1500).catch(() => undefined);
    if (state) return state;
    peer.control(6);
  }
  throw new Error('the target does not answer: neither to b nor to RESET');
}

async function describe(peer, state) {
  const version = (await peer.request(0x3146, [], undefined, { cpu: 0xffff })).head;
  const list = version.readBigUInt64LE(48);
  const kdbg = (await checks.read(peer, await checks.pointer(peer, list), 0x380)).data;
  return {
    state,
    cpus: state.cpus,
    base: version.readBigUInt64LE(32),
    modules: version.readBigUInt64LE(40),
    version: {
      major: version.readUInt16LE(16),
      build: version.readUInt16LE(18),
      protocol: version[20],
      secondary: version[21],
      flags: version.readUInt16LE(22),
      machine: version.readUInt16LE(24),
      packets: version[26],
      states: version[27],
      apis: version[28],
    },
    kdbg: {
      tag: kdbg.toString('latin1', 0x10, 0x14),
      size: kdbg.readUInt32LE(0x14),
      base: kdbg.readBigUInt64LE(0x18),
      modules: kdbg.readBigUInt64LE(0x48),
      processes: kdbg.readBigUInt64LE(0x50),
      processorBlock: kdbg.readBigUInt64LE(0x218),
      directory: kdbg.readUInt16LE(0x2ae),
    },
    block: await checks.pointer(peer, list),
    scratch: kdbg.readBigUInt64LE(0x1e0), // the print buffer: kernel memory that nobody executes
  };
}

function parse(args) {
  const options = {};
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (!/^--(only|skip|images|late|kd|console)$/.test(arg) || args.length === 0)
      throw new Error(`what is ${arg}?`);
    options[arg.slice(2)] = args.shift();
  }
  return options;
}

async function main() {
  const options = parse(process.argv.slice(2));
  const t = new Tally();
  const machine = options.kd ? { kd: options.kd, console: options.console, stop() {} } : await boot(options);
  try {
    await new Promise((resolve) => setTimeout(resolve, Number(options.late ?? 0) * 1000));
    const kernel = await live.Console.connect(machine.console);
    const peer = await Peer.connect(machine.kd);
    await attach(peer);
    console.log(`attached: ${peer.seen.prints.length} prints, ${peer.seen.syncs} syncs`);
    await peer.reset();
    const target = await describe(peer, await checks.stop(peer));
    t.is('version', target.version, {
      major: 0xf,
      build: 19041,
      protocol: 6,
      secondary: 2,
      flags: 7,
      machine: 0x8664,
      packets: 12,
      states: 3,
      apis: 0x31,
    });
    t.is(
      'KDBG',
      [target.kdbg.tag, target.kdbg.size, target.kdbg.base, target.kdbg.modules],
      ['KDBG', 0x380, target.base, target.modules],
    );
    t.is('the report has 240 bytes', target.state.length, 240);
    target.gdb = machine.gdb;
    if (machine.images) {
      const file = fs.readFileSync(path.join(machine.images, 'vmkondem.sys'));
      file.write('VMKONDEM', file.indexOf('vmkondem: hello'), 'latin1'); // so that it can be told from the loader's
      target.image = file;
      target.userImage = fs.readFileSync(path.join(machine.images, 'vmkuser.exe'));
    }
    for (const [name, section] of Object.entries(SECTIONS)) {
      if (
        (options.only && !options.only.split(',').includes(name)) ||
        options.skip?.split(',').includes(name)
      )
        continue;
      const started = Date.now();
      await section(t, peer, target, kernel);
      console.log(`${name}: ${t.passed} passed, ${t.failed} failed, ${Date.now() - started} ms`);
      if (peer.failure) throw peer.failure;
    }
    peer.close();
    kernel.close();
  } finally {
    await machine.stop();
  }
  console.log(`${t.passed} passed, ${t.failed} failed`);
  process.exitCode = t.failed > 0 ? 1 : 0;
}

main().catch((error) => {
  console.log(`FAILED ${error.stack}`);
  process.exitCode = 1;
});
