/** The ways in: what VS Code offers to attach and to launch, without a launch.json and with one; and how one gets out again. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

/** A line that can be opened, and at whose other end nobody is. */
export class SilentLine {
  readonly #server: Server;
  readonly #opened: Promise<Socket>;

  private constructor(readonly file: string) {
    this.#server = createServer();
    this.#opened = once(this.#server, 'connection').then(([socket]) => socket as Socket);
  }

  static async open(file: string): Promise<SilentLine> {
    const line = new SilentLine(file);
    line.#server.listen(file);
    await once(line.#server, 'listening');
    return line;
  }

  /** @returns What waits for the debugger to let go of it, as soon as the debugger has opened it */
  async taken(): Promise<{ readonly ended: Promise<unknown> }> {
    const socket = await this.#opened;
    socket.resume();
    return { ended: once(socket, 'close') };
  }

  close(): void {
    this.#server.close();
  }
}

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
    await machine.console.command('ticks', 60_000);
  };

  void describe('an attach that takes long', () => {
    void it('says what it waits for, and can be cancelled', async () => {
      const { workbench } = opened();
      await workbench.start('Attach to a silent line');
      const { ended } = await silent().taken();
      await workbench.command('Notifications: Show Notifications');
      const told = workbench.page.locator('.notifications-center .monaco-list-row', {
        hasText: /Attaching/,
      });
      await told.waitFor();
      await workbench.screenshot('attaching');
      await told.locator('.monaco-button', { hasText: 'Cancel' }).click();
      await ended;
      await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
      await workbench.command('Notifications: Clear All Notifications');
    });
  });

  void describe('machines that are found', () => {
    void it('are offered as configurations that nobody has written', async () => {
      const { workbench } = opened();
      await workbench.command('Debug: Select and Start Debugging');
      await workbench.page
        .locator('.quick-input-list .monaco-list-row', { hasText: 'VMware kernel' })
        .click();
      const row = workbench.page.locator('.quick-input-list .monaco-list-row', {
        hasText: `Attach to ${name}`,
      });
      await row.first().click();
      await workbench.stopped('Paused on attach');
      await letGo();
    });
  });

  void describe('a launch', () => {
    void it('takes the machine back to a snapshot, and attaches', async () => {
      const { workbench, machine } = opened();
      const clock = async (): Promise<number> =>
        Number(/\d+/.exec(await machine.console.command('ticks', 60_000))?.[0]);
      const before = await clock();
      await workbench.start('Launch from a snapshot');
      await workbench.status(/Paused on attach/).waitFor();
      await workbench.stopped('Paused on attach');
      await workbench.page.keyboard.press('F5');
      await workbench.status(/running/).waitFor();
      assert.ok((await clock()) < before);
      await letGo();
    });
  });

  void describe('a newcomer', () => {
    void it('is led by a walkthrough, whose steps are done when they are', async () => {
      const { workbench } = opened();
      await workbench.command('Welcome: Open Walkthrough...');
      await workbench.choose('Debug a Windows kernel in a virtual machine');
      const steps = workbench.page.locator('.getting-started-step');
      for (const title of ['Choose a virtual machine', 'Check the way', 'Turn debugging on', 'Attach'])
        await steps.filter({ hasText: title }).first().waitFor();
      await steps.filter({ hasText: 'Turn debugging on' }).first().click();
      await workbench.screenshot('walkthrough');
    });

    void it('without a launch.json finds the way in the Run view', async () => {
      const { workbench, workspace } = opened();
      const { page } = workbench;
      rmSync(path.join(workspace, '.vscode'), { recursive: true });
      await workbench.command('View: Show Run and Debug');
      await page
        .locator('.welcome-view-content .monaco-button', { hasText: 'Attach to VMware Kernel' })
        .click();
      await workbench.chooseMachine(name);
      await workbench.stopped('Paused on attach');
      await workbench.command('Welcome: Open Walkthrough...');
      await workbench.choose('Debug a Windows kernel in a virtual machine');
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
