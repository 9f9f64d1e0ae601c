// test-limit: 600 s
// test-processors: at once
/** Breakpoints on the demo kernel: every mechanism, every sort of place, and code that two processors run at once. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { compile } from '../../src/engine/expr/compile';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { CodeScopes } from '../../src/engine/target/scope/codeScope';
import { FrameScope } from '../../src/engine/target/scope/frameScope';
import type { BreakpointRequest, Stop, UserBreakpoint } from '../../src/engine/target/target';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { bootAndDebug, limit, type Debugging } from '../fixtures/debugging';

let session: Debugging;
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
before(async () => {
  session = await bootAndDebug(folder);
});
after(async () => {
  await session.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Each test begins at a pause without breakpoints. */
beforeEach(async () => {
  const { target } = session;
  for (const breakpoint of target.breakpoints.all) await target.breakpoints.remove(breakpoint);
  await target.execution.pause(limit);
  await target.memory.write(session.addressOf('vmkdemo!VmkDemoHammer'), new Uint8Array(16));
  session.errors.length = 0;
});

const onFunction = (name: string): BreakpointRequest => ({ place: { kind: 'function', name } });

async function number(symbol: string, size: 4 | 8 = 4): Promise<number> {
  const bytes = await readMemory(session.target.memory, session.addressOf(symbol), size);
  return Buffer.from(bytes).readUIntLE(0, Math.min(size, 6));
}

/** Lets the target run while the console does something, and pauses it. */
async function meanwhile(...commands: string[]): Promise<string[]> {
  const { target, machine } = session;
  if (target.state.kind === 'stopped') await target.execution.resume();
  const answers = [];
  for (const command of commands) answers.push(await machine.console.command(command, 60_000));
  await target.execution.pause(limit);
  return answers;
}

function hit(stop: Stop): readonly UserBreakpoint[] {
  assert.equal(stop.reason.kind, 'breakpoint');
  return stop.reason.kind === 'breakpoint' ? stop.reason.breakpoints : [];
}

const locationsOf = (breakpoint: UserBreakpoint) =>
  breakpoint.status.kind === 'bound' ? breakpoint.status.locations : [];

/** Waits until something is so, looking at each stop or after a while of running. */
async function until(condition: () => boolean, milliseconds = 60_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!condition()) {
    assert.ok(Date.now() < end, 'it never came');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Nobody calls VmkDemoShared any more, but who is told to by `hammer`. */
async function quiet(calls = 1): Promise<void> {
  const { machine, target } = session;
  if (target.state.kind === 'stopped') await target.execution.resume();
  await machine.console.command(`hammer ${calls}`, 60_000);
  await rested();
  await target.execution.pause(limit);
}

/** Waits until all processors have done what `hammer` told them. @param done What grows meanwhile; default: nothing does. */
async function rested(done: () => number = () => 0): Promise<void> {
  const left = `peek 0x${session.addressOf('vmkdemo!VmkDemoHammer').toString(16)}`;
  let [before, end] = [done(), Date.now() + limit];
  while (!/^f{16}$/i.test(await session.machine.console.command(left, limit))) {
    if (done() > before) [before, end] = [done(), Date.now() + limit];
    assert.ok(Date.now() < end, 'the hammer never rests');
  }
}

const sourceFile = path.resolve('test/kernel/drivers/vmkdemo/work.c');
const onDemandFile = path.resolve('test/kernel/drivers/vmkondem/driver.c');
const lineWith = (text: string, file = sourceFile): number =>
  readFileSync(file, 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1;

void describe('code that two processors run at once', () => {
  /** Calls on each processor. */
  const calls = process.env['VMKD_SOAK'] === 'full' ? 2500 : 60;

  for (const [how, request] of [
    ['an int3', onFunction('vmkdemo!VmkDemoShared')],
    ['a debug register', { ...onFunction('vmkdemo!VmkDemoShared'), mode: 'hardware' }],
  ] as const) {
    void it(`is hit through ${how} as often as the guest itself counts, condition false`, async (t) => {
      const { target, machine } = session;
      await quiet();
      const processors = new Set<number>();
      let asked = 0;
      const condition = ({ number: processor }: { readonly number: number }): Promise<boolean> => {
        asked++;
        processors.add(processor);
        return Promise.resolve(false);
      };
      const before = await number('vmkdemo!VmkDemoSharedCounter');
      const breakpoint = await target.breakpoints.add({ ...request, rule: { condition } });
      const stops: Stop[] = [];
      const remove = target.onState.add((state) => state.kind === 'stopped' && stops.push(state.stop));
      const sent = target.live.client.statistics!.packetsSent;
      const began = performance.now();
      await target.execution.resume();
      await machine.console.command(`hammer ${calls}`, 60_000);
      await rested(() => asked);
      assert.equal(asked, 2 * calls);
      const each = (performance.now() - began) / asked;
      const packets = (target.live.client.statistics!.packetsSent - sent) / asked;
      t.diagnostic(`${asked} hits, ${each.toFixed(1)} ms and ${packets.toFixed(2)} packets each`);
      remove();
      assert.deepEqual(stops, []);
      await meanwhile('ticks');
      assert.equal((await number('vmkdemo!VmkDemoSharedCounter')) - before, 2 * calls);
      assert.equal(asked, 2 * calls);
      assert.equal(processors.size, 2);
      assert.equal(breakpoint.hitCount, 0);
      assert.deepEqual(session.errors, []);
    });
  }

  void it('is hit as often on a machine that is paused now and then: what is late is not lost', async (t) => {
    const { target, machine } = session;
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    await quiet();
    let asked = 0;
    const condition = (): Promise<boolean> => {
      asked++;
      return Promise.resolve(false);
    };
    const before = await number('vmkdemo!VmkDemoSharedCounter');
    await target.breakpoints.add({ ...onFunction('vmkdemo!VmkDemoShared'), rule: { condition } });
    const stops: Stop[] = [];
    const remove = target.onState.add((state) => state.kind === 'stopped' && stops.push(state.stop));
    await target.execution.resume();
    await machine.console.command(`hammer ${calls}`, 60_000);
    // Longer than an order waits for its acknowledgement, and than it takes until the target is taken as running.
    for (let i = 0; i < 6 && asked < 2 * calls; i++) {
      const begun = asked;
      await until(() => asked > begun + 1 || asked === 2 * calls);
      await machine.qmp('stop');
      await new Promise((resolve) => setTimeout(resolve, random.pick([800, 1500, 3500])));
      await machine.qmp('cont');
    }
    await rested(() => asked);
    remove();
    assert.deepEqual(stops, []);
    await meanwhile('ticks');
    assert.equal((await number('vmkdemo!VmkDemoSharedCounter')) - before, 2 * calls);
    assert.equal(asked, 2 * calls);
    assert.deepEqual(session.errors, []);
  });

  void it('is watched too: each write of a variable is one hit, whoever writes it', async () => {
    const { target, machine } = session;
    await quiet();
    // Each processor writes its own half. (Of locked instructions of two processors at once, QEMU 7.2 loses some.)
    const address = session.addressOf('vmkdemo!PerProcessor');
    const before = await number('vmkdemo!PerProcessor', 8);
    let asked = 0;
    const own: number[][] = [[], []];
    await target.breakpoints.add({
      place: { kind: 'data', address, size: 8, access: 'write' },
      rule: {
        condition: async (processor) => {
          asked++;
          const halves = await number('vmkdemo!PerProcessor', 8);
          own[processor.number]!.push(
            processor.number === 0 ? halves % 2 ** 32 : Math.floor(halves / 2 ** 32),
          );
          return false;
        },
      },
    });
    await target.execution.resume();
    await machine.console.command('hammer 25', 60_000);
    await rested(() => asked);
    await meanwhile('ticks');
    assert.equal(asked, 50);
    assert.equal((await number('vmkdemo!PerProcessor', 8)) - before, 25 + 25 * 2 ** 32);
    // Each is told of after its instruction, before the next.
    for (const values of own)
      assert.deepEqual(
        values,
        values.map((_, i) => values[0]! + i),
      );
    assert.deepEqual(
      own.map(({ length }) => length),
      [25, 25],
    );
  });
});

void describe('places', () => {
  void it('behind the prologue of a function, again and again', async () => {
    const { target } = session;
    const breakpoint = await target.breakpoints.add(onFunction('vmkdemo!VmkDemoWork'));
    const [location] = locationsOf(breakpoint);
    assert.equal(location?.mechanism, 'kd-table');
    assert.equal(location.source?.line, lineWith('ULONG Total = 0;'));
    for (let i = 1; i <= 3; i++) {
      const stop = await session.run();
      assert.deepEqual(hit(stop), [breakpoint]);
      assert.equal(stop.programCounter, location.address);
      assert.equal(breakpoint.hitCount, i);
      const { frames } = await target.processors[stop.processor]!.stack(2);
      assert.match(frames[0]!.text, /VmkDemoWork\+/);
      assert.match(frames[1]!.text, /WorkerThread/);
    }
  });

  void it('of functions are where parameters are right, optimised or not', async () => {
    const { target } = session;
    const { symbols } = target;
    const source = { symbols, codeScopes: new CodeScopes(symbols) };
    for (const [name, expression] of [
      ['vmkdemo!VmkDemoFibonacci', 'N <= 6 && N >= 0'],
      ['vmkdemo!VmkDemoChecksum', 'Length == 32 && Bytes != 0'],
      ['vmkdemo!Middle', 'Node->Id >= 1 && Node->Id <= 5'],
      ['vmkdemo!VmkDemoShared', 'PerProcessor == &vmkdemo!PerProcessor[0]'],
    ] as const) {
      let held = 0;
      let asked = 0;
      const failures: string[] = [];
      const wanted = compile(expression);
      const breakpoint = await target.breakpoints.add({
        ...onFunction(name),
        rule: {
          condition: async (processor) => {
            asked++;
            if (await wanted.test(await FrameScope.top(source, processor), {})) held++;
            return asked === 3;
          },
          onError: ({ message }) => failures.push(message),
        },
      });
      assert.deepEqual(hit(await session.run()), [breakpoint], name);
      assert.deepEqual([held, failures], [3, []], expression);
      await target.breakpoints.remove(breakpoint);
    }
  });

  void it('of two that NT forgets together at each stop, both are hit in turn', async () => {
    const { target } = session;
    const first = await target.breakpoints.add(onFunction('vmkdemo!VmkDemoWork'));
    const address = locationsOf(first)[0]!.address;
    const next = plus(address, await lengthAt(address));
    const second = await target.breakpoints.add({ place: { kind: 'instruction', address: next } });
    // The thread may stand between them now.
    await hitOf(first);
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(hit(await session.run()), [second]);
      assert.deepEqual(hit(await session.run()), [first]);
    }
  });

  void it('of source lines, with what is worth knowing about them', async () => {
    const { target } = session;
    const line = lineWith('Total += VmkDemoFibonacci(6);');
    const place = { kind: 'source', path: sourceFile, line } as const;
    const content = readFileSync(sourceFile);
    const exact = await target.breakpoints.add({ place: { ...place, content } });
    assert.equal(exact.status.message, "KD's table of 32");
    assert.deepEqual(hit(await session.run()), [exact]);
    const other = await target.breakpoints.add({
      place: { ...place, content: Buffer.concat([content, Buffer.from('\n')]) },
    });
    assert.match(other.status.message, /differs from the one that was compiled/);
    const empty = await target.breakpoints.add({ place: { ...place, line: lineWith('UCHAR Bytes[32];') } });
    assert.match(empty.status.message, /has no code; stops at line \d+/);
    const nowhere = await target.breakpoints.add({ place: { ...place, path: '/nowhere/else.c' } });
    assert.equal(nowhere.status.kind, 'pending');
    assert.match(nowhere.status.message, /else\.c/);
  });

  void it('of functions by wildcard, data left out', async () => {
    const { target } = session;
    const all = await target.breakpoints.add(onFunction('vmkdemo!VmkDemo*'));
    const names = locationsOf(all).map(({ address }) => session.target.symbols.at(address)?.symbol?.name);
    for (const name of ['VmkDemoWork', 'VmkDemoShared', 'VmkDemoFibonacci', 'VmkDemoChecksum'])
      assert.ok(names.includes(name), names.join());
    assert.ok(!names.includes('VmkDemoCounter'));
    assert.equal(new Set(names).size, names.length);
    await target.breakpoints.remove(all);
    const data = await target.breakpoints.add(onFunction('vmkdemo!VmkDemoCounter'));
    assert.equal(data.status.kind, 'failed');
    assert.match(data.status.message, /is no function\. To stop when a variable is written/);
    const none = await target.breakpoints.add(onFunction('nt!NoSuchThing'));
    assert.equal(none.status.kind, 'pending');
  });

  void it('that are no instructions are refused, with the start of the one they are in', async () => {
    const { target } = session;
    const at = (address: VirtualAddress): Promise<UserBreakpoint> =>
      target.breakpoints.add({ place: { kind: 'instruction', address } });
    const work = session.addressOf('vmkdemo!VmkDemoWork');
    const inside = await at(plus(work, 1));
    assert.equal(inside.status.kind, 'failed');
    assert.match(
      inside.status.message,
      /lies inside an instruction, which begins at .* \(vmkdemo!VmkDemoWork\)\. Set it there\./,
    );
    const data = await at(session.addressOf('vmkdemo!VmkDemoCounter'));
    assert.equal(data.status.kind, 'failed');
    assert.match(
      data.status.message,
      /is data, in section .*\. To stop when it is written, set a data breakpoint\./,
    );
    const nowhere = await at(0xfffff700_00000000n as VirtualAddress);
    assert.equal(nowhere.status.kind, 'failed');
    assert.match(nowhere.status.message, /No memory is at fffff700`00000000\. Give an address/);
    assert.equal((await at(work)).status.kind, 'bound');
  });

  void it('on a page that is not there are owed, and hit when it comes', async () => {
    const { target } = session;
    await meanwhile('trim');
    const address = session.addressOf('vmkdemo!VmkDemoPaged');
    assert.equal(await target.memory.isPresent(address), false);
    const breakpoint = await target.breakpoints.add({ place: { kind: 'instruction', address } });
    assert.equal(breakpoint.status.kind, 'pending');
    assert.match(breakpoint.status.message, /page is not in memory/);
    await target.execution.resume();
    const answer = session.machine.console.command('paged 3', 60_000);
    const stop = await session.stopped();
    assert.deepEqual(hit(stop), [breakpoint]);
    assert.equal(breakpoint.status.kind, 'bound');
    await target.breakpoints.remove(breakpoint);
    await target.execution.resume();
    assert.match(await answer, /was paged out/);
  });
});

void describe('mechanisms', () => {
  void it('beyond KD’s 32 are int3s of our own; none of them is ever seen', async () => {
    const { target, machine } = session;
    const work = session.addressOf('vmkdemo!VmkDemoWork');
    const code = await readMemory(target.memory, work, 512);
    const addresses: VirtualAddress[] = [];
    const line = lineWith('Total += VmkDemoChecksum(Bytes, sizeof(Bytes));');
    const [start] = target.symbols.findLine({ path: sourceFile, line }).flatMap((one) => one.code);
    // Straight code: all of it runs in each call of VmkDemoWork.
    for (const from of [start!.address, session.addressOf('vmkdemo!Innermost')]) {
      const { end } = (await target.code.functionAt(from))!;
      for (let at = from; at < end; at = plus(at, await lengthAt(at))) addresses.push(at);
    }
    assert.ok(addresses.length > 32, `${addresses.length} instructions`);
    const asked = addresses.map(() => 0);
    const all = [];
    for (const [i, address] of addresses.entries()) {
      const condition = (): Promise<boolean> => {
        asked[i]!++;
        return Promise.resolve(false);
      };
      all.push(
        await target.breakpoints.add({ place: { kind: 'instruction', address }, rule: { condition } }),
      );
    }
    const mechanisms = all.map((one) => locationsOf(one)[0]?.mechanism);
    assert.equal(mechanisms.filter((one) => one === 'kd-table').length, 32);
    assert.equal(mechanisms.filter((one) => one === 'int3').length, addresses.length - 32);
    assert.match(all.at(-1)!.status.message, /int3 of our own/);
    await target.execution.resume();
    // The guest itself sees them all: in its own memory there are int3s.
    const peeked = await machine.console.command(`peek 0x${addresses.at(-1)!.toString(16)}`);
    assert.match(peeked, /cc$/i);
    await until(() => asked.every((count) => count > 0), 240_000);
    await target.execution.pause(limit);
    assert.deepEqual(await readMemory(target.memory, work, 512), code);
    // Each call of the function runs through the first of them once.
    const calls = await number('vmkdemo!VmkDemoWorkCalls');
    const before = asked[0]!;
    await target.execution.resume();
    await until(() => asked[0]! >= before + 2, 240_000);
    await target.execution.pause(limit);
    assert.ok(Math.abs((await number('vmkdemo!VmkDemoWorkCalls')) - calls - (asked[0]! - before)) <= 1);
    for (const one of all) await target.breakpoints.remove(one);
    await meanwhile('ticks');
    await target.execution.resume();
    const after = await machine.console.command(`peek 0x${addresses.at(-1)!.toString(16)}`);
    assert.doesNotMatch(after, /cc$/i);
    await target.execution.pause(limit);
  });

  void it('a write to code under a breakpoint changes the code, not the breakpoint', async () => {
    const { target } = session;
    const breakpoint = await target.breakpoints.add(onFunction('vmkdemo!VmkDemoWork'));
    const address = locationsOf(breakpoint)[0]!.address;
    await session.run();
    await session.run();
    const code = await readMemory(target.memory, address, 16);
    await target.memory.write(address, code);
    assert.deepEqual(await readMemory(target.memory, address, 16), code);
    assert.deepEqual(hit(await session.run()), [breakpoint]);
  });

  void it('debug registers are four, and say who has them', async () => {
    const { target } = session;
    const watched = session.addressOf('vmkdemo!VmkDemoWatched');
    const data = await target.breakpoints.add({
      place: { kind: 'data', address: watched, size: 8, access: 'access' },
    });
    const wide = await target.breakpoints.add({
      place: { kind: 'data', address: session.addressOf('vmkdemo!VmkDemoLarge'), size: 16, access: 'write' },
    });
    const code = await target.breakpoints.add({ ...onFunction('vmkdemo!VmkDemoPaged'), mode: 'hardware' });
    for (const one of [data, wide, code]) assert.match(one.status.message, /hardware slot/);
    const more = await target.breakpoints.add({ ...onFunction('vmkdemo!VmkDemoWork'), mode: 'hardware' });
    assert.equal(more.status.kind, 'failed');
    assert.match(
      more.status.message,
      /All four debug registers.*\. Remove a data or hardware breakpoint first\./,
    );
    const tooWide = await target.breakpoints.add({
      place: { kind: 'data', address: plus(watched, 1), size: 64, access: 'write' },
    });
    assert.equal(tooWide.status.kind, 'failed');
    // No register is left to guard a place with: who is stepped over there may be overtaken, and that is said.
    const unguarded = await target.breakpoints.add(onFunction('vmkdemo!VmkDemoShared'));
    await target.breakpoints.remove(data);
    await target.breakpoints.add({
      place: { kind: 'data', address: session.addressOf('vmkdemo!VmkDemoPi'), size: 8, access: 'access' },
      rule: { condition: () => Promise.resolve(false) },
    });
    const stop = await hitOf(unguarded);
    assert.deepEqual(hit(stop), [unguarded]);
    await session.run();
    assert.match(unguarded.status.message, /another processor may run past it/);
  });
});

void describe('rules', () => {
  void it('decide without anybody being told: conditions, hits, logs', async () => {
    const { target } = session;
    const lines: string[] = [];
    const log = await target.breakpoints.add({
      ...onFunction('vmkdemo!VmkDemoWork'),
      rule: {
        log: async (processor) => {
          lines.push((await processor.stack(1)).frames[0]!.text);
        },
      },
    });
    const third = await target.breakpoints.add({
      ...onFunction('vmkdemo!VmkDemoChecksum'),
      rule: { hits: (count) => count % 3 === 0 },
    });
    const stop = await session.run();
    assert.deepEqual(hit(stop), [third]);
    assert.equal(third.hitCount, 3);
    assert.equal(log.hitCount, 3);
    assert.equal(lines.length, 3);
    assert.match(lines[0]!, /VmkDemoWork/);
    // A new rule for a breakpoint that stays where it is.
    target.breakpoints.change(third, undefined);
    assert.deepEqual(hit(await session.run()), [third]);
  });

  void it('that fail stop the target, and are told', async () => {
    const { target } = session;
    const told: string[] = [];
    const breakpoint = await target.breakpoints.add({
      ...onFunction('vmkdemo!VmkDemoWork'),
      rule: {
        condition: () => Promise.reject(new Error('no such variable')),
        onError: ({ message }) => told.push(message),
      },
    });
    assert.deepEqual(hit(await session.run()), [breakpoint]);
    assert.deepEqual(told, ['no such variable']);
  });
});

void describe('while the target runs', () => {
  void it('breakpoints are set and removed without a stop that anybody hears of', async () => {
    const { target } = session;
    await target.execution.resume();
    const kinds: string[] = [];
    const remove = target.onState.add(({ kind }) => kinds.push(kind));
    let hits = 0;
    const breakpoint = await target.breakpoints.add({
      ...onFunction('vmkdemo!VmkDemoWork'),
      rule: {
        log: () => {
          hits++;
          return Promise.resolve();
        },
      },
    });
    assert.equal(breakpoint.status.kind, 'bound');
    await until(() => hits >= 2);
    await target.breakpoints.remove(breakpoint);
    remove();
    assert.deepEqual(kinds, []);
    assert.equal(target.state.kind, 'running');
    // The break-ins that this took are all spent: nothing stops it any more.
    await session.machine.console.command('ticks');
    assert.equal(target.state.kind, 'running');
  });
});

void describe('modules', () => {
  void it('that are not there yet: bound when they load, and again when they come back elsewhere', async () => {
    const { target, machine } = session;
    const changes: string[] = [];
    const breakpoint = await target.breakpoints.add(onFunction('vmkondem!VmkOnDemandHello'));
    const line = await target.breakpoints.add({
      place: {
        kind: 'source',
        path: onDemandFile,
        line: lineWith('VmkOnDemandLoads++;', onDemandFile),
        content: readFileSync(onDemandFile),
      },
    });
    const remove = target.breakpoints.onChange.add((one) => changes.push(`${one.id} ${one.status.kind}`));
    assert.equal(breakpoint.status.kind, 'pending');
    assert.match(breakpoint.status.message, /vmkondem is not loaded/);
    const places = new Set<bigint>();
    for (let i = 0; i < 2; i++) {
      const stops: Stop[] = [];
      const callers: string[] = [];
      const removeStops = target.onState.add((state) => {
        if (state.kind !== 'stopped') return;
        stops.push(state.stop);
        const look = async (): Promise<void> => {
          callers.push((await target.processors[state.stop.processor]!.stack(2)).frames[1]!.text);
          await target.execution.resume();
        };
        look().catch((error: unknown) => session.errors.push(error));
      });
      await target.execution.resume();
      await machine.console.command('load', 60_000);
      removeStops();
      const first = stops.find((stop) => hit(stop).includes(breakpoint));
      assert.ok(first, stops.map(describeStop).join());
      assert.ok(stops.some((stop) => hit(stop).includes(line)));
      places.add(first.programCounter);
      assert.match(callers[stops.indexOf(first)]!, /vmkondem!DriverEntry/);
      await machine.console.command('unload', 60_000);
      await target.execution.pause(limit);
      assert.equal(breakpoint.status.kind, 'pending');
      assert.match(breakpoint.status.message, /unloaded/);
    }
    assert.deepEqual(session.errors, []);
    assert.equal(places.size, 2);
    assert.equal(line.status.kind, 'pending');
    assert.ok(changes.filter((one) => one === `${breakpoint.id} bound`).length === 2, changes.join());
    remove();
  });

  void it('stop the target when they load, if that is wanted', async () => {
    const { target, machine } = session;
    target.breakpoints.exceptionRule = {
      ...target.breakpoints.exceptionRule,
      moduleLoads: ['nobody', 'vmkon*'],
      moduleUnloads: ['*'],
    };
    const modules: string[] = [];
    const remove = target.onModules.add(({ kind, module }) => modules.push(`${kind} ${module.alias}`));
    await target.execution.resume();
    const loaded = machine.console.command('load', 60_000);
    const stop = await session.stopped();
    assert.deepEqual(stop.reason, { kind: 'module', name: 'vmkondem.sys', unloaded: false });
    assert.ok(target.symbols.moduleNamed('vmkondem'));
    await target.execution.resume();
    await loaded;
    const unloaded = machine.console.command('unload', 60_000);
    assert.deepEqual((await session.stopped()).reason, {
      kind: 'module',
      name: 'vmkondem.sys',
      unloaded: true,
    });
    target.breakpoints.exceptionRule = {
      ...target.breakpoints.exceptionRule,
      moduleLoads: [],
      moduleUnloads: [],
    };
    await target.execution.resume();
    await unloaded;
    remove();
    assert.ok(modules.includes('added vmkondem') && modules.includes('removed vmkondem'), modules.join());
  });
});

const describeStop = (stop: Stop): string =>
  `${stop.reason.kind} at ${session.target.symbols.nameOf(stop.programCounter) ?? '?'}: ${
    stop.reason.kind === 'breakpoint'
      ? stop.reason.breakpoints
          .map(({ request }) => JSON.stringify(request.place, (_k, v: unknown) => String(v)))
          .join()
      : ''
  }`;

async function lengthAt(address: VirtualAddress): Promise<number> {
  const info = await session.target.code.inspect(address);
  assert.ok(info);
  return info.length;
}

/** Resumes until a breakpoint is among those that were hit. */
async function hitOf(breakpoint: UserBreakpoint): Promise<Stop> {
  for (let i = 0; i < 50; i++) {
    const stop = await session.run();
    if (stop.reason.kind === 'breakpoint' && stop.reason.breakpoints.includes(breakpoint)) return stop;
  }
  assert.fail(`it was never hit: ${breakpoint.status.message}`);
}
