// Checks that need the machine to run: breakpoints, steps, watchpoints, prints, modules, exceptions. The kernel is
// told what to do through its console (COM2), one line a command, one line an answer.

import net from 'node:net';
import * as checks from './checks.mjs';
import { Gdb } from './gdb.mjs';

const { go, pointer, read, resume, stop } = checks;
const u64 = (bytes, at = 0) => bytes.readBigUInt64LE(at);

export class Console {
  #socket;
  #text = '';
  #wake = () => undefined;

  static async connect(path) {
    const console = new Console();
    console.#socket = net.connect(path);
    await new Promise((resolve, reject) => console.#socket.once('connect', resolve).once('error', reject));
    console.#socket.on('data', (bytes) => {
      console.#text += bytes.toString('latin1');
      console.#wake();
    });
    console.#socket.on('error', () => undefined);
    return console;
  }
  close() {
    this.#socket.destroy();
  }
  forget() {
    this.#text = '';
  }
  said(pattern) {
    return pattern.test(this.#text);
  }
  tell(line) {
    this.forget();
    this.#socket.write(`${line}\n`);
  }
  /** The answer to the last command: what follows "= ", or "! " when it failed. */
  async answer(limit = 5000) {
    const deadline = Date.now() + limit;
    for (;;) {
      const match = /^([=!] .*)\r?\n/m.exec(this.#text);
      if (match) return match[1].trimEnd();
      const left = deadline - Date.now();
      if (left <= 0)
        throw new Error(`the console did not answer in ${limit} ms: ${JSON.stringify(this.#text)}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
  ask(line, limit) {
    this.tell(line);
    return this.answer(limit);
  }
}

async function ansi(peer, address) {
  const { data } = await read(peer, address, 64);
  return data.toString('latin1').replace(/\0[^]*$/, '');
}

/** PsLoadedModuleList: name -> { base, size }. */
export async function modules(peer, head) {
  const found = new Map();
  for (
    let link = await pointer(peer, head), i = 0;
    link !== head && i < 64;
    link = await pointer(peer, link), i++
  ) {
    const entry = (await read(peer, link, 0x68)).data;
    const name = (await read(peer, u64(entry, 0x60), entry.readUInt16LE(0x58))).data.toString('utf16le');
    found.set(name, { base: u64(entry, 0x30), size: entry.readUInt32LE(0x40) });
  }
  return found;
}

/** The export directory of the image at base: name -> address. */
export async function exportsOf(peer, base) {
  const headers = base + BigInt((await read(peer, base + 0x3cn, 4)).data.readUInt32LE(0));
  const directory = (
    await read(peer, base + BigInt((await read(peer, headers + 0x88n, 4)).data.readUInt32LE(0)), 40)
  ).data;
  const at = (offset) => base + BigInt(directory.readUInt32LE(offset));
  const count = Math.min(directory.readUInt32LE(24), 512);
  const found = new Map();
  for (let i = 0; i < count; i++) {
    const name = (await read(peer, at(32) + BigInt(i * 4), 4)).data.readUInt32LE(0);
    const ordinal = (await read(peer, at(36) + BigInt(i * 2), 2)).data.readUInt16LE(0);
    const rva = (await read(peer, at(28) + BigInt(ordinal * 4), 4)).data.readUInt32LE(0);
    found.set(await ansi(peer, base + BigInt(name)), base + BigInt(rva));
  }
  return found;
}

async function breakIn(t, peer) {
  peer.breakIn();
  const state = await stop(peer);
  t.is('b breaks in', state.code, 0x80000003);
  return state;
}

const WRITE_8_DR0 = 0x90401n;

async function watch(peer, target, address, dr7) {
  for (let cpu = 0; cpu < target.cpus; cpu++) {
    const special = (await checks.control(peer, 2, 0xe0, cpu)).data;
    special.writeBigUInt64LE(address, 0x20);
    special.writeBigUInt64LE(dr7, 0x48);
    await peer.request(
      0x3138,
      [
        [16, 8, 2],
        [24, 4, special.length],
      ],
      special,
      { cpu },
    );
  }
}

async function ticks(kernel) {
  return Number(/^= (\d+)/.exec(await kernel.ask('ticks'))?.[1]);
}

export async function run(t, peer, target, kernel) {
  const list = await modules(peer, target.modules);
  t.is('modules in load order', [...list.keys()].slice(1, 3), ['kdcom.dll', 'vmkdemo.sys']);
  const demo = await exportsOf(peer, list.get('vmkdemo.sys').base);
  const work = demo.get('VmkDemoWork');
  await resume(peer, target.state);
  const before = await ticks(kernel);
  let state = await breakIn(t, peer);
  const handle = await checks.setBreakpoint(peer, work);
  t.is('a breakpoint in vmkdemo.sys', handle > 0, true);
  await resume(peer, state);
  state = await stop(peer);
  t.is('is hit, PC is its address', [state.code, state.pc, state.address], [0x80000003, work, work]);
  t.is('the handle has gone', await checks.clearBreakpoint(peer, handle), false);
  t.is('the original byte is back', (await read(peer, work, 1)).data[0] === 0xcc, false);
  for (let step = 0; step < 5; step++) {
    const from = state.pc;
    await go(peer, { trace: 1 });
    state = await stop(peer);
    t.is(
      `step ${step + 1}`,
      [state.code, state.pc !== from, (state.dr6 & 0x4000n) !== 0n],
      [0x80000004, true, true],
    );
  }
  t.is('steps stay near', state.pc - work < 0x400n, true);

  const watched = demo.get('VmkDemoWatched');
  await watch(peer, target, watched, WRITE_8_DR0);
  const old = await pointer(peer, watched);
  await go(peer, { dr7: WRITE_8_DR0 });
  state = await stop(peer);
  t.is('a write watchpoint hits', [state.code, state.dr6 & 0xfn, state.dr7 & 3n], [0x80000004, 1n, 1n]);
  t.is('after the write', await pointer(peer, watched), old + 1n);
  await go(peer, { dr7: 0x400n });
  t.is('the machine runs on, ticks grow', (await ticks(kernel)) > before, true);

  t.is('pages go out', /^= \d+ pages/.test(await kernel.ask('trim')), true);
  state = await breakIn(t, peer);
  const paged = demo.get('VmkDemoPaged');
  t.is('a paged-out function cannot be read', (await read(peer, paged, 1)).status, checks.FAILED);
  t.is('but gets its breakpoint', (await checks.setBreakpoint(peer, paged)) > 0, true);
  await resume(peer, state);
  kernel.tell('paged 1');
  state = await stop(peer);
  t.is('which is set when the page comes in, and hit', [state.code, state.pc], [0x80000003, paged]);
  await go(peer);
  t.is('the function goes on', /^= \d+, was paged out/.test(await kernel.answer()), true);

  kernel.tell('spin 700');
  state = await breakIn(t, peer);
  await resume(peer, state);
  t.is('a spinning processor is stopped and goes on', /^= spun/.test(await kernel.answer()), true);
  target.state = await breakIn(t, peer);
}

export async function print(t, peer, target, kernel) {
  await resume(peer, target.state);
  const count = peer.seen.prints.length;
  t.is('300 prints', await kernel.ask('print 300', 20000), '= 300 printed');
  t.is(
    'all arrive, in order',
    peer.seen.prints.slice(count).filter((text) => /^demo print/.test(text)),
    Array.from({ length: 300 }, (_, i) => `demo print ${i + 1} of 300\n`),
  );
  peer.answers.prompt = (payload) => {
    const text = Buffer.from('yes, all of it');
    const answer = Buffer.from(payload.subarray(0, 16));
    answer.writeUInt32LE(text.length, 12);
    t.is('the question', payload.toString('latin1', 16), 'really?');
    return Buffer.concat([answer, text]);
  };
  t.is('DbgPrompt brings the answer', await kernel.ask('prompt really?'), '= yes, all of it');
  t.is('trace data', await kernel.ask('trace 0123'), '= sent');
  t.is('arrived', peer.seen.traces.at(-1)?.toString('latin1'), '0123');
  peer.answers.control = (api, payload) => {
    const answer = Buffer.from(payload);
    answer.writeUInt32LE(api === 0x4300 && payload.readUInt32LE(4) === 1 ? 1 : 0, 8);
    return answer;
  };
  t.is('a hardware breakpoint is lent', await kernel.ask('hwbp request 1'), '= granted');
  t.is('another is not', await kernel.ask('hwbp request 2'), '= refused');
  kernel.tell('cmdstring .echo hello');
  const state = await stop(peer);
  t.is('a command string', [state.kind, state.text], ['command', 'vmkd\0.echo hello\0']);
  await go(peer);
  t.is('continued', await kernel.answer(), '= done');

  kernel.tell('print 2000');
  await peer.until(() => peer.seen.prints.length > count + 320, 5000, 'prints');
  target.state = await breakIn(t, peer);
  await resume(peer, target.state);
  t.is('a break in the middle of prints loses none', await kernel.answer(20000), '= 2000 printed');
  t.is('none', peer.seen.prints.filter((text) => / of 2000$/m.test(text)).length, 2000);
  target.state = await breakIn(t, peer);
}

async function notice(t, peer, kernel, command, unload) {
  kernel.tell(command);
  const state = await stop(peer, 10000, { continueNotices: false });
  t.is(
    `${command}: a notice`,
    [state.kind, state.unload, /vmkondem\.sys$/.test(state.path)],
    ['symbols', unload, true],
  );
  return state;
}

function refuseFiles(asked) {
  return (api, payload) => {
    asked.push(payload.toString('utf16le', 64));
    const answer = Buffer.from(payload.subarray(0, 64));
    answer.writeUInt32LE(0xc000000f, 4);
    return answer;
  };
}

export async function modulesComeAndGo(t, peer, target, kernel) {
  const asked = [];
  peer.answers.file = refuseFiles(asked);
  await resume(peer, target.state);
  for (let round = 0; round < 2; round++) {
    const loaded = await notice(t, peer, kernel, 'load', false);
    t.is('the file was asked for', /vmkondem\.sys\0$/.test(asked[round]), true);
    t.is('the image is there', (await read(peer, loaded.base, 2)).data.toString('latin1'), 'MZ');
    const hello = (await exportsOf(peer, loaded.base)).get('VmkOnDemandHello');
    t.is('a breakpoint at the notice', (await checks.setBreakpoint(peer, hello)) > 0, true);
    await go(peer);
    const hit = await stop(peer);
    t.is('is hit in DriverEntry', [hit.code, hit.pc], [0x80000003, hello]);
    const left = await checks.setBreakpoint(peer, hello + 0x20n);
    await go(peer);
    t.is('loaded', await kernel.answer(), '= loaded');
    const unloaded = await notice(t, peer, kernel, 'unload', true);
    t.is('the same base goes', unloaded.base, loaded.base);
    await go(peer);
    t.is('unloaded', await kernel.answer(), '= unloaded');
    const state = await breakIn(t, peer);
    t.is('breakpoints in it are gone', await checks.clearBreakpoint(peer, left), false);
    await resume(peer, state);
  }
  target.state = await breakIn(t, peer);
}

export async function files(t, peer, target, kernel) {
  const image = target.image;
  const asked = [];
  peer.answers.file = (api, payload) => {
    const answer = Buffer.from(payload.subarray(0, 64));
    asked.push(api);
    answer.writeUInt32LE(0, 4);
    if (api === 0x3430) {
      answer.writeBigUInt64LE(0x77n, 32);
      answer.writeBigUInt64LE(BigInt(image.length), 40);
    } else if (api === 0x3431) {
      const offset = Number(payload.readBigUInt64LE(16));
      return Buffer.concat([answer, image.subarray(offset, offset + payload.readUInt32LE(24))]);
    }
    return answer;
  };
  await resume(peer, target.state);
  await notice(t, peer, kernel, 'load', false);
  await go(peer);
  t.is('a driver from the debugger loads', await kernel.answer(), '= loaded');
  t.is(
    'kdfiles: create, reads, close',
    [asked[0], asked.at(-1), asked.filter((api) => api === 0x3431).length],
    [0x3430, 0x3433, Math.ceil(image.length / 3936)],
  );
  t.is('what it prints has come from our file', peer.seen.prints.includes('VMKONDEM: hello 43\n'), true);
  await notice(t, peer, kernel, 'unload', true);
  await go(peer);
  t.is('and goes', await kernel.answer(), '= unloaded');
  peer.answers.file = refuseFiles([]);
  target.state = await breakIn(t, peer);
}

async function skip(peer, state, bytes) {
  const whole = (await checks.context(peer, state.cpu)).data;
  whole.writeBigUInt64LE(u64(whole, 0xf8) + bytes, 0xf8);
  await peer.request(0x3133, [[16, 4, 0]], whole, { cpu: state.cpu });
}

export async function exceptions(t, peer, target, kernel) {
  await resume(peer, target.state);
  t.is('a handled exception does not stop', await kernel.ask('crash handled'), '= handled c0000005');
  t.is('stop on exceptions', await kernel.ask('soe on'), '= on');
  kernel.tell('crash handled');
  let state = await stop(peer);
  t.is('first chance', [state.code, state.firstChance], [0xc0000005, 1]);
  await go(peer, { status: 0x80010001 });
  t.is('not handled by us: its handler has it', await kernel.answer(), '= handled c0000005');
  t.is('and off', await kernel.ask('soe off'), '= off');
  kernel.tell('undefined');
  state = await stop(peer);
  t.is('second chance', [state.code, state.firstChance], [0xc000001d, 0]);
  await skip(peer, state, 2n);
  await go(peer, { status: 0x10001 });
  t.is('moved past it', await kernel.answer(), '= survived');
  kernel.tell('break');
  state = await stop(peer);
  t.is('DbgBreakPoint', state.code, 0x80000003);
  await resume(peer, state);
  t.is('continued', await kernel.answer(), '= continued');
  t.is('trailing trace data', await kernel.ask('tracedata on'), '= on');
  state = await breakIn(t, peer);
  t.is('an exception of 244 bytes', state.length, 244);
  await resume(peer, state);
  await kernel.ask('tracedata off');
  const handle = await (async () => {
    state = await breakIn(t, peer);
    return checks.setBreakpoint(peer, target.base + 0x1010n);
  })();
  await resume(peer, state);
  t.is('the stub switched off', await kernel.ask('kd off'), '= off');
  t.is(
    'takes its breakpoints out',
    /cc$/.test(await kernel.ask(`peek 0x${(target.base + 0x1010n).toString(16)}`)),
    false,
  );
  t.is('and on', await kernel.ask('kd on'), '= on, debugger present');
  t.is(
    'puts them back',
    /cc$/.test(await kernel.ask(`peek 0x${(target.base + 0x1010n).toString(16)}`)),
    true,
  );
  target.state = await breakIn(t, peer);
  t.is('the handle still counts', await checks.clearBreakpoint(peer, handle), true);
}

/** Where vmkuser.exe has `syscall` in the stub of service `number`, as an offset from its base. */
function syscallOffset(file, number) {
  const headers = file.readUInt32LE(0x3c);
  const text = headers + 24 + file.readUInt16LE(headers + 20); // the first section
  const raw = file.readUInt32LE(text + 20);
  const stub = file.indexOf(Buffer.from([0xb8, number, 0, 0, 0, 0x0f, 0x05]), raw);
  if (stub < 0) throw new Error(`vmkuser.exe has no stub for service ${number}`);
  return BigInt(stub + 5 - raw + file.readUInt32LE(text + 12));
}

/** A hardware breakpoint finds the process; a breakpoint in user space belongs to its DTB. */
export async function user(t, peer, target, kernel) {
  await resume(peer, target.state);
  const words = await kernel.ask('user');
  const number = (name) => BigInt(`0x${new RegExp(`${name} ([0-9A-Fa-f]+)`).exec(words)?.[1] ?? 0}`);
  const place = number('base') + syscallOffset(target.userImage, 0x34);
  let state = await breakIn(t, peer);
  const other = await checks.setBreakpoint(peer, place + 2n);
  t.is(
    'out of its process a user breakpoint is owed',
    [other > 0, await checks.clearBreakpoint(peer, other)],
    [true, true],
  );
  await watch(peer, target, place, 0x401n);
  await resume(peer, state, { dr7: 0x401n });
  state = await stop(peer);
  t.is(
    'an execution breakpoint in user mode',
    [state.code, state.pc, state.cs & 3, state.dr6 & 1n],
    [0x80000004, place, 3, 1n],
  );
  const special = (await checks.control(peer, 2, 0xe0, state.cpu)).data;
  t.is('CR3 is the process', u64(special, 0x10) & 0x000ffffffffff000n, number('dtb') & 0x000ffffffffff000n);
  t.is('user memory is read', (await read(peer, place, 2)).data.toString('hex'), '0f05');
  t.is('a breakpoint in user space', (await checks.setBreakpoint(peer, place + 2n)) > 0, true);
  await go(peer);
  state = await stop(peer);
  t.is('is hit in user mode', [state.code, state.pc, state.cs & 3], [0x80000003, place + 2n, 3]);
  target.state = state;
}

/** A virtual processor that the host does not run while the debugger freezes, looks and goes on. */
export async function late(t, peer, target, kernel) {
  if (!target.gdb) return;
  await resume(peer, target.state);
  t.is('runs', /^= \d/.test(await kernel.ask('ticks')), true);
  const gdb = await Gdb.connect(target.gdb);
  let idle = await gdb.isIdle(1); // else it might hold a lock that the other one wants
  for (let attempt = 0; attempt < 100 && !idle; attempt++) {
    gdb.run();
    await gdb.stop();
    idle = await gdb.isIdle(1);
  }
  t.is('processor 1 is idle', idle, true);
  for (let round = 0; round < 2; round++) {
    gdb.run([0]);
    const state = await breakIn(t, peer);
    t.is('the debugger goes on without it', state.cpu, 0);
    await resume(peer, state);
    await gdb.stop();
  }
  await gdb.close();
  t.is('its freeze comes late, and does no harm', /^= \d/.test(await kernel.ask('ticks')), true);
  await breakIn(t, peer).then((state) => resume(peer, state));
  const before = /cpu1 ticks (\d+)/.exec(await kernel.ask('cpus'))?.[1];
  t.is('it runs', Number(before) > 0, true);
  target.state = await breakIn(t, peer);
}

/** Numbers from a seed: a failure can be run again. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x100000000;
  };
}

/** A line that loses and spoils what we send, and loses our acknowledgements: slow answers, never wrong ones. */
export async function noise(t, peer, target) {
  const seed = Number(process.env.KDPEER_SEED ?? Date.now() % 100000);
  const random = dice(seed);
  const truth = (await read(peer, target.base, 3944)).data;
  let wrong = 0;
  peer.spoil = (bytes) => {
    const chance = random();
    if (chance < 0.03) return undefined;
    if (chance < 0.06) {
      // Not the type field, which no checksum covers: an acknowledgement that became a RESET is a reset.
      const at = Math.floor(random() * bytes.length);
      if (at !== 4 && at !== 5) bytes[at] ^= 1 << Math.floor(random() * 8);
    }
    return chance > 0.98 ? Buffer.concat([bytes, bytes]) : bytes;
  };
  let done = 0;
  for (; done < 500; done++) {
    const at = Math.floor(random() * 3000);
    const count = 1 + Math.floor(random() * 900);
    const reply = await read(peer, target.base + BigInt(at), count, { limit: 20000 }).catch((error) => {
      console.log(`noise: seed ${seed}, exchange ${done}: ${error.message}\n${peer.log.join('\n')}`);
    });
    if (!reply) break;
    if (!reply.data.equals(truth.subarray(at, at + count))) wrong++;
  }
  peer.spoil = undefined;
  t.is(`500 reads over a bad line, none wrong (seed ${seed})`, [done, wrong], [500, 0]);
  await peer.reset();
  target.state = await stop(peer);
}

/** A breakpoint that both processors run into, again and again, each time stepped off and set anew. */
export async function soak(t, peer, target, kernel) {
  const list = await modules(peer, target.modules);
  const place = (await exportsOf(peer, list.get('vmkdemo.sys').base)).get('VmkDemoShared');
  const hits = [0, 0];
  let steps = 0; // fewer than hits: a processor about to step may find the other's int3 set anew
  let other = 0;
  let state;
  t.is('the breakpoint', (await checks.setBreakpoint(peer, place)) > 0, true);
  await resume(peer, target.state);
  while (hits[0] + hits[1] < 300 && steps < 1000 && other === 0) {
    state = await stop(peer);
    if (state.code === 0x80000003 && state.pc === place) {
      hits[state.cpu]++;
      if ((hits[0] + hits[1]) % 7 === 0) {
        // a look at the other processor, and back
        await peer.request(0x3150, [], undefined, { cpu: 1 - state.cpu, reply: false });
        t.is('switched', (await stop(peer)).cpu, 1 - state.cpu);
        await peer.request(0x3150, [], undefined, { cpu: state.cpu, reply: false });
        t.is('and back', (await stop(peer)).pc, place);
      }
      await go(peer, { trace: 1 }); // the report took the int3 out: this is a step over the original
    } else if (state.code === 0x80000004) {
      steps++;
      await checks.setBreakpoint(peer, place); // refused when the other processor's step has set it already
      await go(peer);
    } else {
      other++;
    }
  }
  t.is('both processors hit it, nothing else stopped', [hits[0] > 50, hits[1] > 50, other], [true, true, 0]);
  if (other > 0) return;
  await stop(peer);
  for (let i = 1; i <= 32; i++) await checks.clearBreakpoint(peer, i);
  await go(peer);
  state = await breakIn(t, peer);
  for (let i = 0; i < 3; i++) {
    // continue from a processor that the debugger has switched to
    await checks.skipInt3(peer, state);
    await peer.request(0x3150, [], undefined, { cpu: 1 - state.cpu, reply: false });
    await stop(peer);
    await go(peer);
    t.is('the machine runs on', /^= \d/.test(await kernel.ask('ticks')), true);
    state = await breakIn(t, peer);
  }
  await resume(peer, state);
  const counts =
    /shared (\d+) perCpu (\d+) (\d+)/
      .exec(await kernel.ask('demo'))
      ?.slice(1)
      .map(Number) ?? [];
  t.is('no increment got lost on the way', Math.abs(counts[0] - counts[1] - counts[2]) <= 1, true);
  target.state = await breakIn(t, peer);
}

export async function bugcheck(t, peer, target, kernel) {
  await resume(peer, target.state);
  kernel.tell('bugcheck 0xe2 1 2 3 4');
  let state = await stop(peer);
  t.is('a bugcheck breaks', state.code, 0x80000003);
  t.is(
    'and says so',
    peer.seen.prints.some((text) => text.includes('Fatal System Error: 0x000000e2')),
    true,
  );
  const data = (await read(peer, await pointer(peer, target.block + 0x88n), 40)).data;
  t.is(
    'KiBugCheckData',
    Array.from({ length: 5 }, (_, i) => u64(data, i * 8)),
    [0xe2n, 1n, 2n, 3n, 4n],
  );
  await resume(peer, state);
  state = await stop(peer);
  t.is('a second break', state.code, 0x80000003);
}

/** The debugger's Reboot: the next boot speaks with SYNC; its images are reported; then it is stopped. */
export async function reboot(t, peer, target, kernel) {
  const syncs = peer.seen.syncs;
  await peer.request(0x313b, [], undefined, { reply: false });
  const state = await stop(peer, 10000, { continueNotices: false });
  t.is('a new boot begins with SYNC', peer.seen.syncs, syncs + 1);
  t.is(
    'and with its kernel',
    [state.kind, /nt[a-z]+\.exe$/i.test(state.path), state.unload],
    ['symbols', true, false],
  );
  kernel.forget();
  const notices = [];
  await go(peer);
  const deadline = Date.now() + 10000;
  while (!kernel.said(/console ready/)) {
    if (Date.now() > deadline) throw new Error('the machine did not come up again');
    const next = await stop(peer, 500, { notices }).catch(() => undefined);
    if (next) throw new Error(`a stop that nobody asked for: ${next.code.toString(16)}`);
  }
  t.is(
    'the other boot images follow',
    notices.map((notice) => notice.path.replace(/.*\\/, '')),
    ['kdcom.dll', 'vmkdemo.sys'],
  );
  target.state = await breakIn(t, peer);
}

/** Asks for it at the stop where the target is, whatever kind of stop that is. */
async function askForBugCheck(t, peer, target, code, where) {
  await peer.request(0x3149, [[16, 4, code]], undefined, { reply: false });
  target.state = await stop(peer);
  t.is(
    `CauseBugCheck at ${where}`,
    [target.state.code, peer.seen.prints.some((text) => text.includes(`0x${code.toString(16)}`))],
    [0x80000003, true],
  );
}

export const causeBugCheck = (t, peer, target) => askForBugCheck(t, peer, target, 0xdeaddead, 'an exception');

export async function causeBugCheckAtNotice(t, peer, target, kernel) {
  await resume(peer, target.state);
  await notice(t, peer, kernel, 'load', false);
  await askForBugCheck(t, peer, target, 0xdeadd11a, 'a load notice');
}

export async function causeBugCheckAtCommand(t, peer, target, kernel) {
  await resume(peer, target.state);
  kernel.tell('cmdstring .echo bye');
  t.is('a command string', (await stop(peer)).kind, 'command');
  await askForBugCheck(t, peer, target, 0xdeadc0de, 'a command string');
}

/** The console's reboot says farewell. */
export async function farewell(t, peer, target, kernel) {
  await resume(peer, target.state);
  kernel.tell('reboot');
  const state = await stop(peer, 10000, { continueNotices: false });
  t.is(
    'the target-gone notice',
    [state.kind, state.unload, state.base, state.path, state.length],
    ['symbols', true, 0xffffffffffffffffn, '', 240],
  );
  await peer.request(0x3136, [[16, 4, 0x10002]], undefined, { reply: false });
}
