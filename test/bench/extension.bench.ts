/**
 * The extension in a real VS Code, as a person waits for it: how long it takes to be there, to stop a kernel, to show what a step
 * has changed; how smoothly memory scrolls.
 */

import { statSync } from 'node:fs';
import type { Frame } from 'playwright-core';
import { lineOf } from '../fixtures/demoSource';
import { vmkd } from '../fixtures/cli';
import { openKernelWindow, type KernelWindow } from '../fixtures/vscode/kernelWindow';
import { packagedExtension } from '../fixtures/vscode/packaged';
import type { Workbench } from '../fixtures/vscode/workbench';
import type { Bench, Figure } from './bench';

/** Of the function that is stepped through, each to another line. */
const stepsOfVisit = 5;
const visits = 4;
/** Milliseconds for a step. */
const limit = 60_000;
const frames = 600;
/** Bytes that are scrolled over. */
const scrolled = 1 << 30;
const rowHeight = 20;

const bench: Bench = {
  needsKernel: true,
  needsNative: true,
  needsVsCode: true,
  tools: ['browser'],
  async figures() {
    const kib = statSync(packagedExtension()).size / 1024;
    const window = await openKernelWindow({ kernel: { memoryMiB: 1024 } });
    try {
      const cli = await cliMilliseconds(window);
      const f5 = await f5Milliseconds(window);
      const activation = await activationMilliseconds(window.workbench);
      const step = await stepMilliseconds(window.workbench);
      const scroll = await scrollFigures(window.workbench);
      return [
        { id: 'ext.activation_ms', value: activation, unit: 'ms', goal: { atMost: 50 } },
        { id: 'ext.vsix_kib', value: kib, unit: 'KiB', goal: { atMost: 2048 } },
        { id: 'ext.f5_minus_cli_ms', value: f5 - cli, unit: 'ms', goal: { atMost: 1500 } },
        ...scroll,
        { id: 'ext.step_views_ms_p50', value: step.views, unit: 'ms' },
        { id: 'ext.step_vscode_ms_p50', value: step.vsCode, unit: 'ms' },
      ];
    } catch (thrown) {
      await window.workbench.screenshot('failed bench extension');
      throw thrown;
    } finally {
      await window.end();
    }
  },
};

export default bench;

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const part = (values: readonly number[], of: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * of))]!;

/** The same attach by the command line: the best of three. */
async function cliMilliseconds({ machine }: KernelWindow): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const { code, stderr } = await vmkd(['probe', machine.kdLink]);
    if (code !== 0) throw new Error(`vmkd probe failed: ${stderr}`);
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}

/** From the key to the words that the kernel stands; the second time: the extension is there. */
async function f5Milliseconds({ workbench, machine }: KernelWindow): Promise<number> {
  await workbench.startDebugging();
  await workbench.stopped('Paused on attach');
  await workbench.page.keyboard.press('Shift+F5');
  await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
  await machine.console.command('ticks');
  const start = performance.now();
  await workbench.page.keyboard.press('F5');
  await workbench.stopped('Paused on attach');
  const milliseconds = performance.now() - start;
  // What is opened before the source of the stop comes is covered by it.
  await workbench.page.locator('.debug-top-stack-frame-line').first().waitFor();
  return milliseconds;
}

/** As VS Code itself has measured it. */
async function activationMilliseconds(workbench: Workbench): Promise<number> {
  await workbench.command('Developer: Show Running Extensions');
  const rows = workbench.page.locator('.runtime-extensions-editor .monaco-list-row');
  await rows.first().click();
  // The slowest come first, and only those are there that can be seen.
  const row = rows.filter({ hasText: 'vmkd' });
  for (let moves = 0; (await row.count()) === 0; moves++) {
    if (moves === 100) throw new Error('VS Code does not list the extension among those that run');
    await workbench.page.keyboard.press('ArrowDown');
  }
  const text = await row.first().innerText();
  await workbench.page.keyboard.press('Escape');
  await rows.first().waitFor({ state: 'hidden' });
  const found = /Activation: (\d+)ms/.exec(text);
  if (found === null) throw new Error(`VS Code does not say how long the activation took: ${text}`);
  return Number(found[1]);
}

/**
 * From F10 to the registers that it has changed, and to VS Code's own call stack: medians, of the same steps. Each goes to another
 * line. VS Code takes no key for the next before it has shown where the kernel stands.
 */
async function stepMilliseconds(workbench: Workbench): Promise<{ views: number; vsCode: number }> {
  await workbench.openFile('work.c');
  const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
  await workbench.goToLine(line);
  await workbench.page.keyboard.press('F9');
  await workbench.page.locator('.codicon-debug-breakpoint').first().waitFor();
  const top = workbench.page.locator('.debug-call-stack .stack-frame .line-number').first();
  const views: number[] = [];
  const vsCode: number[] = [];
  // The first was that of the attach.
  let stop = 1;
  for (let visit = 0; visit < visits; visit++) {
    stop++;
    await workbench.page.keyboard.press('F5');
    await top.filter({ hasText: String(line) }).waitFor();
    await workbench.openView('Registers');
    const registers = await workbench.webview('registers');
    await registers.locator(`main[data-stop="${stop}"]`).waitFor();
    for (let step = 0; step < stepsOfVisit; step++) {
      const changed = [
        registers.evaluate<number>(changes(`document.querySelector('main').dataset.stop`)),
        workbench.page.evaluate<number>(
          changes(`document.querySelector('.debug-call-stack .stack-frame .line-number')?.textContent`),
        ),
      ];
      stop++;
      const start = Date.now();
      await workbench.page.keyboard.press('F10');
      const [ours, theirs] = await Promise.all(changed);
      views.push(ours! - start);
      vsCode.push(theirs! - start);
    }
  }
  return { views: part(views, 0.5), vsCode: part(vsCode, 0.5) };
}

/** Runs in a page, as a text. @param text An expression. @returns When it is another text than before, by the computer's clock */
const changes = (text: string): string => `new Promise((resolve, reject) => {
  const now = () => ${text};
  const before = now();
  setTimeout(() => reject(new Error('Nothing has changed')), ${limit});
  const observer = new MutationObserver(() => {
    if (now() === undefined || now() === before) return;
    observer.disconnect();
    resolve(Date.now());
  });
  observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
})`;

interface Frames {
  /** Milliseconds between frames. */
  readonly between: readonly number[];
  /** Milliseconds of script in each. */
  readonly script: readonly number[];
}

async function scrollFigures(workbench: Workbench): Promise<Figure[]> {
  await workbench.command('vmkd: Open Memory View');
  await workbench.answer('Memory at which address?', 'nt!PsLoadedModuleList');
  const memory = await workbench.webview('memory');
  await memory.locator('#cursor').waitFor();
  // One cell for each byte.
  const rowBytes = await memory.locator('.row').first().locator('.cell').count();
  const { between, script } = await scroll(memory, (scrolled / rowBytes / frames) * rowHeight);
  const mean = between.reduce((sum, one) => sum + one, 0) / between.length;
  return [
    { id: 'ext.scroll_fps', value: 1000 / mean, unit: '1/s', goal: { atLeast: 30 } },
    { id: 'ext.frame_script_ms_p95', value: part(script, 0.95), unit: 'ms', goal: { atMost: 16 } },
  ];
}

/** Scrolls by as much in each frame; the view lays its window of rows anew when it comes near its end. */
const scroll = (memory: Frame, pixels: number): Promise<Frames> =>
  // A text, as it runs in the page.
  memory.evaluate<Frames>(`(async () => {
    const grid = document.querySelector('.grid');
    const between = [];
    const script = [];
    const ask = window.requestAnimationFrame.bind(window);
    let spent = 0;
    window.requestAnimationFrame = (callback) =>
      ask((time) => {
        const start = performance.now();
        callback(time);
        spent += performance.now() - start;
      });
    let last;
    await new Promise((resolve) => {
      const frame = (time) => {
        if (last !== undefined) {
          between.push(time - last);
          script.push(spent);
        }
        spent = 0;
        last = time;
        if (between.length === ${frames}) {
          resolve();
          return;
        }
        grid.scrollTop += ${pixels};
        ask(frame);
      };
      ask(frame);
    });
    window.requestAnimationFrame = ask;
    return { between, script };
  })()`);
