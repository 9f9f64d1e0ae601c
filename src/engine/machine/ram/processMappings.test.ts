/** Which mapping of a process is the machine's memory, by what Linux and Windows tell of them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VmkdError } from '../../core/errors';
import { machineMapping, mappingsOf } from './processMappings';

const maps = `
560a3c000000-560a3c100000 r--p 00000000 fe:00 1234                       /usr/lib/vmware/bin/vmware-vmx
560a3c100000-560a3c200000 rw-p 00100000 fe:00 1234                       /usr/lib/vmware/bin/vmware-vmx
560a3d000000-560a3e000000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000400000 rw-s 00000000 fe:00 77                         /vms/some machine/564d (copy).vmem (deleted)
7f0000400000-7f0001000000 rw-s 00400000 fe:00 77                         /vms/some machine/564d (copy).vmem (deleted)
7f0001000000-7f0001100000 rw-s 00000000 fe:00 77                         /vms/some machine/564d (copy).vmem (deleted)
7f0002000000-7f0004000000 rw-p 00000000 00:00 0 
7f0004000000-7f0005000000 ---p 00000000 00:00 0 
7f0005000000-7f0005800000 rw-p 00000000 00:00 0 
7f0005800000-7f0006000000 rw-p 00000000 00:00 0 
not a line at all
7f0008000000-7f0007000000 rw-p 00000000 00:00 0 
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
`;

const mebibyte = 2 ** 20;
const fails = (code: string, message: RegExp) => (thrown: unknown) =>
  thrown instanceof VmkdError && thrown.code === code && message.test(thrown.message);

void describe('/proc/PID/maps', () => {
  const mappings = mappingsOf(maps);

  void it('shows what may be written, a file that goes on as one', () => {
    const vmem = '/vms/some machine/564d (copy).vmem';
    assert.deepEqual(
      mappings.filter(({ name }) => name === vmem),
      [
        { address: 0x7f0000000000n, size: 16n << 20n, name: vmem },
        { address: 0x7f0001000000n, size: 1n << 20n, name: vmem },
      ],
    );
    // Neighbours that are no file's are each for itself.
    assert.deepEqual(
      mappings.filter(({ name }) => name === '').map(({ size }) => size),
      [32n << 20n, 8n << 20n, 8n << 20n],
    );
    assert.equal(mappings.length, 6);
    assert.deepEqual(mappingsOf(''), []);
  });

  void it('leads to the machine’s memory', () => {
    const choose = (bytes: number, vmem?: string) => machineMapping(mappings, bytes, 'process 4711', vmem);
    assert.equal(choose(16 * mebibyte, '/elsewhere/564D (copy).vmem').address, 0x7f0000000000n);
    // The size tells as much as the name.
    assert.equal(choose(8 * mebibyte).address, 0x7f0005000000n);
    assert.equal(choose(16 * mebibyte, 'gone.vmem').address, 0x7f0000000000n);
    assert.equal(choose(20 * mebibyte).address, 0x7f0002000000n);
    assert.throws(
      () => choose(64 * mebibyte),
      fails('ram-truncated', /^process 4711: its largest mapping has 33554432 bytes/),
    );
    assert.throws(
      () => choose(17 * mebibyte, '564d (copy).vmem'),
      fails('ram-truncated', /564d \(copy\)\.vmem has 16777216 bytes/),
    );
    assert.throws(() => machineMapping([], 1, 'process 1'), fails('ram-unmapped', /^process 1 maps nothing/));
  });
});

void it('a path of Windows is a name behind its last separator', () => {
  const mappings = [
    { address: 0x10000n, size: 1n << 32n, name: '\\Device\\HarddiskVolume3\\VMs\\Other.vmem' },
    { address: 0x7ff000000n, size: 1n << 31n, name: '\\Device\\HarddiskVolume3\\VMs\\Mine.vmem' },
  ];
  const choose = (vmem?: string) => machineMapping(mappings, 2 ** 30, 'process 1', vmem).address;
  assert.equal(choose('C:\\VMs\\mine.VMEM'), 0x7ff000000n);
  assert.equal(choose('D:/VMs/mine.vmem'), 0x7ff000000n);
  assert.equal(choose(), 0x10000n);
});
