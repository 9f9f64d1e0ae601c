/** The machine under a kernel, by the palette: paused, resumed, a snapshot, and back to it. The kernel runs. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Locator } from 'playwright-core';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';
import type { Witness } from '../../fixtures/monitors';

export function machineControl(opened: () => KernelWindow, witness: () => Witness): void {
  const ticks = async (): Promise<number> =>
    Number(/\d+/.exec(await opened().machine.console.command('ticks', 60_000))?.[0]);
  const question = (text: RegExp): Locator =>
    opened().workbench.page.locator('.monaco-dialog-box', { hasText: text });
  const confirm = (button: string, text: RegExp): Promise<void> =>
    question(text).locator('.monaco-button', { hasText: button }).click();

  void describe('the machine', () => {
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
      // Longer than it takes to attach again: the kernel runs meanwhile.
      const goal = (await ticks()) + 500;
      for (const deadline = Date.now() + 60_000; (await ticks()) < goal;) assert.ok(Date.now() < deadline);
      await workbench.command('vmkd: Revert the Virtual Machine to a Snapshot');
      await workbench.choose('clean');
      await confirm('Revert', /Take “vmkd-window-\d+” back to the snapshot “clean”\?/);
      await workbench.status(/Paused on attach/).waitFor();
      await workbench.stopped('Paused on attach');
      await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      assert.ok((await ticks()) < goal, 'its clock is that of the snapshot');
    });

    void it('is reset only if the user says so once more', async () => {
      const { workbench, machine } = opened();
      await workbench.command('vmkd: Reset the Virtual Machine');
      const dialog = question(/Reset “vmkd-window-\d+”\? What runs in it is lost/);
      const before = await ticks();
      await dialog.locator('.monaco-button', { hasText: 'Cancel' }).click();
      await dialog.waitFor({ state: 'hidden' });
      assert.ok((await ticks()) >= before);
      await workbench.command('vmkd: Reset the Virtual Machine');
      const from = machine.console.lines.length;
      await dialog.locator('.monaco-button', { hasText: 'Reset' }).click();
      await machine.console.waitFor(/^console ready$/, 60_000, from);
      assert.ok((await ticks()) < before, 'it is another kernel');
    });
  });
}
