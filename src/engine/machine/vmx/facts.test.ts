import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostSystem } from '../host';
import { parseLinkSpec } from '../../../../test/fixtures/linkSpecs';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { VmkdError } from '../../core/errors';
import { parseDictionary } from './dictionary';
import { vmxFacts, type VmxFacts } from './facts';
import { goodPortLines, kdLink } from './serialPorts';

const windowsPath = 'D:\\VMs\\Windows 11\\Windows 11.vmx';
const linuxPath = '/home/me/vmware/Windows 11/Windows 11.vmx';
const facts = (text: string, platform: HostSystem = 'win32'): VmxFacts =>
  vmxFacts(parseDictionary(Buffer.from(text)), platform === 'win32' ? windowsPath : linuxPath, platform);
const link = (text: string, platform: HostSystem = 'win32'): string => {
  const vmxPath = platform === 'win32' ? windowsPath : linuxPath;
  return kdLink(facts(text, platform).serialPorts, { platform, vmxPath });
};

const wholeMachine = `.encoding = "windows-1252"
config.version = "8"
virtualHW.version = "21"
pciBridge0.present = "TRUE"
displayName = "Windows 11 |22target|22"
guestOS = "windows11-64"
firmware = "efi"
uefi.secureBoot.enabled = "TRUE"
numvcpus = "4"
memsize = "8192"
uuid.bios = "56 4d 1b 16 6b 1c 85 f6-94 da fe 1a b7 15 02 03"
uuid.location = "56 4d 1b 16 6b 1c 85 f6-94 da fe 1a b7 15 02 02"
vtpm.present = "TRUE"
vmx.encryptionType = "partial"
encryptedVM.guid = "{00000000-0000-0000-0000-000000000000}"
encryption.keySafe = "vmware:key/list/(pair/(phrase/abc%3d/pass2key%3dPBKDF2%2dHMAC%2dSHA%2d1))"
encryption.data = "AAAA"
serial0.present = "TRUE"
serial0.fileType = "pipe"
serial0.fileName = "\\\\.\\pipe\\com_1"
serial0.tryNoRxLoss = "TRUE"
serial0.pipe.endPoint = "server"
serial0.yieldOnMsrRead = "TRUE"
`;

test('a whole machine', () => {
  assert.deepEqual(facts(wholeMachine), {
    displayName: 'Windows 11 "target"',
    guestOS: 'windows11-64',
    hardwareVersion: 21,
    memoryBytes: 8 * 2 ** 30,
    holeStart: 3 * 2 ** 30,
    holeIsConfigured: false,
    processors: 4,
    firmware: 'efi',
    secureBoot: true,
    virtualTpm: true,
    encryption: 'partial',
    debugStub: undefined,
    readOnly: false,
    namedMemory: true,
    vmemNames: [
      'D:\\VMs\\Windows 11\\564d1b16-6b1c-85f6-94da-fe1ab7150202.vmem',
      'D:\\VMs\\Windows 11\\564d1b16-6b1c-85f6-94da-fe1ab7150203.vmem',
      'D:\\VMs\\Windows 11\\Windows 11.vmem',
    ],
    serialPorts: [
      {
        number: 0,
        backing: { kind: 'pipe', path: '\\\\.\\pipe\\com_1', end: 'server' },
        startConnected: true,
        tryNoRxLoss: true,
        yieldOnMsrRead: true,
      },
    ],
  } satisfies VmxFacts);
});

test('an empty file, and a wholly encrypted one', () => {
  const empty = facts('');
  assert.deepEqual(
    [empty.displayName, empty.memoryBytes, empty.encryption, empty.processors],
    [undefined, undefined, 'none', 1],
  );
  assert.deepEqual(empty.vmemNames, ['D:\\VMs\\Windows 11\\Windows 11.vmem']);
  const sealed = facts('displayName = "Sealed"\nencryption.keySafe = "x"\nencryption.data = "y"');
  assert.deepEqual(
    [sealed.displayName, sealed.memoryBytes, sealed.encryption],
    ['Sealed', undefined, 'full'],
  );
});

test('where memory is', () => {
  const at = (text: string, platform: HostSystem) => facts(text, platform).namedMemory;
  assert.equal(at('mainMem.useNamedFile = "FALSE"', 'win32'), false);
  assert.equal(at('MAINMEM.USENAMEDFILE = false', 'linux'), false);
  assert.equal(at('mainmem.backing = "swap"', 'linux'), false);
  assert.equal(at('mainmem.backing = "named"', 'linux'), true);
  assert.equal(at('mainmem.backing = "swap"', 'win32'), true);
  assert.equal(facts('workingDir = "/fast"', 'linux').vmemNames[0], '/fast/Windows 11.vmem');
  assert.equal(facts('workingDir = "."', 'linux').vmemNames[0], '/home/me/vmware/Windows 11/Windows 11.vmem');
  assert.equal(facts('workingDir = "E:\\\\run"').vmemNames[0], 'E:\\run\\Windows 11.vmem');
  assert.equal(facts('uuid.location = "56 4d"').vmemNames.length, 1);
});

test('memory and its hole, and values that are no such thing', () => {
  const hole = (text: string): [number, boolean] => {
    const { holeStart, holeIsConfigured } = facts(text);
    return [holeStart >> 20, holeIsConfigured];
  };
  const megabytes = (text: string): [number, boolean] => {
    const { holeStart, holeIsConfigured } = facts(text);
    return [holeStart / 2 ** 20, holeIsConfigured];
  };
  assert.equal(hole('')[1], false);
  assert.deepEqual(megabytes('pciHole.start = "2048"'), [2048, true]);
  assert.deepEqual(megabytes('pciHole.start = "2050"\npciHole.dynStart = "1203"'), [1200, true]);
  for (const nonsense of ['0', '3', '4065', '99999999', '-1', 'x']) {
    assert.deepEqual(megabytes(`pciHole.start = "${nonsense}"`), [3072, false], nonsense);
  }
  for (const nonsense of ['0', '-4', 'x', '99999999999']) {
    assert.equal(facts(`memsize = "${nonsense}"`).memoryBytes, undefined, nonsense);
  }
});

test('the debug stub', () => {
  assert.deepEqual(facts('debugStub.listen.guest64 = "TRUE"').debugStub, {
    bits: 64,
    port: 8864,
    remote: false,
  });
  assert.deepEqual(
    facts('debugStub.listen.guest32.remote = "TRUE"\ndebugStub.port.guest32 = "9000"').debugStub,
    {
      bits: 32,
      port: 9000,
      remote: true,
    },
  );
  assert.equal(facts('debugStub.listen.guest64 = "FALSE"').debugStub, undefined);
});

const port = (number: number, ...lines: string[]): string =>
  ['present = "TRUE"', ...lines].map((line) => `serial${number}.${line}\n`).join('');
const pipe = 'fileType = "pipe"';
const network = 'fileType = "network"';

const links: [string, HostSystem, string, string][] = [
  ['a pipe', 'win32', port(0, pipe, 'fileName = "\\\\.\\pipe\\com_1"'), 'pipe:com_1'],
  [
    'a client',
    'win32',
    port(0, pipe, 'fileName = "\\\\.\\pipe\\com 1"', 'pipe.endPoint = "CLIENT"'),
    'pipe-listen:com 1',
  ],
  [
    'a socket',
    'linux',
    port(0, pipe, 'fileName = "/tmp/com_1"', 'pipe.endPoint = "server"'),
    'unix:/tmp/com_1',
  ],
  [
    'a socket of Fusion, client',
    'darwin',
    port(0, pipe, 'fileName = "/tmp/a b"', 'pipe.endPoint = "client"'),
    'unix-listen:/tmp/a b',
  ],
  [
    'a socket beside the .vmx',
    'linux',
    port(0, pipe, 'fileName = "com1"'),
    'unix:/home/me/vmware/Windows 11/com1',
  ],
  ['TCP', 'linux', port(0, network, 'fileName = "tcp://:8001"'), 'tcp:127.0.0.1:8001'],
  [
    'TCP of all addresses',
    'linux',
    port(0, network, 'fileName = "tcp4://0.0.0.0:8001/"', 'network.endPoint = "server"'),
    'tcp:127.0.0.1:8001',
  ],
  [
    'TCP, client',
    'linux',
    port(0, network, 'fileName = "tcp://127.0.0.1:8001"', 'network.endPoint = "client"'),
    'tcp-listen:8001',
  ],
  [
    'the printer first',
    'win32',
    port(0, 'fileType = "thinprint"') + port(1, pipe, 'fileName = "\\\\.\\pipe\\kd"'),
    'pipe:kd',
  ],
  [
    'in another case',
    'win32',
    'SERIAL2.PRESENT = "true"\nSerial2.FILETYPE = "Pipe"\nserial2.filename = "\\\\.\\PIPE\\x"',
    'pipe:x',
  ],
];

for (const [what, platform, text, expected] of links) {
  test(`the link: ${what}`, () => {
    assert.equal(link(text, platform), expected);
    parseLinkSpec(expected);
  });
}

const noLinks: [string, HostSystem, string, string, RegExp][] = [
  ['there is none', 'win32', '', 'machine-no-serial', /no serial port/],
  [
    'it is not present',
    'win32',
    'serial0.present = "FALSE"\nserial0.fileType = "pipe"',
    'machine-no-serial',
    /no serial port/,
  ],
  [
    'a file',
    'win32',
    port(0, 'fileType = "file"', 'fileName = "x"'),
    'machine-serial-unusable',
    /of type “file”/,
  ],
  ['a real port', 'win32', port(0, 'fileName = "COM1"'), 'machine-serial-unusable', /of type “device”/],
  ['without a name', 'win32', port(0, pipe), 'machine-serial-unusable', /no name/],
  [
    'not connected',
    'win32',
    port(0, pipe, 'fileName = "\\\\.\\pipe\\x"', 'startConnected = "FALSE"'),
    'machine-serial-unusable',
    /not connected at power-on/,
  ],
  [
    'another computer’s pipe',
    'win32',
    port(0, pipe, 'fileName = "\\\\evil\\pipe\\x"'),
    'machine-serial-unusable',
    /of another computer/,
  ],
  [
    'a path on Windows',
    'win32',
    port(0, pipe, 'fileName = "/tmp/com1"'),
    'machine-serial-unusable',
    /no name of a pipe on Windows/,
  ],
  [
    'a pipe on Linux',
    'linux',
    port(0, pipe, 'fileName = "\\\\.\\pipe\\com_1"'),
    'machine-serial-unusable',
    /pipe of Windows/,
  ],
  [
    'telnet',
    'linux',
    port(0, network, 'fileName = "telnet://:8001"'),
    'machine-serial-unusable',
    /changes the bytes/,
  ],
  [
    'another computer',
    'linux',
    port(0, network, 'fileName = "tcp://10.0.0.1:8001"'),
    'machine-serial-unusable',
    /another computer/,
  ],
  ['no address', 'linux', port(0, network, 'fileName = "8001"'), 'machine-serial-unusable', /not understood/],
];

for (const [what, platform, text, code, sentence] of noLinks) {
  test(`no link: ${what}`, () => {
    assert.throws(
      () => link(text, platform),
      (error: unknown) => {
        assert.ok(error instanceof VmkdError);
        assert.equal(error.code, code);
        assert.match(error.message, sentence);
        // The lines of the next step make it one.
        const added = error.nextStep.split('\n').slice(1);
        assert.deepEqual(
          added,
          goodPortLines(0, { platform, vmxPath: platform === 'win32' ? windowsPath : linuxPath }),
        );
        parseLinkSpec(link(added.join('\n'), platform));
        return true;
      },
    );
  });
}

test('whatever the file says, the facts are bounded, and a link is one', () => {
  const seed = seedFromEnvironment();
  const random = randomFrom(seed);
  const lines = (
    wholeMachine +
    port(1, network, 'fileName = "tcp://:1"') +
    port(2, pipe, 'fileName = "x"')
  ).split('\n');
  for (let round = 0; round < 2000; round++) {
    const text = Array.from({ length: 40 }, () => {
      const line = random.pick(lines);
      if (random.chance(0.6)) return line;
      const at = random.below(line.length + 1);
      return line.slice(0, at) + String.fromCharCode(random.below(256)) + line.slice(at + random.below(3));
    }).join('\n');
    for (const platform of ['win32', 'linux'] as const) {
      const where = `seed ${seed}, round ${round}: ${text}`;
      const found = facts(text, platform);
      assert.ok(found.holeStart > 0 && found.holeStart < 2 ** 32, where);
      assert.ok(found.memoryBytes === undefined || found.memoryBytes > 0, where);
      let spec: string;
      try {
        spec = link(text, platform);
      } catch (error) {
        assert.ok(error instanceof VmkdError && error.code.startsWith('machine-'), where);
        continue;
      }
      assert.match(
        spec,
        platform === 'win32'
          ? /^(?:pipe(?:-listen)?:|tcp:127\.0\.0\.1:|tcp-listen:\d)/
          : /^(?:unix(?:-listen)?:\/|tcp:127\.0\.0\.1:|tcp-listen:\d)/,
        where,
      );
    }
  }
});
