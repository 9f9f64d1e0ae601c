// Runs the second opinion against a booted demo kernel:
//
//   node test/kernel/kdpeer/kdpeer.mjs KD-SOCKET [--console SOCKET] [--skip SECTION,...] [--only SECTION,...]
//
// Sections: memory registers processor refused breakpoints handshake (a stopped target is enough) and, with the
// console, run print modules files exceptions requests. Prints one line per failed check and a count; exit code 1
// when something failed. `--end bugcheck|reboot` finishes with the end of the machine.

import * as checks from './checks.mjs';
import { Peer } from './wire.mjs';

const STOPPED = ['memory', 'registers', 'processor', 'refused', 'breakpoints', 'handshake'];
const LIVE = ['run', 'print', 'modules', 'files', 'exceptions', 'requests'];

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
      major: version.readUInt16LE(16), build: version.readUInt16LE(18), protocol: version[20], secondary: version[21],
      flags: version.readUInt16LE(22), machine: version.readUInt16LE(24), packets: version[26], states: version[27],
      apis: version[28],
    },
    kdbg: {
      tag: kdbg.toString('latin1', 0x10, 0x14), size: kdbg.readUInt32LE(0x14), base: kdbg.readBigUInt64LE(0x18),
      modules: kdbg.readBigUInt64LE(0x48), processes: kdbg.readBigUInt64LE(0x50),
      processorBlock: kdbg.readBigUInt64LE(0x218), directory: kdbg.readUInt16LE(0x2ae),
    },
    scratch: kdbg.readBigUInt64LE(0x1e0), // the print buffer: kernel memory that nobody executes
  };
}

async function main() {
  const args = process.argv.slice(2);
  const options = {};
  const names = [];
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg.startsWith('--')) options[arg.slice(2)] = args.shift();
    else names.push(arg);
  }
  if (names.length !== 1) throw new Error('usage: kdpeer.mjs KD-SOCKET [--console SOCKET] [--only LIST] [--skip LIST]');
  const wanted = (section) =>
    (options.only ? options.only.split(',').includes(section) : true) && !options.skip?.split(',').includes(section);

  const t = new Tally();
  const peer = await Peer.connect(names[0]);
  const state = await attach(peer);
  await peer.reset();
  const target = await describe(peer, await checks.stop(peer));
  t.is('version', target.version, { major: 0xf, build: 19041, protocol: 6, secondary: 2, flags: 7, machine: 0x8664, packets: 12, states: 3, apis: 0x31 });
  t.is('KDBG', [target.kdbg.tag, target.kdbg.size, target.kdbg.base, target.kdbg.modules],
    ['KDBG', 0x380, target.base, target.modules]);
  t.is('the report has 240 bytes', state.length, 240);
  for (const section of STOPPED.filter(wanted)) {
    await checks[section](t, peer, target);
    console.log(`${section}: ${t.passed} passed, ${t.failed} failed so far`);
  }
  if (options.console) {
    const live = await import('./live.mjs');
    const kernel = await live.Console.connect(options.console);
    for (const section of LIVE.filter(wanted)) {
      await live[section](t, peer, target, kernel);
      console.log(`${section}: ${t.passed} passed, ${t.failed} failed so far`);
    }
    if (options.end) await live[options.end](t, peer, target, kernel);
    kernel.close();
  }
  if (options.end === undefined) await checks.go(peer);
  peer.close();
  if (peer.failure) throw peer.failure;
  console.log(`${t.passed} passed, ${t.failed} failed`);
  process.exitCode = t.failed > 0 ? 1 : 0;
}

main().catch((error) => {
  console.log(`FAILED ${error.stack}`);
  process.exit(1);
});
