/** WinDbg beside a session, by what VS Code offers: the menu of the session, the palette. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, watch } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../src/engine/core/clock';
import { pipeName } from '../../../src/engine/companion/pipePlace';
import { createEndpoint } from '../../../src/engine/link/endpoint';
import { ScriptedDebugger } from '../../fixtures/scriptedDebugger';
import type { KernelWindow } from '../../fixtures/vscode/kernelWindow';
import { version } from '../../fixtures/windbg';

/** Milliseconds. */
const limit = 60_000;

export interface Place {
  /** Of the machine. */
  readonly name: string;
  /** A file that the program in the place of WinDbg writes its command line into. */
  readonly said: string;
}

export function companionControl(opened: () => KernelWindow, { name, said }: Place): void {
  const pipe = (): string => path.join(opened().code.folder, 'vmkd', pipeName(name));

  void describe('the pipe for WinDbg', () => {
    void it('is opened, hands the kernel over, and shows WinDbg out', async () => {
      const { workbench } = opened();
      await workbench.sessionMenu('Start the pipe for WinDbg');
      await workbench.said(`WinDbg may attach: unix:${pipe()}`).first().waitFor();
      const endpoint = createEndpoint(`unix:${pipe()}`);
      const windbg = new ScriptedDebugger(await endpoint.open({ waitMilliseconds: limit }), systemClock);
      try {
        await windbg.attach(false);
        await workbench.said('WinDbg is attached to the companion pipe').first().waitFor();
        await workbench.sessionMenu('Give the kernel to WinDbg');
        await workbench.status(/WinDbg drives/).waitFor();
        await workbench.screenshot('windbg');
        await version(windbg);
        await workbench.sessionMenu('Take the kernel from WinDbg');
        await workbench.status(/WinDbg drives/).waitFor({ state: 'detached' });
        await workbench.sessionMenu('Give the kernel to WinDbg');
        await workbench.status(/WinDbg drives/).waitFor();
        await workbench.sessionMenu('Stop the pipe for WinDbg');
        await windbg.until(() => windbg.ended !== undefined, 'its end', limit, false);
        await workbench.said('There is no companion pipe any more').first().waitFor();
        await workbench.status(/WinDbg drives/).waitFor({ state: 'detached' });
        assert.ok(!existsSync(pipe()));
      } finally {
        windbg.close();
      }
    });

    void it('is opened for a WinDbg that is launched, and its command can be copied', async () => {
      const { workbench } = opened();
      await workbench.command('vmkd: Launch WinDbg on This Kernel');
      await appearance(said);
      assert.deepEqual(readFileSync(said, 'utf8').split('\n').slice(0, 2), [
        '-k',
        `com:pipe,port=${pipe()},resets=0,reconnect`,
      ]);
      const { page } = workbench;
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await workbench.command('vmkd: Copy the Command That Attaches WinDbg');
      assert.equal(await workbench.clipboard(`unix:${pipe()}`), `unix:${pipe()}`);
      await workbench.command('vmkd: Stop the Pipe for WinDbg');
      await workbench.said('There is no companion pipe any more').nth(1).waitFor();
    });
  });
}

function appearance(file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      watcher.close();
    };
    const look = (): void => {
      if (!existsSync(file)) return;
      end();
      resolve();
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error(`There is no ${file}`));
    }, limit);
    const watcher = watch(path.dirname(file), look);
    look();
  });
}
