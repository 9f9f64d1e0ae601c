/** What VMware's files and tools say, as far as it can be told without VMware. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import { parseDictionary } from '../vmx/dictionary';
import { listedMachines } from './inventory';
import { defaultsFiles, inventoryFiles, vmrunPlaces } from './places';
import { lockHolder, machinesOfPs, processByLocks, vmxProcesses } from './running';
import { decodeOutput, runningPaths, snapshotNames, vmrunArguments, vmrunFailure } from './vmrun';
import { isSamePath } from './vmrunControl';

const listed = (text: string, platform: 'win32' | 'linux'): string[] =>
  listedMachines(parseDictionary(Buffer.from(text)), platform);

test('the library of Workstation, with folders, what is gone, and what is no machine', () => {
  const text = `.encoding = "UTF-8"
vmlist1.config = ""
vmlist1.DisplayName = "A folder"
vmlist2.config = "C:\\VMs\\win\\win.vmx"
vmlist2.DisplayName = "win"
vmlist10.config = "D:/VMs/two/../two/two.VMX"
vmlist11.config = "relative\\x.vmx"
vmlist12.config = "C:\\VMs\\team.vmtm"
vmlist13.DisplayName = "vmlist13.config"
index0.id = "C:\\VMs\\win\\win.vmx"
index1.id = "E:\\only in the index.vmx"
index.count = "2"
`;
  assert.deepEqual(listed(text, 'win32'), [
    'C:\\VMs\\win\\win.vmx',
    'D:\\VMs\\two\\two.VMX',
    'E:\\only in the index.vmx',
  ]);
});

test('the recent list of Player', () => {
  const text = `.encoding = "windows-1252"
pref.mruVM0.filename = "/home/me/vmware/a b/a b.vmx"
pref.mruVM0.displayName = "a b"
pref.mruVM1.filename = "../x.vmx"
pref.ws.session.window0.tab0.file = "/tmp/tab.vmx"
`;
  assert.deepEqual(listed(text, 'linux'), ['/home/me/vmware/a b/a b.vmx']);
});

test('where its files are', () => {
  const windows = {
    platform: 'win32',
    home: 'C:\\Users\\me',
    processFolder: '',
    environment: {
      APPDATA: 'R:\\Roaming',
      'ProgramFiles(x86)': 'C:\\PF86',
      ProgramFiles: 'C:\\PF',
      Path: 'C:\\tools;relative;D:\\VMware Player',
    },
  } as const;
  assert.deepEqual(inventoryFiles(windows), [
    'R:\\Roaming\\VMware\\inventory.vmls',
    'R:\\Roaming\\VMware\\preferences.ini',
  ]);
  assert.equal(defaultsFiles(windows)[1], 'C:\\ProgramData\\VMware\\VMware Workstation\\config.ini');
  const places = vmrunPlaces(windows);
  assert.deepEqual(places[0], { program: 'C:\\PF86\\VMware\\VMware Workstation\\vmrun.exe', hostType: 'ws' });
  assert.ok(
    places.some(
      ({ program, hostType }) =>
        program === 'C:\\PF\\VMware\\VMware Player\\vmrun.exe' && hostType === 'player',
    ),
  );
  assert.deepEqual(places.slice(-2), [
    { program: 'C:\\tools\\vmrun.exe', hostType: 'ws' },
    { program: 'D:\\VMware Player\\vmrun.exe', hostType: 'player' },
  ]);
  const unix = { home: '/home/me', processFolder: '/proc', environment: { PATH: '/usr/bin:bin:/opt/x' } };
  assert.deepEqual(inventoryFiles({ ...unix, platform: 'linux' }), [
    '/home/me/.vmware/inventory.vmls',
    '/home/me/.vmware/preferences',
  ]);
  assert.deepEqual(
    vmrunPlaces({ ...unix, platform: 'linux' }).map(({ program }) => program),
    ['/usr/bin/vmrun', '/usr/local/bin/vmrun', '/opt/x/vmrun'],
  );
  assert.deepEqual(
    inventoryFiles({ ...unix, platform: 'darwin' })[0],
    '/home/me/Library/Application Support/VMware Fusion/vmInventory',
  );
  assert.equal(vmrunPlaces({ ...unix, platform: 'darwin' })[0]?.hostType, 'fusion');
});

test('machines in the output of ps, with blanks in every path', async () => {
  const fusion = '/Applications/VMware Fusion.app/Contents/Library/vmware-vmx';
  const options =
    '-E en -s vmx.stdio.keep=TRUE -# product=1;name=VMware Fusion;version=13.5.0;licensename=VMware Fusion -@ duplex=3;msgs=ui';
  const text = `  501 /sbin/launchd
 4711 ${fusion} ${options} /Users/me/Virtual Machines.localized/Win 11.vmwarevm/Win 11.vmx
 4712 ${fusion}-debug ${options} /Volumes/b /odd/c.vmx
 4713 vi /Users/me/x.vmx
 4714 ${fusion} ${options} /Users/me/gone.vmx
 4715 /tmp/vmware-vmx-tool /Users/me/x.vmx
`;
  const there = new Set([
    '/Users/me/Virtual Machines.localized/Win 11.vmwarevm/Win 11.vmx',
    '/Volumes/b /odd/c.vmx',
    '/odd/c.vmx',
    '/Users/me/x.vmx',
  ]);
  assert.deepEqual(await machinesOfPs(text, (file) => Promise.resolve(there.has(file))), [
    { pid: 4711, vmxPath: '/Users/me/Virtual Machines.localized/Win 11.vmwarevm/Win 11.vmx' },
    { pid: 4712, vmxPath: '/Volumes/b /odd/c.vmx' },
  ]);
  let asked = 0;
  const hostile = ` 1 ${fusion}${' /x'.repeat(10_000)}.vmx\n`;
  await machinesOfPs(hostile, () => Promise.resolve(++asked < 0));
  assert.ok(asked > 0 && asked < 100);
});

test('machines in the output of tasklist', () => {
  const csv =
    '"vmware-vmx.exe","4711","Console","1","1,234,567 K"\r\n"vmware-vmx-debug.exe","12","Services","0","5 K"\r\n"vmware.exe","13","Console","1","5 K"\r\n"vmware-vmx.exe","x"\r\nINFO: No tasks are running\r\n';
  assert.deepEqual([...vmxProcesses(csv)], [4711, 12]);
});

const lock = (process: string): string =>
  `uuid=bf-ef-05-3f-d0-e2-64-4e-a5-4d-f3-4e-9d-c8-3a-a7 ${process} 1 X lc=12345`.padEnd(512, '\0');

test('who holds a lock', () => {
  assert.equal(lockHolder(lock('25156-134219857720971604(vmware-vmx.exe)')), 25156);
  assert.equal(lockHolder(lock('25156-134219857720971604(vmware-vmx)')), 25156);
  for (const other of [
    '25156-134219857720971604(vmware.exe)',
    '25156',
    '-1-2(vmware-vmx.exe)',
    '99999999999-1(vmware-vmx.exe)',
    '',
  ])
    assert.equal(lockHolder(lock(other)), undefined, other);
});

test('the living process among the locks of a folder', async (t) => {
  const folder = tempFolder(t);
  const member = (name: string, file: string, text: string): void => {
    mkdirSync(path.join(folder, name), { recursive: true });
    writeFileSync(path.join(folder, name, file), text);
  };
  member('a.vmx.lck', 'M11454.lck', lock('100-1(vmware.exe)'));
  member('564d.vmem.lck', 'M1.lck', lock('200-1(vmware-vmx.exe)'));
  member('disk.vmdk.lck', 'M2.lck', lock('300-1(vmware-vmx.exe)'));
  member('disk.vmdk.lck', 'D2.lck', lock('400-1(vmware-vmx.exe)'));
  member('big.lck', 'M3.lck', lock('400-1(vmware-vmx.exe)').padEnd(10_000));
  assert.equal(await processByLocks(folder, (pid) => pid === 300), 300);
  assert.equal(await processByLocks(folder, (pid) => pid !== 200 && pid !== 300), undefined);
  assert.equal(await processByLocks(path.join(folder, 'absent'), () => true), undefined);
});

test('what is said to vmrun', () => {
  assert.deepEqual(vmrunArguments({ hostType: 'ws' }, ['pause', 'a b.vmx']), [
    '-T',
    'ws',
    'pause',
    'a b.vmx',
  ]);
  assert.deepEqual(vmrunArguments({ hostType: 'player', password: 'p' }, ['list']), [
    '-T',
    'player',
    '-vp',
    'p',
    'list',
  ]);
});

test('what vmrun lists', () => {
  assert.deepEqual(runningPaths('Total running VMs: 2\r\nC:\\VMs\\a b\\a.vmx\r\nC:\\c.vmx\r\n'), [
    'C:\\VMs\\a b\\a.vmx',
    'C:\\c.vmx',
  ]);
  assert.deepEqual(runningPaths('Total running VMs: 0\n'), []);
  assert.deepEqual(runningPaths('Error: something\n/x.vmx'), []);
  assert.deepEqual(snapshotNames('Total snapshots: 3\nbase\n\tchild one\n\t\tgrandchild\n'), [
    'base',
    'child one',
    'grandchild',
  ]);
  assert.equal(snapshotNames(`Total snapshots: 9\n${'x\n'.repeat(100_000)}`).length, 4095);
});

const said: [string, number, string | undefined][] = [
  ['', 0, undefined],
  ['Total running VMs: 0\n', 0, undefined],
  ['Error: The virtual machine is not powered on: /a.vmx\n', 255, 'machine-off'],
  ['Error: The virtual machine is not powered on: /a.vmx\n', 0, 'machine-off'],
  [
    'Error: Cannot open VM: C:\\a.vmx, A password is required for this operation\r\n',
    4294967295,
    'machine-password-needed',
  ],
  ['Error: Cannot open VM: /a.vmx, Incorrect password\n', 255, 'machine-password-needed'],
  ['Error: Cannot open VM: /a.vmx, The virtual machine cannot be found\n', 255, 'machine-config-unreadable'],
  [
    'Error: Cannot open VM: /a.vmx, Cannot read the virtual machine configuration file\n',
    255,
    'machine-config-unreadable',
  ],
  [
    'Unable to connect to host.\nError: The operation is not supported for the specified parameters\n',
    255,
    'machine-no-control',
  ],
  ['Error: The operation was canceled\n', 255, 'machine-control-refused'],
  ['Error: The virtual machine is already paused\n', 255, undefined],
  ['something else\n', 1, 'machine-control-refused'],
  ['', 1, 'machine-control-refused'],
];

for (const [output, code, expected] of said) {
  test(`vmrun says ${JSON.stringify(output)} and ends with ${code}`, () => {
    const failure = vmrunFailure({ code, output }, 'pause');
    assert.equal(failure?.code, expected);
    if (failure) assert.match(failure.message, /^vmrun pause /);
  });
}

test('its output in the code page of Windows', () => {
  assert.equal(decodeOutput(Buffer.from('Gerät')), 'Gerät');
  assert.equal(decodeOutput(Buffer.from('Ger\xe4t', 'latin1')), 'Gerät');
});

test('paths that name one file', () => {
  assert.ok(isSamePath('C:\\VMs\\A.vmx', 'c:/vms/x/../a.VMX', 'win32'));
  assert.ok(!isSamePath('/VMs/A.vmx', '/vms/a.vmx', 'linux'));
  assert.ok(isSamePath('/vms//a.vmx', '/vms/a.vmx', 'linux'));
});
