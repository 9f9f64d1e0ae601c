// test-limit: 300 s
/** The main job on a real kernel: look, stop it at places, step, watch, listen, and let it go. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { VmkdError } from '../../src/engine/core/errors';
import { slotsHit } from '../../src/engine/cpu/debugRegisters';
import { writeBreakPoint } from '../../src/engine/kd/manipulate/breakpoint';
import type { StateChange } from '../../src/engine/kd/stateChange';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import type { BreakpointHandle } from '../../src/engine/target/kdBreakpoints';
import { at, bootForDebugging, breakIn, limit, readNumber, type Attached } from '../fixtures/attached';
import { ticksGrow } from '../fixtures/guestLife';

const prints: string[] = [];
const modules: { path: string; unload: boolean }[] = [];
const prompts: string[] = [];
const files: string[] = [];
const lent: string[] = [];
let stopAtModules = false;
let attached: Attached;

before(async () => {
  attached = await bootForDebugging(
    {},
    {
      onPrint: ({ text }) => prints.push(text),
      onModule: ({ path: name, unload }) => {
        modules.push({ path: name, unload });
        return stopAtModules ? 'stop' : 'go';
      },
      onPrompt: ({ prompt }) => {
        prompts.push(prompt);
        return Promise.resolve('forty-two');
      },
      onControlRequest: ({ kind, number }) => {
        lent.push(`${kind} ${number}`);
        return number === 2;
      },
      onFile: (request) => {
        if (request.kind === 'create') files.push(request.name);
        return Promise.resolve({ status: 0xc000000f });
      },
    },
  );
  await attached.target.attach(breakIn);
});
after(() => attached.end());

/** Each test begins stopped at a break-in, whatever became of the one before. */
beforeEach(async () => {
  const { target } = attached;
  for (let i = 0; i < 10; i++) {
    if (target.client.state.kind === 'running') await target.breakIn(limit);
    const { change } = target.stopped;
    if (
      change.kind === 'exception' &&
      change.code === 0x80000003 &&
      target.report.instructionStream[0] === 0xcc
    )
      return;
    await target.resume();
  }
  assert.fail('the guest never came to rest');
});

/** Resumes, and waits for the next stop that is news. */
async function run(): Promise<StateChange> {
  await attached.target.resume();
  return attached.target.nextStop(limit);
}

/** Resolves a symbol, which the guest does, and stops it again. */
async function lookUp(...symbols: string[]) {
  await attached.target.resume();
  const addresses = [];
  for (const symbol of symbols) addresses.push(await attached.addressOf(symbol));
  await attached.target.breakIn(limit);
  return addresses;
}

void describe('looking', () => {
  void it('finds the modules that the guest itself names', async () => {
    const { target, machine } = attached;
    const found = await target.modules();
    await target.resume();
    const answer = await machine.console.command('modules');
    await target.breakIn(limit);
    assert.deepEqual(
      found.map(({ name, base, size }) => `${name} ${base.toString(16)} ${size.toString(16)}`),
      answer.split('; ').map((entry) => {
        const [name, base, size] = entry.split(' ');
        return `${name} ${base!.replace(/^0x|`/g, '').toLowerCase()} ${BigInt(size!.startsWith('0x') ? size! : `0x${size!}`).toString(16)}`;
      }),
    );
  });

  void it('reads the kernel’s code as it is in its file', async () => {
    const { target, machine } = attached;
    const image = readFileSync(path.join(machine.imagesDir, 'ntoskrnl.exe'));
    const header = await readMemory(target.memory, target.stopped.version.kernelBase, 0x200);
    // All but the base address, which relocation writes.
    const optional = image.readUInt32LE(0x3c) + 0x18;
    const masked = (bytes: Buffer): Buffer => Buffer.from(bytes).fill(0, optional + 24, optional + 32);
    assert.ok(masked(Buffer.from(header)).equals(masked(image.subarray(0, 0x200))));
  });

  void it('reads registers of every processor, each with its own stack and the kernel’s page tables', async () => {
    const { target } = attached;
    const { change } = target.stopped;
    assert.equal(change.numberProcessors, 2);
    const stacks = new Set<bigint>();
    for (let processor = 0; processor < 2; processor++) {
      const context = await target.registers.context(processor);
      const special = await target.registers.special(processor);
      stacks.add(context.rsp);
      assert.equal(context.cs, 0x10);
      assert.equal(special.cr0 & 0x8000_0001n, 0x8000_0001n);
      assert.notEqual(special.cr3, 0n);
      // The GDT is where GDTR says, and its first entry is null.
      assert.equal(await readNumber(target, special.gdtBase), 0n);
    }
    assert.equal(stacks.size, 2);
    assert.equal((await target.registers.context(0)).rip, change.programCounter);
  });

  void it('says which byte is absent', async () => {
    const { target } = attached;
    await assert.rejects(
      readMemory(target.memory, 0xfffff700_00000000n as never, 16),
      (error) => error instanceof VmkdError && error.code === 'memory-unreadable',
    );
  });

  void it('moves to another processor and back', async () => {
    const { target } = attached;
    const home = target.stopped.change.processor;
    const other = 1 - home;
    const change = await target.switchProcessor(other);
    assert.equal(change.processor, other);
    assert.equal((await target.registers.context()).rsp, (await target.registers.context(other)).rsp);
    assert.equal((await target.switchProcessor(home)).processor, home);
    await assert.rejects(target.switchProcessor(7), /no processor 7/);
  });
});

void describe('breakpoints', () => {
  void it('hit in a driver, again and again, and the code reads as it was', async () => {
    const { target } = attached;
    const [work] = await lookUp('vmkdemo.sys!VmkDemoWork');
    const code = await readMemory(target.memory, work!, 16);
    for (let i = 0; i < 3; i++) {
      await target.breakpoints.set(work!);
      const change = await run();
      assert.equal(change.programCounter, work);
      assert.equal(change.kind === 'exception' && change.code, 0x80000003);
      assert.deepEqual(await readMemory(target.memory, work!, 16), code);
      // Past it first: NT takes no breakpoint at the very instruction that it is about to run.
      await target.step(limit);
    }
  });

  void it('follow NT’s rules: no address twice, 32 in all, and those near a stop are forgotten', async () => {
    const { target } = attached;
    const [work] = await lookUp('vmkdemo.sys!VmkDemoWork');
    await target.breakpoints.removeAll();
    const handles: BreakpointHandle[] = [];
    for (let i = 0; i < 32; i++)
      handles.push(await target.breakpoints.set(at(target.stopped.version.kernelBase, 64 + i)));
    assert.deepEqual(
      [...handles].sort((a, b) => a - b),
      Array.from({ length: 32 }, (_, i) => i + 1),
    );
    await assert.rejects(
      target.breakpoints.set(work!),
      (error) => error instanceof VmkdError && /32/.test(error.nextStep),
    );
    assert.equal(await target.breakpoints.removeAll(), 32);

    const hit = await target.breakpoints.set(work!);
    const twice = await target.client.request(writeBreakPoint, { address: work! });
    assert.equal(twice.status, 0xc0000001);
    const near = await target.breakpoints.set(at(work!, 8));
    const far = await target.breakpoints.set(at(work!, 0x40));
    await run();
    assert.equal(await target.breakpoints.remove(hit), false);
    assert.equal(await target.breakpoints.remove(near), false);
    assert.equal(await target.breakpoints.remove(far), true);
  });

  void it('are cleared of what a dead session left', async () => {
    const { target } = attached;
    const [work] = await lookUp('vmkdemo.sys!VmkDemoShared');
    await target.breakpoints.set(work!);
    target.detach();
    await target.attach(breakIn);
    assert.equal(await target.breakpoints.removeAll(), 1);
  });
});

void describe('stepping', () => {
  void it('goes into calls and comes back from them, one instruction at a time', async () => {
    const { target } = attached;
    const [fibonacci] = await lookUp('vmkdemo.sys!VmkDemoFibonacci');
    await target.breakpoints.set(fibonacci!);
    await run();
    let last = target.stopped.change.programCounter;
    const returns: bigint[] = [];
    let cameBack = 0;
    for (let i = 0; i < 200 && cameBack < 3; i++) {
      const opcode = target.report.instructionStream[0];
      const { programCounter } = await target.step(limit);
      const { rsp } = await target.registers.context();
      if (opcode === 0xe8) {
        assert.equal(programCounter, fibonacci);
        returns.push(last + 5n);
        assert.equal(await readNumber(target, rsp as never), last + 5n);
      } else if (opcode === 0xc3 && returns.length > 0) {
        assert.equal(programCounter, returns.pop());
        cameBack++;
      }
      last = programCounter;
    }
    assert.equal(cameBack, 3);
  });
});

void describe('hardware breakpoints', () => {
  void it('stop when a variable is written, with its new value', async () => {
    const { target } = attached;
    const [counter] = await lookUp('vmkdemo.sys!VmkDemoCounter');
    const earlier = await readNumber(target, counter!, 4);
    await target.breakpoints.watch(1, counter!, 'write', 4, 2);
    await run();
    assert.deepEqual(slotsHit(target.report.dr6), [1]);
    assert.equal(await readNumber(target, counter!, 4), earlier + 1n);
    await run();
    assert.equal(await readNumber(target, counter!, 4), earlier + 2n);
    await target.breakpoints.unwatch(1, 2);
  });

  void it('stop on execution, whichever processor runs into them', async () => {
    const { target } = attached;
    const [shared] = await lookUp('vmkdemo.sys!VmkDemoShared');
    const processors = new Set<number>();
    const note = (change: StateChange): void => {
      if (!slotsHit(target.report.dr6).includes(2)) return;
      assert.equal(change.programCounter, shared);
      processors.add(change.processor);
    };
    for (let i = 0; i < 40 && processors.size < 2; i++) {
      await target.breakpoints.watch(2, shared!, 'execute', 1, 2);
      note(await run());
      await target.breakpoints.unwatch(2, 2);
      // The other processor may have run into it in the same moment; then its stop comes first.
      await target.resume();
      note(await target.breakIn(limit));
    }
    assert.equal(processors.size, 2);
  });
});

void describe('what the guest says and asks', () => {
  void it('prints, a thousand lines in their order', async () => {
    const { target, machine } = attached;
    await target.resume();
    prints.length = 0;
    await machine.console.command('print 1000', 60_000);
    await target.breakIn(limit);
    const numbers = prints.flatMap((text) => /demo print (\d+) of 1000/.exec(text)?.[1] ?? []).map(Number);
    assert.deepEqual(
      numbers,
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
  });

  void it('prompts, and takes the answer', async () => {
    const { target, machine } = attached;
    await target.resume();
    const answer = await machine.console.command('prompt How many? ');
    await target.breakIn(limit);
    assert.match(answer, /forty-two/);
    assert.match(prompts.at(-1) ?? '', /How many\?/);
  });

  void it('asks for a debug register, and gives it back', async () => {
    const { target, machine } = attached;
    await target.resume();
    assert.match(await machine.console.command('hwbp request 2'), /granted/);
    assert.match(await machine.console.command('hwbp request 1'), /refused/);
    await machine.console.command('hwbp release 2');
    await target.breakIn(limit);
    assert.deepEqual(lent, ['request 2', 'request 1', 'release 2']);
  });

  void it('tells of drivers that come and go, and asks for their files', async () => {
    const { target, machine } = attached;
    modules.length = files.length = 0;
    await target.resume();
    await machine.console.command('load');
    await machine.console.command('unload');
    await target.breakIn(limit);
    assert.deepEqual(
      modules.map(({ path: name, unload }) => [/[^\\]*$/.exec(name)?.[0], unload]),
      [
        ['vmkondem.sys', false],
        ['vmkondem.sys', true],
      ],
    );
    assert.match(files[0] ?? '', /vmkondem\.sys$/);
  });

  void it('stops at a driver that loads, before its first instruction, if it is wanted', async () => {
    const { target, machine } = attached;
    await target.resume();
    stopAtModules = true;
    const loaded = machine.console.command('load');
    const change = await target.nextStop(limit);
    assert.ok(change.kind === 'loadSymbols' && /vmkondem\.sys$/.test(change.path));
    const header = await readMemory(
      target.memory,
      change.kind === 'loadSymbols' ? change.base : (0n as never),
      2,
    );
    assert.equal(Buffer.from(header).toString('latin1'), 'MZ');
    stopAtModules = false;
    await target.resume();
    await loaded;
    await machine.console.command('unload');
    await target.breakIn(limit);
  });

  void it('stops at its own int3 and goes on behind it', async () => {
    const { target, machine } = attached;
    await target.resume();
    const answered = machine.console.command('break');
    const change = await target.nextStop(limit);
    assert.equal(change.kind === 'exception' && change.code, 0x80000003);
    assert.equal(target.report.instructionStream[0], 0xcc);
    await target.resume();
    await answered;
    await target.breakIn(limit);
  });

  void it('tells of an access violation, first chance and second', async () => {
    const other = await bootForDebugging();
    try {
      await other.target.attach(breakIn);
      await other.target.resume();
      other.machine.console.command('crash').catch(() => undefined);
      const chances: boolean[] = [];
      let change = await other.target.nextStop(limit);
      while (change.kind === 'exception' && change.code === 0xc0000005 && chances.length < 2) {
        chances.push(change.firstChance);
        assert.equal(change.information.length, 2);
        await other.target.resume({ passException: true });
        change = await other.target.nextStop(limit);
      }
      assert.equal(chances.at(-1), false);
      // Nobody handled it: the blue screen, which is a break for the debugger.
      assert.equal(change.kind === 'exception' && change.code, 0x80000003);
    } finally {
      await other.end();
    }
  });
});

void describe('letting go', () => {
  void it('leaves a guest that runs, with no breakpoint in its code', async () => {
    const { target, machine } = attached;
    await target.breakpoints.removeAll();
    await target.release();
    await ticksGrow(machine, limit, 10);
  });
});
