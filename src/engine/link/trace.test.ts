import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ModelTarget, modelBase } from '../../../test/fixtures/modelTarget';
import { tempFolder } from '../../../test/fixtures/tempFolder';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { VmkdError, type ErrorCode } from '../core/errors';
import { KdClient } from '../kd/client';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { KdcomChannel } from './kdcomChannel';
import { memoryLinkPair } from './memoryLink';
import { TraceWriter, formatTraceEvent, readTraceChunks, traceEvents, traced } from './trace';

const fails = (code: ErrorCode) => (error: unknown) => error instanceof VmkdError && error.code === code;

void describe('packet trace', () => {
  void it('tells a session in words', async (t) => {
    const file = path.join(tempFolder(t), 'session.trace');
    const clock = new VirtualClock();
    const [near, far] = memoryLinkPair(clock);
    const writer = new TraceWriter(file, 'memory:near', clock, (error) => assert.fail(error));
    const target = new ModelTarget(far, clock);
    const client = new KdClient({
      clock,
      open: (owner) =>
        Promise.resolve(new KdcomChannel(traced(near, writer), owner, { role: 'debugger', clock })),
    });
    await clock.run(client.attach({ breakIn: true, milliseconds: 5000 }));
    await clock.run(client.request(readVirtualMemory, { address: modelBase, count: 8 }));
    const print = target.server.print('hello\n');
    await clock.run(print);
    await clock.run(client.continue());
    client.detach();
    writer.close();

    const lines = [...traceEvents(readTraceChunks(file))].map((event) => formatTraceEvent(event));
    for (const expected of [
      /→ break-in$/,
      /→ 00000000 Reset$/,
      /← 80800000 StateChange64 exception 80000003 first chance/,
      /→ 80800000 StateManipulate GetVersion cpu 0$/,
      /← 8080000\d StateManipulate GetVersion 0x00000000 \(Success\) .*minorVersion 19041/,
      /→ 8080000\d StateManipulate ReadVirtualMemory cpu 0 address fffff800`00000000 count 8$/,
      /← 8080000\d StateManipulate ReadVirtualMemory .*actual 8 \[8 bytes: 00 00/,
      /← 8080000\d DebugIo "hello\\n"$/,
      /→ 8080000\d StateManipulate Continue2 cpu 0 continueStatus 0x10002/,
      /→ 8080000\d Acknowledge$/,
    ]) {
      assert.ok(
        lines.some((line) => expected.test(line)),
        `${String(expected)} in\n${lines.join('\n')}`,
      );
    }
  });

  void it('shows noise, and a packet that never ended', (t) => {
    const file = path.join(tempFolder(t), 'x');
    writeFileSync(file, '{"vmkdTrace":1}\n[1,"<","8182"]\n[2,"<","83303030300700"]\n');
    const lines = [...traceEvents(readTraceChunks(file))].map((event) => formatTraceEvent(event));
    assert.deepEqual(
      lines.map((line) => line.trim()),
      [
        '1.000 ← 2 bytes that belong to no packet',
        '2.000 ← 1 bytes that belong to no packet',
        '2.000 ← a packet that never ended',
      ],
    );
  });

  void it('outlives an attempt that never got anywhere', (t) => {
    const folder = tempFolder(t);
    const file = path.join(folder, 'old.trace');
    writeFileSync(file, 'precious');
    const clock = new VirtualClock();
    const writer = new TraceWriter(file, 'l', clock, (error) => assert.fail(error));
    writer.close();
    assert.equal(readFileSync(file, 'utf8'), 'precious');
    const next = new TraceWriter(file, 'l', clock, (error) => assert.fail(error));
    next.record('>', Uint8Array.of(0x62));
    next.close();
    assert.equal([...readTraceChunks(file)].length, 1);
    assert.deepEqual(readdirSync(folder), ['old.trace']);
  });

  void it('that cannot be written is an error before the session', (t) => {
    const clock = new VirtualClock();
    assert.throws(
      () => new TraceWriter(path.join(tempFolder(t), 'absent', 'x'), 'l', clock, () => undefined),
      fails('file-unwritable'),
    );
  });

  void it('that is damaged or no trace is refused, with the line', (t) => {
    const folder = tempFolder(t);
    const write = (text: string): string => {
      const file = path.join(folder, 'x');
      writeFileSync(file, text);
      return file;
    };
    const head = '{"vmkdTrace":1,"link":"l","started":"s"}\n';
    assert.throws(() => [...readTraceChunks(path.join(folder, 'absent'))], fails('file-unreadable'));
    for (const text of [
      '',
      'x\n',
      '{"vmkdTrace":2}\n',
      `${head}[1,">","6"]\n`,
      `${head}[1,"?","62"]\n`,
      `${head}{}\n`,
    ]) {
      assert.throws(() => [...readTraceChunks(write(text))], fails('trace-damaged'), text);
    }
    const cut = readTraceChunks(write(`${head}[1,">","62"]\n[2,">","6`));
    assert.deepEqual(cut.next().value, { milliseconds: 1, sender: 'debugger', bytes: Buffer.from('b') });
    assert.throws(() => cut.next(), /:3 is no chunk/);
  });
});
