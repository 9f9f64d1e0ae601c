/** The views of modules and processes. */

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { lineOf } from '../../fixtures/demoSource';
import { kernelImages } from '../../fixtures/liveSymbols';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

export function processes(opened: () => KernelWindow): void {
  const processNamed = (name: string) =>
    opened().workbench.page.locator('.monaco-list-row[aria-level="1"]', {
      hasText: new RegExp(`^${name}`),
    });

  void describe('the view of processes', () => {
    void it('lists them, their threads, and the stack of one that sleeps, with the way to its code', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      await workbench.command('Debug: Continue');
      await workbench.stopped('Paused on breakpoint');
      // Rows of lists are there only if they can be seen.
      for (const view of ['Variables', 'Watch', 'Registers']) await workbench.closeView(view);
      await workbench.openView('Processes');
      await processNamed('System').click();
      await page.locator('.monaco-list-row', { hasText: 'vmkdemo!WorkerThread' }).first().waitFor();
      // Down to where it gave its processor up.
      const asleep = page.locator('.monaco-list-row', { hasText: 'vmkdemo!SharedThread' }).first();
      await asleep.locator('.monaco-tl-twistie').click();
      const frame = page.locator('.monaco-list-row', { hasText: 'nt!KiSwapThread' }).first();
      await frame.waitFor();
      await workbench.screenshot('processes');
      await workbench.menu(frame, 'Show Disassembly');
      await page.locator('.tab.active', { hasText: 'nt!KiSwapThread' }).waitFor();
      await frame.click();
      await (await workbench.downTo('vmkdemo!SharedThread+')).click();
      await page.locator('.tab.active', { hasText: 'driver.c' }).waitFor();
    });

    void it('make a thread of another process the one that is looked at', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      // One that runs on a processor is no thread that sleeps: then in another stop.
      const runs = workbench.callStack.filter({ hasText: /CPU \d: vmkuser/ });
      while ((await runs.count()) > 0) {
        await workbench.command('Debug: Continue');
        await workbench.stopped('Paused on breakpoint');
        await processNamed('System').click();
      }
      await workbench.status(/2 CPUs · .* · System \(4\)/).waitFor();
      await page.keyboard.press('Home');
      await workbench.downTo(/^System/);
      await page.keyboard.press('ArrowLeft');
      await (await workbench.downTo(/^vmkuser/)).click();
      const threads = page.locator('.monaco-list-row[aria-level="2"]', { hasText: /^Thread/ });
      await threads.first().waitFor();
      await workbench.menu(await workbench.downTo(/^Thread/), 'Show in the Call Stack');
      await workbench.status(/2 CPUs · .* · vmkuser\.exe \(\d+\)/).waitFor();
      await workbench.callStack
        .filter({ hasText: /Asleep: vmkuser/ })
        .first()
        .waitFor();
      await workbench.callStack.filter({ hasText: 'nt!KiSwapThread' }).first().waitFor();
      await workbench.screenshot('thread');
      await workbench.callStack.filter({ hasText: 'nt!KiSwapThread' }).first().click();
      await page.keyboard.press('Home');
      await (await workbench.downTo('vmkdemo!VmkDemoWork')).click();
      await workbench.status(/System \(4\)/).waitFor();
    });
  });
}

/** The threads of vmkuser are unfolded, and no breakpoint is in the way. */
export function processesKept(opened: () => KernelWindow): void {
  void describe('the view of processes, while the kernel runs', () => {
    void it('stays as it was, and unfolded', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const unfolded = page.locator('.monaco-list-row[aria-level="1"][aria-expanded="true"]', {
        hasText: /^vmkuser/,
      });
      await unfolded.waitFor();
      await workbench.command('Debug: Continue');
      const runs = page.locator('.pane', { hasText: 'Processes' }).locator('.message', {
        hasText: 'The kernel is running',
      });
      await runs.first().waitFor();
      assert.ok(await unfolded.isVisible());
      await workbench.command('Debug: Pause');
      await workbench.stopped('Paused on pause');
      await runs.first().waitFor({ state: 'hidden' });
      assert.ok(await unfolded.isVisible());
    });
  });
}

/** @param symbols The folder of symbol files, which lacks those of vmkondem. */
export function modules(opened: () => KernelWindow, symbols: string): void {
  void describe('the view of modules', () => {
    void it('shows them come, gets their symbols, leads to their memory, and shows them go', async () => {
      const { workbench, machine } = opened();
      const { page } = workbench;
      await workbench.openView('Modules');
      // Notifications are rows, too.
      const rows = page.locator('.monaco-list-row[role="treeitem"]');
      await rows.filter({ hasText: 'vmkdemo.sys' }).filter({ hasText: 'private symbols' }).waitFor();
      await workbench.command('Debug: Continue');
      await machine.console.command('load', 60_000);
      const row = rows.filter({ hasText: 'vmkondem.sys' });
      await row.filter({ hasText: 'not loaded' }).waitFor();
      copyFileSync(path.join(kernelImages, 'vmkondem.pdb'), path.join(symbols, 'vmkondem.pdb'));
      await workbench.command('Debug: Pause');
      await workbench.stopped('Paused on pause');
      await workbench.menu(row, 'Load Symbols');
      await row.filter({ hasText: 'private symbols' }).waitFor();
      const known = page.frames();
      await workbench.menu(row, 'Show in Memory');
      const memory = await workbench.webview('memory', known);
      await memory.locator('#cursor', { hasText: '4d' }).waitFor();
      await workbench.screenshot('modules');
      await workbench.command('Debug: Continue');
      await machine.console.command('unload', 60_000);
      await row.waitFor({ state: 'detached' });
    });
  });
}

/** The kernel runs, and there are symbols of vmkondem now. */
export function languages(opened: () => KernelWindow): void {
  void describe('breakpoints in C++ and in assembly', () => {
    void it('are clicked into the margin, and wait for the driver', async () => {
      const { workbench, machine } = opened();
      const breakpoints = [
        ['mixing.cpp', lineOf('../vmkondem/mixing.cpp', 'return Mixer.Mix('), 'vmkondem!VmkOnDemandMix'],
        ['turning.S', lineOf('../vmkondem/turning.S', 'rol eax, 3'), 'vmkondem!VmkOnDemandTurn'],
      ] as const;
      for (const [file, line] of breakpoints) {
        await workbench.openFile(file);
        await workbench.goToLine(line);
        await workbench.clickMargin(file, line);
      }
      const loading = machine.console.command('load', 60_000);
      for (const [file, line, name] of breakpoints) {
        await workbench.stopped('Paused on breakpoint');
        await workbench.callStack.filter({ hasText: name }).first().waitFor();
        await workbench.editor(file).locator('.debug-top-stack-frame-line').first().waitFor();
        await workbench.removeBreakpoint(file, line);
        await workbench.command('Debug: Continue');
      }
      await loading;
      await machine.console.command('unload', 60_000);
    });
  });
}

/** The kernel runs, and vmkondem has come and gone. */
export function prints(opened: () => KernelWindow): void {
  void describe('what the kernel prints', () => {
    void it('has colours by component and level', async () => {
      const { workbench, machine } = opened();
      await machine.console.command('print 1 error 7 of 9', 60_000);
      const colour = (line: string, part: string): Promise<string | null> =>
        workbench.said(line).locator('span:not(:has(span))', { hasText: part }).first().getAttribute('style');
      const component = await colour('vmkondem: hello', 'vmkondem');
      assert.match(component ?? '', /ansi/i);
      assert.equal(await colour('vmkondem: good-bye', 'vmkondem'), component);
      assert.match((await colour('error 7 of 9', 'error 7')) ?? '', /ansiRed/);
      assert.notEqual(await colour('vmkondem: hello', 'hello'), component);
      await workbench.screenshot('prints');
    });
  });
}
