/** Policy: which stops are news, and what a kernel needs before it runs on. In virtual time, against the model target. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FaultyEndpoint, allFaults } from '../../../test/fixtures/faultyLink';
import { ModelTarget, breakInStop, modelBase, reportAtInt3 } from '../../../test/fixtures/modelTarget';
import { randomFrom } from '../../../test/fixtures/random';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { plus } from '../core/addresses';
import { VmkdError, type ErrorCode } from '../core/errors';
import { continue2X64, continueApi } from '../kd/manipulate/execution';
import type { ExceptionChange, StateChange } from '../kd/stateChange';
import { memoryLinkPair } from '../link/memoryLink';
import { LiveTarget, type LiveObserver } from './liveTarget';

const breakInAddress = plus(modelBase, 0x1000);
const attach = { breakIn: true, milliseconds: 10_000 } as const;
const fails = (code: ErrorCode) => (error: unknown) => error instanceof VmkdError && error.code === code;

const atInt3: Partial<ExceptionChange> = {
  programCounter: breakInAddress,
  address: breakInAddress,
  report: reportAtInt3,
};

const loadNotice: StateChange = {
  kind: 'loadSymbols',
  processorLevel: 6,
  processor: 0,
  numberProcessors: 1,
  thread: modelBase,
  programCounter: modelBase,
  report: new Uint8Array(48),
  path: 'x.sys',
  base: modelBase,
  processId: 0n,
  checkSum: 0,
  sizeOfImage: 4096,
  unload: false,
};

/** A target whose link can be had again: each `open` powers a new machine on. */
function setUp(observer: LiveObserver = {}, stops: Partial<ExceptionChange> = atInt3) {
  const clock = new VirtualClock();
  const machines: ModelTarget[] = [];
  const target = new LiveTarget({
    clock,
    linkMilliseconds: 0,
    observer,
    endpoint: {
      spec: 'model',
      open: () => {
        const [near, far] = memoryLinkPair(clock);
        const machine = new ModelTarget(far, clock);
        machine.stops = stops;
        machine.setProgramCounter(0, breakInAddress);
        machines.push(machine);
        return Promise.resolve(near);
      },
      dispose: () => Promise.resolve(),
    },
  });
  const machine = (): ModelTarget => machines.at(-1)!;
  return { clock, target, machine };
}

/** The fields of the orders that let the machine go. */
const continues = (machine: ModelTarget) =>
  machine.orders.map(({ payload }) => continue2X64.request.read(payload));

void describe('a kernel runs on', () => {
  void it('behind an int3 of its own code', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    assert.equal(machine().programCounter(0), plus(breakInAddress, 1));
  });

  void it('behind it also when another processor was looked at meanwhile', async () => {
    const { clock, target, machine } = setUp({}, { ...atInt3, numberProcessors: 2 });
    await clock.run(target.attach(attach));
    await clock.run(target.switchProcessor(1));
    assert.equal(target.stopped.change.processor, 1);
    await clock.run(target.resume());
    assert.equal(machine().programCounter(0), plus(breakInAddress, 1));
    assert.equal(machine().programCounter(1), 0n);
  });

  void it('where it was put, if that is elsewhere', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    machine().setProgramCounter(0, plus(modelBase, 0x77));
    await clock.run(target.resume());
    assert.equal(machine().programCounter(0), plus(modelBase, 0x77));
  });

  void it('in place after a breakpoint of ours, which NT has taken out of the code', async () => {
    const { clock, target, machine } = setUp({}, { ...atInt3, report: new Uint8Array(48) });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    assert.equal(machine().programCounter(0), breakInAddress);
  });

  void it('with the debug registers that were set, on every processor', async () => {
    const { clock, target, machine } = setUp({}, { ...atInt3, numberProcessors: 2 });
    await clock.run(target.attach(attach));
    await clock.run(target.breakpoints.watch(0, plus(modelBase, 8), 'write', 4, 2));
    await clock.run(target.resume());
    assert.equal(continues(machine())[0]?.dr7, 0xd0401n);
    for (const processor of [0, 1]) assert.equal(machine().special(processor).dr0, plus(modelBase, 8));
  });

  void it('without them once it is another kernel', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.breakpoints.watch(0, plus(modelBase, 8), 'write', 4, 1));
    target.detach();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    assert.equal(continues(machine())[0]?.dr7, 0x400n);
  });
});

void describe('stops that are no news', () => {
  void it('module loads are told and continued', async () => {
    const paths: string[] = [];
    const { clock, target, machine } = setUp({
      onModule: ({ path }) => {
        paths.push(path);
        return 'go';
      },
    });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    machine().breakNow(loadNotice);
    await clock.advance(100);
    assert.deepEqual(paths, ['x.sys']);
    assert.equal(target.client.state.kind, 'running');
  });

  void it('unless somebody wants to stop there', async () => {
    const { clock, target, machine } = setUp({ onModule: () => 'stop' });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const stop = target.nextStop(5000);
    machine().breakNow(loadNotice);
    assert.equal((await clock.run(stop)).kind, 'loadSymbols');
  });

  void it('a good-bye is told and answered by the plain Continue', async () => {
    let gone = 0;
    const { clock, target, machine } = setUp({ onGone: () => gone++ });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    machine().breakNow({ ...loadNotice, kind: 'targetGone' });
    await clock.advance(100);
    assert.equal(gone, 1);
    assert.equal(machine().orders.at(-1)?.api, continueApi.number);
  });

  void it('a break-in too many is swallowed shortly after a continue, and only then', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    target.client.unspentBreakIns = 2;
    await clock.run(target.resume());
    machine().breakNow();
    await clock.advance(100);
    assert.equal(target.client.state.kind, 'running');
    assert.equal(target.client.unspentBreakIns, 1);
    await clock.advance(3_600_000);
    const stop = target.nextStop(5000);
    machine().breakNow();
    assert.equal((await clock.run(stop)).programCounter, breakInAddress);
  });

  void it('one that was sent since then is not forgotten: its machine may be at rest', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    machine().server.onBreakIn = () => undefined;
    target.client.unspentBreakIns = 1;
    await clock.run(target.resume());
    target.client.callBreakIn();
    await clock.advance(3_600_000);
    assert.equal(target.client.unspentBreakIns, 1);
  });

  void it('the break-in of an attach to a kernel that was stopped already is swallowed as well', async () => {
    const clock = new VirtualClock();
    const line = new FaultyEndpoint({ clock, random: randomFrom(1), faults: allFaults(0) });
    const machine = new ModelTarget(line.target, clock);
    machine.stops = atInt3;
    machine.remembersBreakIn = true;
    machine.setProgramCounter(0, breakInAddress);
    const target = new LiveTarget({ clock, endpoint: line, linkMilliseconds: 5000 });
    await clock.run(target.attach(attach));
    target.detach();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    await clock.advance(5000);
    assert.equal(target.client.state.kind, 'running');
    assert.equal(machine.orders.length, 2);
  });

  void it('one that a debugger left behind is swallowed when the target first runs, and only then', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    assert.equal(target.client.unspentBreakIns, 0);
    await clock.run(target.resume());
    for (let left = 2; left > 0; left--) {
      machine().breakNow();
      await clock.advance(100);
      assert.equal(target.client.state.kind, 'running');
    }
    await clock.advance(3000);
    const stop = target.nextStop(5000);
    machine().breakNow();
    assert.equal((await clock.run(stop)).programCounter, breakInAddress);
    await clock.run(target.resume());
    const again = target.nextStop(5000);
    machine().breakNow();
    assert.equal((await clock.run(again)).programCounter, breakInAddress);
  });

  void it('an int3 elsewhere is never taken for one', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    target.client.unspentBreakIns = 2;
    await clock.run(target.resume());
    const stop = target.nextStop(5000);
    const programCounter = plus(modelBase, 0x5000);
    machine().breakNow({ ...breakInStop, ...atInt3, programCounter });
    assert.equal((await clock.run(stop)).programCounter, programCounter);
    assert.equal(target.client.state.kind, 'stopped');
  });

  void it('a stop behind a module load is not continued with it', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const stop = target.nextStop(5000);
    // The acknowledgement of the continue and the next stop in one breath.
    machine().server.serveSilently(continue2X64, () => 'go');
    machine().breakNow(loadNotice);
    const whenGone = (): void => {
      if (machine().orders.length < 2) clock.after(0, whenGone);
      else machine().breakNow({ ...breakInStop, ...atInt3, code: 0xc0000005 });
    };
    whenGone();
    const change = await clock.run(stop);
    assert.equal(change.kind === 'exception' && change.code, 0xc0000005);
    await clock.advance(10_000);
    assert.equal(target.client.state.kind, 'stopped');
    assert.equal(machine().orders.length, 2);
  });

  void it('an observer that fails leaves the target stopped, told, and with its reason', async () => {
    const errors: VmkdError[] = [];
    const { clock, target, machine } = setUp({
      onModule: () => {
        throw new Error('oh');
      },
      onError: (error) => errors.push(error),
    });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const stop = target.nextStop(5000);
    machine().breakNow(loadNotice);
    assert.equal((await clock.run(stop)).kind, 'loadSymbols');
    assert.equal(errors[0]?.message, 'oh');
  });
});

void describe('waiting', () => {
  void it('ends at once when there is nothing to wait for, or no more', async () => {
    const { clock, target } = setUp();
    await assert.rejects(target.nextStop(Infinity), fails('target-not-attached'));
    assert.throws(() => target.stopped, fails('target-not-attached'));
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const ended = [Infinity, 600_000].map((limit) =>
      assert.rejects(target.nextStop(limit), fails('target-not-attached')),
    );
    target.detach();
    await clock.run(Promise.all(ended));
    await clock.advance(10_000);
    assert.equal(clock.pending, 0);
  });

  void it('can be cancelled', async () => {
    const { clock, target } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const abort = new AbortController();
    clock.after(100, () => abort.abort());
    await assert.rejects(clock.run(target.nextStop(Infinity, abort.signal)), fails('cancelled'));
  });

  void it('for a break-in stops a running target', async () => {
    const { clock, target } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const change = await clock.run(target.breakIn(5000));
    assert.equal(change.programCounter, breakInAddress);
    assert.equal(target.client.unspentBreakIns, 0);
  });
});

void describe('leaving', () => {
  void it('hands an exception that nobody handled to the guest', async () => {
    const { clock, target, machine } = setUp({}, { ...atInt3, code: 0xc0000005 });
    await clock.run(target.attach(attach));
    target.client.unspentBreakIns = 0;
    await clock.run(target.release());
    assert.equal(continues(machine())[0]?.continueStatus, 0x80010001);
    assert.equal(target.client.state.kind, 'idle');
  });

  void it('waits for a break-in that is still on its way, and no longer than that', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    target.client.unspentBreakIns = 1;
    const released = target.release();
    clock.after(300, () => machine().breakNow());
    await clock.run(released);
    assert.equal(machine().orders.length, 2);
    assert.ok(clock.now() < 5000);
  });

  void it('waits for one that a debugger left behind, and no longer than that', async () => {
    const { clock, target, machine } = setUp();
    await clock.run(target.attach(attach));
    const released = target.release();
    clock.after(300, () => machine().breakNow());
    await clock.run(released);
    assert.equal(machine().orders.length, 2);
    assert.ok(clock.now() < 5000);
  });

  void it('leaves nothing behind that keeps a process alive', async () => {
    const { clock, target } = setUp();
    await clock.run(target.attach(attach));
    await clock.run(target.release());
    await clock.advance(5000);
    assert.equal(clock.pending, 0);
  });
});

void describe('an observer', () => {
  void it('may be an object with methods', async () => {
    class Session implements LiveObserver {
      readonly heard: string[] = [];
      onPrint({ text }: { text: string }): void {
        this.heard.push(text);
      }
      onStop({ kind }: StateChange): void {
        this.heard.push(kind);
      }
      onRunning(): void {
        this.heard.push('running');
      }
    }
    const session = new Session();
    const { clock, target, machine } = setUp(session);
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    await clock.run(machine().server.print('hello'));
    assert.deepEqual(session.heard, ['exception', 'running', 'hello']);
  });
});

void describe('attaching again', () => {
  void it('finds the machine that came back after its pipe was gone', async () => {
    const lost: string[] = [];
    const { clock, target, machine } = setUp({ onLost: ({ code }) => lost.push(code) });
    await clock.run(target.attach(attach));
    await clock.run(target.resume());
    const stop = target.nextStop(60_000);
    machine().server.channel.close();
    await assert.rejects(clock.run(stop), fails('link-lost'));
    assert.deepEqual(lost, ['link-lost']);
    await clock.run(target.attach(attach));
    assert.equal(target.stopped.change.programCounter, breakInAddress);
  });
});
