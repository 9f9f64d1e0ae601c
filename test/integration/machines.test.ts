// test-limit: 300 s
/** Finding and controlling machines, on real QEMUs: by their command lines, and by their monitors. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { VmkdError } from '../../src/engine/core/errors';
import type { MachineEvent } from '../../src/engine/machine/control';
import { chooseMachine, findMachine, findMachines } from '../../src/engine/machine/find';
import type { Machine } from '../../src/engine/machine/machine';
import { connectQmp } from '../../src/engine/machine/qemu/qmp';
import { buildCli, vmkd, vmkdError, vmkdJson } from '../fixtures/cli';
import { ticksOf } from '../fixtures/guestLife';
import { freePort } from '../fixtures/linkTools';
import { writeEmptyQcow2 } from '../fixtures/qcow2';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const name = `vmkd-test-${process.pid}`;

/** A machine with a name and a monitor that we can connect to. */
async function boot(
  t: TestContext,
  options: DemoKernelOptions = {},
): Promise<{ machine: DemoMachine; monitor: string }> {
  const monitor = path.join(tempFolder(t), 'qmp');
  const machine = await bootDemoKernel({
    until: 'paused',
    memoryMiB: 64,
    cpus: 1,
    ...options,
    qemuArgs: ['-name', name, '-qmp', `unix:${monitor},server=on,wait=off`, ...(options.qemuArgs ?? [])],
  });
  t.after(() => machine.stop());
  return { machine, monitor };
}

const failsWith = (code: string) => (error: unknown) => error instanceof VmkdError && error.code === code;

/** Other people's machines may run beside ours. */
const ours = async (): Promise<Machine> => chooseMachine((await findMachines()).machines, name);

void describe('a QEMU machine', () => {
  void it('is found with its state, link, and memory', async (t) => {
    const { machine, monitor } = await boot(t);
    const found = await ours();
    assert.deepEqual([found.name, found.state, found.pid], [name, 'paused', machine.pid]);
    assert.equal(found.kdLink(), machine.kdLink);
    assert.equal(found.links[0]?.port, 1);
    assert.deepEqual(found.problems, []);
    const layout = { lowBytes: 64 << 20, totalBytes: 64 << 20 };
    assert.deepEqual(found.ramLocation(), { kind: 'file', path: machine.ramFile, layout });
    assert.ok(found.facts.kind === 'qemu');
    assert.deepEqual(found.facts.commandLine.monitors, [{ path: monitor }]);
    await machine.qmp('cont');
    assert.equal((await ours()).state, 'running');
  });

  for (const [machine, low] of [
    ['pc', 3072],
    ['q35', 2048],
  ] as const) {
    void it(`with 4 GiB: ${machine} says itself where the hole is`, async (t) => {
      await boot(t, { machine, memoryMiB: 4096 });
      const found = await ours();
      const layout = { lowBytes: low * 2 ** 20, totalBytes: 4096 * 2 ** 20 };
      assert.deepEqual(found.facts.layout, layout);
    });
  }

  void it('on a TCP port that the system chose: the monitor tells which', async (t) => {
    const { machine } = await boot(t, { kd: 'tcp' });
    assert.equal((await ours()).kdLink(), machine.kdLink);
  });

  void it('whose monitor somebody else holds is described by its command line and the rules', async (t) => {
    const { machine, monitor } = await boot(t);
    const holder = await connectQmp({ path: monitor });
    t.after(() => holder.close());
    const found = await ours();
    assert.deepEqual(
      found.problems.map(({ code }) => code),
      ['machine-monitor-busy'],
    );
    assert.equal(found.ramLocation().kind, 'file');
    assert.equal(found.kdLink(), machine.kdLink);
    await assert.rejects(found.openControl(), failsWith('machine-monitor-busy'));
  });

  void it('without a monitor says so, and how it gets one', async (t) => {
    const port = await freePort();
    const machine = await bootDemoKernel({ until: 'paused', memoryMiB: 64, qemuArgs: ['-name', name] });
    t.after(() => machine.stop());
    const found = await ours();
    assert.deepEqual(
      [found.state, found.problems.map(({ code }) => code)],
      ['running', ['machine-no-control']],
    );
    assert.match(found.problems[0]!.message, /none that others can connect to/);
    await assert.rejects(found.openControl(), failsWith('machine-no-control'));
    await assert.rejects(connectQmp({ host: '127.0.0.1', port }), failsWith('machine-no-control'));
  });

  void it('is not found by a name that is not there, and the error lists those that are', async (t) => {
    await boot(t);
    await assert.rejects(
      findMachine('no such machine'),
      (error) => failsWith('machine-unknown')(error) && String(error).includes(name),
    );
  });
});

void describe('its control', () => {
  void it('pauses, resumes and resets, and tells of it', async (t) => {
    const { machine } = await boot(t, { until: 'console' });
    const control = await (await ours()).openControl();
    t.after(() => control.close());
    const events: MachineEvent['kind'][] = [];
    const stop = control.watch(({ kind }) => events.push(kind));
    assert.equal(await control.power(), 'running');
    await control.pause();
    await control.pause();
    assert.equal(await control.power(), 'paused');
    await control.unpause();
    assert.equal(await control.power(), 'running');
    assert.deepEqual(events, ['paused', 'resumed']);
    const from = machine.console.lines.length;
    await control.reset();
    assert.ok(events.includes('reset'));
    await machine.console.waitFor(/^console ready$/, 30_000, from);
    stop();
    await control.pause();
    assert.equal(events.filter((kind) => kind === 'paused').length, 1);
  });

  void it('takes a snapshot and goes back to it, memory and all', async (t) => {
    const disk = path.join(tempFolder(t), 'disk.qcow2');
    writeEmptyQcow2(disk, 64n << 20n);
    const drive = ['-drive', `file=${disk},if=none,id=disk,format=qcow2`];
    const { machine } = await boot(t, { until: 'console', qemuArgs: drive });
    const control = await (await ours()).openControl();
    t.after(() => control.close());
    const { snapshots } = control;
    assert.ok(snapshots);
    assert.deepEqual(await snapshots.list(), []);
    const ticks = (): Promise<number> => ticksOf(machine);
    await control.pause();
    const memory = readFileSync(machine.ramFile);
    await snapshots.take('before it broke');
    assert.deepEqual(await snapshots.list(), ['before it broke']);
    await control.unpause();
    const before = await ticks();
    for (const deadline = Date.now() + 20_000; (await ticks()) <= before + 5;)
      assert.ok(Date.now() < deadline);
    await control.pause();
    await snapshots.revert('before it broke');
    assert.equal(await control.power(), 'paused');
    assert.ok(readFileSync(machine.ramFile).equals(memory), 'memory is as it was');
    await control.unpause();
    assert.ok((await ticks()) < before + 5 + 64);
    await assert.rejects(snapshots.revert('never taken'), failsWith('machine-control-refused'));
    assert.equal(await control.power(), 'running', 'what fails changes nothing');
    await assert.rejects(snapshots.take('a"; quit'), failsWith('value-out-of-range'));
  });

  void it('says what QEMU says when there is no disk for a snapshot', async (t) => {
    await boot(t);
    const control = await (await ours()).openControl();
    t.after(() => control.close());
    await assert.rejects(
      control.snapshots!.take('x'),
      (error) =>
        failsWith('machine-control-refused')(error) &&
        /No block device|cannot accept|vmstate/i.test(String(error)),
    );
  });

  void it('tells that the machine is gone, and fails what is under way', async (t) => {
    const { machine } = await boot(t);
    const control = await (await ours()).openControl();
    const lost = new Promise<MachineEvent>((resolve) =>
      control.watch((event) => event.kind === 'lost' && resolve(event)),
    );
    await machine.stop();
    assert.equal((await lost).kind, 'lost');
    await assert.rejects(control.pause(), failsWith('machine-monitor-lost'));
    control.close();
  });
});

void describe('vmkd machines', () => {
  before(buildCli);

  void it('shows a machine to people and to programs', async (t) => {
    const { machine } = await boot(t);
    const { stdout } = await vmkd(['machines', name]);
    assert.ok(stdout.startsWith(`${name}: paused\n`), stdout);
    assert.ok(stdout.includes(`COM1 of the guest: ${machine.kdLink}`), stdout);
    assert.ok(stdout.includes(`memory: 64 MiB, 64 MiB of it low, in the file ${machine.ramFile}`), stdout);
    const report = await vmkdJson<{ machines: Record<string, unknown>[] }>(['machines']);
    const found = report.machines.find((one) => one['name'] === name);
    assert.deepEqual((found?.['links'] as unknown[])[0], { port: 1, link: machine.kdLink });
    assert.equal(found?.['state'], 'paused');
    assert.deepEqual(found['problems'], []);
  });

  void it('says the lines of a .vmx that are missing, and keeps a name from driving the terminal', async (t) => {
    const file = path.join(tempFolder(t), 'x.vmx');
    writeFileSync(file, 'displayName = "\x1b[31mred|0aforged"\nmemsize = "64"\n');
    const { stdout } = await vmkd(['machines', file]);
    assert.ok(stdout.startsWith('\\x1b[31mred\\x0aforged: off\n'), stdout);
    assert.match(stdout, /^ {6}serial0\.fileType = "pipe"$/m);
    const { machines } = await vmkdJson<{ machines: { problems: { code: string }[] }[] }>(['machines', file]);
    assert.deepEqual(
      machines[0]?.problems.map(({ code }) => code),
      ['machine-no-serial'],
    );
  });

  void it('fails with what there is when the machine is unknown', async () => {
    const { exit, code, nextStep } = await vmkdError(['machines', 'no such machine']);
    assert.deepEqual([exit, code], [1, 'machine-unknown']);
    assert.match(nextStep, /vmkd machines/);
    assert.equal((await vmkdError(['machines', 'a', 'b'])).exit, 2);
  });
});
