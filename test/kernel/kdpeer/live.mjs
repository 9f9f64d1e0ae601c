// Checks that need the machine to run: breakpoints, steps, watchpoints, prints, modules, exceptions. The kernel is
// told what to do through its console (COM2), one line a command, one line an answer.

import net from 'node:net';
import * as checks from './checks.mjs';

const { go, pointer, read, stop } = checks;
const u64 = (bytes, at = 0) => bytes.readBigUInt64LE(at);

export class Console {
  #socket;
  #text = '';
  #wake = () => undefined;

  static async connect(path) {
    const console = new Console();
    console.#socket = net.connect(path);
    await new Promise((resolve, reject) => console.#socket.once('connect', resolve).once('error', reject));
    console.#socket.on('data', (bytes) => { console.#text += bytes.toString('latin1'); console.#wake(); });
    console.#socket.on('error', () => undefined);
    return console;
  }
  close() {
    this.#socket.destroy();
  }
  tell(line) {
    this.#text = '';
    this.#socket.write(`${line}\n`);
  }
  /** What the kernel has said since the last command, once it matches. */
  async heard(pattern, limit = 5000) {
    const deadline = Date.now() + limit;
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match) return match;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`the console never said ${pattern}: ${JSON.stringify(this.#text)}`);
      await new Promise((resolve) => { const timer = setTimeout(resolve, left); this.#wake = () => { clearTimeout(timer); resolve(); }; });
    }
  }
  ask(line, pattern = /^(.*\S.*)\r?\n/m, limit = 5000) {
    this.tell(line);
    return this.heard(pattern, limit);
  }
}

async function ansi(peer, address) {
  const { data } = await read(peer, address, 64);
  return data.toString('latin1').replace(/\0[^]*$/, '');
}

/** PsLoadedModuleList: name -> { base, size }. */
export async function modules(peer, head) {
  const found = new Map();
  for (let link = await pointer(peer, head), i = 0; link !== head && i < 64; link = await pointer(peer, link), i++) {
    const entry = (await read(peer, link, 0x68)).data;
    const name = (await read(peer, u64(entry, 0x60), entry.readUInt16LE(0x58))).data.toString('utf16le');
    found.set(name, { base: u64(entry, 0x30), size: entry.readUInt32LE(0x40) });
  }
  return found;
}

/** The export directory of the image at base: name -> address. */
export async function exportsOf(peer, base) {
  const headers = base + BigInt((await read(peer, base + 0x3cn, 4)).data.readUInt32LE(0));
  const directory = (await read(peer, base + BigInt((await read(peer, headers + 0x88n, 4)).data.readUInt32LE(0)), 40)).data;
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

/** A stop at a hard-coded int3 repeats for ever unless RIP is moved over it. */
async function skipInt3(peer, state) {
  if ((await read(peer, state.pc, 1)).data[0] !== 0xcc) return;
  const whole = (await checks.context(peer, state.cpu)).data;
  whole.writeBigUInt64LE(state.pc + 1n, 0xf8);
  await peer.request(0x3133, [[16, 4, 0]], whole, { cpu: state.cpu });
}

export async function resume(peer, state, options) {
  await skipInt3(peer, state);
  await go(peer, options);
}

export async function run(t, peer, target, kernel) {
  const list = await modules(peer, target.modules);
  t.is('modules in load order', [...list.keys()].slice(0, 3), [[...list.keys()][0], 'kdcom.dll', 'vmkdemo.sys']);
  const demo = await exportsOf(peer, list.get('vmkdemo.sys').base);
  const called = demo.get('DemoCompute') ?? [...demo.values()][0];
  await resume(peer, target.state);
  const before = Number((await kernel.ask('ticks', /(\d+)/))[1]);
  let state = await breakIn(t, peer);
  const handle = await checks.setBreakpoint(peer, called);
  t.is('a breakpoint in vmkdemo.sys', handle > 0, true);
  await resume(peer, state);
  kernel.tell('call 1');
  state = await stop(peer);
  t.is('is hit, PC is its address', [state.code, state.pc, state.address], [0x80000003, called, called]);
  t.is('the handle has gone', await checks.clearBreakpoint(peer, handle), false);
  t.is('the original byte is back', (await read(peer, called, 1)).data[0] === 0xcc, false);
  for (let step = 0; step < 5; step++) {
    const from = state.pc;
    await go(peer, { trace: 1 });
    state = await stop(peer);
    t.is(`step ${step + 1}`, [state.code, state.pc !== from, (state.dr6 & 0x4000n) !== 0n], [0x80000004, true, true]);
  }
  await go(peer);
  await kernel.heard(/\S/);

  state = await breakIn(t, peer);
  const watched = demo.get('DemoWatched') ?? 0n;
  for (let cpu = 0; cpu < target.cpus; cpu++) {
    const special = (await checks.control(peer, 2, 0xe0, cpu)).data;
    special.writeBigUInt64LE(watched, 0x20);
    special.writeBigUInt64LE(0xd0401n, 0x48); // DR0, write, 4 bytes
    await peer.request(0x3138, [[16, 8, 2], [24, 4, special.length]], special, { cpu });
  }
  await resume(peer, state, { dr7: 0xd0401n });
  kernel.tell('touch');
  state = await stop(peer);
  t.is('a write watchpoint hits', [state.code, Number(state.dr6 & 0xfn), state.dr7 & 0xffn], [0x80000004, 1, 0x1n]);
  await go(peer, { dr7: 0x400n });
  await kernel.heard(/\S/);
  const after = Number((await kernel.ask('ticks', /(\d+)/))[1]);
  t.is('the machine runs on', after > before, true);
  target.state = await breakIn(t, peer);
}

export async function print(t, peer, target, kernel) {
  await resume(peer, target.state);
  const count = peer.seen.prints.length;
  kernel.tell('print 300');
  await peer.until(() => peer.seen.prints.length >= count + 300, 20000, '300 prints');
  t.is('300 prints', peer.seen.prints.length, count + 300);
  await kernel.heard(/\S/);
  peer.answers.prompt = (payload) => {
    const text = Buffer.from('yes, all of it');
    const answer = Buffer.from(payload.subarray(0, 16));
    answer.writeUInt32LE(text.length, 12);
    t.is('the question', payload.toString('latin1', 16).includes('really'), true);
    return Buffer.concat([answer, text]);
  };
  t.is('DbgPrompt brings the answer', (await kernel.ask('prompt really?', /yes, all of it/))[0], 'yes, all of it');
  t.is('trace data', (await kernel.ask('trace 0123', /sent/))[0], 'sent');
  t.is('arrived', peer.seen.traces.at(-1).toString('latin1'), '0123');
  peer.answers.control = (api, payload) => {
    const answer = Buffer.from(payload);
    answer.writeUInt32LE(api === 0x4300 && payload.readUInt32LE(4) === 1 ? 1 : 0, 8);
    return answer;
  };
  t.is('a hardware breakpoint is lent', (await kernel.ask('hwbp request 1', /granted|refused/))[0], 'granted');
  t.is('another is not', (await kernel.ask('hwbp request 2', /granted|refused/))[0], 'refused');
  kernel.tell('cmdstring .echo hello');
  const state = await stop(peer);
  t.is('a command string', [state.kind, state.text], ['command', 'vmkd\0.echo hello\0']);
  await go(peer);
  await kernel.heard(/done/);
  target.state = await breakIn(t, peer);
}

async function notice(t, peer, kernel, command, unload) {
  kernel.tell(command);
  const state = await stop(peer, 10000, { continueNotices: false });
  t.is(`${command}: a notice`, [state.kind, state.unload, /vmkondem\.sys$/.test(state.path)], ['symbols', unload, true]);
  await go(peer);
  await kernel.heard(/\S/);
  return state;
}

export async function modulesSection(t, peer, target, kernel) {
  peer.answers.file = (api, payload) => {
    const answer = Buffer.from(payload.subarray(0, 64));
    answer.writeUInt32LE(0xc000000f, 4);
    return answer;
  };
  await resume(peer, target.state);
  for (let round = 0; round < 2; round++) {
    const loaded = await notice(t, peer, kernel, 'load', false);
    t.is('base and size', [loaded.base > 0xffff800000000000n, loaded.size > 0], [true, true]);
    const unloaded = await notice(t, peer, kernel, 'unload', true);
    t.is('the same base goes', unloaded.base, loaded.base);
  }
  target.state = await breakIn(t, peer);
}

export async function files(t, peer, target, kernel, image) {
  const asked = [];
  const bytes = image ?? Buffer.alloc(0);
  peer.answers.file = (api, payload) => {
    const answer = Buffer.from(payload.subarray(0, 64));
    asked.push(api);
    answer.writeUInt32LE(0, 4);
    if (api === 0x3430) {
      target.fileName = payload.toString('utf16le', 64);
      answer.writeBigUInt64LE(0x77n, 32);
      answer.writeBigUInt64LE(BigInt(bytes.length), 40);
    } else if (api === 0x3431) {
      const offset = Number(payload.readBigUInt64LE(16));
      return Buffer.concat([answer, bytes.subarray(offset, offset + payload.readUInt32LE(24))]);
    }
    return answer;
  };
  await resume(peer, target.state);
  await notice(t, peer, kernel, 'load', false);
  t.is('kdfiles: create, reads, close', [asked[0], asked.at(-1), asked.filter((api) => api === 0x3431).length],
    [0x3430, 0x3433, Math.ceil(bytes.length / 3936)]);
  t.is('the name ends with NUL', /vmkondem\.sys\0$/.test(target.fileName), true);
  await notice(t, peer, kernel, 'unload', true);
  target.state = await breakIn(t, peer);
}
