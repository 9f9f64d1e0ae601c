// test-limit: 120 s
/** A second client, which others wrote: Emacs with dap-mode drives the adapter on the demo kernel. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { buildCli } from '../fixtures/cli';
import { demoSource, lineOf } from '../fixtures/demoSource';
import { kernelImages } from '../fixtures/liveSymbols';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel } from '../kernel/machine';

void test('Emacs stops at a breakpoint, evaluates, steps, and lets the kernel go', async (t) => {
  buildCli();
  const machine = await bootDemoKernel();
  t.after(() => machine.stop());
  const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
  const emacs = spawn('emacs', ['--batch', '--load', 'test/emacs/drive.el'], {
    env: {
      ...process.env,
      ADAPTER: path.resolve('dist/adapter.js'),
      NODE: process.execPath,
      KD_LINK: machine.kdLink,
      SYMBOLS: kernelImages,
      SOURCE: demoSource('work.c'),
      LINE: String(line),
      EXPRESSION: 'sizeof(Bytes)',
      SCRATCH: tempFolder(t),
      HOME: tempFolder(t),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let complained = '';
  emacs.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  emacs.stderr.on('data', (bytes: Buffer) => (complained += bytes.toString()));
  const [code] = (await once(emacs, 'close')) as [number];
  assert.equal(code, 0, `${said}\n${complained}`);
  assert.match(said, new RegExp(`stopped in vmkdemo!VmkDemoWork\\+0x\\w+ line ${line}\\n`));
  assert.match(said, /sizeof\(Bytes\) is 32\n/);
  assert.match(said, new RegExp(`stepped to line ${line + 1}\\nended\\n`));
  assert.match(await machine.console.command('ticks'), /\d/);
});
