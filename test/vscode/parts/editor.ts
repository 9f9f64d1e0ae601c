/** What the editor shows of a kernel that stands at a breakpoint in work.c, and where it leads to. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lineOf } from '../../fixtures/demoSource';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

/** @param line Of work.c, at which it stands. */
export function editorHelp(opened: () => KernelWindow, line: number): void {
  const numberIn = (text: string): number => Number(/\d+/.exec(text)?.[0]);

  /** A memory view that is opened so shows this byte there; it is closed again. */
  const memoryBy = async (open: () => Promise<void>, title: string, byte: string): Promise<void> => {
    const { workbench } = opened();
    const known = workbench.page.frames();
    await open();
    const tab = workbench.page.locator('.tab.active', { hasText: `Memory: 0x${title}` });
    await tab.waitFor();
    const memory = await workbench.webview('memory', known);
    await memory.locator('#cursor', { hasText: new RegExp(byte || '^[0-9a-f]') }).waitFor();
    await tab.click({ button: 'middle' });
    await tab.waitFor({ state: 'detached' });
  };

  void describe('the editor', () => {
    void it('shows values beside the source, and under the mouse', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const source = workbench.editor('work.c').locator('.view-line', { hasText: 'Outer(Value' });
      await source.filter({ hasText: /Value\s=\s\d+/ }).waitFor();
      const beside = numberIn((await source.innerText()).replace(/^.*Value\s=\s/s, ''));
      await workbench.word(source, 'Value').hover();
      const hover = page.locator('.debug-hover-widget');
      await hover.filter({ hasText: /\d/ }).first().waitFor();
      await workbench.screenshot('hover');
      assert.equal(numberIn(await hover.innerText()), beside);
      await page.mouse.move(0, 0);
      await hover.waitFor({ state: 'hidden' });
    });

    void it('runs to the line whose margin was clicked, and what is watched changes', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const watch = page.locator('.debug-watch');
      await workbench.openView('Watch');
      await page.locator('.pane-header', { hasText: 'Watch' }).hover();
      await page.locator('[aria-label="Add Expression"]').first().click();
      await page.keyboard.type('vmkdemo!VmkDemoWorkCalls');
      await page.keyboard.press('Enter');
      const row = watch.locator('.monaco-list-row', { hasText: 'VmkDemoWorkCalls' });
      await row.filter({ hasText: /=\s*\d+/ }).waitFor();
      const calls = async (): Promise<number> => numberIn((await row.innerText()).replace(/^.*=/s, ''));
      const before = await calls();
      const end = lineOf('work.c', 'return Total;', 'VmkDemoWork');
      const number = workbench
        .editor('work.c')
        .locator('.margin-view-overlays .line-numbers')
        .filter({ hasText: new RegExp(`^${end}$`) });
      await workbench.menu(number, 'Run to Here');
      const top = workbench.callStack.filter({ hasText: 'vmkdemo!VmkDemoWork' });
      await top
        .filter({ hasText: `${end}` })
        .first()
        .waitFor();
      await row.filter({ hasText: new RegExp(`=\\s*${before}$`) }).waitFor();
      await page.keyboard.press('F5');
      await top
        .filter({ hasText: `${line}` })
        .first()
        .waitFor();
      await row.filter({ hasText: new RegExp(`=\\s*${before + 1}`) }).waitFor();
    });

    void it('leads to the code of a line, and from name to name', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      await workbench.goToLine(line);
      const source = workbench.editor('work.c').locator('.view-line', { hasText: 'Outer(Value' });
      await workbench.menu(workbench.word(source, 'Outer'), 'Show Disassembly of This Line');
      const code = page.locator('.monaco-editor[data-uri^="vmkd-code:"]');
      const call = code.locator('.view-line', { hasText: /call\s+vmkdemo!Outer/ });
      await call.waitFor();
      await code
        .locator('.view-line', { hasText: new RegExp(`^work\\.c:${line}\\s+Total\\s\\+=\\sOuter`) })
        .waitFor();
      await workbench.screenshot('code');
      await workbench.word(call, 'Outer').click();
      await page.keyboard.press('F12');
      await page.locator('.tab.active', { hasText: 'vmkdemo!Outer' }).waitFor();
      await code.locator('.view-line', { hasText: /^vmkdemo!Outer:/ }).waitFor();
    });

    void it('opens the code of any expression', async () => {
      const { workbench } = opened();
      await workbench.command('vmkd: Open Disassembly');
      await workbench.answer('The code at which address?', 'nt!KeBugCheckEx + 2');
      await workbench.page.locator('.tab.active', { hasText: 'nt!KeBugCheckEx' }).waitFor();
      const code = workbench.page.locator('.monaco-editor[data-uri^="vmkd-code:"]');
      await code.locator('.view-line', { hasText: /^nt!KeBugCheckEx:/ }).waitFor();
      await workbench.command('vmkd: Open Disassembly');
      await workbench.answer('The code at which address?', 'nt!NoSuchThing');
      await workbench.notified('“nt!NoSuchThing” is not known here');
    });

    void it('leads to code from the call stack, and to memory from code and from what is watched', async () => {
      const { workbench } = opened();
      const { page } = workbench;
      const frame = workbench.callStack.filter({ hasText: 'vmkdemo!VmkDemoWork' }).first();
      await workbench.menu(frame, 'Show Disassembly');
      await page.locator('.tab.active', { hasText: 'vmkdemo!VmkDemoWork' }).waitFor();
      const call = page
        .locator('.monaco-editor[data-uri^="vmkd-code:"] .view-line')
        .filter({ hasText: /call\s+vmkdemo!Outer/ });
      const text = (await call.innerText())
        .replaceAll('`', '')
        .split(/\s+/)
        .filter((word) => word !== '');
      const [address = '', bytes = ''] = text;
      const target = text.at(-1)!.replace(/[()]/g, '');
      await memoryBy(
        () => workbench.menu(workbench.word(call, 'call'), 'Show in Memory'),
        address,
        bytes.slice(0, 2),
      );
      await memoryBy(() => workbench.menu(workbench.word(call, 'Outer'), 'Show in Memory'), target, '');
      const row = page.locator('.debug-watch .monaco-list-row', { hasText: 'VmkDemoWorkCalls' });
      const calls = numberIn((await row.innerText()).replace(/^.*=/s, ''));
      const low = (calls & 0xff).toString(16).padStart(2, '0');
      await memoryBy(() => workbench.menu(row, 'Open in vmkd Memory View'), '', low);
    });
  });
}
