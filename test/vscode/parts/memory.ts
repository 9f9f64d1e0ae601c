/** Views of memory. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Frame, Locator } from 'playwright-core';
import { addressText, reference } from '../../../src/extension/memory/units';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

/** @param line Of VmkDemoWork, with a breakpoint: there the kernel stands in the end. */
export function memoryViews(opened: () => KernelWindow, line: number): void {
  void describe('a memory view', () => {
    let memory: Frame;
    /** Nobody uses what is there, and the longest rows begin there. */
    let home: bigint;
    const goHome = async (): Promise<void> => {
      await memory.locator('.expression').fill(reference(home));
      await memory.locator('.expression').press('Enter');
      await memory
        .locator('footer')
        .filter({ hasText: new RegExp(`^${addressText(home)}$`) })
        .waitFor();
    };

    void it('opens at an expression, and writes what is typed over a byte', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('&vmkdemo!VmkDemoWatched');
      const address = (await memory.locator('footer').innerText()).replace('`', '');
      const cursor = memory.locator('#cursor');
      const before = await cursor.innerText();
      const wanted = before === '5a' ? 'a5' : '5a';
      await workbench.typeOver(memory, wanted);
      await workbench.page.keyboard.press('ArrowLeft');
      await cursor.filter({ hasText: wanted }).waitFor();
      await workbench.screenshot('memory');
      // Asked another way.
      await workbench.command('Debug Console: Focus on Debug Console View');
      await workbench.page.locator('.repl-input-wrapper .monaco-editor.focused').waitFor();
      await workbench.page.keyboard.type(`db 0x${address} L1`);
      await workbench.page.keyboard.press('Enter');
      await workbench.page
        .locator('.repl .monaco-list-row', { hasText: new RegExp(` ${wanted} `) })
        .last()
        .waitFor();
    });

    void it('opens by a link in the console', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const address = await memory.locator('footer').innerText();
      const known = page.frames();
      await page
        .locator('.repl a', { hasText: address.replace('`', '') })
        .last()
        .click({ modifiers: ['Control'] });
      const another = await workbench.webview('memory', known);
      await another.locator('footer', { hasText: address }).waitFor();
      memory = another;
    });

    void it('opens at what a variable is', async () => {
      const { workbench } = opened();
      const known = workbench.page.frames();
      const bytes = workbench.page.locator('.debug-variables .monaco-list-row', { hasText: /^Bytes/ });
      await workbench.menu(bytes, 'Open in vmkd Memory View');
      const opens = await workbench.webview('memory', known);
      const value = workbench.page.locator('.debug-variables .monaco-list-row', { hasText: /^Value/ });
      // The first of them is that.
      const first = Number(/\d+/.exec(await value.innerText())) & 0xff;
      await opens
        .locator('#cursor')
        .filter({ hasText: first.toString(16).padStart(2, '0') })
        .waitFor();
      await workbench.page.locator('.tab.active', { hasText: 'Memory: 0xfff' }).waitFor();
    });

    void it('marks bytes that have changed since the stop before', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('&vmkdemo!VmkDemoWorkCalls');
      assert.equal(await memory.locator('.changed').count(), 0);
      await workbench.page.keyboard.press('F5');
      await memory.locator('#cursor.changed').waitFor();
      await workbench.stopped('Paused on breakpoint');
    });

    void it('shows what pointers point at, follows them, and comes back', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('nt!PsLoadedModuleList');
      const home = await memory.locator('footer').innerText();
      await memory.locator('select.unit').selectOption('pointers');
      await memory.locator('.grid').focus();
      await workbench.page.keyboard.press('Control+Enter');
      await memory.locator('footer').filter({ hasNotText: home }).waitFor();
      await workbench.page.keyboard.press('Alt+ArrowLeft');
      await memory.locator('footer', { hasText: home }).waitFor();
      await memory.locator('.expression').fill('@rsp');
      await memory.locator('.expression').press('Enter');
      await memory
        .locator('.text', { hasText: /^vmkdemo!/ })
        .first()
        .waitFor();
      await workbench.screenshot('pointers');
    });

    void it('shows what is not there as such, at both ends of memory', async () => {
      for (const [expression, first] of [
        ['0x0', '00000000`00000000'],
        ['0xfffffffffffffff0', 'ffffffff`fffffff0'],
      ] as const) {
        await memory.locator('select.unit').selectOption('bytes');
        await memory.locator('.expression').fill(expression);
        await memory.locator('.expression').press('Enter');
        const row = memory.locator('.row:not(.beyond)').filter({ hasText: first });
        await row.locator('.unreadable').first().waitFor();
      }
    });

    void it('shows how an address is translated, and its page in physical memory', async () => {
      const { workbench } = opened();
      await memory.locator('.expression').fill('&vmkdemo!VmkDemoNodes');
      await memory.locator('.expression').press('Enter');
      const byte = memory.locator('#cursor').filter({ hasText: /^[0-9a-f]{2}$/ });
      const virtual = await byte.innerText();
      await memory.getByRole('button', { name: 'How the address under the cursor is translated' }).click();
      const tables = memory.locator('.translation');
      await tables.locator('tr', { hasText: 'PTE' }).filter({ hasText: 'kernel' }).first().waitFor();
      await workbench.screenshot('pagetables');
      const physical = tables.locator('div', { hasText: 'Physical address' }).locator('.link');
      const address = await physical.innerText();
      await physical.click();
      await memory.locator('footer', { hasText: address }).waitFor();
      assert.equal(await byte.innerText(), virtual);
      await workbench.page.locator('.tab.active', { hasText: '(physical)' }).waitFor();
      assert.equal(await memory.getByLabel('Live').isDisabled(), true);
      await memory.locator('.grid').press('Enter');
      await memory.locator('footer .error', { hasText: 'Physical memory can only be looked at' }).waitFor();
      // To where it came from, in the memory that this was in.
      await memory.locator('.grid').press('Alt+ArrowLeft');
      await memory
        .locator('select.space option:checked', { hasText: 'Virtual' })
        .waitFor({ state: 'attached' });
      await memory.locator('footer').filter({ hasNotText: address }).waitFor();
      assert.equal(await byte.innerText(), virtual);
      await tables.locator('.close').click();
    });

    void it('says what is wrong with an expression', async () => {
      await memory.locator('.expression').fill('nt!Nope');
      await memory.locator('.expression').press('Enter');
      await memory.locator('footer .error', { hasText: 'Nope' }).waitFor();
    });

    void it('is walked by keys, and copies what is selected', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('&vmkdemo!VmkDemoLarge');
      const footer = memory.locator('footer');
      const large = BigInt(`0x${(await footer.innerText()).replace('`', '')}`);
      home = (large + 0x80n) & ~0x3fn;
      await goHome();
      const rowBytes = await memory.locator('.row').first().locator('.cell').count();
      const press = async (key: string, address: bigint, count = 1): Promise<void> => {
        await workbench.page.keyboard.press(key);
        const text = addressText(address);
        await footer.filter({ hasText: count === 1 ? text : `${text}, ${count} bytes` }).waitFor();
      };
      await memory.locator('.grid').focus();
      await press('ArrowRight', home + 1n);
      await press('ArrowDown', home + 1n + BigInt(rowBytes));
      await press('Home', home + BigInt(rowBytes));
      await press('End', home + BigInt(2 * rowBytes - 1));
      await press('ArrowUp', home + BigInt(rowBytes - 1));
      await press('Home', home);
      await workbench.page.keyboard.press('PageDown');
      await footer.filter({ hasNotText: addressText(home) }).waitFor();
      await press('PageUp', home);
      for (const count of [2, 3, 4]) await press('Shift+ArrowRight', home, count);
      const cells = await memory.locator('.cell.selected').allInnerTexts();
      assert.equal(cells.length, 4);
      await workbench.page.keyboard.press('Control+c');
      assert.equal(await workbench.clipboard(cells.join(' ')), cells.join(' '));
    });

    /** By rows; until it is drawn. */
    const scroll = async (rows: number): Promise<void> => {
      await memory.evaluate(`document.querySelector('.grid').scrollTop += ${rows * 20}`);
      await memory.evaluate(
        'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
      );
    };

    void it('changes the byte that the cursor is on, wherever it was scrolled to', async () => {
      const grid = memory.locator('.grid');
      const cursor = memory.locator('#cursor');
      await goHome();
      await grid.press('ArrowRight');
      await scroll(1000);
      assert.equal(await cursor.count(), 0);
      await grid.press('Enter');
      const editor = memory.getByLabel(`New value at ${reference(home + 1n)}`);
      const top = async (of: Locator): Promise<number> => Math.round((await of.boundingBox())!.y);
      const before = await top(editor);
      assert.equal(before, await top(cursor));
      // It goes with its byte, and is over when that is out of sight.
      await scroll(-2);
      assert.equal(await top(editor), before + 40);
      assert.equal(await top(editor), await top(cursor));
      await scroll(1000);
      assert.equal(await editor.count(), 0);
    });

    void it('copies what nobody has seen, and says how much is too much', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('nt!KeBugCheckEx');
      const footer = memory.locator('footer');
      /** So many rows further. @returns How many bytes are selected */
      const selectOn = async (rows: number): Promise<number> => {
        const before = await footer.innerText();
        await scroll(rows);
        const cell = memory.locator('.row:not(.beyond) .cell').first();
        await cell.click({ modifiers: ['Shift'] });
        const isNew = { hasText: / bytes$/, hasNotText: new RegExp(`^${before}$`) };
        return Number(/, (\d+) bytes/.exec(await footer.filter(isNew).innerText())![1]);
      };
      const count = await selectOn(2000);
      await workbench.page.keyboard.press('Control+c');
      const bytes = (await workbench.clipboard(count)).split(' ');
      assert.equal(bytes.length, count);
      assert.deepEqual(
        bytes.filter((byte) => !/^[0-9a-f]{2}$/.test(byte)),
        [],
      );
      await scroll(-2000);
      const shown = memory.locator('.cell.selected').filter({ hasText: /^[0-9a-f]{2}$/ });
      await shown.nth(15).waitFor();
      assert.deepEqual(bytes.slice(0, 16), (await shown.allInnerTexts()).slice(0, 16));
      assert.ok((await selectOn(150_000)) > 1 << 20);
      await workbench.page.keyboard.press('Control+c');
      await memory.locator('footer .error', { hasText: 'At most 1 MiB is copied at once' }).waitFor();
      await goHome();
    });

    void it('says in words what it shows', async () => {
      const grid = memory.getByRole('grid', { name: 'Bytes of memory' });
      await grid.getByRole('row').first().getByRole('rowheader', { name: '`' }).waitFor();
      assert.equal(await grid.getAttribute('aria-activedescendant'), 'cursor');
      const cursor = memory.locator('#cursor').filter({ hasText: /^[0-9a-f]{2}$/ });
      const text = await cursor.innerText();
      await grid
        .getByRole('gridcell', { name: new RegExp(`^${text}`) })
        .first()
        .waitFor();
      await memory.getByRole('status').filter({ hasText: '`' }).waitFor();
      await memory.getByLabel('Which memory').waitFor();
    });

    void it('shows floats and text, and takes them', async () => {
      const { workbench } = opened();
      const unit = memory.locator('select.unit');
      const cursor = memory.locator('#cursor');
      const row = memory.locator('.row').first();
      const type = (value: string): Promise<void> => workbench.typeOver(memory, value);
      await goHome();
      await unit.selectOption('floats');
      await type('no number');
      await memory.locator('.editor.wrong[aria-invalid="true"]').waitFor();
      await workbench.page.keyboard.press('Escape');
      await type('1.5');
      await row
        .locator('.cell')
        .first()
        .filter({ hasText: /^1\.5$/ })
        .waitFor();
      await unit.selectOption('bytes');
      await row.filter({ hasText: '0000c03f' }).waitFor();
      await unit.selectOption('text');
      await goHome();
      for (const [at, character] of ['A', '<', 'b'].entries()) {
        await type(character);
        await row.locator('.cell').nth(at).filter({ hasText: character }).waitFor();
      }
      await row.filter({ hasText: 'A<b?' }).waitFor();
      await workbench.page.keyboard.press('Home');
      for (let moves = 0; moves < 3; moves++) await workbench.page.keyboard.press('Shift+ArrowRight');
      await memory.getByRole('button', { name: 'Copies' }).click();
      assert.equal(await workbench.clipboard('A<b?'), 'A<b?');
      await unit.selectOption('utf16');
      await cursor.waitFor();
      await workbench.screenshot('text');
      await unit.selectOption('bytes');
    });

    void it('saves what is selected into a file', async () => {
      const { workbench, workspace } = opened();
      await goHome();
      await memory.locator('#cursor').filter({ hasText: '41' }).waitFor();
      await memory.locator('.grid').focus();
      for (let moves = 0; moves < 31; moves++) await workbench.page.keyboard.press('Shift+ArrowRight');
      await memory.locator('footer', { hasText: ', 32 bytes' }).waitFor();
      const selected = memory.locator('.cell.selected');
      await selected.nth(31).waitFor();
      const shown = (await selected.allInnerTexts()).join('');
      await memory.getByRole('button', { name: 'Saves' }).click();
      // The name that is proposed.
      const file = path.join(workspace, `memory-${home.toString(16)}.bin`);
      const input = workbench.page.locator('.quick-input-widget .quick-input-box input');
      await workbench.page.waitForFunction(
        `document.querySelector('.quick-input-box input').value.endsWith(${JSON.stringify(path.basename(file))})`,
      );
      await workbench.page.locator('.quick-input-widget .monaco-button', { hasText: 'OK' }).click();
      await input.waitFor({ state: 'hidden' });
      while (!existsSync(file)) await workbench.page.waitForTimeout(50);
      assert.equal(readFileSync(file).toString('hex'), shown);
    });

    void it('stops the kernel when what is selected changes', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('&vmkdemo!VmkDemoWatched');
      await memory.locator('.grid').focus();
      for (let moves = 0; moves < 7; moves++) await workbench.page.keyboard.press('Shift+ArrowRight');
      await memory.locator('footer', { hasText: ', 8 bytes' }).waitFor();
      await memory.getByRole('button', { name: 'Stops the kernel' }).click();
      const question = workbench.page.locator('.quick-input-widget', { hasText: 'memory range' });
      const input = question.locator('.quick-input-box input');
      await input.waitFor();
      // The answer is at hand.
      await workbench.page.keyboard.press('Control+v');
      await workbench.page.waitForFunction(
        `/\\+ 8$/.test(document.querySelector('.quick-input-box input').value)`,
      );
      await workbench.page.keyboard.press('Enter');
      const access = workbench.page.locator('.quick-input-list .monaco-list-row', {
        hasText: /write|change/i,
      });
      await access.first().click();
      await workbench.page.locator('.debug-breakpoints .monaco-list-row', { hasText: '0xfffff' }).waitFor();
      await workbench.command('Debug: Continue');
      await workbench.stopped('Paused on data breakpoint');
      await memory.locator('.cell.changed').first().waitFor();
      await workbench.screenshot('data breakpoint');
      await workbench.command('Remove All Breakpoints');
      await workbench.page
        .locator('.debug-breakpoints .monaco-list-row', { hasText: '0xfffff' })
        .waitFor({ state: 'detached' });
    });

    void it('that is live shows what a kernel changes that runs, against what it was when it stood', async () => {
      const { workbench } = opened();
      memory = await workbench.openMemory('&vmkdemo!VmkDemoCounter');
      await memory.locator('select.unit').selectOption('qwords');
      await memory.getByLabel('Live').check();
      const cursor = memory.locator('#cursor');
      await cursor.filter({ hasText: '`' }).waitFor();
      await workbench.command('Debug: Continue');
      await workbench.status(/running/).waitFor();
      for (let changes = 0; changes < 3; changes++) {
        const before = await cursor.innerText();
        await cursor.filter({ hasNotText: before }).waitFor();
      }
      await memory.locator('#cursor.changed').waitFor();
      await workbench.status(/running/).waitFor();
      await workbench.screenshot('live');
      await workbench.command('Debug: Pause');
      await workbench.stopped('Paused on pause');
      await memory.getByLabel('Live').uncheck();
      await memory.locator('#cursor.changed').waitFor();
      await workbench.sourceShown();
      await workbench.openFile('work.c');
      await workbench.goToLine(line);
      await workbench.clickMargin('work.c', line);
      await workbench.page.keyboard.press('F5');
      await workbench.stopped('Paused on breakpoint');
    });

    void it('shows what a process sees', async () => {
      const { workbench } = opened();
      await workbench.openView('Processes');
      const known = workbench.page.frames();
      await workbench.menu(
        workbench.page.locator('.monaco-list-row[aria-level="1"]', { hasText: /^vmkuser/ }),
        'Show Its Memory',
      );
      const memory = await workbench.webview('memory', known);
      const space = memory.getByLabel('Which memory');
      await space.locator('option', { hasText: 'in vmkuser' }).waitFor({ state: 'attached' });
      // Where Windows shows a program what it shares with it: its folder is in there.
      await memory.locator('select.unit').selectOption('utf16');
      await memory.locator('.expression').fill('0x7ffe0030');
      await memory.locator('.expression').press('Enter');
      const row = memory.locator('.row').first();
      await row.filter({ hasText: String.raw`C:\Win` }).waitFor();
      await workbench.screenshot('memory of a process');
      // The kernel stands in another process, which has nothing there.
      await space.selectOption('Virtual');
      await row.locator('.unreadable').first().waitFor();
    });
  });
}
