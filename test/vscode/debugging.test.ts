// test-limit: 600 s
/** A kernel is debugged in a real VS Code, with the extension as it is packaged, by keys and clicks. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { lineOf } from '../fixtures/demoSource';
import { kernelImages } from '../fixtures/liveSymbols';
import { monitorsIn } from '../fixtures/monitors';
import { temporaryFolder } from '../fixtures/tempFolder';
import { keepFailure } from '../fixtures/vscode/failures';
import { stepFast } from '../fixtures/vscode/fastSteps';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';
import type { Workbench } from '../fixtures/vscode/workbench';
import { companionControl } from './parts/companion';
import { editorHelp } from './parts/editor';
import { memoryViews } from './parts/memory';
import { registersView } from './parts/registers';
import { languages, modules, prints, processes, processesKept } from './parts/trees';

const { folder, remove } = temporaryFolder();
const name = `vmkd-window-${process.pid}`;
const symbols = path.join(folder, 'symbols');
const windbg = path.join(folder, 'windbg');
const monitors = monitorsIn(folder);
let window: KernelWindow;
let workbench: Workbench;
before(async () => {
  fillFolder();
  window = await openKernelWindow({
    kernel: { memoryMiB: 128, qemuArgs: ['-name', name, ...monitors.qemuArgs] },
    configuration: {
      link: undefined,
      vm: '${command:vmkd.pickVm}',
      symbolPath: symbols,
      parking: { after: 1 },
    },
    // No extension that knows assembly is there.
    code: { settings: { 'vmkd.windbg': windbg, 'debug.allowBreakpointsEverywhere': true } },
    hands: true,
  });
  ({ workbench } = window);
});
after(async () => {
  await window.end();
  remove();
});

/** Symbols of all modules but one, and what stands in the place of WinDbg. */
function fillFolder(): void {
  mkdirSync(symbols);
  for (const file of readdirSync(kernelImages))
    if (file !== 'vmkondem.pdb') symlinkSync(path.join(kernelImages, file), path.join(symbols, file));
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" > '${windbg}.new'\nmv '${windbg}.new' '${windbg}.said'\n`;
  writeFileSync(windbg, script, { mode: 0o755 });
}

afterEach(async (test) => {
  await keepFailure(test, workbench);
});

/** Instructions. */
const fastSteps = 40;

const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');

void describe('F5 on “Attach to VMware kernel”', () => {
  void it('stops the kernel, and says so at the bottom', async () => {
    await workbench.openFile('work.c');
    await workbench.startDebugging(name);
    await workbench.stopped('Paused on attach');
    await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
    await workbench.status(/hybrid · 2 CPUs · Paused on attach · .* · parked/).waitFor();
    await workbench.sourceShown();
    await workbench.screenshot('attached');
  });

  void it('stops it at a breakpoint that was clicked into the margin, and steps', async () => {
    await workbench.openFile('work.c');
    await workbench.goToLine(line);
    await workbench.clickMargin('work.c', line);
    await workbench.page.keyboard.press('F5');
    await workbench.stopped('Paused on breakpoint');
    await workbench.callStack.filter({ hasText: 'vmkdemo!VmkDemoWork' }).first().waitFor();
    await workbench.page.locator('.debug-variables .monaco-list-row', { hasText: 'Value' }).first().waitFor();
    await workbench.status(/breakpoint · System \(4\)/).waitFor();
    await workbench.screenshot('breakpoint');
  });
});

editorHelp(() => window, line);

registersView(() => window, line);

void describe('source and code', () => {
  void it('stop the kernel at an instruction', async () => {
    await workbench.openFile('work.c');
    await workbench.command('Open Disassembly View');
    const rows = workbench.page.locator('.disassembly-view .monaco-list-row');
    const call = rows.filter({ hasText: /call\s+vmkdemo!Outer/ }).first();
    await call.waitFor();
    await workbench.screenshot('disassembly');
    const box = (await call.boundingBox())!;
    await workbench.page.mouse.click(box.x + 10, box.y + box.height - 9);
    await workbench.page.locator('.debug-breakpoints .monaco-list-row', { hasText: /0xfffff/ }).waitFor();
    await workbench.command('Debug: Continue');
    await workbench.stopped('Paused on breakpoint');
    await workbench.command('Debug: Continue');
    await workbench.stopped('Paused on instruction breakpoint');
    const there = (await call.boundingBox())!;
    await workbench.page.mouse.click(there.x + 10, there.y + there.height - 9);
    await workbench.page
      .locator('.debug-breakpoints .monaco-list-row', { hasText: /0xfffff/ })
      .waitFor({ state: 'detached' });
  });
});

memoryViews(() => window, line);

void describe(`${fastSteps} steps, faster than VS Code can show them`, () => {
  void it('leave memory and registers right: of one stop at a time, and in the end of the last', async (test) => {
    const memory = await workbench.openMemory('@rsp');
    await memory.locator('select.unit').selectOption('qwords');
    await memory.getByLabel('Track').check();
    const registers = await workbench.webview('registers');
    test.diagnostic(await stepFast(window, { registers, memory }, fastSteps));
  });
});

processes(() => window);
companionControl(() => window, { name, said: `${windbg}.said` });
void describe('a breakpoint', () => {
  void it('is removed', () => workbench.removeBreakpoint('work.c', line));
});

processesKept(() => window);
modules(() => window, symbols);
languages(() => window);
prints(() => window);
void describe('Shift+F5', () => {
  void it('lets the kernel go', async () => {
    await workbench.page.keyboard.press('Shift+F5');
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    assert.match(await window.machine.console.command('ticks'), /\d/);
    const memory = await workbench.webview('memory');
    await memory.locator('footer', { hasText: 'The session has ended.' }).waitFor();
    assert.deepEqual(await workbench.notifications(), []);
    assert.equal(window.code.hostDeath, undefined);
  });
});
