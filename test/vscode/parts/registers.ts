/** The view of registers. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Frame } from 'playwright-core';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';

/** Numbers of DAP: that of the processor that stopped, which any of the two can be, and that of the other. */
async function processors(registers: Frame): Promise<{ readonly stopped: number; readonly other: number }> {
  const stopped = Number(await registers.locator('main').getAttribute('data-cpu'));
  return { stopped, other: 3 - stopped };
}

/** Shows the registers of a processor. */
async function choose(registers: Frame, processor: number): Promise<void> {
  await registers.getByLabel('Processor').selectOption(String(processor));
  await registers.locator(`main[data-cpu="${processor}"]`).waitFor();
}

/** @param line Of VmkDemoWork, where the kernel stands; it is one further in the end. */
export function registersView(opened: () => KernelWindow, line: number): void {
  void describe('the registers view', () => {
    void it('shows the registers of the processor that stopped, and sets them', async () => {
      const { workbench } = opened();
      await workbench.openView('Registers');
      const registers = await workbench.webview('registers');
      const value = (name: string) => registers.locator(`[id="General/${name}"]`);
      await registers
        .locator('tr', { has: value('rip') })
        .filter({ hasText: 'vmkdemo!VmkDemoWork' })
        .waitFor();
      const before = await value('r11').innerText();
      await value('r11').dblclick();
      await value('r11').locator('input').fill('1234abcd');
      await workbench.page.keyboard.press('Enter');
      await value('r11').filter({ hasText: '00000000`1234abcd' }).waitFor();
      await value('r11').dblclick();
      await value('r11').locator('input').fill(before);
      await workbench.page.keyboard.press('Enter');
      await value('r11').filter({ hasText: before }).waitFor();
      await registers.locator('summary', { hasText: 'Control' }).click();
      await registers.locator('[id="Control/cr0"]').waitFor();
    });

    void it('shows them in other radixes, with flags by their names, of each processor', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const value = (name: string) => registers.locator(`[id="${name}"]`);
      const rsp = await value('General/rsp').innerText();
      await registers.getByLabel('Shown as').selectOption('Decimal');
      const decimal = BigInt(`0x${rsp.replace('`', '')}`).toString();
      await value('General/rsp').filter({ hasText: decimal }).waitFor();
      await registers.getByLabel('Shown as').selectOption('Hexadecimal');
      const flags = registers.getByRole('row', { name: 'eflags' });
      await flags.locator('.meaning', { hasText: /\bif\b/ }).waitFor();
      const processor = registers.getByLabel('Processor');
      const { stopped, other } = await processors(registers);
      const named = processor.locator('option', { hasText: `CPU ${stopped - 1}: System (4)` });
      await named.waitFor({ state: 'attached' });
      await choose(registers, other);
      const rip = registers.locator('tr', { has: value('General/rip') });
      await rip.filter({ hasText: 'nt!' }).waitFor();
      assert.notEqual(await value('General/rsp').innerText(), rsp);
      await choose(registers, stopped);
      await rip.filter({ hasText: 'vmkdemo!VmkDemoWork' }).waitFor();
      assert.equal(await value('General/rsp').innerText(), rsp);
    });

    void it('follows the thread that is selected in the call stack, unless another is chosen', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const select = async (thread: string): Promise<void> => {
        await workbench.command('Run and Debug: Focus on Call Stack View');
        await workbench.page.keyboard.press('Home');
        await workbench.downTo(thread);
        await workbench.page.keyboard.press('Enter');
      };
      const { stopped, other } = await processors(registers);
      for (const one of [other, stopped]) {
        await select(`CPU ${one - 1}: `);
        await registers.locator(`main[data-cpu="${one}"]`).waitFor();
      }
    });

    void it('shows what is set elsewhere, in the same stop', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const value = registers.locator('[id="General/r11"]');
      const before = await value.innerText();
      await workbench.typeInConsole('r r11 = 0x77');
      await value.filter({ hasText: '00000000`00000077' }).waitFor();
      await workbench.typeInConsole(`r r11 = 0x${before.replace('`', '')}`);
      await value.filter({ hasText: before }).waitFor();
    });

    void it('unfolds flags, and sets one of them', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const flags = registers.locator('tr', { has: registers.locator('[id="Flags/eflags"]') });
      await flags.getByRole('button', { name: 'Unfolds eflags' }).click();
      const carry = registers.locator('[id="Flags/eflags/cf"]');
      const before = await carry.innerText();
      const isSet = (wanted: string) => (wanted === '1' ? { hasText: /\bcf\b/ } : { hasNotText: /\bcf\b/ });
      for (const wanted of [before === '1' ? '0' : '1', before]) {
        await carry.dblclick();
        await carry.locator('input').fill(wanted);
        await workbench.page.keyboard.press('Enter');
        await flags.locator('.meaning').filter(isSet(wanted)).waitFor();
        await carry.filter({ hasText: wanted }).waitFor();
      }
      await flags.getByRole('button', { name: 'Folds eflags' }).click();
      await carry.waitFor({ state: 'detached' });
    });

    void it('opens memory at what a register has, whichever processor it is of', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const { stopped, other } = await processors(registers);
      await choose(registers, other);
      const rsp = registers.locator('[id="General/rsp"]');
      const address = await rsp.innerText();
      const known = workbench.page.frames();
      await rsp.press('m');
      const memory = await workbench.webview('memory', known);
      await memory.locator('footer', { hasText: address }).waitFor();
      await workbench.page
        .locator('.tab.active', { hasText: 'Memory: 0x' })
        .locator('.tab-actions .action-label')
        .click();
      await choose(registers, stopped);
    });

    void it('says why a register cannot be set, and shows it as it is', async () => {
      const { workbench } = opened();
      const registers = await workbench.webview('registers');
      const value = registers.locator('[id="General/r11"]');
      const before = await value.innerText();
      await value.dblclick();
      await value.locator('input').fill('nothing!here');
      await workbench.page.keyboard.press('Enter');
      await registers.locator('.error', { hasText: 'nothing' }).waitFor();
      await workbench.screenshot('registers');
      assert.equal(await value.innerText(), before);
    });

    void it('marks what a step has changed', async () => {
      const { workbench } = opened();
      await workbench.page.keyboard.press('F10');
      await workbench.callStack
        .filter({ hasText: 'vmkdemo!VmkDemoWork' })
        .filter({ hasText: String(line + 1) })
        .waitFor();
      const registers = await workbench.webview('registers');
      await registers.locator('tr.changed', { hasText: 'rip' }).waitFor();
      assert.equal(await registers.locator('tr.changed', { hasText: 'cr0' }).count(), 0);
      // Also to who looks away meanwhile: its page is another one then.
      await workbench.closeView('Registers');
      const known = workbench.page.frames();
      await workbench.openView('Registers');
      const again = await workbench.webview('registers', known);
      await again.locator('tr.changed', { hasText: 'rip' }).waitFor();
    });
  });
}
