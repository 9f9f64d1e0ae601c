// test-limit: 3600 s
/** Five hundred steps, faster than VS Code can show them: memory and registers stay right. */

import { after, afterEach, before, describe, it } from 'node:test';
import { lineOf } from '../fixtures/demoSource';
import { keepFailure } from '../fixtures/vscode/failures';
import { stepFast } from '../fixtures/vscode/fastSteps';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';

const steps = 500;

let window: KernelWindow;
before(async () => {
  window = await openKernelWindow({ hands: true });
});
after(async () => {
  await window.end();
});
afterEach(async (test) => {
  await keepFailure(test, window.workbench);
});

void describe(`${steps} steps`, () => {
  void it('leave memory and registers right: of one stop at a time, and in the end of the last', async () => {
    const { workbench } = window;
    const line = lineOf('work.c', 'VmkDemoWorkCalls++;');
    await workbench.openFile('work.c');
    await workbench.startDebugging();
    await workbench.stopped('Paused on attach');
    // With it comes its source, over what was open.
    await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
    await workbench.openFile('work.c');
    await workbench.goToLine(line);
    await workbench.clickMargin('work.c', line);
    await workbench.page.keyboard.press('F5');
    await workbench.stopped('Paused on breakpoint');
    await workbench.openView('Registers');
    const registers = await workbench.webview('registers');
    const memory = await workbench.openMemory('@rsp');
    await memory.locator('select.unit').selectOption('qwords');
    await memory.getByLabel('Track').check();
    process.stderr.write(`${await stepFast(window, { registers, memory }, steps)}\n`);
  });
});
