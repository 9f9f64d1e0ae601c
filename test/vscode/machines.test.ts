// test-limit: 600 s
/** Machines and the ways to their kernels in a real VS Code: how one gets in, out, to a snapshot, to the doctor. */

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { monitorsIn, type Witness } from '../fixtures/monitors';
import { writeEmptyQcow2 } from '../fixtures/qcow2';
import { SilentLine } from '../fixtures/silentLine';
import { temporaryFolder } from '../fixtures/tempFolder';
import { keepFailure } from '../fixtures/vscode/failures';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';
import type { Workbench } from '../fixtures/vscode/workbench';
import { machineControl, revertOfLaunch } from './parts/machine';
import { waysIn } from './parts/starting';

const { folder, remove } = temporaryFolder();
const name = `vmkd-window-${process.pid}`;
const monitors = monitorsIn(folder);
let window: KernelWindow;
let workbench: Workbench;
let witness: Witness;
let silent: SilentLine;
before(async () => {
  const disk = path.join(folder, 'disk');
  // For snapshots.
  writeEmptyQcow2(disk, 64n << 20n);
  silent = await SilentLine.open(path.join(folder, 'silent'));
  const onSilence = { type: 'vmkd', request: 'attach', link: `unix:${silent.file}` };
  const drive = `file=${disk},if=none,id=disk,format=qcow2`;
  window = await openKernelWindow({
    kernel: { memoryMiB: 128, qemuArgs: ['-name', name, '-drive', drive, ...monitors.qemuArgs] },
    configuration: { link: undefined, vm: name, parking: { after: 1 } },
    configurations: [
      { ...onSilence, name: 'Attach to a silent line' },
      { ...onSilence, name: 'Give a silent line up', timeouts: { attach: 1 } },
      {
        type: 'vmkd',
        request: 'launch',
        name: 'Launch from a snapshot',
        vm: name,
        snapshot: 'clean',
        trace: 'launch.trace',
      },
    ],
  });
  ({ workbench } = window);
  witness = await monitors.witness();
});
after(async () => {
  witness.close();
  await window.end();
  silent.close();
  remove();
});
afterEach(async (test) => {
  await keepFailure(test, workbench);
});

void describe('F5', () => {
  void it('attaches to a machine by its name', async () => {
    await workbench.openFile('work.c');
    await workbench.startDebugging();
    await workbench.stopped('Paused on attach');
    await workbench.sourceShown();
    await workbench.command('Debug: Continue');
    await workbench.status(/running/).waitFor();
  });
});

machineControl(
  () => window,
  () => witness,
);

void describe('Shift+F5', () => {
  void it('lets the kernel go, of whichever snapshot it is', async () => {
    await workbench.page.keyboard.press('Shift+F5');
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    assert.match(await window.machine.console.command('ticks'), /\d/);
    assert.deepEqual(await workbench.notifications(), []);
  });
});

void describe('a machine that does not answer', () => {
  void it('is examined by the doctor, who says what to do', async () => {
    await workbench.command('Debug: Select and Start Debugging');
    const pick = workbench.page.locator('.quick-input-list .monaco-list-row', {
      hasText: 'Attach to nobody',
    });
    await pick.first().click();
    const doctor = await workbench.webview('doctor');
    const failed = doctor.locator('li.fail').first();
    await failed.locator('pre').waitFor();
    await workbench.page.keyboard.press('Escape');
    await workbench.screenshot('doctor');
    await failed.locator('.name', { hasText: 'link' }).waitFor();
    await failed.locator('.sentence', { hasText: 'does not exist' }).waitFor();
    await failed.locator('pre', { hasText: 'Is the virtual machine powered on' }).waitFor();
    // Nothing is left of a session that never was one.
    await workbench.page.locator('.pane-header', { hasText: 'Registers' }).waitFor({ state: 'detached' });
    const tab = workbench.page.locator('.tab', { hasText: 'vmkd Doctor' });
    await tab.click({ button: 'middle' });
    await tab.waitFor({ state: 'detached' });
  });
});

revertOfLaunch(() => window);
waysIn(() => window, { name, silent: () => silent });
