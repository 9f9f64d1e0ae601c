/** Who owns the kernel: the rows of docs/companion.md, by their names, on a model kernel in virtual time. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CompanionSetting, moduleNotice } from '../../../test/fixtures/companionSetting';
import { breakInStop, modelBase } from '../../../test/fixtures/modelTarget';
import { fails } from '../../../test/fixtures/peers';
import type { ScriptedDebugger } from '../../../test/fixtures/scriptedDebugger';
import { virtualAddress } from '../core/addresses';
import { NtStatus } from '../kd/ntstatus';
import { PacketType, encodeControlPacket } from '../kd/framing';
import { restoreBreakPoint, writeBreakPoint } from '../kd/manipulate/breakpoint';
import { getContext, readControlSpace, setContext, writeControlSpace } from '../kd/manipulate/context';
import { continue2X64, reboot, switchProcessor } from '../kd/manipulate/execution';
import { readVirtualMemory, writeVirtualMemory } from '../kd/manipulate/memory';
import { manipulateData, readManipulateHead } from '../kd/manipulate/message';
import { getVersion } from '../kd/manipulate/version';
import { decodeStateChange, encodeStateChange } from '../kd/stateChange';

const go = (windbg: ScriptedDebugger): Uint8Array =>
  windbg.compose(continue2X64, { continueStatus: NtStatus.DbgContinue, dr7: 0x400n, symbolStart: 1n });

const read = (windbg: ScriptedDebugger): Uint8Array =>
  windbg.compose(readVirtualMemory, { address: modelBase, count: 16 });

const statusOf = (reply: Uint8Array): number => readManipulateHead(reply).returnStatus;

const kindOf = (stop: Uint8Array): string => decodeStateChange(stop).kind;

const stopAt = (pc: bigint) => ({ ...breakInStop, programCounter: virtualAddress(pc) });

/** VS Code drives, the kernel stands at a stop that it has shown, and WinDbg is attached to it. */
async function lookingOn() {
  const setting = await new CompanionSetting({ hasHost: true }).start();
  setting.target.breakNow();
  await setting.settle();
  setting.announce();
  return { setting, windbg: await setting.attached(false) };
}

/** VS Code drives, the kernel runs, and WinDbg waits. */
async function waiting() {
  const { setting, windbg } = await lookingOn();
  await setting.run(windbg.order(go(windbg)));
  await setting.run(setting.client.continue());
  await setting.settle();
  return { setting, windbg };
}

/** WinDbg drives alone, at a stop of its own. */
async function driving() {
  const setting = await new CompanionSetting().start();
  return { setting, windbg: await setting.attached() };
}

void describe('attaching', () => {
  void it('A1 who says nothing gets nothing, and is shown out', async () => {
    const { setting } = await driving();
    setting.companion.close();
    const fresh = new CompanionSetting({ muteMilliseconds: 10_000 });
    fresh.target.breakNow();
    await fresh.start();
    const silent = fresh.connect();
    await fresh.settle(9000);
    assert.deepEqual(silent.seen, []);
    assert.equal(silent.ended, undefined);
    await fresh.settle(1100);
    assert.notEqual(silent.ended, undefined);
    assert.equal(fresh.companion.now.owner.kind, 'nobody');
    assert.equal(fresh.client.state.kind, 'stopped');
  });

  void it('A2 to a kernel that runs: it says nothing until it prints or stops', async () => {
    const setting = await new CompanionSetting({ hasHost: true }).start();
    const windbg = setting.connect();
    for (let i = 0; i < 3; i++) {
      windbg.send(encodeControlPacket(PacketType.Reset, 0));
      await setting.settle(1000);
    }
    assert.deepEqual(windbg.seen, []);
    assert.equal(setting.companion.now.peer.kind, 'waiting');
    await setting.run(setting.target.server.print('hello'));
    await setting.settle();
    assert.deepEqual(windbg.prints, ['hello']);
    assert.equal(setting.client.state.kind, 'running');
  });

  void it('A3 to a kernel that stands: RESETs are answered once, then comes the stop as it was', async () => {
    const setting = new CompanionSetting({ hasHost: true });
    setting.target.breakNow(stopAt(0xfffff800_00004444n));
    await setting.start();
    setting.announce();
    const windbg = setting.connect();
    windbg.send(...Array.from({ length: 40 }, () => encodeControlPacket(PacketType.Reset, 0)));
    await setting.settle();
    assert.deepEqual(windbg.seen, ['control 6 0', 'data 7 80800000']);
    assert.deepEqual(windbg.stops, [encodeStateChange(stopAt(0xfffff800_00004444n))]);
    assert.equal(setting.companion.now.owner.kind, 'host');
  });

  void it('A4 before there is a kernel: it hears of the first that comes', async () => {
    const setting = new CompanionSetting();
    const windbg = setting.connect();
    windbg.send(encodeControlPacket(PacketType.Reset, 0));
    await setting.settle(3000);
    assert.deepEqual(windbg.seen, []);
    await setting.start();
    await setting.run(setting.target.server.print('booting'));
    setting.target.breakNow();
    assert.equal(kindOf(await setting.run(windbg.nextStop())), 'exception');
    assert.deepEqual(windbg.prints, ['booting']);
    assert.deepEqual(windbg.seen, ['data 3 80800800', 'data 7 80800001']);
  });

  void it('A4 before there is a kernel: its break-in stops the first that comes', async () => {
    const setting = new CompanionSetting();
    const windbg = setting.connect();
    windbg.breakIn();
    windbg.breakIn();
    await setting.settle(3000);
    assert.deepEqual(windbg.seen, []);
    await setting.start();
    assert.equal(kindOf(await setting.run(windbg.nextStop())), 'exception');
  });

  void it('A5 where nobody drove, it drives', async () => {
    const { setting, windbg } = await driving();
    assert.deepEqual(setting.companion.now.owner, { kind: 'peer', hostLooksOn: false });
    assert.equal(
      statusOf(await setting.run(windbg.request(windbg.compose(getVersion, {}, undefined, 0xffff)))),
      0,
    );
  });

  void it('A6 as the second is refused by who serves the pipe', async () => {
    const { setting, windbg } = await driving();
    await assert.rejects(setting.companion.serve(windbg.link), fails('internal'));
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), 0);
  });
});

void describe('stopping', () => {
  void it('B1 S3 its own break-in stops the kernel, but no module’s notice that nobody takes', async () => {
    const setting = await new CompanionSetting().start();
    setting.target.breakNow(moduleNotice);
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');
    const windbg = await setting.attached();
    assert.equal(setting.client.state.kind, 'stopped');
    assert.equal(kindOf(windbg.stops[0]!), 'exception');
  });

  void it('B1 a kernel that runs is called once, however often the debugger calls', async () => {
    const setting = await new CompanionSetting().start();
    const windbg = await setting.attached();
    await setting.run(windbg.order(go(windbg)));
    const before = setting.client.breakInsSent;
    windbg.send(Uint8Array.of(0x62, 0x62), Uint8Array.of(0x62));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'stopped');
    assert.equal(setting.client.breakInsSent - before, 1);
  });

  void it('B2 its break-in is a wish while VS Code drives', async () => {
    const { setting, windbg } = await waiting();
    windbg.breakIn();
    await setting.settle(1000);
    assert.equal(setting.wishes, 1);
    assert.equal(setting.client.state.kind, 'running');
    assert.equal(windbg.stops.length, 1);
  });

  void it('B3 its break-in brings the stop that there is', async () => {
    const { setting, windbg } = await lookingOn();
    await setting.run(windbg.order(go(windbg)));
    await setting.settle(500);
    assert.equal(windbg.stops.length, 1);
    windbg.breakIn();
    await setting.settle();
    assert.equal(windbg.stops.length, 2);
    assert.equal(setting.wishes, 0);
  });

  void it('S1 while VS Code drives, it sees the stops that VS Code shows, and no others', async () => {
    const { setting, windbg } = await waiting();
    setting.target.breakNow(stopAt(0x1000n));
    await setting.settle();
    assert.equal(windbg.stops.length, 1);
    await setting.run(setting.client.continue());
    setting.target.breakNow(stopAt(0x2000n));
    await setting.settle();
    setting.announce();
    await setting.settle();
    assert.deepEqual(windbg.stops.slice(1), [encodeStateChange(stopAt(0x2000n))]);
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), 0);
  });

  void it('S2 at an older stop it is told of the present one when it goes on', async () => {
    const { setting, windbg } = await lookingOn();
    await setting.run(setting.client.continue());
    setting.target.breakNow(stopAt(0x2000n));
    await setting.settle();
    setting.announce();
    await setting.settle(1000);
    assert.equal(windbg.stops.length, 1);
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), NtStatus.Unsuccessful);
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.deepEqual(windbg.stops.slice(1), [encodeStateChange(stopAt(0x2000n))]);
    assert.equal(setting.client.state.kind, 'stopped');
  });

  void it('S4 an exception waits for a debugger', async () => {
    const setting = await new CompanionSetting().start();
    setting.target.breakNow(stopAt(0x3000n));
    await setting.settle(60_000);
    assert.equal(setting.client.state.kind, 'stopped');
    const windbg = await setting.attached(false);
    assert.deepEqual(windbg.stops, [encodeStateChange(stopAt(0x3000n))]);
  });

  void it('S5 a debugger that acknowledges nothing holds up exceptions only', async () => {
    const { setting, windbg } = await driving();
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    windbg.acknowledges = false;
    const start = setting.clock.now();
    setting.target.breakNow(moduleNotice);
    await setting.settle();
    assert.equal(kindNow(setting), 'stopped');
    await setting.run(until(setting, () => kindNow(setting) === 'running'));
    assert.ok(setting.clock.now() - start < 10_000);
    const tries = windbg.seen.filter((line) => line.startsWith('data 7')).length;
    setting.target.breakNow(moduleNotice);
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');
    assert.equal(windbg.seen.filter((line) => line.startsWith('data 7')).length, tries);
    setting.target.breakNow(stopAt(0x3000n));
    await setting.settle(60_000);
    assert.equal(setting.client.state.kind, 'stopped');
    windbg.acknowledges = true;
    await setting.settle(1000);
    assert.deepEqual(windbg.stops.at(-1), encodeStateChange(stopAt(0x3000n)));
  });
});

void describe('going on', () => {
  void it('C1 its g lets the kernel run', async () => {
    const { setting, windbg } = await driving();
    const order = go(windbg);
    await setting.run(windbg.order(order));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');
    assert.deepEqual(setting.target.orders.at(-1)?.payload, order);
    assert.equal(setting.companion.now.peer.kind, 'waiting');
  });

  void it('C1 a break-in that follows its g at once stops the kernel again', async () => {
    const { setting, windbg } = await driving();
    const before = windbg.stops.length;
    const ordered = windbg.order(go(windbg));
    windbg.breakIn();
    await setting.run(ordered);
    await setting.run(nth(windbg, before + 1));
    assert.equal(setting.target.orders.length, 1);
    assert.equal(setting.client.state.kind, 'stopped');
  });

  void it('C2 when VS Code goes on, it is refused at once whatever it asks, until it waits', async () => {
    const { setting, windbg } = await lookingOn();
    await setting.run(setting.client.continue());
    const start = setting.clock.now();
    for (const request of [
      read(windbg),
      windbg.compose(getContext),
      windbg.compose(getVersion),
      windbg.compose(writeVirtualMemory, { address: modelBase }, Uint8Array.of(1)),
    ])
      assert.equal(statusOf(await setting.run(windbg.request(request))), NtStatus.Unsuccessful);
    assert.ok(setting.clock.now() - start < 100);
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');
    setting.target.breakNow(stopAt(0x2000n));
    await setting.settle();
    setting.announce();
    assert.deepEqual(await setting.run(nth(windbg, 2)), encodeStateChange(stopAt(0x2000n)));
  });

  void it('C3 its g moves nothing while VS Code drives', async () => {
    const { setting, windbg } = await lookingOn();
    const orders = setting.target.orders.length;
    await setting.run(windbg.order(go(windbg)));
    await setting.settle(5000);
    assert.equal(setting.client.state.kind, 'stopped');
    assert.equal(setting.target.orders.length, orders);
    assert.equal(setting.companion.now.peer.kind, 'waiting');
  });

  void it('C5 it may look while VS Code drives', async () => {
    const { setting, windbg } = await lookingOn();
    setting.target.memory.set([1, 2, 3, 4]);
    const reply = await setting.run(windbg.request(read(windbg)));
    assert.deepEqual([...manipulateData(reply).subarray(0, 4)], [1, 2, 3, 4]);
    const context = await setting.run(windbg.request(windbg.compose(getContext)));
    assert.equal(manipulateData(context).length, 0x4d0);
  });

  void it('C6 it may change nothing while VS Code drives, but write registers as they are', async () => {
    const { setting, windbg } = await lookingOn();
    const ask = (payload: Uint8Array): Promise<Uint8Array> => setting.run(windbg.request(payload));
    const write = windbg.compose(writeVirtualMemory, { address: modelBase }, Uint8Array.of(0xcc));
    assert.equal(statusOf(await ask(write)), NtStatus.Unsuccessful);
    assert.equal(setting.target.memory[0], 0);
    const unknown = windbg.compose({ ...getVersion, number: 0x3199 });
    assert.equal(statusOf(await ask(unknown)), NtStatus.Unsuccessful);

    const context = manipulateData(await ask(windbg.compose(getContext))).slice();
    assert.equal(statusOf(await ask(windbg.compose(setContext, {}, context))), 0);
    context[0x78] = 1;
    assert.equal(statusOf(await ask(windbg.compose(setContext, {}, context))), NtStatus.Unsuccessful);
    const space = { base: 2n, count: 0xe0 };
    const special = manipulateData(await ask(windbg.compose(readControlSpace, space))).slice();
    assert.equal(statusOf(await ask(windbg.compose(writeControlSpace, space, special))), 0);
    special[0] = 1;
    assert.equal(
      statusOf(await ask(windbg.compose(writeControlSpace, space, special))),
      NtStatus.Unsuccessful,
    );
    for (const order of [reboot, switchProcessor]) {
      const before = windbg.stops.length;
      await setting.run(windbg.order(windbg.compose(order, {}, undefined, 1)));
      await setting.settle();
      assert.deepEqual(windbg.stops.slice(before), [encodeStateChange(breakInStop)]);
    }
    assert.equal(setting.target.orders.length, 0);
  });

  void it('C7 what it changes while it drives, others hear of', async () => {
    const { setting, windbg } = await driving();
    await setting.run(windbg.request(read(windbg)));
    assert.equal(setting.touches, 0);
    const write = windbg.compose(writeVirtualMemory, { address: modelBase }, Uint8Array.of(0xcc));
    assert.equal(statusOf(await setting.run(windbg.request(write))), 0);
    assert.equal(setting.target.memory[0], 0xcc);
    assert.equal(setting.touches, 1);
  });

  void it('another processor is looked at by who drives, as the kernel says it', async () => {
    const { setting, windbg } = await driving();
    setting.target.stops = { numberProcessors: 2 };
    const before = windbg.stops.length;
    await setting.run(windbg.order(windbg.compose(switchProcessor, {}, undefined, 1)));
    const stop = decodeStateChange(await setting.run(nth(windbg, before + 1)));
    assert.equal(stop.processor, 1);
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), 0);
  });
});

void describe('breakpoints', () => {
  const address = virtualAddress(0xfffff800_00020000n);

  void it('P1 one that it sets while VS Code drives sleeps, with a handle of its own', async () => {
    const { setting, windbg } = await lookingOn();
    const set = await setting.run(windbg.request(windbg.compose(writeBreakPoint, { address })));
    assert.equal(statusOf(set), 0);
    const { handle } = writeBreakPoint.reply.read(set);
    assert.deepEqual([...setting.table], []);
    const again = await setting.run(windbg.request(windbg.compose(writeBreakPoint, { address })));
    assert.equal(statusOf(again), NtStatus.Unsuccessful);
    const gone = windbg.compose(restoreBreakPoint, { handle });
    assert.equal(statusOf(await setting.run(windbg.request(gone))), 0);
    assert.equal(statusOf(await setting.run(windbg.request(gone))), NtStatus.Unsuccessful);
  });

  void it('P3 at a hand-over they sleep, and wake with the handles that it knows', async () => {
    const { setting, windbg } = await lookingOn();
    const { companion, client } = setting;
    companion.give();
    // VS Code's own have taken the first place, so that handles differ from now on.
    const set = await setting.run(windbg.request(windbg.compose(writeBreakPoint, { address })));
    const { handle } = writeBreakPoint.reply.read(set);
    assert.deepEqual([...setting.table.values()], [address]);
    void companion.take();
    await setting.run(companion.breakpoints.sleep(client));
    assert.deepEqual([...setting.table], []);
    setting.table.set(1, 0x1234n);
    companion.give();
    await setting.run(companion.breakpoints.wake(client));
    assert.deepEqual(
      [...setting.table],
      [
        [1, 0x1234n],
        [2, address],
      ],
    );
    const gone = windbg.compose(restoreBreakPoint, { handle });
    const reply = await setting.run(windbg.request(gone));
    assert.equal(statusOf(reply), 0);
    assert.equal(restoreBreakPoint.reply.read(reply).handle, handle);
    assert.deepEqual([...setting.table], [[1, 0x1234n]]);
  });

  void it('P3 those that sleep are set when it goes on as the driver', async () => {
    const { setting, windbg } = await lookingOn();
    await setting.run(windbg.request(windbg.compose(writeBreakPoint, { address })));
    setting.companion.give();
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.deepEqual([...setting.table.values()], [address]);
    assert.equal(setting.client.state.kind, 'running');
  });
});

void describe('leaving', () => {
  void it('D1 nothing comes of it while VS Code drives', async () => {
    const { setting, windbg } = await lookingOn();
    windbg.close();
    await setting.settle();
    assert.equal(setting.companion.now.owner.kind, 'host');
    assert.equal(setting.companion.now.peer.kind, 'absent');
    assert.equal(setting.client.state.kind, 'stopped');
  });

  void it('D2 VS Code drives again when the driver is gone, in mid-request too', async () => {
    const { setting, windbg } = await lookingOn();
    setting.companion.give();
    const asked = assert.rejects(setting.run(windbg.request(read(windbg))));
    windbg.close();
    await asked;
    await setting.settle();
    assert.deepEqual(setting.companion.now.owner, { kind: 'host' });
    assert.equal(setting.client.state.kind, 'stopped');
    assert.equal((await setting.run(setting.client.request(getVersion, {}))).status, 0);
  });

  void it('D3 where nobody else is, the kernel stays as it is, for the next', async () => {
    const { setting, windbg } = await driving();
    const address = virtualAddress(0xfffff800_00020000n);
    await setting.run(windbg.request(windbg.compose(writeBreakPoint, { address })));
    windbg.close();
    await setting.settle(60_000);
    assert.equal(setting.companion.now.owner.kind, 'nobody');
    assert.equal(setting.client.state.kind, 'stopped');
    assert.deepEqual([...setting.table.values()], [address]);
    const next = await setting.attached(false);
    assert.equal(next.stops.length, 1);
    assert.equal(
      statusOf(await setting.run(next.request(next.compose(restoreBreakPoint, { handle: 1 })))),
      0,
    );
    assert.deepEqual([...setting.table.values()], []);
  });

  void it('D4 when VS Code leaves, who is at a stop drives from there', async () => {
    const { setting, windbg } = await lookingOn();
    setting.companion.hostLeft();
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');
    windbg.breakIn();
    assert.equal(kindOf(await setting.run(nth(windbg, 2))), 'exception');
  });
});

void describe('the guest', () => {
  void it('G1 that goes while it waits is a good-bye, then comes the next kernel', async () => {
    const { setting, windbg } = await driving();
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    setting.powerOff();
    assert.equal(kindOf(await setting.run(nth(windbg, windbg.stops.length + 1))), 'targetGone');
    await setting.run(windbg.order(go(windbg)));
    await setting.start();
    setting.target.breakNow(stopAt(0x5000n));
    assert.deepEqual(
      await setting.run(nth(windbg, windbg.stops.length + 1)),
      encodeStateChange(stopAt(0x5000n)),
    );
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), 0);
  });

  void it('G2 that goes while it is at a stop is a good-bye when it goes on', async () => {
    const { setting, windbg } = await driving();
    const before = windbg.stops.length;
    setting.powerOff();
    await setting.settle(1000);
    assert.equal(windbg.stops.length, before);
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), NtStatus.Unsuccessful);
    await setting.start();
    setting.target.breakNow(stopAt(0x5000n));
    await setting.settle();
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), NtStatus.Unsuccessful);
    await setting.run(windbg.order(go(windbg)));
    assert.equal(kindOf(await setting.run(nth(windbg, before + 1))), 'targetGone');
    await setting.run(windbg.order(go(windbg)));
    assert.deepEqual(await setting.run(nth(windbg, before + 2)), encodeStateChange(stopAt(0x5000n)));
  });

  void it('G3 that says good-bye itself is not said good-bye for', async () => {
    const { setting, windbg } = await driving();
    await setting.run(windbg.order(go(windbg)));
    const before = windbg.stops.length;
    setting.target.breakNow({ ...breakInStop, kind: 'targetGone' });
    assert.equal(kindOf(await setting.run(nth(windbg, before + 1))), 'targetGone');
    await setting.run(windbg.order(go(windbg)));
    setting.powerOff();
    await setting.settle(5000);
    assert.equal(windbg.stops.length, before + 1);
  });
});

void describe('handing over', () => {
  void it('H1 at the stop that it is at, it may go on; one that waits is shown the stop', async () => {
    const { setting, windbg } = await lookingOn();
    setting.companion.give();
    assert.deepEqual(setting.companion.now.owner, { kind: 'peer', hostLooksOn: true });
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'running');

    const other = await lookingOn();
    await other.setting.run(other.windbg.order(go(other.windbg)));
    other.setting.companion.give();
    await other.setting.settle();
    assert.equal(other.windbg.stops.length, 2);
    assert.equal(other.setting.client.state.kind, 'stopped');
  });

  void it('H2 while the kernel runs, it drives', async () => {
    const { setting, windbg } = await waiting();
    setting.companion.give();
    windbg.breakIn();
    assert.equal(kindOf(await setting.run(nth(windbg, 2))), 'exception');
    assert.equal(setting.wishes, 0);
  });

  void it('H3 it keeps its prompt, and looks on, when it is taken back', async () => {
    const { setting, windbg } = await lookingOn();
    setting.companion.give();
    void setting.companion.take();
    assert.equal(statusOf(await setting.run(windbg.request(read(windbg)))), 0);
    await setting.run(windbg.order(go(windbg)));
    await setting.settle();
    assert.equal(setting.client.state.kind, 'stopped');
  });

  void it('H4 it waits on when it is taken back while the kernel runs', async () => {
    const { setting, windbg } = await waiting();
    setting.companion.give();
    void setting.companion.take();
    windbg.breakIn();
    await setting.settle(1000);
    assert.equal(setting.wishes, 1);
    assert.equal(setting.client.state.kind, 'running');
  });

  void it('H5 to nobody is refused', async () => {
    const setting = await new CompanionSetting({ hasHost: true }).start();
    assert.throws(() => setting.companion.give(), fails('companion-absent'));
    setting.connect();
    await setting.settle();
    assert.throws(() => setting.companion.give(), fails('companion-absent'));
  });
});

void describe('what passes', () => {
  void it('goes to the kernel byte for byte, and its answer back, known or not, junk and all', async () => {
    const { setting, windbg } = await driving();
    const seen: Uint8Array[] = [];
    setting.target.server.serveRest((payload) => {
      seen.push(payload);
      return payload
        .map((byte) => byte ^ 0x5a)
        .fill(0, 0, 4)
        .map((byte, i) => (i < 4 ? payload[i]! : byte));
    });
    for (const size of [56, 57, 4000]) {
      const request = Uint8Array.from({ length: size }, (_, i) => (i * 37 + size) & 0xff);
      new DataView(request.buffer).setUint32(0, 0x3199, true);
      const reply = await setting.run(windbg.request(request));
      assert.deepEqual(seen.at(-1), request);
      assert.deepEqual(
        reply,
        request.map((byte, i) => (i < 4 ? byte : byte ^ 0x5a)),
      );
    }
    assert.deepEqual(setting.errors, []);
  });

  void it('a question of the kernel goes to who drives, and its answer back as it is', async () => {
    const setting = await new CompanionSetting().start();
    const asked: Uint8Array[] = [];
    const windbg = setting.connect({
      answer: ({ payload }) => {
        asked.push(payload);
        const answer = new Uint8Array(16 + 3);
        answer.set(payload.subarray(0, 16));
        new DataView(answer.buffer).setUint32(12, 3, true);
        answer.set(Buffer.from('yes'), 16);
        return answer;
      },
    });
    windbg.send(encodeControlPacket(PacketType.Reset, 0));
    await setting.settle();
    assert.equal(await setting.run(setting.target.server.prompt('really?', 10)), 'yes');
    assert.equal(asked.length, 1);
    windbg.close();
    await setting.settle();
    assert.equal(await setting.run(setting.target.server.prompt('really?', 10)), '');
  });

  void it('a debugger that dies over a question leaves it to the others', async () => {
    const setting = await new CompanionSetting().start();
    const windbg = setting.connect();
    windbg.send(encodeControlPacket(PacketType.Reset, 0));
    await setting.settle();
    const answer = setting.target.server.prompt('really?', 10);
    await setting.settle();
    assert.equal(windbg.seen.at(-1), 'data 3 80800800');
    windbg.close();
    assert.equal(await setting.run(answer), '');
  });
});

/** Not narrowed by the compiler: it changes behind its back. */
const kindNow = ({ client }: CompanionSetting): string => client.state.kind;

async function until(setting: CompanionSetting, condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setting.clock.after(10, resolve));
}

/** The nth stop that it got, from 1. */
async function nth(windbg: ScriptedDebugger, n: number): Promise<Uint8Array> {
  await windbg.until(() => windbg.stops.length >= n, `stop ${n}`);
  return windbg.stops[n - 1]!;
}
