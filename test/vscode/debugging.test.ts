/** A kernel is debugged in a real VS Code, with the extension as it is packaged, by keys and clicks. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { lineOf } from '../fixtures/demoSource';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';

let window: KernelWindow;
before(async () => {
  window = await openKernelWindow();
});
after(async () => {
  await window.end();
});

void describe('F5 on “Attach to VMware kernel”', () => {
  void it('stops the kernel', async () => {
    const { workbench } = window;
    await workbench.openFile('work.c');
    await workbench.startDebugging();
    await workbench.stopped('Paused on attach');
    await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
    await workbench.screenshot('attached');
  });

  void it('stops it at a breakpoint that was clicked into the margin, and steps', async () => {
    const { workbench } = window;
    const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
    await workbench.openFile('work.c');
    await workbench.goToLine(line);
    await workbench.clickMargin(line);
    await workbench.page.locator('.codicon-debug-breakpoint').first().waitFor();
    await workbench.page.keyboard.press('F5');
    await workbench.stopped('Paused on breakpoint');
    await workbench.callStack.filter({ hasText: 'vmkdemo!VmkDemoWork' }).first().waitFor();
    await workbench.page.locator('.debug-variables .monaco-list-row', { hasText: 'Value' }).first().waitFor();
    await workbench.screenshot('breakpoint');
    await workbench.page.keyboard.press('F10');
    await workbench.callStack
      .filter({ hasText: 'vmkdemo!VmkDemoWork' })
      .filter({ hasText: String(line + 1) })
      .waitFor();
  });

  void it('lets it go', async () => {
    const { workbench, machine } = window;
    await workbench.page.keyboard.press('Shift+F5');
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    assert.match(await machine.console.command('ticks'), /\d/);
    assert.equal(window.code.hostDeath, undefined);
  });
});
