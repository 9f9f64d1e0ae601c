// A very small client of QEMU's gdbstub, for what no guest can do to itself: let one processor run and hold another.
//
//   $payload#sum, acknowledged by '+'; threads are p1.1, p1.2... for processors 0, 1...

import net from 'node:net';

export class Gdb {
  #socket;
  #text = '';
  #wake = () => undefined;

  /** The machine stops when somebody connects. */
  static async connect(path) {
    const socket = net.connect(path);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const gdb = new Gdb(socket);
    await gdb.#reply(); // how it stopped
    await gdb.#start();
    return gdb;
  }

  /** Over a connection that QEMU made to us; the machine was started with -S and stands still. */
  static async over(socket) {
    const gdb = new Gdb(socket);
    await gdb.#start();
    return gdb;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => undefined);
  }

  async #start() {
    await this.#ask('qSupported:multiprocess+;vContSupported+');
    await this.#ask('vCont?');
  }

  /** The machine runs on. */
  async close() {
    await this.#ask('D;1');
    this.#socket.destroy();
  }

  /** Only these processors, or all of them. */
  run(cpus) {
    this.#send(`vCont;${cpus ? cpus.map((cpu) => `c:p1.${(cpu + 1).toString(16)}`).join(';') : 'c'}`);
  }

  async stop() {
    this.#socket.write('\x03');
    await this.#reply();
  }

  /** Until a processor would do the instruction at an address. */
  async runTo(address) {
    const breakpoint = `1,${address.toString(16)},1`; // in hardware: the code may not be there yet
    await this.#ask(`Z${breakpoint}`);
    await this.#ask('vCont;c');
    await this.#ask(`z${breakpoint}`);
  }

  /** The first processor does one instruction. */
  async step() {
    await this.#ask('vCont;s:p1.1');
  }

  /** rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15, rip; of the processor that stopped last. */
  async registers() {
    const bytes = Buffer.from(await this.#ask('g'), 'hex');
    return Array.from({ length: 17 }, (_, i) => bytes.readBigUInt64LE(i * 8));
  }

  /** Whether a processor that is stopped stands behind a HLT. */
  async isIdle(cpu) {
    await this.#ask(`Hgp1.${(cpu + 1).toString(16)}`);
    const rip = (await this.registers())[16];
    return (await this.#ask(`m${(rip - 1n).toString(16)},1`)) === 'f4';
  }

  #ask(payload) {
    this.#send(payload);
    return this.#reply();
  }

  #send(payload) {
    const sum = [...Buffer.from(payload)].reduce((total, byte) => (total + byte) & 0xff, 0);
    this.#socket.write(`$${payload}#${sum.toString(16).padStart(2, '0')}`);
  }

  async #reply(limit = 5000) {
    const deadline = Date.now() + limit;
    for (;;) {
      const match = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#text);
      if (match) {
        this.#text = this.#text.slice(match.index + match[0].length);
        this.#socket.write('+');
        return match[1];
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`QEMU's gdbstub did not answer in ${limit} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
