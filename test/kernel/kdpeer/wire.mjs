// A very small KDCOM debugger, the second opinion on the demo kernel's protocol. It shares no code with the product:
// what both get right, they got right independently.
//
// One request is outstanding at a time. Prints, trace data and notices are collected in `seen`; questions (prompt,
// file, control) are answered by the functions in `answers`. Every wait has a limit and says what it waited for.

import net from 'node:net';

const DATA = 0x30303030;
const CONTROL = 0x69696969;
const INITIAL = 0x80800000;
const SYNC = 0x800;
export const TYPE = {
  manipulate: 2,
  io: 3,
  ack: 4,
  resend: 5,
  reset: 6,
  state: 7,
  trace: 9,
  control: 10,
  file: 11,
};

const sum = (bytes) => bytes.reduce((total, byte) => (total + byte) >>> 0, 0);
const hex = (value) => `0x${value.toString(16)}`;

export class Peer {
  #socket;
  #buffer = Buffer.alloc(0);
  #mine = INITIAL;
  #theirs = INITIAL;
  #sending = undefined;
  #waiting = [];
  #queue = [];
  answers = {};
  seen = { prints: [], traces: [], resets: 0, resends: 0, acks: [], duplicates: 0, syncs: 0, bad: 0 };
  /** Test aids: how many of the next acknowledgements are swallowed; what is done to each thing sent. */
  dropAcks = 0;
  spoil = undefined;
  log = [];

  static async connect(path, limit = 5000) {
    const peer = new Peer();
    const deadline = Date.now() + limit;
    for (;;) {
      const socket = net.connect(path);
      const failed = await new Promise((resolve) => {
        socket.once('connect', () => resolve(undefined));
        socket.once('error', resolve);
      });
      if (!failed) {
        peer.#socket = socket;
        socket.on('data', (bytes) => peer.#receive(bytes));
        socket.on('error', () => undefined);
        return peer;
      }
      if (Date.now() > deadline) throw new Error(`no peer at ${path}: ${failed.message}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close() {
    this.#socket.destroy();
  }

  raw(bytes) {
    this.#note('sent', bytes);
    const sent = this.spoil ? this.spoil(Buffer.from(bytes)) : bytes;
    if (sent !== bytes) this.#note(sent ? 'spoilt' : 'lost', sent ?? bytes);
    if (sent) this.#socket.write(Buffer.from(sent));
  }

  #note(what, bytes) {
    if (this.log.length >= 60) this.log.shift();
    this.log.push(
      `${performance.now().toFixed(1)} ${what} ${Buffer.from(bytes.subarray?.(0, 40) ?? bytes).toString('hex')} (${bytes.length})`,
    );
  }

  breakIn() {
    this.raw([0x62]);
  }

  control(type, id = 0) {
    const packet = Buffer.alloc(16);
    packet.writeUInt32LE(CONTROL, 0);
    packet.writeUInt16LE(type, 4);
    packet.writeUInt32LE(id >>> 0, 8);
    this.raw(packet);
  }

  /** Ids start again on both sides; the target answers with RESET and repeats what it was about. */
  async reset() {
    const before = this.seen.resets;
    this.#mine = INITIAL;
    this.#theirs = INITIAL;
    this.#queue = [];
    this.control(TYPE.reset);
    await this.until(() => this.seen.resets > before, 3000, 'the answer to RESET');
  }

  frame(type, payload, id) {
    const packet = Buffer.alloc(16);
    packet.writeUInt32LE(DATA, 0);
    packet.writeUInt16LE(type, 4);
    packet.writeUInt16LE(payload.length, 6);
    packet.writeUInt32LE(id >>> 0, 8);
    packet.writeUInt32LE(sum(payload), 12);
    return Buffer.concat([packet, payload, Buffer.from([0xaa])]);
  }

  get nextId() {
    return this.#mine;
  }

  async send(type, payload) {
    const sending = { id: this.#mine, acked: false };
    this.#sending = sending;
    for (let attempt = 0; attempt < 20; attempt++) {
      this.raw(this.frame(type, payload, sending.id));
      const resends = this.seen.resends;
      await this.until(() => sending.acked || this.seen.resends > resends, 500, 'an acknowledgement', true);
      if (sending.acked) return;
    }
    throw new Error(`packet type ${type} was never acknowledged`);
  }

  /** The next packet of one of these types, in order of arrival. */
  async next(types, limit = 5000) {
    const find = () => this.#queue.findIndex((packet) => types.includes(packet.type));
    await this.until(() => find() >= 0, limit, `a packet of type ${types}`);
    return this.#queue.splice(find(), 1)[0];
  }

  async until(condition, limit, what, mayFail = false) {
    const deadline = Date.now() + limit;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) {
        if (mayFail) return false;
        throw new Error(`waited ${limit} ms for ${what}`);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return true;
  }

  /** A manipulate request: 56 bytes with fields [offset, size, value], and data; the reply likewise. */
  async request(api, fields = [], data = Buffer.alloc(0), { cpu = 0, reply = true, limit = 5000 } = {}) {
    const head = Buffer.alloc(56, 0xcd); // junk where nothing is said, as real debuggers leave it
    head.writeUInt32LE(api, 0);
    head.writeUInt16LE(cpu, 6);
    head.writeUInt32LE(0x103, 8);
    for (const [offset, size, value] of fields) {
      if (size === 8) head.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), offset);
      else head.writeUIntLE(value, offset, size);
    }
    this.lastRequest = head;
    await this.send(TYPE.manipulate, Buffer.concat([head, data]));
    if (!reply) return undefined;
    const { payload } = await this.next([TYPE.manipulate], limit);
    if (payload.readUInt32LE(0) !== api)
      throw new Error(`asked ${hex(api)}, got ${hex(payload.readUInt32LE(0))}`);
    return { status: payload.readUInt32LE(8), head: payload.subarray(0, 56), data: payload.subarray(56) };
  }

  #receive(bytes) {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    while (this.#parse());
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #parse() {
    let start = 0;
    const leader = () => this.#buffer.readUInt32LE(start);
    while (start + 4 <= this.#buffer.length && leader() !== DATA && leader() !== CONTROL) start++;
    this.#buffer = this.#buffer.subarray(start);
    if (this.#buffer.length < 16) return false;
    const type = this.#buffer.readUInt16LE(4);
    const length = this.#buffer.readUInt16LE(6);
    const id = this.#buffer.readUInt32LE(8);
    if (this.#buffer.readUInt32LE(0) === CONTROL) {
      this.#buffer = this.#buffer.subarray(16);
      this.#onControl(type, id);
      return true;
    }
    if (this.#buffer.length < 17 + length) return false;
    const payload = Buffer.from(this.#buffer.subarray(16, 16 + length));
    const good = sum(payload) === this.#buffer.readUInt32LE(12) && this.#buffer[16 + length] === 0xaa;
    this.#buffer = this.#buffer.subarray(17 + length);
    if (!good) {
      this.seen.bad++;
      this.control(TYPE.resend);
      return true;
    }
    this.#onData(type, id, payload);
    return true;
  }

  #onControl(type, id) {
    this.#note('control', Buffer.from(`${type} ${id.toString(16)}`));
    if (type === TYPE.ack) {
      this.seen.acks.push(id);
      if (id === this.#sending?.id && !this.#sending.acked) {
        this.#sending.acked = true;
        this.#mine = (id ^ 1) >>> 0; // at once: the packet behind this one may want an answer under the next id
      }
    } else if (type === TYPE.resend) this.seen.resends++;
    else if (type === TYPE.reset) this.seen.resets++;
  }

  #onData(type, id, payload) {
    this.#note(`data ${type} ${id.toString(16)}`, payload);
    if (this.dropAcks > 0) this.dropAcks--;
    else this.control(TYPE.ack, (id & ~SYNC) >>> 0);
    if (id & SYNC) {
      this.seen.syncs++;
      this.#mine = INITIAL;
      this.#theirs = (id & ~SYNC) >>> 0;
    }
    if ((id & ~SYNC) >>> 0 !== this.#theirs) {
      this.seen.duplicates++;
      return;
    }
    this.#theirs = (this.#theirs ^ 1) >>> 0;
    const answer = this.#answer(type, payload);
    if (answer)
      this.send(type, answer).catch((error) => {
        this.failure = error;
      });
  }

  #answer(type, payload) {
    const api = payload.readUInt32LE(0);
    if (type === TYPE.io && api === 0x3230) {
      this.seen.prints.push(payload.toString('latin1', 16, 16 + payload.readUInt32LE(8)));
    } else if (type === TYPE.trace) {
      this.seen.traces.push(payload.subarray(64));
    } else if (type === TYPE.io && this.answers.prompt) {
      return this.answers.prompt(payload);
    } else if (type === TYPE.file && this.answers.file) {
      return this.answers.file(api, payload);
    } else if (type === TYPE.control && this.answers.control) {
      return this.answers.control(api, payload);
    } else {
      this.#queue.push({ type, payload });
    }
    return undefined;
  }
}

/** The fields of a STATE_CHANGE64 that the checks look at. */
export function stateOf(payload) {
  const kind = payload.readUInt32LE(0);
  return {
    kind: { 0x3030: 'exception', 0x3031: 'symbols', 0x3032: 'command' }[kind] ?? hex(kind),
    cpu: payload.readUInt16LE(6),
    cpus: payload.readUInt32LE(8),
    thread: payload.readBigUInt64LE(16),
    pc: payload.readBigUInt64LE(24),
    code: payload.readUInt32LE(32),
    address: payload.readBigUInt64LE(48),
    firstChance: payload.readUInt32LE(184),
    base: payload.readBigUInt64LE(40),
    size: payload.readUInt32LE(60),
    unload: payload[64] !== 0,
    path: kind === 0x3031 ? payload.toString('latin1', 240).replace(/\0.*$/, '') : '',
    text: kind === 0x3032 ? payload.toString('latin1', 240) : '',
    dr6: payload.readBigUInt64LE(192),
    dr7: payload.readBigUInt64LE(200),
    eflags: payload.readUInt32LE(208),
    streamLength: payload.readUInt16LE(212),
    stream: payload.subarray(216, 232),
    cs: payload.readUInt16LE(232),
    length: payload.length,
  };
}
