/** The ways in: what VS Code offers to attach and to launch, without a launch.json and with one; and how one gets out again. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ticksOf } from '../../fixtures/guestLife';
import type { SilentLine } from '../../fixtures/silentLine';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

/** Milliseconds. */
const limit = 60_000;

export interface Ways {
  /** Of the machine. */
  readonly name: string;
  readonly silent: () => SilentLine;
}

/** The kernel runs, and nobody is attached; the machine has a snapshot “clean”. */
export function waysIn(opened: () => KernelWindow, { name, silent }: Ways): void {
  const letGo = async (): Promise<void> => {
    const { workbench, machine } = opened();
    await workbench.page.keyboard.press('Shift+F5');
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    await ticksOf(machine, limit);
  };

  const openWalkthrough = async (): Promise<void> => {
    const { workbench } = opened();
    await workbench.command('Welcome: Open Walkthrough...');
    await workbench.choose('Debug a Windows kernel in a virtual machine');
  };

  void describe('an attach that takes long', () => {
    void it('says what it waits for, and can be cancelled', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      await workbench.start('Attach to a silent line');
      await silent().opened(1);
      await workbench.command('Notifications: Show Notifications');
      const told = page.locator('.notifications-center .monaco-list-row', {
        hasText: 'waiting for a kernel to answer',
      });
      await told.waitFor();
      await workbench.screenshot('attaching');
      await told.locator('.monaco-button', { hasText: 'Cancel' }).click();
      await silent().released();
      await page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
      await workbench.command('Notifications: Clear All Notifications');
      assert.equal(await page.locator('.tab', { hasText: 'vmkd Doctor' }).count(), 0);
    });

    void it('and fails calls the doctor, who goes when he is sent away', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const before = silent().count;
      await workbench.start('Give a silent line up');
      const doctor = page.locator('.tab', { hasText: 'vmkd Doctor' });
      await doctor.waitFor();
      await page.keyboard.press('Escape');
      // By the session that has failed, and by him.
      await silent().opened(before + 2);
      await doctor.click({ button: 'middle' });
      await silent().released();
      await doctor.waitFor({ state: 'detached' });
    });
  });

  void describe('machines that are found', () => {
    void it('are offered as configurations that nobody has written', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      await workbench.command('Debug: Select and Start Debugging');
      const found = page.locator('.quick-input-list [aria-label="VMware kernel contributed configurations"]');
      await found.click();
      await page
        .locator('.quick-input-list .monaco-list-row', { hasText: `Attach to ${name}` })
        .first()
        .click();
      await workbench.stopped('Paused on attach');
      // It names no symbols: no frame has a source, and the top one is selected all the same.
      await workbench.callStack.and(page.locator('.selected')).filter({ hasText: 'nt!' }).waitFor();
      await page.locator('.debug-variables .monaco-list-row', { hasText: 'Registers' }).first().waitFor();
      // All of the stack is there, though VS Code folds what is pale.
      await workbench.callStack.filter({ hasText: /^Show \d+ More Stack Frames/ }).waitFor();
      assert.equal(await workbench.callStack.filter({ hasText: 'Load More' }).count(), 0);
      await workbench.screenshot('sourceless');
      await letGo();
    });
  });

  void describe('a launch', () => {
    void it('takes the machine back to a snapshot, and attaches', async () => {
      const { workbench, machine } = opened();
      const before = await ticksOf(machine, limit);
      await workbench.start('Launch from a snapshot');
      await workbench.status(/Paused on attach/).waitFor();
      await workbench.stopped('Paused on attach');
      await workbench.callStack.and(workbench.page.locator('.selected')).waitFor();
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      assert.ok((await ticksOf(machine, limit)) < before);
      await letGo();
    });
  });

  void describe('a newcomer', () => {
    void it('is led by a walkthrough, whose steps are done when they are', async () => {
      const { workbench } = opened();
      await openWalkthrough();
      const steps = workbench.page.locator('.getting-started-step');
      for (const title of ['Choose a virtual machine', 'Check the way', 'Turn debugging on', 'Attach'])
        await steps.filter({ hasText: title }).first().waitFor();
      await steps.filter({ hasText: 'Turn debugging on' }).first().click();
      await workbench.screenshot('walkthrough');
    });

    void it('without a launch.json finds the way in the Run view', async () => {
      const { workbench, workspace } = opened();
      const { page } = workbench;
      await workbench.openFile('work.c');
      rmSync(path.join(workspace, '.vscode'), { recursive: true });
      await workbench.command('View: Show Run and Debug');
      await page
        .locator('.welcome-view-content .monaco-button', { hasText: 'Attach to VMware Kernel' })
        .click();
      await workbench.chooseMachine(name);
      await workbench.stopped('Paused on attach');
      await workbench.callStack.and(page.locator('.selected')).waitFor();
      await openWalkthrough();
      const done = page.locator('.getting-started-step').filter({
        has: page.locator('[role="checkbox"][aria-checked="true"]'),
      });
      for (const title of ['Choose a virtual machine', 'Attach'])
        await done.filter({ hasText: title }).first().waitFor();
      await workbench.screenshot('walked');
      await letGo();
    });

    void it('has no problem, and is told of none that is not there', async () => {
      const { workbench } = opened();
      await workbench.command('Problems: Focus on Problems View');
      await workbench.page.locator('.markers-panel', { hasText: 'No problems have been detected' }).waitFor();
      assert.deepEqual(await workbench.notifications(), []);
    });
  });
}
