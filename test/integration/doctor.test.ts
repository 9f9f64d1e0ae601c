// test-limit: 300 s
/** `vmkd doctor`, on machines that are well and on machines that are not: each ailment shows at its step, with what to do. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { buildCli, vmkd } from '../fixtures/cli';
import { ticksGrow } from '../fixtures/guestLife';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

before(buildCli);

const name = `vmkd-doctor-${process.pid}`;

async function boot(t: TestContext, options: DemoKernelOptions = {}): Promise<DemoMachine> {
  const monitor = path.join(tempFolder(t), 'qmp');
  const machine = await bootDemoKernel({
    ...options,
    qemuArgs: ['-name', name, '-qmp', `unix:${monitor},server=on,wait=off`],
  });
  t.after(() => machine.stop());
  return machine;
}

interface Report {
  readonly code: number;
  readonly ok: boolean;
  /** `serial port: fail machine-no-serial`. */
  readonly results: Readonly<Record<string, string>>;
  readonly steps: readonly {
    name: string;
    result: string;
    sentence: string;
    code?: string;
    nextStep?: string;
  }[];
}

async function doctor(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await vmkd(['doctor', ...args, '--json', '--timeout', '5']);
  assert.notEqual(stdout, '', stderr);
  const { ok, steps } = JSON.parse(stdout) as Report;
  const results = steps.map(({ name: step, result, code: error }) => [
    step,
    error === undefined ? result : `${result} ${error}`,
  ]);
  return { code, ok, steps, results: Object.fromEntries(results) as Record<string, string> };
}

const sentence = ({ steps }: Report, name: string): string =>
  steps.find((step) => step.name === name)!.sentence;

const allWell = {
  machine: 'pass',
  running: 'pass',
  'serial port': 'pass',
  firmware: 'skip',
  link: 'pass',
  bytes: 'pass',
  KD: 'pass',
  version: 'pass',
  'guest RAM': 'pass',
  layout: 'pass',
  'RAM verified': 'pass',
  'guest module': 'warn mailbox-absent',
  transport: 'pass',
  control: 'pass',
};

void describe('vmkd doctor', () => {
  void it('finds nothing wrong with a machine that is well, by its name and by its link; it runs on', async (t) => {
    const machine = await boot(t);
    for (const subject of [name, machine.kdLink]) {
      const { code, ok, results } = await doctor(subject);
      assert.deepEqual(results, allWell);
      assert.deepEqual([code, ok], [0, true]);
    }
    const { stdout } = await vmkd(['doctor', name]);
    assert.match(stdout, /^ok {4}machine {7}vmkd-doctor/m);
    assert.match(stdout, /^ok {4}RAM verified {2}it is this kernel’s memory, by /m);
    await ticksGrow(machine, 20_000);
  });

  void it('a guest module that is loaded, and what it is good for', async (t) => {
    const machine = await boot(t, { guestModule: 'later' });
    const without = await doctor(name);
    assert.match(sentence(without, 'transport'), /^hybrid: /);
    await machine.console.command('load vmkd.sys', 30_000);
    const loaded = await doctor(name);
    assert.deepEqual(loaded.results, { ...allWell, 'guest module': 'pass' });
    assert.match(sentence(loaded, 'guest module'), /alive, by the kernel’s import slots$/);
    assert.match(sentence(loaded, 'transport'), /^mailbox: /);
    await machine.console.command('ticks', 30_000);
    // What it leaves behind in memory is not taken for it.
    await machine.reset();
    assert.deepEqual((await doctor(name)).results, allWell);
  });

  void it('a guest module that could not start says why, until the next boot', async (t) => {
    const machine = await boot(t, { guestModule: 'later' });
    await machine.console.command('kd off', 30_000);
    await machine.console.command('load vmkd.sys', 30_000).catch(() => undefined);
    await machine.console.command('kd on', 30_000);
    const { results, steps } = await doctor(name);
    assert.equal(results['guest module'], 'warn mailbox-failed');
    const step = steps.find((one) => one.name === 'guest module')!;
    assert.match(step.sentence, /kernel debugging is off \(status C0000354\)/);
    assert.match(step.nextStep!, /bcdedit/);
    await machine.reset();
    assert.deepEqual((await doctor(name)).results, allWell);
  });

  void it('a kernel that stands at a break already is left standing', async (t) => {
    const machine = await boot(t);
    // It does not answer before somebody lets it go. On its line it says that it stands, until somebody hears it.
    await assert.rejects(machine.console.command('break', 1000));
    const line = net.connect(machine.kdLink.replace('unix:', ''));
    await once(line, 'data', { signal: AbortSignal.timeout(60_000) });
    line.destroy();
    await once(line, 'close');
    for (let time = 0; time < 2; time++) {
      const { steps, results } = await doctor(machine.kdLink);
      assert.equal(results['KD'], 'pass');
      assert.match(steps.find((step) => step.name === 'KD')!.sentence, /stood already/);
    }
  });

  void it('a paused machine', async (t) => {
    const machine = await boot(t);
    await machine.qmp('stop');
    const { code, results } = await doctor(name);
    assert.equal(code, 1);
    assert.equal(results['running'], 'fail machine-paused');
    assert.equal(results['bytes'], 'fail target-silent');
    assert.equal(results['version'], 'skip');
  });

  void it('a kernel without debugging', async (t) => {
    const machine = await boot(t, { cmdline: 'nodebug' });
    const { code, results, steps } = await doctor(name);
    assert.equal(code, 1);
    assert.deepEqual(results, {
      ...allWell,
      bytes: 'fail target-silent',
      KD: 'skip',
      version: 'skip',
      'RAM verified': 'skip',
      transport: 'skip',
    });
    assert.match(steps.find(({ result }) => result === 'fail')!.nextStep!, /bcdedit/);
    await machine.console.command('ticks');
  });

  void it('somebody else on the port', async (t) => {
    const machine = await boot(t);
    const holder = net.connect(machine.kdLink.replace('unix:', ''));
    await new Promise((resolve) => holder.once('connect', resolve));
    t.after(() => holder.destroy());
    const { results } = await doctor(name);
    assert.deepEqual([results['bytes'], results['KD']], ['fail target-second-debugger', 'skip']);
  });

  void it('a .vmx without a serial port, of a machine that is off', async (t) => {
    const file = path.join(tempFolder(t), 'x.vmx');
    writeFileSync(file, 'displayName = "x"\nmemsize = "64"\nuefi.secureBoot.enabled = "TRUE"\n');
    const { code, results, steps } = await doctor(file);
    assert.equal(code, 1);
    assert.deepEqual(results, {
      machine: 'pass',
      running: 'fail machine-off',
      'serial port': 'fail machine-no-serial',
      firmware: 'warn target-silent',
      link: 'skip',
      bytes: 'skip',
      KD: 'skip',
      version: 'skip',
      'guest RAM': 'warn machine-off',
      layout: 'pass',
      'RAM verified': 'skip',
      'guest module': 'skip',
      transport: 'skip',
      control: 'warn machine-no-control',
    });
    assert.match(steps[2]!.nextStep!, /^serial0\.fileType = "pipe"$/m);
  });

  void it('a link that nobody knows, and bytes that are no KD', async (t) => {
    const file = path.join(tempFolder(t), 'port');
    const absent = await doctor(`unix:${file}`);
    assert.deepEqual([absent.results['machine'], absent.results['link']], ['skip', 'fail link-not-found']);
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.write('login: '.repeat(100));
    });
    await new Promise<void>((resolve) => server.listen(file, resolve));
    t.after(() => server.close());
    const { results } = await doctor(`unix:${file}`);
    assert.deepEqual([results['bytes'], results['KD']], ['pass', 'fail target-garbage']);
  });

  void it('an unknown machine, and wrong usage', async () => {
    const { code, results } = await doctor('no such machine');
    assert.deepEqual([code, results['machine'], results['link']], [1, 'fail machine-unknown', 'skip']);
    assert.equal((await vmkd(['doctor'])).code, 2);
    assert.equal((await vmkd(['doctor', 'a', 'b'])).code, 2);
  });
});
