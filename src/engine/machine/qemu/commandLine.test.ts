import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLinkSpec } from '../../../../test/fixtures/linkSpecs';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { VmkdError } from '../../core/errors';
import { qemuLink } from './characterDevices';
import { parseQemuCommandLine, type QemuCommandLine } from './commandLine';
import { expectedLayout, layoutFromMemoryTree } from './layout';
import { isOn, parseOptionList, parseSize } from './optionList';

const gibibyte = 2 ** 30;
const parse = (...args: string[]): QemuCommandLine => parseQemuCommandLine(args, '/run/vm');
const words = (line: string): QemuCommandLine => parse(...line.split(' '));
const linkOf = (line: string): string => qemuLink(words(line).serials[0]!);

test('option lists', () => {
  const list = parseOptionList(
    'pc,accel=kvm:tcg,memory-backend=a,,b,usb=off,nowait,server,nonsense=',
    'type',
  );
  assert.deepEqual(Object.fromEntries(list), {
    type: 'pc',
    accel: 'kvm:tcg',
    'memory-backend': 'a,b',
    usb: 'off',
    wait: 'off',
    server: 'on',
    nonsense: '',
  });
  assert.ok(isOn(list, 'server') && !isOn(list, 'usb') && !isOn(list, 'absent'));
  assert.equal(parseOptionList('size=4G', 'size').get('size'), '4G');
  assert.deepEqual(
    Object.fromEntries(parseOptionList('{"qom-type":"x","share":true,"size":4096,"a":[1]}', 'qom-type')),
    {
      'qom-type': 'x',
      share: 'on',
      size: '4096',
    },
  );
  assert.equal(parseOptionList('{"broken', 'a').size, 0);
  assert.equal(parseOptionList('x,'.repeat(10_000), 'a').size, 2);
});

test('sizes', () => {
  const sizes = ['512', '4G', '1.5g', '8192M', '0x1000', '1k', '', '-1', '1e9', 'x', '99999999999T'].map(
    (text) => parseSize(text, 'm'),
  );
  assert.deepEqual(sizes, [
    512 * 2 ** 20,
    4 * gibibyte,
    1.5 * gibibyte,
    8 * gibibyte,
    0x1000 * 2 ** 20,
    1024,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assert.equal(parseSize('4096', ''), 4096);
});

test('a whole command line', () => {
  const found = words(
    '-name guest=win11,debug-threads=on -machine pc-q35-7.2,accel=kvm,memory-backend=ram -m size=8G,slots=2,maxmem=16G ' +
      '-object memory-backend-file,id=ram,size=8G,mem-path=/dev/shm/win11,share=on -smp 4 -S ' +
      '-drive file=/vms/win11.qcow2,if=virtio -chardev socket,id=kd,path=kd.sock,server=on,wait=off -serial chardev:kd ' +
      '-serial tcp:127.0.0.1:4555,server,nowait -qmp unix:/run/vm/qmp,server=on,wait=off -monitor stdio',
  );
  assert.deepEqual(found, {
    name: 'win11',
    image: 'win11.qcow2',
    machineType: 'pc-q35-7.2',
    memoryBytes: 8 * gibibyte,
    mostLowMemory: undefined,
    memory: { kind: 'file', id: 'ram', path: '/dev/shm/win11' },
    serials: [
      { kind: 'unix', id: 'kd', path: '/run/vm/kd.sock', server: true },
      { kind: 'tcp', id: undefined, host: '127.0.0.1', port: 4555, server: true },
    ],
    monitors: [{ path: '/run/vm/qmp' }],
    otherMonitors: false,
  } satisfies QemuCommandLine);
});

test('what libvirt writes: JSON, and monitors that it holds itself', () => {
  const found = parse(
    '-name',
    'guest=win10,debug-threads=on',
    '-object',
    '{"qom-type":"memory-backend-file","id":"pc.ram","mem-path":"/var/lib/libvirt/qemu/ram/pc.ram","share":true,"size":4294967296}',
    '-machine',
    'pc-q35-7.2,usb=off,memory-backend=pc.ram',
    '-m',
    '4096',
    '-chardev',
    'socket,id=charmonitor,fd=28,server=on,wait=off',
    '-mon',
    'chardev=charmonitor,id=monitor,mode=control',
    '-chardev',
    'socket,id=charserial0,host=127.0.0.1,port=4445,telnet=off,server=on,wait=off',
    '-device',
    '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}',
  );
  assert.equal(qemuLink(found.serials[0]!), 'tcp:127.0.0.1:4445');
  assert.deepEqual([found.monitors, found.otherMonitors], [[], true]);
  assert.deepEqual(found.memory, { kind: 'file', id: 'pc.ram', path: '/var/lib/libvirt/qemu/ram/pc.ram' });
});

test('an empty command line has QEMU’s defaults', () => {
  const found = parse();
  assert.deepEqual(
    [found.name, found.machineType, found.memoryBytes, found.serials.length],
    [undefined, undefined, 2 ** 27, 0],
  );
  assert.equal(found.memory.kind, 'private');
});

test('a value that looks like an option belongs to its option; a lone word is a disk', () => {
  const found = parse('-append', '-serial unix:/evil', '--name', 'x', 'disk.img', '-unknown', 'value');
  assert.deepEqual([found.name, found.image, found.serials.length], ['x', 'disk.img', 0]);
});

const links: [string, string][] = [
  ['-serial unix:/tmp/com1,server=on,wait=off', 'unix:/tmp/com1'],
  ['-serial unix:/tmp/com1,server,nowait', 'unix:/tmp/com1'],
  ['-serial unix:com1,server=on', 'unix:/run/vm/com1'],
  ['-serial unix:/tmp/com1', 'unix-listen:/tmp/com1'],
  ['-serial tcp::4555,server=on', 'tcp:127.0.0.1:4555'],
  ['-serial tcp:0.0.0.0:4555,server=on', 'tcp:127.0.0.1:4555'],
  ['-serial tcp:[::1]:4555,server=on', 'tcp:[::1]:4555'],
  ['-serial tcp:localhost:4555', 'tcp-listen:127.0.0.1:4555'],
  [
    '-chardev socket,id=a,host=127.0.0.1,port=4555,server=on -device isa-serial,chardev=a',
    'tcp:127.0.0.1:4555',
  ],
];

for (const [line, expected] of links) {
  test(`the link of ${line}`, () => {
    assert.equal(linkOf(line), expected);
    parseLinkSpec(expected);
  });
}

for (const [line, why] of [
  ['-serial stdio', /“stdio” is no socket/],
  ['-serial mon:stdio', /no socket/],
  ['-serial file:/tmp/x', /no socket/],
  ['-serial pty', /no socket/],
  ['-serial chardev:absent', /no socket/],
  ['-chardev file,id=a,path=/x -serial chardev:a', /leads to “file”/],
  ['-serial telnet:127.0.0.1:1,server=on', /telnet/],
  ['-chardev socket,id=a,host=::1,port=1,tls-creds=x,server=on -serial chardev:a', /TLS/],
  ['-serial tcp:10.1.2.3:4555', /another computer, 10.1.2.3/],
  ['-serial tcp:127.0.0.1:0,server=on', /the system has chosen/],
  ['-serial tcp:127.0.0.1:x,server=on', /no number/],
] as const) {
  test(`no link of ${line}`, () => {
    assert.throws(
      () => linkOf(line),
      (error) =>
        error instanceof VmkdError && error.code === 'machine-serial-unusable' && why.test(error.message),
    );
  });
}

test('a relative path in a process whose folder is not known leads nowhere', () => {
  const [serial] = parseQemuCommandLine(['-serial', 'unix:com1,server=on'], undefined).serials;
  assert.throws(() => qemuLink(serial!), /folder that is not known/);
});

test('monitors: those that listen, on this computer', () => {
  const monitors = (line: string): [QemuCommandLine['monitors'], boolean] => {
    const { monitors: found, otherMonitors } = words(line);
    return [found, otherMonitors];
  };
  assert.deepEqual(monitors('-qmp tcp:127.0.0.1:4444,server=on,wait=off'), [
    [{ host: '127.0.0.1', port: 4444 }],
    false,
  ]);
  assert.deepEqual(monitors('-qmp-pretty unix:q,server,nowait'), [[{ path: '/run/vm/q' }], false]);
  assert.deepEqual(monitors('-chardev socket,id=q,path=/q,server=on -mon chardev=q,mode=control'), [
    [{ path: '/q' }],
    false,
  ]);
  assert.deepEqual(monitors('-chardev socket,id=q,path=/q,server=on -mon chardev=q,mode=readline'), [
    [],
    false,
  ]);
  assert.deepEqual(monitors('-qmp unix:/q'), [[], true]);
  assert.deepEqual(monitors('-qmp stdio'), [[], true]);
  assert.deepEqual(monitors('-qmp tcp:10.0.0.1:1,server=on'), [[], true]);
});

test('memory that nobody else sees, and why', () => {
  const why = (line: string): string => {
    const { memory } = words(line);
    return memory.kind === 'private' ? memory.why : '';
  };
  assert.match(why('-m 1G'), /no memory backend/);
  assert.match(why('-m 1G -mem-path /dev/shm'), /no name any more/);
  assert.match(
    why('-machine pc,memory-backend=r -object memory-backend-ram,id=r,size=1G'),
    /memory-backend-ram, not a file/,
  );
  assert.match(
    why('-machine pc,memory-backend=r -object memory-backend-file,id=r,mem-path=/x,size=1G'),
    /not shared/,
  );
  assert.match(why('-machine pc,memory-backend=r'), /not there/);
  assert.match(
    why(
      '-machine pc,memory-backend=r -numa node,memdev=a -object memory-backend-file,id=r,mem-path=/x,share=on',
    ),
    /several parts/,
  );
});

/** As QEMU 7.2 says in “info mtree -f”. */
const layouts: [string, number, number][] = [
  ['pc', 2816, 2816],
  ['pc', 3000, 3000],
  ['pc', 3500, 3500],
  ['pc', 3584, 3072],
  ['pc', 5120, 3072],
  ['pc-i440fx-7.2', 5120, 3072],
  ['q35', 2815, 2815],
  ['q35', 2816, 2048],
  ['q35', 3584, 2048],
  ['pc-q35-7.2', 5120, 2048],
];

for (const [machineType, total, low] of layouts) {
  test(`${machineType} with ${total} MiB has ${low} MiB low`, () => {
    const layout = expectedLayout({ machineType, memoryBytes: total * 2 ** 20, mostLowMemory: undefined });
    assert.deepEqual(layout, { lowBytes: low * 2 ** 20, totalBytes: total * 2 ** 20 });
  });
}

test('max-ram-below-4g; machines of another kind', () => {
  const low = (line: string): number | undefined => expectedLayout(words(line))?.lowBytes;
  assert.equal(low('-M pc,max-ram-below-4g=2G -m 4G'), 2 * gibibyte);
  assert.equal(low('-M q35,max-ram-below-4g=1G -m 4G'), gibibyte);
  assert.equal(low('-M q35,max-ram-below-4g=3G -m 4G'), 2 * gibibyte);
  assert.equal(low('-m 4G'), 3 * gibibyte);
  assert.equal(low('-M microvm -m 4G'), undefined);
});

const tree = (ranges: string): string =>
  `FlatView #0\r\n AS "cpu-smm-0", root: memory\r\n Root memory region: memory\r\n  0000000000000000-0000000000000fff (prio 0, ram): pc.ram\r\n\r\nFlatView #1\r\n AS "memory", root: system\r\n AS "cpu-memory-0", root: system\r\n Root memory region: system\r\n${ranges}`;
const range = (from: number, bytes: number, name: string, offset = 0, kind = 'ram'): string => {
  const hex = (value: number): string => value.toString(16).padStart(16, '0');
  return `  ${hex(from)}-${hex(from + bytes - 1)} (prio 0, ${kind}): ${name}${offset === 0 ? '' : ` @${hex(offset)}`}\r\n`;
};

test('the memory tree says how memory lies', () => {
  const ranges =
    range(0, 0xc0000, 'r') +
    range(0xc0000, 0x20000, 'pc.rom', 0, 'rom') +
    range(0x100000, 3 * gibibyte - 0x100000, 'r', 0x100000) +
    range(4 * gibibyte, 2 * gibibyte, 'r', 3 * gibibyte);
  assert.deepEqual(layoutFromMemoryTree(tree(ranges), 'r', 5 * gibibyte), {
    lowBytes: 3 * gibibyte,
    totalBytes: 5 * gibibyte,
  });
  const small = range(0, 0xa0000, 'a b') + range(0x100000, 2 ** 28 - 0x100000, 'a b', 0x100000);
  assert.deepEqual(layoutFromMemoryTree(tree(small), 'a b', 2 ** 28), {
    lowBytes: 2 ** 28,
    totalBytes: 2 ** 28,
  });
});

for (const [what, ranges] of [
  ['nothing of it', range(0, gibibyte, 'other')],
  ['too little', range(0, gibibyte / 2, 'r')],
  ['low memory elsewhere in the file', range(0, gibibyte, 'r', 0x1000)],
  [
    'high memory elsewhere in the file',
    range(0, gibibyte / 2, 'r') + range(4 * gibibyte, gibibyte / 2, 'r', 0x1000),
  ],
  ['more than there is', range(0, gibibyte / 2, 'r') + range(4 * gibibyte, gibibyte, 'r', gibibyte / 2)],
  ['no such view', ''],
] as const) {
  test(`a memory tree that shows ${what} is not believed`, () => {
    assert.throws(
      () => layoutFromMemoryTree(what === 'no such view' ? 'FlatView #0\n' : tree(ranges), 'r', gibibyte),
      (error) => error instanceof VmkdError && error.code === 'machine-ram-unreachable',
    );
  });
}

test('any command line is understood somehow, and a link is one of this computer', () => {
  const seed = seedFromEnvironment();
  const random = randomFrom(seed);
  const pieces =
    '-serial -chardev -qmp -mon -name -m -object -machine -device unix: tcp: socket ,id=a ,server=on ,path= /x chardev:a , ,, = :: 4555 {"driver":"isa-serial"} 4G [::1]:1 evil.example:1 memory-backend-file memory-backend=a \0 ü'.split(
      ' ',
    );
  for (let round = 0; round < 5000; round++) {
    const args = Array.from({ length: random.below(20) }, () =>
      Array.from({ length: 1 + random.below(4) }, () => random.pick(pieces)).join(''),
    );
    const where = `seed ${seed}, round ${round}: ${JSON.stringify(args)}`;
    const found = parse(...args);
    assert.ok(Number.isSafeInteger(found.memoryBytes), where);
    for (const serial of found.serials) {
      try {
        assert.match(qemuLink(serial), /^(?:unix(?:-listen)?:\/|tcp(?:-listen)?:(?:127\.|\[::1\]))/, where);
      } catch (error) {
        assert.ok(error instanceof VmkdError && error.code === 'machine-serial-unusable', where);
      }
    }
    for (const monitor of found.monitors)
      assert.ok('path' in monitor || /^(?:127\.|::1)/.test(monitor.host), where);
  }
});
