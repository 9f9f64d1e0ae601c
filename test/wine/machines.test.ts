/** VMware's machines on a Windows host: runs machinesInWindows.ts in Windows' Node under Wine. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { temporaryFolder } from '../fixtures/tempFolder';
import { Wine } from '../fixtures/wine';
import type { Found } from './machinesInWindows';

const wine = await Wine.start();
const skip = typeof wine === 'string' ? wine : false;

describe('in Windows', { skip }, () => {
  const { folder, remove } = temporaryFolder();
  after(async () => {
    if (typeof wine !== 'string') await wine.close();
    remove();
  });

  test('a running machine is found by the library and the lock of its memory file; its process by that lock', async () => {
    if (typeof wine === 'string') return;
    const output = await wine.runNode('test/wine/machinesInWindows.ts', folder, 200_000);
    const found = JSON.parse(readFileSync(join(folder, 'found.json'), 'utf8')) as Found;
    const { vmx, pid } = found;
    assert.deepEqual(
      found.shown.map(({ name, state, pid: process }) => [name, state, process]),
      [
        ['Gerät', 'running', pid],
        ['off', 'off', undefined],
      ],
      output,
    );
    assert.equal(found.shown[0]?.where, vmx);
    assert.deepEqual(found.shown[0]?.links, [{ port: 1, link: 'pipe:com_1' }]);
    const layout = { lowBytes: 64 << 20, totalBytes: 64 << 20 };
    assert.deepEqual(found.ram, {
      kind: 'process',
      pid,
      layout,
      vmem: vmx.replace(/[^\\]+$/, '564d0000-0000-0000-0000-000000000001.vmem'),
    });
    assert.deepEqual(
      found.problems.map(({ code }) => code),
      ['machine-no-control'],
    );
    assert.match(found.problems[0]!.nextStep, /VMKD_VMRUN/);
    assert.equal(found.byPath, 'running');
    assert.equal(found.after, 'off');
  });
});
