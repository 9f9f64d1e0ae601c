// test-limit: 600 s
/**
 * KD conformance: the same cases against the demo kernel's kdcom over its UART, and against the companion pipe in front of the
 * same kernel, in the same stop; with every request going to the kernel, and with memory read from guest RAM and the machine
 * parked wherever it can be. Every reply must be equal.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/engine/core/clock';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { Bridge } from '../fixtures/bridge';
import { buildCli } from '../fixtures/cli';
import { conformanceCases, type Case } from '../fixtures/conformance/cases';
import { Dialogue, difference } from '../fixtures/conformance/dialogue';
import { monitorsIn } from '../fixtures/monitors';
import { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

type Transcripts = ReadonlyMap<string, readonly string[]>;

let machine: DemoMachine;
const { folder, remove } = temporaryFolder();

before(async () => {
  buildCli();
  machine = await bootDemoKernel({ qemuArgs: monitorsIn(folder).qemuArgs });
});

after(async () => {
  await machine.stop();
  remove();
});

/** @param attached What `windbg` says the stop is. */
async function transcripts(windbg: ScriptedDebugger, cases: readonly Case[]): Promise<Transcripts> {
  const all = new Map<string, readonly string[]>();
  const stop = decodeStateChange(await windbg.attach());
  assert.equal(stop.kind, 'exception');
  for (const { name, run } of cases) {
    const dialogue = new Dialogue(windbg, stop, machine);
    await run(dialogue).catch((thrown: unknown) => dialogue.note(`failed: ${String(thrown)}`));
    all.set(name, dialogue.lines);
  }
  return all;
}

async function overUart(cases: readonly Case[]): Promise<Transcripts> {
  const endpoint = createEndpoint(machine.kdLink);
  const link = await endpoint.open({ waitMilliseconds: 10_000 });
  const windbg = new ScriptedDebugger(link, systemClock);
  try {
    return await transcripts(windbg, cases);
  } finally {
    windbg.close();
    await endpoint.dispose();
  }
}

async function overPipe(
  cases: readonly Case[],
  args: readonly string[],
  ...ways: readonly RegExp[]
): Promise<Transcripts> {
  const bridge = new Bridge(machine.kdLink, folder, [...args, '--leave-stopped']);
  try {
    await bridge.said(/the kernel stands/);
    const windbg = await bridge.debugger();
    const all = await transcripts(windbg, cases);
    for (const way of ways) await bridge.said(way);
    return all;
  } finally {
    await bridge.end();
  }
}

type Way = (cases: readonly Case[]) => Promise<Transcripts>;

/** A byte that comes 100 ms late is damage to a kernel: on a busy machine, what differs is asked so often, everywhere. */
const mostTries = 3;

void describe('conformance', () => {
  const ways: Record<string, Way> = {
    'the UART': overUart,
    'the pipe': (cases) => overPipe(cases, ['--serial', '--park', '0']),
    // The machine rests between any two requests that take so long to come.
    'the pipe with guest RAM, parked': (cases) =>
      overPipe(cases, ['--park', '0.005'], /memory is read from the backing file/, /the machine rests/),
    // What the other two have left is what they found.
    'the UART, once more': (cases) => overUart(cases.filter((one) => one === conformanceCases[0])),
  };
  const found = new Map<string, Map<string, readonly string[]>>();

  const isEqual = ({ name }: Case): boolean => {
    const [first, ...others] = [...found.values()]
      .map((all) => all.get(name))
      .filter((lines) => lines !== undefined);
    return first !== undefined && others.every((lines) => difference(first, lines) === undefined);
  };

  before(async () => {
    let cases = conformanceCases;
    for (let tries = 0; tries < mostTries && cases.length > 0; tries++) {
      for (const [way, talk] of Object.entries(ways)) {
        const all = found.get(way) ?? new Map<string, readonly string[]>();
        found.set(way, all);
        for (const [name, lines] of await talk(cases)) all.set(name, lines);
      }
      cases = cases.filter((one) => !isEqual(one));
      for (const { name } of cases) process.stderr.write(`“${name}” differs\n`);
    }
  });

  for (const { name } of conformanceCases) {
    void it(name, () => {
      const expected = found.get('the UART')!.get(name)!;
      assert.ok(expected.length > 3, 'it says nothing');
      assert.ok(!expected.some((line) => line.startsWith('failed')), expected.at(-1));
      for (const [way, all] of found) {
        const lines = all.get(name);
        if (lines === undefined) continue;
        const where = difference(expected, lines);
        assert.equal(where, undefined, `${way}: ${where}`);
      }
    });
  }
});
