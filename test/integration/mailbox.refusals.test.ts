// test-limit: 600 s
/**
 * Each way in which vmkd.sys can fail to start, but for want of memory: what it says in memory, in the status of its DriverEntry,
 * and that the kernel is as it was. The kernel is spoilt from outside, and mended again; then the module starts.
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../src/engine/core/clock';
import { MailboxFinder } from '../../src/engine/link/mailbox/finder';
import { whyModuleFailed } from '../../src/engine/link/mailbox/moduleStatus';
import { FileRam } from '../fixtures/fileRam';
import { changedPlaces, readGuestImage, type GuestImage } from '../fixtures/guestImages';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const patience = 120_000;
/** No instruction of 64-bit code. */
const undefinedCode = Uint8Array.of(0x06);

class Guest {
  readonly #ram: FileRam;
  readonly #finder: MailboxFinder;
  readonly #seen = new Set<bigint>();

  private constructor(readonly machine: DemoMachine) {
    this.#ram = new FileRam(machine.ramFile);
    this.#finder = new MailboxFinder(this.#ram, systemClock);
  }

  static async boot(t: TestContext, options: DemoKernelOptions = {}): Promise<Guest> {
    const machine = await bootDemoKernel({ guestModule: 'later', memoryMiB: 128, cpus: 1, ...options });
    const guest = new Guest(machine);
    t.after(async () => {
      await machine.stop();
      guest.#ram.close();
    });
    return guest;
  }

  image(name: string): Promise<GuestImage> {
    return readGuestImage(this.machine, this.#ram, name);
  }

  /** The load fails with this status, which is told where the host looks, and changes nothing. */
  async refuses(status: string, sentence: RegExp): Promise<void> {
    const images = () => Promise.all(['kdcom.dll', 'ntoskrnl.exe'].map((name) => this.image(name)));
    const before = await images();
    await assert.rejects(
      this.machine.console.command('load vmkd.sys', patience),
      (error: unknown) => error instanceof Error && new RegExp(status, 'i').test(error.message),
    );
    for (const [i, after] of (await images()).entries())
      assert.deepEqual(changedPlaces(before[i]!, after), []);
    const { signal } = new AbortController();
    const notices = this.#finder.failures(await this.#finder.scan(signal));
    const [notice, ...more] = notices.filter(({ description }) => !this.#seen.has(description.nonce));
    assert.ok(notice !== undefined && more.length === 0, `${notices.length} notices`);
    this.#seen.add(notice.description.nonce);
    const { message } = whyModuleFailed(notice);
    assert.match(message, sentence);
    assert.ok(message.endsWith(`(status ${status})`), message);
    assert.ok(Number(await this.machine.console.command('ticks', patience)) > 0);
  }

  async starts(): Promise<void> {
    await this.machine.console.command('load vmkd.sys', patience);
    await this.machine.console.command('unload vmkd.sys', patience);
  }

  /** Overwrites each place of an image where `what` is. @returns what undoes it */
  async spoil(name: string, what: Uint8Array, by: Uint8Array): Promise<() => void> {
    const { base, bytes } = await this.image(name);
    const physical = Number(
      BigInt(`0x${await this.machine.console.command(`physical 0x${base.toString(16)}`, patience)}`),
    );
    const places: number[] = [];
    for (let at = bytes.indexOf(what); at >= 0; at = bytes.indexOf(what, at + 1)) places.push(physical + at);
    assert.ok(places.length > 0, `${name} holds no ${Buffer.from(what).toString('latin1')}`);
    const write = (all: Uint8Array): void => places.forEach((at) => this.#ram.writeAt(at, all));
    write(by);
    return () => write(what.subarray(0, by.length));
  }

  async addressOf(symbol: string): Promise<bigint> {
    return BigInt(`0x${await this.machine.console.command(`export ${symbol}`, patience)}`);
  }
}

const text = (characters: string): Uint8Array => Buffer.from(characters, 'latin1');
const pointer = (address: bigint): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(address);
  return bytes;
};

test('kernel debugging is off, or its transport is not to be found', async (t) => {
  const guest = await Guest.boot(t);
  await guest.machine.console.command('kd off', patience);
  await guest.refuses('C0000354', /kernel debugging is off/);
  await guest.machine.console.command('kd on', patience);
  const exported = await guest.spoil('kdcom.dll', text('KdReceivePacket\0'), text('X'));
  await guest.refuses('C0000139', /kdcom lacks/);
  const named = await guest.spoil('kdcom.dll', text('kdcom.dll\0'), text('X'));
  await guest.refuses('C0000135', /no module is kdcom/);
  exported();
  // It is not known by its name alone.
  await guest.starts();
  named();
  await guest.starts();
});

test('the kernel’s way to kdcom cannot be changed', async (t) => {
  const guest = await Guest.boot(t, { cmdline: 'importopt' });
  const send = await guest.addressOf('kdcom.dll!KdSendPacket');
  const { base, bytes } = await guest.image('kdcom.dll');
  // Nobody calls it: no debugger was ever here.
  const beginning = bytes.subarray(Number(send - base), Number(send - base) + 64);
  const code = await guest.spoil('kdcom.dll', beginning, undefinedCode);
  await guest.refuses('C0000225', /the kernel does not call what was put in kdcom’s place/);
  const slots = await guest.spoil('ntoskrnl.exe', pointer(send), pointer(send + 1n));
  await guest.refuses('C0000022', /the kernel’s way to kdcom cannot be changed/);
  slots();
  code();
  await guest.starts();
});

test('no machine that it is for: it says so, and leaves no notice', async (t) => {
  const guest = await Guest.boot(t, { qemuArgs: ['-machine', 'vmport=off', '-cpu', 'max,hypervisor=off'] });
  await assert.rejects(guest.machine.console.command('load vmkd.sys', patience), /c00000bb/i);
});
