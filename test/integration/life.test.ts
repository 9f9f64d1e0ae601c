// test-limit: 300 s
/** A debugger and its guest through the day: boot, reboot, crash, lost links, late and second debuggers, renamed kernels. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { VmkdError } from '../../src/engine/core/errors';
import { causeBugCheck, reboot } from '../../src/engine/kd/manipulate/execution';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { LiveTarget, type LiveObserver } from '../../src/engine/target/liveTarget';
import { bootForDebugging, breakIn, limit, type Attached } from '../fixtures/attached';
import { buildCli, vmkd } from '../fixtures/cli';
import { tempFolder } from '../fixtures/tempFolder';
import { ticksGrow } from '../fixtures/guestLife';
import type { DemoKernelOptions } from '../kernel/machine';

async function withGuest(
  action: (attached: Attached) => Promise<void>,
  options: DemoKernelOptions = {},
  observer: LiveObserver = {},
): Promise<void> {
  const attached = await bootForDebugging(options, observer);
  try {
    await action(attached);
  } finally {
    await attached.end();
  }
}

const failsWith = (code: string) => (error: unknown) => error instanceof VmkdError && error.code === code;

void describe('attaching', () => {
  void it('before the kernel’s first instruction: the handshake comes from the kernel, module by module', async () => {
    const modules: string[] = [];
    const observer: LiveObserver = {
      onModule: (change) => {
        modules.push(path.win32.basename(change.path));
        return 'go';
      },
    };
    await withGuest(
      async ({ target, machine }) => {
        const attaching = target.attach({ breakIn: true, milliseconds: 60_000 });
        await machine.qmp('cont');
        const first = await attaching;
        assert.ok(first);
        if (first.kind === 'loadSymbols') modules.unshift(path.win32.basename(first.path));
        await target.resume();
        await machine.console.waitFor(/ready|console/i, 60_000);
        await target.breakIn(limit);
        for (const name of ['ntoskrnl.exe', 'kdcom.dll', 'vmkdemo.sys'])
          assert.ok(modules.includes(name), modules.join());
      },
      { until: 'paused' },
      observer,
    );
  });

  void it('to a kernel that booted alone, twice, with a detach in between', () =>
    withGuest(async (attached) => {
      const { target } = attached;
      await target.attach(breakIn);
      await target.release();
      await ticksGrow(attached.machine, limit);
      await target.attach(breakIn);
      assert.equal((await target.modules())[0]?.name, 'ntoskrnl.exe');
      await target.release();
      await ticksGrow(attached.machine, limit);
    }));

  void it('without stopping it, and it stops by itself', () =>
    withGuest(async (attached) => {
      const { target, machine } = attached;
      assert.equal(await target.attach({ ...breakIn, breakIn: false }), undefined);
      await ticksGrow(attached.machine, limit);
      machine.console.command('break').catch(() => undefined);
      const change = await target.nextStop(limit);
      assert.equal(change.kind === 'exception' && change.code, 0x80000003);
      assert.ok((await target.modules()).length >= 3);
    }));

  void it('to a renamed kernel', async () => {
    execFileSync(process.execPath, ['test/kernel/build.mjs', '--quiet', '--kernel-name', 'ntkrnlmp.exe'], {
      timeout: 120_000,
    });
    await withGuest(
      async ({ target }) => {
        await target.attach(breakIn);
        const [kernel] = await target.modules();
        assert.equal(kernel?.name, 'ntkrnlmp.exe');
        assert.equal(kernel?.base, target.stopped.version.kernelBase);
      },
      { kernelName: 'ntkrnlmp.exe' },
    );
  });

  void it('to one and to four processors', async () => {
    for (const cpus of [1, 4]) {
      await withGuest(
        async ({ target }) => {
          const change = await target.attach(breakIn);
          assert.equal(change?.numberProcessors, cpus);
          for (let i = 0; i < cpus; i++) assert.notEqual((await target.registers.context(i)).rsp, 0n);
        },
        { cpus },
      );
    }
  });

  void it('over TCP', () =>
    withGuest(
      async ({ target }) => {
        await target.attach(breakIn);
        assert.equal(target.stopped.version.machine, 'x64');
      },
      { kd: 'tcp' },
    ));

  void it('where we listen, and the virtual machine is the “client” end', async (t) => {
    const file = path.join(tempFolder(t), 'port');
    const endpoint = createEndpoint(`unix-listen:${file}`);
    const target = new LiveTarget({ endpoint, linkMilliseconds: 60_000 });
    const attaching = target.attach({ breakIn: true, milliseconds: 60_000 });
    await withGuest(
      async () => {
        await attaching;
        assert.equal(target.stopped.version.machine, 'x64');
        target.detach();
        await endpoint.dispose();
      },
      { kd: { kind: 'unix-client', path: file }, until: 'start' },
    );
  });

  void it('as the second debugger is refused, and the first one does not notice', () =>
    withGuest(async ({ target, machine }) => {
      await target.attach(breakIn);
      const endpoint = createEndpoint(machine.kdLink);
      const second = new LiveTarget({ endpoint, linkMilliseconds: 5000 });
      await assert.rejects(
        second.attach({ breakIn: true, milliseconds: 2000 }),
        failsWith('target-second-debugger'),
      );
      await endpoint.dispose();
      assert.ok((await target.modules()).length >= 3);
    }));
});

void describe('a guest that comes back', () => {
  void it('from a reboot that we ordered: the good-bye, then a kernel at another place', async () => {
    let gone = 0;
    let restarts = 0;
    const observer: LiveObserver = { onGone: () => gone++, onRestart: () => restarts++ };
    await withGuest(
      async ({ target, machine }) => {
        await target.attach(breakIn);
        const { kernelBase } = target.stopped.version;
        const from = machine.console.lines.length;
        await target.client.order(reboot, {});
        await machine.console.waitFor(/ready|console/i, 60_000, from);
        const change = await target.breakIn(60_000);
        assert.equal(change.kind, 'exception');
        assert.notEqual(target.stopped.version.kernelBase, kernelBase);
        assert.equal((await target.modules())[0]?.base, target.stopped.version.kernelBase);
        assert.ok(restarts > 0);
      },
      {},
      observer,
    );
    assert.ok(gone <= 1);
  });

  void it('from a hard reset while we were stopped', () =>
    withGuest(async ({ target, machine }) => {
      await target.attach(breakIn);
      const { kernelBase } = target.stopped.version;
      const reset = machine.reset();
      await target.nextStop(60_000).catch(() => undefined);
      // It may begin anew in the middle of this.
      if (target.client.state.kind === 'stopped')
        await target.resume().catch((error: unknown) => assert.ok(failsWith('target-running')(error)));
      await reset;
      await target.breakIn(60_000);
      assert.notEqual(target.stopped.version.kernelBase, kernelBase);
    }));

  void it('from power-off: the link is lost, and said so', () =>
    withGuest(async ({ target, machine }) => {
      await target.attach(breakIn);
      await target.resume();
      const stop = target.nextStop(limit);
      const failed = assert.rejects(stop, failsWith('link-lost'));
      await machine.stop();
      await failed;
      assert.equal(target.client.state.kind, 'lost');
    }));
});

void describe('a blue screen', () => {
  void it('that we order is a break with its parameters', () =>
    withGuest(async ({ target }) => {
      await target.attach(breakIn);
      await target.client.order(causeBugCheck, { code: 0xe2 });
      const change = await target.nextStop(limit);
      assert.equal(change.kind === 'exception' && change.code, 0x80000003);
      assert.ok((await target.modules()).length >= 3);
    }));
});

void describe('vmkd probe on a living kernel', () => {
  before(buildCli);

  void it('says who it is, records every packet, and lets it run on', (t) =>
    withGuest(async (attached) => {
      const { machine } = attached;
      const trace = path.join(tempFolder(t), 'probe.trace');
      const { code, stdout, stderr } = await vmkd(['probe', machine.kdLink, '--json', '--trace', trace]);
      assert.equal(code, 0, stderr);
      const report = JSON.parse(stdout) as {
        version: { build: number; machine: string; kernelBase: string };
        processors: { context: { rip: string } }[];
        modules: { name: string; base: string }[];
        kernelHeader: string;
        memory: object;
      };
      assert.equal(report.version.machine, 'x64');
      assert.deepEqual(report.memory, {}, 'by KD, as packets are recorded');
      assert.equal(report.processors.length, 2);
      assert.equal(report.modules[0]?.base, report.version.kernelBase);
      assert.match(report.kernelHeader, /^4d5a/);
      await ticksGrow(attached.machine, limit);

      const words = await vmkd(['trace', trace]);
      assert.equal(words.code, 0);
      assert.match(words.stdout, /GetVersion 0x00000000 \(Success\).*minorVersion \d+/);
      assert.match(words.stdout, /Continue2/);

      const text = await vmkd(['probe', machine.kdLink]);
      assert.match(text.stdout, /a Windows kernel answers/);
      assert.match(text.stdout, /processor 1\n/);
      assert.match(text.stdout, /memory read in backing file /);
      assert.match(text.stdout, /vmkdemo\.sys/);
      await ticksGrow(attached.machine, limit);
    }));

  void it('reads the same in the machine’s memory as by KD', (t) =>
    withGuest(async (attached) => {
      const { machine } = attached;
      const probe = async (...more: string[]) => {
        const { code, stdout, stderr } = await vmkd(['probe', machine.kdLink, '--json', ...more]);
        assert.equal(code, 0, stderr);
        return JSON.parse(stdout) as { modules: object[]; kernelHeader: string; memory: { way?: string } };
      };
      const fast = await probe();
      const slow = await probe('--trace', path.join(tempFolder(t), 'probe.trace'));
      assert.match(fast.memory.way ?? '', /^backing file /);
      assert.equal(slow.memory.way, undefined);
      assert.ok(fast.modules.length >= 3);
      assert.deepEqual([fast.modules, fast.kernelHeader], [slow.modules, slow.kernelHeader]);
      await ticksGrow(attached.machine, limit);
    }));

  void it('shows the stack of each processor, with symbols or with exports', (t) =>
    withGuest(async (attached) => {
      const { machine } = attached;
      const probeStacks = async (symbolPath: string) => {
        const args = ['probe', machine.kdLink, '--stacks', '--symbol-path', symbolPath, '--json'];
        const { code, stdout, stderr } = await vmkd(args, 60_000, { XDG_CACHE_HOME: tempFolder(t) });
        assert.equal(code, 0, stderr);
        return (JSON.parse(stdout) as { stack: { stacks: string[][]; symbols: string[] } }).stack;
      };
      const full = await probeStacks(machine.imagesDir);
      assert.equal(full.stacks.length, 2);
      for (const stack of full.stacks)
        assert.ok(stack.length >= 3 && stack.every((line) => line.includes('!')));
      assert.ok(full.stacks.some((stack) => stack.some((line) => /\[\w+\.c:\d+\]/.test(line))));
      assert.ok(full.symbols.every((line) => /: private symbols from /.test(line)));
      const bare = await probeStacks('');
      assert.ok(bare.symbols.some((line) => /^nt: exports only: No PDB/.test(line)));
      assert.ok(bare.stacks.some((stack) => stack.some((line) => line.includes('nt!'))));
      await ticksGrow(attached.machine, limit);
    }));
});
