/** The machine under a kernel, by the palette: paused, resumed, a snapshot, and back to it. The kernel runs. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Frame, Locator } from 'playwright-core';
import { ticksOf } from '../../fixtures/guestLife';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';
import type { Workbench } from '../../fixtures/vscode/workbench';
import type { Witness } from '../../fixtures/monitors';

const question = ({ page }: Workbench, text: RegExp): Locator =>
  page.locator('.monaco-dialog-box', { hasText: text });

async function revert(workbench: Workbench, snapshot: string): Promise<void> {
  await workbench.command('vmkd: Revert the Virtual Machine to a Snapshot');
  await workbench.choose(snapshot);
  await question(
    workbench,
    new RegExp(`Take “vmkd-window-\\d+” \\(unix:.*\\) back to the snapshot “${snapshot}”\\?`),
  )
    .locator('.monaco-button', { hasText: 'Revert' })
    .click();
  await workbench.status(/Paused on attach/).waitFor();
  await workbench.stopped('Paused on attach');
}

/** Milliseconds. */
const limit = 60_000;

/** Longer than it takes to attach again: the kernel runs meanwhile. @returns The clock of the kernel, at least */
async function runsOn(window: KernelWindow): Promise<number> {
  const ticks = (): Promise<number> => ticksOf(window.machine, limit);
  const goal = (await ticks()) + 500;
  for (const deadline = Date.now() + limit; (await ticks()) < goal;) assert.ok(Date.now() < deadline);
  return goal;
}

export function machineControl(opened: () => KernelWindow, witness: () => Witness): void {
  const ticks = (): Promise<number> => ticksOf(opened().machine, limit);

  void describe('the machine', () => {
    /** Opened before the kernel goes, and where that had it. */
    let memory: Frame;
    let place: string;

    void it('is paused and resumed', async () => {
      const { workbench } = opened();
      await witness().becomes('running');
      await workbench.command('vmkd: Pause the Virtual Machine');
      await witness().becomes('paused');
      await workbench.command('vmkd: Resume the Virtual Machine');
      await witness().becomes('running');
      await ticks();
    });

    void it('goes back to a snapshot, and its kernel is attached to again', async () => {
      const { workbench } = opened();
      await workbench.command('vmkd: Take a Snapshot of the Virtual Machine');
      await workbench.answer('What shall the snapshot be called?', 'clean');
      const goal = await runsOn(opened());
      await revert(workbench, 'clean');
      await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
      memory = await workbench.openMemory('nt!PsLoadedModuleList');
      place = await memory.locator('footer').innerText();
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      assert.ok((await ticks()) < goal, 'its clock is that of the snapshot');
    });

    void it('is reset only if the user says so once more, and code is shown where the next kernel has it', async () => {
      const { workbench, machine } = opened();
      await workbench.command('Debug: Pause');
      await workbench.stopped('Paused on pause');
      await workbench.command('vmkd: Open Disassembly');
      await workbench.answer('The code at which address?', 'nt!KeBugCheckEx');
      const code = workbench.page.locator('.monaco-editor[data-uri^="vmkd-code:"] .view-line');
      const first = code.filter({ hasText: /^\s*[0-9a-f]{8}`[0-9a-f]{8}/ }).first();
      await first.waitFor();
      const place = (await first.innerText()).trim().slice(0, 17);
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      await workbench.command('vmkd: Reset the Virtual Machine');
      const dialog = question(workbench, /Reset “vmkd-window-\d+” \(unix:.*\)\? What runs in it is lost/);
      const before = await ticks();
      await dialog.locator('.monaco-button', { hasText: 'Cancel' }).click();
      await dialog.waitFor({ state: 'hidden' });
      assert.ok((await ticks()) >= before);
      await workbench.command('vmkd: Reset the Virtual Machine');
      const from = machine.console.lines.length;
      await dialog.locator('.monaco-button', { hasText: 'Reset' }).click();
      await machine.console.waitFor(/^console ready$/, limit, from);
      assert.ok((await ticks()) < before, 'it is another kernel');
      await workbench.command('Debug: Pause');
      await workbench.stopped('Paused on pause');
      // The source of the stop covers it.
      await workbench.sourceShown();
      await workbench.command('View: Show All Editors By Most Recently Used');
      await workbench.choose('nt!KeBugCheckEx');
      await first.filter({ hasNotText: place }).waitFor();
      await code.filter({ hasText: /^nt!KeBugCheckEx:/ }).waitFor();
    });

    void it('has memory shown where the next kernel has it, and marks nothing against the one before', async () => {
      const { workbench } = opened();
      const address = memory.locator('footer');
      const byte = memory.locator('#cursor').filter({ hasText: /^[0-9a-f]/ });
      await address.filter({ hasNotText: place }).waitFor();
      await byte.waitFor();
      assert.equal(await memory.locator('.changed').count(), 0);
      const another = await workbench.openMemory('nt!PsLoadedModuleList');
      assert.equal(await another.locator('footer').innerText(), await address.innerText());
      assert.equal(await another.locator('#cursor').innerText(), await byte.innerText());
    });
  });
}

/** Nobody is attached; the machine has a snapshot “clean”. */
export function revertOfLaunch(opened: () => KernelWindow): void {
  void describe('a machine that was launched from a snapshot', () => {
    void it('goes back to the one that is chosen', async () => {
      const { workbench } = opened();
      await workbench.start('Launch from a snapshot');
      await workbench.status(/Paused on attach/).waitFor();
      await workbench.stopped('Paused on attach');
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      const goal = await runsOn(opened());
      await workbench.command('vmkd: Take a Snapshot of the Virtual Machine');
      await workbench.answer('What shall the snapshot be called?', 'later');
      await workbench.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
      await revert(workbench, 'later');
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      assert.ok((await ticksOf(opened().machine, limit)) >= goal, 'its clock is that of the snapshot');
      await workbench.page.keyboard.press('Shift+F5');
      await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
      // Relative to the folder of the configuration.
      assert.ok(existsSync(path.join(opened().workspace, 'launch.trace')));
    });
  });
}
