/**
 * Two kernels in one window of VS Code: what is shown of one is never the other's. One of them is hostile: its names are markup,
 * icons, escape sequences, and must be seen as such.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame } from 'playwright-core';
import { keepFailure } from '../fixtures/vscode/failures';
import { hostileWords, writeNames } from '../fixtures/vscode/hostileNames';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';
import type { Workbench } from '../fixtures/vscode/workbench';

/** Bytes of each kernel that the other does not have. */
const markers = [0xa1, 0xb2] as const;

let window: KernelWindow;
let workbench: Workbench;
const dialogs: string[] = [];
before(async () => {
  const unused = [...markers];
  window = await openKernelWindow({
    other: true,
    prepare: (machine) => writeNames(machine, new Uint8Array(8).fill(unused.shift()!)),
  });
  ({ workbench } = window);
  // Rows of lists are there only if they can be seen.
  await workbench.page.setViewportSize({ width: 1600, height: 1800 });
  workbench.page.on('dialog', (dialog) => {
    dialogs.push(dialog.message());
    void dialog.dismiss();
  });
});
after(async () => {
  await window.end();
});
afterEach(async (test) => {
  await keepFailure(test, workbench);
});

const expression = '(char*)&vmkdemo!VmkDemoLarge + 0x100';

const openMemory = (expression: string): Promise<Frame> => workbench.openMemory(expression);

/** No markup of a guest's has become an element of a page. */
async function isPlain(page: Frame): Promise<void> {
  assert.equal(await page.locator('img, b, i').count(), 0);
}

const cursor = (memory: Frame): Promise<string> => memory.locator('#cursor').innerText();
const place = (memory: Frame): Promise<string> => memory.locator('footer').innerText();
void describe('two sessions', () => {
  let first: Frame;
  let second: Frame;

  void it('attach side by side', async () => {
    await workbench.openFile('work.c');
    await workbench.startDebugging();
    await workbench.stopped('Paused on attach');
    await workbench.callStack.filter({ hasText: 'nt!KdCheckForDebugBreak' }).first().waitFor();
    first = await openMemory(expression);
    await workbench.start('Attach to the other kernel');
    await workbench.page
      .locator('.debug-call-stack .monaco-list-row', { hasText: 'Attach to the other kernel' })
      .filter({ hasText: /paused on attach/i })
      .waitFor();
    await workbench.selectSession('Attach to the other kernel');
    second = await openMemory(expression);
    assert.equal(await cursor(first), markers[0].toString(16));
    assert.equal(await cursor(second), markers[1].toString(16));
    assert.notEqual(await place(first), await place(second));
    // Tabs say whose memory they have.
    for (const session of ['Attach to VMware kernel', 'Attach to the other kernel'])
      await workbench.page.locator('.tab', { hasText: `Memory: ${expression} (${session})` }).waitFor();
  });

  void it('show registers of the one that is selected', async () => {
    await workbench.openView('Registers');
    const registers = await workbench.webview('registers');
    const base = registers.locator('[id="General/rip"]');
    await base.waitFor();
    const other = await base.innerText();
    await workbench.selectSession('Attach to VMware kernel');
    await base.filter({ hasNotText: other }).waitFor();
    await workbench.selectSession('Attach to the other kernel');
    await base.filter({ hasText: other }).waitFor();
  });

  void it('read and write each in its own kernel', async () => {
    // The one that is not selected: a view belongs to its session.
    await workbench.typeOver(first, 'c3');
    await workbench.page.keyboard.press('ArrowLeft');
    await first.locator('#cursor', { hasText: 'c3' }).waitFor();
    assert.equal(await cursor(second), markers[1].toString(16));
  });

  void it('get the orders that were given for them, though another is shown when a question is answered', async () => {
    const question = 'The code at which address?';
    const first = workbench.page
      .locator('.monaco-editor[data-uri^="vmkd-code:"] .view-line')
      .filter({ hasText: /^\s*[0-9a-f]{8}`[0-9a-f]{8}/ })
      .first();
    await workbench.selectSession('Attach to the other kernel');
    await workbench.command('vmkd: Open Disassembly');
    await workbench.answer(question, 'nt!KeBugCheckEx');
    await first.waitFor();
    const other = (await first.innerText()).trim().slice(0, 17);
    await workbench.selectSession('Attach to VMware kernel');
    await workbench.command('vmkd: Open Disassembly');
    await workbench.page.locator('.quick-input-widget', { hasText: question }).waitFor();
    const rip = (await workbench.webview('registers')).locator('[id="General/rip"]');
    const before = await rip.innerText();
    // That of the debug console leaves the question open.
    const choice = workbench.page.locator('.panel select', { hasText: 'Attach to the other kernel' });
    await choice.first().selectOption({ label: 'Attach to the other kernel' });
    await rip.filter({ hasNotText: before }).waitFor();
    await workbench.answer(question, 'nt!KeBugCheckEx');
    await first.filter({ hasNotText: other }).waitFor();
    await workbench.command('vmkd: Reset the Virtual Machine');
    const dialog = workbench.page.locator('.monaco-dialog-box', { hasText: window.other!.kdLink });
    await dialog.locator('.monaco-button', { hasText: 'Cancel' }).click();
  });

  void it('run apart from each other', async () => {
    await workbench.selectSession('Attach to the other kernel');
    await workbench.status(/Paused on attach/).waitFor();
    await workbench.page.locator('.debug-toolbar .codicon-debug-continue').click();
    await window.other!.console.command('ticks', 60_000);
    await workbench.selectSession('Attach to VMware kernel');
    await workbench.status(/Paused on attach/).waitFor();
    assert.equal(await cursor(first), 'c3');
  });
});

void describe('a hostile guest', () => {
  void it('has its names shown as they are', async () => {
    await workbench.openView('Modules');
    await workbench.page.locator('.monaco-list-row', { hasText: '<i>␛[31mx' }).first().waitFor();
    await workbench.openView('Processes');
    const row = workbench.page.locator('.monaco-list-row', { hasText: String.raw`<b>$(bug)\x1b[1m` });
    await row.first().waitFor();
    assert.equal(await row.locator('b, .codicon-bug').count(), 0);
    // Names of its module beside pointers to it.
    const memory = await openMemory('nt!__imp_KdSendPacket');
    await memory.locator('select.unit').selectOption('pointers');
    await memory.locator('.text', { hasText: '!KdSendPacket' }).first().waitFor();
    await isPlain(memory);
    await isPlain(await workbench.webview('registers'));
    await workbench.screenshot('hostile');
  });

  void it('has text in its memory shown as it is', async () => {
    const memory = await openMemory(expression);
    const shown = memory.locator('.rows');
    // Controls are points.
    const text = '<img src=x onerror=alert(1)>.[31m....2J<b>';
    await memory.locator('select.unit').selectOption('text');
    await shown.filter({ hasText: text.slice(0, 20) }).waitFor();
    const cells = (await memory.locator('.row:not(.beyond) .cell').allInnerTexts()).join('');
    assert.ok(cells.includes(text), cells.slice(0, 200));
    assert.doesNotMatch(cells, /\p{Cc}/u);
    await isPlain(memory);
    await workbench.screenshot('hostile memory');
  });

  void it('has what it prints shown as it is', async () => {
    await workbench.command('Debug: Continue');
    await window.machine.console.command(`print 1 ${hostileWords}`);
    await workbench.command('Debug Console: Focus on Debug Console View');
    const line = workbench.page.locator('.repl .monaco-list-row', { hasText: hostileWords });
    await line.first().waitFor();
    assert.equal(await line.locator('img, .codicon-bug, a[href*=command]').count(), 0);
    await workbench.command('Debug: Pause');
    await workbench.stopped('Paused on pause');
  });

  void it('has what is typed about it shown as it is', async () => {
    const memory = await openMemory('@rsp');
    await memory.locator('.expression').fill(`nt!${hostileWords}`);
    await memory.locator('.expression').press('Enter');
    await memory.locator('footer .error').waitFor();
    await isPlain(memory);
    assert.deepEqual(dialogs, []);
  });
});

void describe('at the end', () => {
  void it('each kernel has what was written into it, and runs', async () => {
    await workbench.selectSession('Attach to VMware kernel');
    await workbench.command('Debug: Disconnect');
    await window.machine.console.command('ticks', 60_000);
    await workbench.status(/running/).waitFor();
    await workbench.command('Debug: Disconnect');
    await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
    await window.other!.console.command('ticks', 60_000);
    assert.deepEqual(dialogs, []);
    assert.equal(window.code.hostDeath, undefined);
  });
});
