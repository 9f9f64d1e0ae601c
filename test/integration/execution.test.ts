// test-limit: 600 s
// test-processors: at once
/** Why a kernel stops, what it costs, and how a debugger comes, stays through a reboot, and leaves. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { plus } from '../../src/engine/core/addresses';
import { VmkdError } from '../../src/engine/core/errors';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import type { KernelTargetOptions } from '../../src/engine/target/kernelTarget';
import type { Stop } from '../../src/engine/target/target';
import { bootAndDebug, debug, limit, nextStop, type Debugging } from '../fixtures/debugging';
import { ticksOf } from '../fixtures/guestLife';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
  folders.push(folder);
  return folder;
}

async function withDebugger(
  action: (session: Debugging) => Promise<void>,
  options: DemoKernelOptions = {},
  more: Partial<KernelTargetOptions> = {},
): Promise<void> {
  const session = await bootAndDebug(newFolder(), options, more);
  try {
    await action(session);
  } finally {
    await session.end();
  }
}

const reasonOf = ({ reason }: Stop): string => reason.kind;

async function ticksGrow(machine: DemoMachine): Promise<void> {
  const ticks = (): Promise<number> => ticksOf(machine, limit);
  const first = await ticks();
  for (const end = Date.now() + limit; (await ticks()) <= first;) assert.ok(Date.now() < end);
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !condition();) {
    assert.ok(Date.now() < end, 'it never came');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Counts stops that anybody is told of from now on. */
function listen({ target }: Debugging): { readonly stops: Stop[]; end(): void } {
  const stops: Stop[] = [];
  const end = target.onState.add((state) => state.kind === 'stopped' && stops.push(state.stop));
  return { stops, end };
}

void describe('attaching', () => {
  void it('takes few requests to a stop with all that is shown', async (t) => {
    const machine = await bootDemoKernel();
    try {
      const session = await debug(machine, newFolder());
      const { target } = session;
      assert.equal(target.state.kind === 'stopped' && reasonOf(target.state.stop), 'entry');
      for (const processor of target.processors) {
        await processor.context();
        await processor.special();
        const { frames, end } = await processor.stack(20);
        // It may have been in user code, of which nothing is known here.
        const isUserCode = frames.at(-1)!.address < 1n << 47n;
        assert.equal(end.kind, isUserCode ? 'unknown-code' : 'bottom');
      }
      const { packetsSent } = target.live.client.statistics!;
      t.diagnostic(`${packetsSent} packets`);
      assert.ok(packetsSent <= 100, `${packetsSent} packets`);
      assert.deepEqual(
        target.symbols.modules.map(({ alias, state }) => `${alias} ${state.kind}`),
        ['nt loaded', 'kdcom loaded', 'vmkdemo loaded'],
      );
      await session.end();
    } finally {
      await machine.stop();
    }
  });

  void it('to a running kernel leaves it running, until it stops by itself', () =>
    withDebugger(
      async ({ target, machine }) => {
        assert.equal(target.state.kind, 'running');
        await ticksGrow(machine);
        machine.console.command('break').catch(() => undefined);
        const stop = await nextStop(target, () => true);
        assert.equal(reasonOf(stop), 'code-breakpoint');
        assert.ok(target.symbols.modules.length >= 3);
      },
      {},
      { breakIn: false },
    ));
});

void describe('stops', () => {
  void it('are told with their reasons: pause, int3 of the code, and on behind it', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.execution.resume();
      await ticksGrow(machine);
      await target.execution.pause(limit);
      assert.equal(reasonOf(await session.stopped()), 'pause');
      await target.execution.pause(limit);
      await target.execution.resume();
      const broken = machine.console.command('break', limit);
      assert.equal(reasonOf(await session.stopped()), 'code-breakpoint');
      await target.execution.resume();
      assert.equal(await broken, 'continued');
      // Not wanted: it goes on by itself.
      target.breakpoints.exceptionRule = { ...target.breakpoints.exceptionRule, codeBreakpoints: false };
      const heard = listen(session);
      assert.equal(await machine.console.command('break', limit), 'continued');
      assert.deepEqual(heard.stops, []);
      heard.end();
      assert.deepEqual(session.errors, []);
    }));

  void it('a break-in that nobody waits for any more stops nobody, however long the machine was at rest', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.execution.resume();
      await ticksGrow(machine);
      const heard = listen(session);
      await machine.qmp('stop');
      await assert.rejects(target.execution.pause(300), { code: 'target-did-not-stop' });
      // Break-ins that are too old to come show soon after the kernel was let go; these have not been there yet.
      await target.execution.pause(2500).catch(() => undefined);
      await machine.qmp('cont');
      await until(() => target.live.client.unspentBreakIns === 0);
      await ticksGrow(machine);
      assert.deepEqual(heard.stops.map(reasonOf), []);
      heard.end();
      // Whoever wants one now has it.
      await target.execution.pause(limit);
      assert.equal(reasonOf(await session.stopped()), 'pause');
      assert.deepEqual(session.errors, []);
    }));

  void it('a break-in for another debugger that drives is spent by the stop that it makes', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      const { execution, live } = target;
      await execution.resume();
      await execution.giveAway(() => Promise.resolve());
      for (let i = 0; i < 3; i++) {
        await ticksGrow(machine);
        const heard = listen(session);
        live.client.callBreakIn();
        await until(() => heard.stops.length === 1);
        assert.deepEqual(heard.stops.map(reasonOf), ['foreign']);
        heard.end();
        assert.equal(live.client.unspentBreakIns, 0);
        const { change, version } = live.stopped;
        const { processor, programCounter } = change;
        await live.registers.moveProgramCounter(
          version.machine,
          processor,
          programCounter,
          plus(programCounter, 1),
        );
        await live.client.continue();
      }
      await execution.takeBack(() => Promise.resolve());
      await target.execution.pause(limit);
      assert.equal(live.client.unspentBreakIns, 0);
      assert.deepEqual(session.errors, []);
    }));

  void it('an exception: second chance always, first chance by rule, and the guest gets it', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.execution.resume();
      await machine.console.command('soe on', limit);
      const heard = listen(session);
      assert.match(await machine.console.command('crash handled', limit), /handled c0000005/i);
      assert.deepEqual(heard.stops, []);
      heard.end();
      await target.execution.pause(limit);
      target.breakpoints.exceptionRule = {
        ...target.breakpoints.exceptionRule,
        firstChance: new Set([0xc0000005]),
      };
      await target.execution.resume();
      const handled = machine.console.command('crash handled', limit);
      const { reason } = await session.stopped();
      assert.ok(reason.kind === 'exception');
      assert.deepEqual(
        [reason.exception.code, reason.exception.firstChance, reason.exception.information],
        [0xc0000005, true, [1n, 0x10n]],
      );
      await target.execution.resume();
      assert.match(await handled, /handled c0000005/i);
      await machine.console.command('soe off', limit);
      machine.console.command('crash').catch(() => undefined);
      const second = await session.stopped();
      assert.ok(second.reason.kind === 'exception' && !second.reason.exception.firstChance);
      await target.execution.resume();
      const blue = await session.stopped();
      assert.ok(blue.reason.kind === 'bugcheck');
      assert.equal(blue.reason.code, 0x1e);
      assert.equal(blue.reason.parameters[0], 0xffffffff_c0000005n);
    }));

  void it('a bugcheck, with its code and parameters', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.execution.resume();
      machine.console.command('bugcheck 0xd1 0x10 2 0 0x1234').catch(() => undefined);
      const { reason } = await session.stopped();
      assert.deepEqual(reason, { kind: 'bugcheck', code: 0xd1, parameters: [0x10n, 2n, 0n, 0x1234n] });
    }));

  void it('a pause while breakpoints hit all the time is one at once', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      let onHit = (): void => undefined;
      const hit = new Promise<void>((resolve) => (onHit = resolve));
      await target.breakpoints.add({
        place: { kind: 'function', name: 'vmkdemo!VmkDemoShared' },
        rule: {
          condition: () => {
            onHit();
            return Promise.resolve(false);
          },
        },
      });
      await target.execution.resume();
      await machine.console.command('hammer 100000', 60_000);
      await hit;
      for (let i = 0; i < 3; i++) {
        await target.execution.pause(limit);
        assert.equal(reasonOf(await session.stopped()), 'pause');
        await target.execution.resume();
      }
    }));
});

void describe('memory', () => {
  void it('is asked of KD once a stop, and not taken for that of another', () =>
    withDebugger(
      async (session) => {
        const { target } = session;
        const address = session.addressOf('vmkdemo!VmkDemoCounter');
        const sent = (): number => target.live.client.statistics!.packetsSent;
        const before = sent();
        const first = await readMemory(target.memory, address, 8);
        await readMemory(target.memory, plus(address, 8), 16);
        assert.equal(sent() - before, 1);
        await target.execution.resume();
        await ticksGrow(session.machine);
        await target.execution.pause(limit);
        for (
          let i = 0;
          i < 10 && Buffer.from(await readMemory(target.memory, address, 8)).equals(first);
          i++
        ) {
          await target.execution.resume();
          await ticksGrow(session.machine);
          await target.execution.pause(limit);
        }
        assert.notDeepEqual(await readMemory(target.memory, address, 8), first);
        await target.memory.write(address, Uint8Array.of(1, 2, 3, 4));
        assert.deepEqual(await readMemory(target.memory, address, 4), Uint8Array.of(1, 2, 3, 4));
        await target.execution.resume();
        await assert.rejects(readMemory(target.memory, address, 4), { code: 'target-running' });
      },
      {},
      { transport: 'serial' },
    ));

  void it('registers: changes are there, and gone to the processor', () =>
    withDebugger(async (session) => {
      const { target } = session;
      await target.breakpoints.add({ place: { kind: 'function', name: 'vmkdemo!VmkDemoFibonacci' } });
      const stop = await session.run();
      const processor = target.processors[stop.processor]!;
      const { rax } = await processor.context();
      await processor.setContext({ rax: rax ^ 0xffn });
      assert.equal((await processor.context()).rax, rax ^ 0xffn);
      const gs = await processor.readMsr(0xc0000101);
      assert.equal(gs, (await processor.special()).gsBase);
      assert.equal(await processor.thread(), stop.thread);
    }));
});

void describe('a reboot', () => {
  void it('brings a kernel to another place, and the breakpoints with it', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      const kernel = target.symbols.moduleNamed('nt')!.base;
      const work = session.addressOf('vmkdemo!VmkDemoWork');
      const byFunction = await target.breakpoints.add({
        place: { kind: 'function', name: 'vmkdemo!VmkDemoWork' },
      });
      const byAddress = await target.breakpoints.add({ place: { kind: 'instruction', address: work } });
      const data = await target.breakpoints.add({
        place: {
          kind: 'data',
          address: session.addressOf('vmkdemo!VmkDemoCounter'),
          size: 8,
          access: 'write',
        },
      });
      const all = [byFunction, byAddress, data];
      const from = machine.console.lines.length;
      await target.execution.reboot();
      assert.equal(target.state.kind, 'running');
      const hit = new Set<unknown>();
      for (let i = 0; i < 30 && hit.size < all.length; i++) {
        const { reason } = await session.stopped(60_000);
        assert.equal(reason.kind, 'breakpoint');
        if (reason.kind === 'breakpoint') for (const one of reason.breakpoints) hit.add(one);
        await target.execution.resume();
      }
      assert.deepEqual(hit, new Set(all));
      await target.execution.pause(limit);
      assert.notEqual(target.symbols.moduleNamed('nt')!.base, kernel);
      assert.notEqual(session.addressOf('vmkdemo!VmkDemoWork'), work);
      for (const one of all) {
        assert.equal(one.status.kind, 'bound');
        await target.breakpoints.remove(one);
      }
      await target.execution.resume();
      await machine.console.waitFor(/console ready/, 60_000, from);
      await ticksGrow(machine);
      assert.deepEqual(session.errors, []);
    }));

  void it('by the machine itself is survived too', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      const breakpoint = await target.breakpoints.add({
        place: { kind: 'function', name: 'vmkdemo!VmkDemoWork' },
      });
      await session.run();
      const reset = machine.qmp('system_reset');
      const stop = await nextStop(target, ({ reason }) => reason.kind === 'breakpoint', 60_000);
      await reset;
      assert.ok(stop.reason.kind === 'breakpoint' && stop.reason.breakpoints.includes(breakpoint));
    }));

  void it('of the link: said, and everybody who waits hears it', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.execution.resume();
      const paused = target.breakpoints.add({ place: { kind: 'function', name: 'nt!KeBugCheckEx' } });
      const outcome = paused.then(
        () => undefined,
        (error: unknown) => error,
      );
      await machine.stop();
      const failure = await outcome;
      if (failure !== undefined) assert.ok(failure instanceof VmkdError && /^link-lost/.test(failure.code));
      assert.equal(target.state.kind, 'lost');
      await assert.rejects(target.execution.pause(1000), { code: 'link-lost' });
    }));
});

void describe('letting go', () => {
  void it('of a kernel that was only looked at does not stop it, not even when its machine goes on', () =>
    withDebugger(async ({ target, machine }) => {
      await target.execution.resume();
      await ticksGrow(machine);
      await machine.qmp('stop');
      const { breakInsSent } = target.live.client;
      await target.execution.release();
      assert.equal(target.live.client.breakInsSent, breakInsSent);
      await machine.qmp('cont');
      await ticksGrow(machine);
    }));

  void it('in the middle of everything leaves a guest that runs, and nothing in its code', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      const work = session.addressOf('vmkdemo!VmkDemoWork');
      const code = await readMemory(target.memory, work, 256);
      for (let i = 0, at = work; i < 36; i++) {
        await target.breakpoints.add({
          place: { kind: 'instruction', address: at },
          rule: { condition: () => Promise.resolve(false) },
        });
        at = plus(at, (await target.code.inspect(at))!.length);
      }
      await target.breakpoints.add({
        place: { kind: 'function', name: 'vmkdemo!VmkDemoShared' },
        rule: { condition: () => Promise.resolve(false) },
      });
      await target.execution.resume();
      await machine.console.command('hammer 100000', 60_000);
      await target.execution.release();
      assert.equal(target.state.kind, 'detached');
      await ticksGrow(machine);
      for (let i = 0; i < code.length; i += 8) {
        const at = plus(work, i).toString(16);
        const there = await machine.console.command(`peek 0x${at}`);
        assert.equal(
          there,
          Buffer.from(code.subarray(i, i + 8))
            .readBigUInt64LE()
            .toString(16)
            .padStart(16, '0'),
        );
      }
      // Both threads go on.
      const shared = async (): Promise<number> =>
        Number(/ shared (\d+)/.exec(await machine.console.command('demo'))![1]);
      await machine.console.command('hammer 0');
      const before = await shared();
      for (const end = Date.now() + 60_000; (await shared()) <= before + 10;) assert.ok(Date.now() < end);
    }));

  void it('and coming back, again and again', () =>
    withDebugger(async (session) => {
      const { machine } = session;
      const folder = newFolder();
      await session.target.execution.release();
      for (let i = 0; i < 3; i++) {
        const again = await debug(machine, folder);
        const breakpoint = await again.target.breakpoints.add({
          place: { kind: 'function', name: 'vmkdemo!VmkDemoWork' },
        });
        const stop = await again.run();
        assert.deepEqual(stop.reason, { kind: 'breakpoint', breakpoints: [breakpoint] });
        await again.target.execution.release();
        await ticksGrow(machine);
      }
    }));

  void it('or leaving it stopped, as it was', () =>
    withDebugger(async (session) => {
      const { target, machine } = session;
      await target.breakpoints.add({ place: { kind: 'function', name: 'vmkdemo!VmkDemoWork' } });
      const stop = await session.run();
      await target.execution.release({ leaveStopped: true });
      assert.equal(target.state.kind, 'detached');
      const again = await debug(machine, newFolder());
      assert.ok(again.target.state.kind === 'stopped');
      assert.equal(again.target.state.stop.programCounter, stop.programCounter);
      const [byte] = await again.target.live.memory.readPartial(stop.programCounter, 1);
      assert.notEqual(byte, 0xcc);
      await again.target.execution.release();
      await ticksGrow(machine);
    }));
});
