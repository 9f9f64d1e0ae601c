/**
 * Control through a program that stands for vmrun: a script of this test's own, which keeps the state of one machine in a
 * file. What is tested is our handling of a real process; how the real vmrun behaves is written down in vmrun.ts.
 */

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test as anywhere, type TestContext } from 'node:test';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import { VirtualClock } from '../../../../test/fixtures/virtualClock';
import { VmkdError } from '../../core/errors';
import type { MachineEvent } from '../control';
import { chooseMachine, findMachine, findMachines } from '../find';
import type { Host } from '../host';
import { findVmrun, Vmrun } from './runVmrun';
import { vmwareMachine } from './vmwareMachine';
import { VmrunControl } from './vmrunControl';

const skip = process.platform === 'win32' && 'a script that begins with #! stands for vmrun';
const test = (name: string, action: (t: TestContext) => Promise<void>): void => {
  void anywhere(name, { skip }, action);
};

const script = `
import { readFileSync, writeFileSync, appendFileSync } from 'node:fs';
const folder = import.meta.dirname;
const args = process.argv.slice(2);
appendFileSync(folder + '/calls', JSON.stringify(args) + '\\n');
const [, type, ...rest] = args;
let password;
if (rest[0] === '-vp') [, password] = rest.splice(0, 2);
const [command, vmx, name, variable] = rest;
const file = folder + '/state.json';
const state = JSON.parse(readFileSync(file, 'utf8'));
const save = () => writeFileSync(file, JSON.stringify(state));
const fail = (text) => { console.log('Error: ' + text); process.exit(255); };
if (state.hang) setInterval(() => undefined, 1000);
else if (command === 'list') console.log(['Total running VMs: ' + state.running.length, ...state.running].join('\\n'));
else if (vmx !== state.vmx) fail('Cannot open VM: ' + vmx + ', The virtual machine cannot be found');
else if (state.password !== undefined && password === undefined) fail('Cannot open VM: ' + vmx + ', A password is required for this operation');
else if (state.password !== password) fail('Cannot open VM: ' + vmx + ', Incorrect password');
else if (command === 'start') { state.running = [vmx]; save(); }
else if (command === 'listSnapshots') console.log(['Total snapshots: ' + state.snapshots.length, ...state.snapshots].join('\\n'));
else if (command === 'snapshot') { state.snapshots.push(name); save(); }
else if (!state.running.includes(vmx)) fail('The virtual machine is not powered on: ' + vmx);
else if (command === 'readVariable') console.log(state.variables?.[name + '.' + variable] ?? '');
else if (command === 'revertToSnapshot' && !state.snapshots.includes(name)) fail('The snapshot does not exist');
`;

interface StandIn {
  readonly host: Host;
  readonly vmxPath: string;
  /** Makes the machine another one. */
  become(state: Partial<State>): void;
  calls(): string[][];
}

interface State {
  running: string[];
  snapshots: string[];
  vmx: string;
  password?: string;
  hang?: boolean;
  variables?: Record<string, string>;
}

/** A Linux user with one machine in the library, and our vmrun. */
function standIn(t: TestContext, more: Partial<State> = {}, vmx = ''): StandIn {
  const home = tempFolder(t);
  const vmxPath = path.join(home, 'vms', 'Windows 11', 'Windows 11.vmx');
  mkdirSync(path.dirname(vmxPath), { recursive: true });
  mkdirSync(path.join(home, '.vmware'));
  mkdirSync(path.join(home, 'proc'));
  writeFileSync(
    path.join(home, '.vmware', 'inventory.vmls'),
    `vmlist1.config = "${vmxPath}"\nvmlist2.config = "${home}/gone.vmx"\n`,
  );
  writeFileSync(vmxPath, vmx === '' ? 'displayName = "Target"\nmemsize = "4096"\n' : vmx);
  const program = path.join(home, 'vmrun.mjs');
  writeFileSync(program, `#!${process.execPath}\n${script}`);
  chmodSync(program, 0o755);
  const file = path.join(home, 'state.json');
  let state: State = { running: [], snapshots: [], vmx: vmxPath, ...more };
  const become = (change: Partial<State>): void => {
    state = { ...state, ...change };
    writeFileSync(file, JSON.stringify(state));
  };
  become({});
  return {
    vmxPath,
    host: {
      platform: 'linux',
      home,
      environment: { VMKD_VMRUN: program },
      processFolder: path.join(home, 'proc'),
    },
    become,
    calls: () =>
      readFileSync(path.join(home, 'calls'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as string[]),
  };
}

const failsWith = (code: string) => (error: unknown) => error instanceof VmkdError && error.code === code;

test('the orders and the state of a machine', async (t) => {
  const { host, vmxPath, ...vm } = standIn(t);
  const control = await (await vmwareMachine(host, vmxPath)).openControl();
  t.after(() => control.close());
  assert.equal(await control.power(), 'off');
  await assert.rejects(control.pause(), failsWith('machine-off'));
  await control.start?.();
  assert.equal(await control.power(), 'running');
  await control.pause();
  assert.equal(await control.power(), 'paused');
  await control.unpause();
  assert.equal(await control.power(), 'running');
  await control.pause();
  await control.reset();
  assert.equal(await control.power(), 'running');
  await control.snapshots?.take('before it broke');
  assert.deepEqual(await control.snapshots?.list(), ['before it broke']);
  await control.snapshots?.revert('before it broke');
  await assert.rejects(control.snapshots!.revert('never'), failsWith('machine-control-refused'));
  for (const name of ['-T', 'a/b', '', 'x\ny'])
    await assert.rejects(control.snapshots!.take(name), failsWith('value-out-of-range'), name);
  const commands = vm.calls().map(([, , command]) => command);
  assert.ok(
    commands.includes('reset') && vm.calls().some((call) => call.join(' ') === `-T ws reset ${vmxPath} hard`),
  );
});

test('what the guest has told its monitor', async (t) => {
  const { host, vmxPath, ...vm } = standIn(t);
  const control = await (await vmwareMachine(host, vmxPath)).openControl();
  await assert.rejects(control.guestVariable!('vmkd.mailbox'), failsWith('machine-off'));
  await control.start?.();
  assert.equal(await control.guestVariable?.('vmkd.mailbox'), '');
  vm.become({
    running: [vmxPath],
    variables: { 'guestVar.vmkd.mailbox': '0000000012345000 0123456789abcdef' },
  });
  assert.equal(await control.guestVariable?.('vmkd.mailbox'), '0000000012345000 0123456789abcdef');
});

test('a suspended machine is not off', async (t) => {
  const { host, vmxPath } = standIn(t, {}, 'memsize = "64"\ncheckpoint.vmState = "Windows 11.vmss"\n');
  const machine = await vmwareMachine(host, vmxPath);
  assert.equal(machine.state, 'suspended');
  assert.equal(await (await machine.openControl()).power(), 'suspended');
});

test('the password of an encrypted machine, missing, wrong and right', async (t) => {
  const { host, vmxPath } = standIn(
    t,
    { password: 'secret' },
    'memsize="64"\nencryption.keySafe="x"\nencryption.data="y"\n',
  );
  const machine = await vmwareMachine(host, vmxPath);
  await assert.rejects((await machine.openControl()).start!(), failsWith('machine-password-needed'));
  await assert.rejects(
    (await machine.openControl({ password: 'x' })).start!(),
    failsWith('machine-password-needed'),
  );
  const control = await machine.openControl({ password: 'secret' });
  await control.start?.();
  assert.equal(await control.power(), 'running');
});

test('a vmrun that hangs is killed, and the next order runs', async (t) => {
  const machine = standIn(t, { hang: true });
  const vmrun = new Vmrun(await findVmrun(machine.host), undefined);
  await assert.rejects(vmrun.run(['list'], 1000), failsWith('machine-control-timeout'));
  machine.become({ hang: false });
  assert.match(await vmrun.run(['list'], 20_000), /Total running VMs: 0/);
});

test('there is no vmrun, or one that cannot run', async (t) => {
  const { host, vmxPath } = standIn(t);
  const open = async (environment: Host['environment']): Promise<unknown> =>
    (await vmwareMachine({ ...host, environment }, vmxPath)).openControl();
  await assert.rejects(open({ VMKD_VMRUN: '/nowhere/vmrun' }), (error) => {
    assert.ok(failsWith('machine-no-control')(error));
    assert.match((error as VmkdError).message, /\/nowhere\/vmrun/);
    return true;
  });
  const broken = path.join(host.home, 'broken');
  writeFileSync(broken, '#!/nowhere/at/all\n');
  chmodSync(broken, 0o755);
  const control = (await open({ VMKD_VMRUN: broken })) as { pause(): Promise<void> };
  await assert.rejects(control.pause(), failsWith('machine-no-control'));
});

void anywhere('a watch sees the machine come and go', async () => {
  const clock = new VirtualClock();
  const vmxPath = '/a.vmx';
  let running = false;
  let broken = false;
  const vmrun = {
    place: { program: 'vmrun', hostType: 'ws' as const },
    run: () =>
      broken
        ? Promise.reject(new VmkdError('machine-control-timeout', 'busy'))
        : Promise.resolve(`Total running VMs: 1\n${running ? vmxPath : '/b.vmx'}\n`),
  };
  const control = new VmrunControl(
    vmrun as unknown as ConstructorParameters<typeof VmrunControl>[0],
    {
      vmxPath,
      realPath: vmxPath,
      platform: 'linux',
      isEncrypted: false,
      stateWhenOff: () => Promise.resolve('off'),
    },
    clock,
  );
  const events: MachineEvent[] = [];
  const stop = control.watch((event) => events.push(event));
  await clock.advance(16_000);
  running = true;
  await clock.advance(16_000);
  broken = true;
  await clock.advance(60_000);
  broken = false;
  running = false;
  await clock.advance(16_000);
  stop();
  running = true;
  await clock.advance(60_000);
  assert.deepEqual(events, [{ kind: 'on' }, { kind: 'off' }]);
  assert.equal(clock.pending, 0);
});

test('the search finds the library, what runs, and says what is wrong', async (t) => {
  const serial =
    'serial0.present="TRUE"\nserial0.fileType="pipe"\nserial0.fileName="/tmp/kd"\nserial0.pipe.endPoint="server"\n';
  const { host, vmxPath, ...vm } = standIn(
    t,
    {},
    `displayName = "Target"\nmemsize = "64"\nuuid.location = "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01"\n${serial}`,
  );
  const other = path.join(host.home, 'vms', 'other.vmx');
  writeFileSync(other, 'displayName = "Other Target"\nmemsize = "64"\nmemsize = "128"\n');
  // A process of a machine that is in no list: only its command line tells.
  const folder = path.join(host.processFolder, '4711');
  mkdirSync(folder);
  writeFileSync(
    path.join(folder, 'cmdline'),
    ['/usr/lib/vmware/bin/vmware-vmx', '-s', 'vmx.stdio.keep=TRUE', other, ''].join('\0'),
  );
  mkdirSync(path.join(host.processFolder, '12'));
  writeFileSync(path.join(host.processFolder, '12', 'cmdline'), `/usr/bin/vi\0${vmxPath}\0`);
  const vmem = path.join(path.dirname(vmxPath), '564d0000-0000-0000-0000-000000000001.vmem');
  writeFileSync(vmem, Buffer.alloc(64 << 20));
  vm.become({ running: [vmxPath] });

  const { machines, problems } = await findMachines(host);
  assert.deepEqual(problems, []);
  const shown = machines.map(({ name, where, state, pid }) => [name, where, state, pid]);
  assert.deepEqual(shown, [
    ['Other Target', other, 'running', 4711],
    ['Target', vmxPath, 'running', undefined],
    ['gone', path.join(host.home, 'gone.vmx'), 'unknown', undefined],
  ]);
  const [second, first, gone] = machines;
  assert.equal(first!.kdLink(), 'unix:/tmp/kd');
  assert.deepEqual(first!.links, [{ port: 1, link: 'unix:/tmp/kd' }]);
  assert.deepEqual(first!.ramLocation(), {
    kind: 'file',
    path: vmem,
    layout: { lowBytes: 64 << 20, totalBytes: 64 << 20 },
  });
  assert.deepEqual(first!.problems, []);
  assert.deepEqual(
    second!.problems.map(({ code }) => code),
    ['machine-config-unreadable', 'machine-no-serial'],
  );
  assert.match(second!.problems[0]!.message, /memsize stands more than once/);
  assert.deepEqual(second!.ramLocation(), {
    kind: 'process',
    pid: 4711,
    layout: { lowBytes: 128 << 20, totalBytes: 128 << 20 },
  });
  assert.throws(() => gone!.kdLink(), failsWith('machine-config-unreadable'));
  const reason = gone!.ramLocation();
  assert.ok(reason.kind === 'none' && reason.reason.code === 'machine-off');

  assert.equal(chooseMachine(machines, 'target').where, vmxPath);
  assert.equal(chooseMachine(machines, 'other').where, other);
  assert.equal(chooseMachine(machines, 'unix:/tmp/kd').where, vmxPath);
  assert.equal((await findMachine(path.dirname(vmxPath), host)).where, vmxPath);
  assert.equal((await findMachine(other, host)).name, 'Other Target');
  const unlisted = path.join(host.home, 'unlisted.vmx');
  writeFileSync(unlisted, '');
  assert.equal((await findMachine(unlisted, host)).name, 'unlisted');
  assert.throws(
    () => chooseMachine(machines, 'tar'),
    (error) => failsWith('machine-ambiguous')(error) && /Other Target.*Target/.test(String(error)),
  );
  assert.throws(
    () => chooseMachine(machines, 'nobody'),
    (error) => failsWith('machine-unknown')(error) && /“Target”/.test(String(error)),
  );
  assert.throws(() => chooseMachine(machines, ''), failsWith('machine-unknown'));
  assert.throws(() => chooseMachine([], 'x'), /there are none/);
});

test('settings for all machines count where the .vmx is silent', async (t) => {
  const { host, vmxPath } = standIn(t);
  writeFileSync(
    path.join(host.home, '.vmware', 'config'),
    'pciHole.start = "2048"\nmemsize = "1"\nmainmem.backing = "swap"\n',
  );
  const { facts } = await vmwareMachine(host, vmxPath);
  assert.ok(facts.kind === 'vmware' && facts.vmx);
  assert.deepEqual([facts.vmx.holeStart, facts.vmx.namedMemory], [2 ** 31, false]);
  assert.deepEqual(facts.layout, { lowBytes: 2 ** 31, totalBytes: 2 ** 32 });
});

test('a machine that is encrypted as a whole says so, and nothing else', async (t) => {
  const { host, vmxPath } = standIn(
    t,
    {},
    'displayName = "Sealed"\nencryption.keySafe = "x"\nencryption.data = "y"\n',
  );
  const machine = await vmwareMachine(host, vmxPath);
  assert.deepEqual(
    [machine.name, machine.problems.map(({ code }) => code)],
    ['Sealed', ['machine-config-encrypted']],
  );
  assert.throws(() => machine.kdLink(), failsWith('machine-config-encrypted'));
});

test('without VMware there is nothing, and no complaint', async (t) => {
  const home = tempFolder(t);
  const host: Host = {
    platform: 'linux',
    home,
    environment: { PATH: '' },
    processFolder: path.join(home, 'none'),
  };
  assert.deepEqual(await findMachines(host), { machines: [], problems: [] });
});

test('a library without vmrun is shown, and what is missing is said', async (t) => {
  const { host } = standIn(t);
  const { machines, problems } = await findMachines({ ...host, environment: { VMKD_VMRUN: '/nowhere' } });
  assert.equal(machines.length, 2);
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['machine-no-control'],
  );
});
