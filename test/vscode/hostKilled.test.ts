/** What stands between VS Code and a kernel is killed while the kernel stands: it is let go all the same, and the user hears of it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { descendants, outlasting } from '../fixtures/vscode/server';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';

/** Milliseconds for all of it to be noticed. */
const limit = 60_000;

let window: KernelWindow;
before(async () => {
  window = await openKernelWindow();
});
after(async () => {
  await window.end();
});

/** The kernel stands. */
async function attached(): Promise<KernelWindow> {
  const { workbench } = window;
  await workbench.openFile('work.c');
  await workbench.startDebugging();
  await workbench.stopped('Paused on attach');
  return window;
}

void describe('an adapter that is killed', () => {
  void it('leaves a kernel that runs, and a word about it', async () => {
    const { workbench, code, machine } = await attached();
    const adapters = descendants(code.extensionHosts[0]!).filter((id) => {
      const commandLine = readFileSync(`/proc/${id}/cmdline`, 'utf8');
      return commandLine.includes('adapter.js') && !commandLine.includes('--guard');
    });
    assert.equal(adapters.length, 1);
    process.kill(adapters[0]!, 'SIGKILL');
    await machine.console.command('ticks', limit);
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    await workbench.command('Debug Console: Focus on Debug Console View');
    await workbench.said('The debug adapter has ended with SIGKILL').first().waitFor();
  });
});

void describe('an extension host that is killed', () => {
  void it('leaves a kernel that runs, and does not go unnoticed', async () => {
    const { workbench, code, machine } = await attached();
    assert.equal(code.hostDeath, undefined);
    const hosts = code.extensionHosts;
    assert.equal(hosts.length, 1);
    const started = descendants(hosts[0]!);
    assert.ok(started.length > 0);
    process.kill(hosts[0]!, 'SIGKILL');
    await machine.console.command('ticks', limit);
    assert.deepEqual(await outlasting(started, limit), []);
    for (const deadline = Date.now() + limit; code.hostDeath === undefined;)
      await workbench.page.waitForTimeout(Date.now() < deadline ? 100 : assert.fail('nobody noticed'));
  });
});
