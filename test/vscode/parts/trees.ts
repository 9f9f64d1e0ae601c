/** The views of modules and processes. */

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { kernelImages } from '../../fixtures/liveSymbols';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

export function processes(opened: () => KernelWindow): void {
  void describe('the view of processes', () => {
    void it('lists them, their threads, and the stack of one that sleeps', async () => {
      const { workbench } = opened();
      await workbench.openView('Processes');
      const system = workbench.page.locator('.monaco-list-row[aria-level="1"]', { hasText: /^System/ });
      await system.click();
      await workbench.page.locator('.monaco-list-row', { hasText: 'vmkdemo!WorkerThread' }).first().waitFor();
      // A thread that sleeps: its stack, down to where it gave its processor up.
      const asleep = workbench.page.locator('.monaco-list-row', { hasText: 'vmkdemo!SharedThread' }).first();
      await asleep.locator('.monaco-tl-twistie').click();
      const frame = workbench.page.locator('.monaco-list-row', { hasText: 'nt!KiSwapThread' }).first();
      await frame.waitFor();
      await workbench.screenshot('processes');
      await workbench.menu(frame, 'Show Disassembly');
      await workbench.page.locator('.tab.active', { hasText: 'nt!KiSwapThread' }).waitFor();
    });

    void it('make a thread of another process one of the call stack, in its context', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      await workbench.status(/System \(4\)/).waitFor();
      const user = page.locator('.monaco-list-row[aria-level="1"]', { hasText: /^vmkuser/ });
      await user.click();
      const thread = page.locator('.monaco-list-row[aria-level="2"]', { hasText: /vmkuser!|0x/ }).first();
      await workbench.menu(thread, 'Show in the Call Stack');
      const row = workbench.callStack.filter({ hasText: /Asleep: vmkuser/ }).first();
      await row.click();
      await workbench.callStack.filter({ hasText: 'nt!KiSwapThread' }).first().click();
      await workbench.status(/vmkuser\.exe \(\d+\)/).waitFor();
      await workbench.screenshot('thread');
      await workbench.callStack
        .filter({ hasText: /CPU \d: System/ })
        .first()
        .click();
      await workbench.status(/System \(4\)/).waitFor();
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
      const rows = page.locator('.monaco-list-row');
      await rows.filter({ hasText: 'vmkdemo.sys' }).filter({ hasText: 'private symbols' }).waitFor();
      await workbench.command('Debug: Continue');
      await machine.console.command('load', 60_000);
      const row = rows.filter({ hasText: 'vmkondem.sys' });
      await row.waitFor();
      assert.doesNotMatch(await row.innerText(), /private symbols/);
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
