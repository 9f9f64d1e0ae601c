/**
 * Steps as VS Code makes them, by any debug adapter: `next`, then what the views ask for when it has stopped. Used by the
 * bench of the adapter, for ours and for LLDB's alike.
 *
 *   client    next ─▶ … stopped ─▶ stackTrace ─▶ … ─▶ scopes ─▶ … ─▶ variables ─▶ …
 *   counts         ├──────────┤              ├───┤        ├───┤           ├───┤      until the answer is read; the rest is the client's
 *
 * Invariants: both adapters run from the same place of the same function through the same lines, and show the same number of
 * frames: whoever compares them compares `way`. What warms up is not counted.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { timeAfter } from '../fixtures/timeAfter';

/** Unoptimised, four calls deep in the driver, with a loop, a call, a pointer to a structure among its locals. */
export const steppedFunction = 'Middle';
/** Up to its last line. */
const stepsOfVisit = 16;
const warmingVisits = 20;
const countedVisits = 6;
export const countedSteps = countedVisits * stepsOfVisit;

export interface StepTime {
  /** Milliseconds from `next` to the last variable of the top frame, as a person sees it. */
  readonly whole: number;
  /** Milliseconds in which the client waited for the adapter. */
  readonly answered: number;
  /** Milliseconds of them in which the adapter waited for its target. */
  readonly waited: number;
}

export interface Stepped {
  readonly times: readonly StepTime[];
  /** Where each step ended, and how many frames were shown. */
  readonly way: readonly string[];
}

const stopLimit = 20_000;

/** A debug adapter on stdio. */
export class TimedAdapter extends DebugClient {
  readonly #child: ChildProcess;
  #arrivedAt = 0;

  constructor(command: string, args: readonly string[] = []) {
    super('', command, 'timed');
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', () => {
      this.#arrivedAt = performance.now();
    });
    this.connect(child.stdout, child.stdin);
  }

  /** @returns What came, and the milliseconds from when the request was written until it came. */
  async timed<T>(ask: () => Promise<T>, awaited?: Promise<unknown>): Promise<{ answer: T; time: number }> {
    let asked: Promise<T> | undefined;
    const written = timeAfter(() => (asked = ask()));
    await (awaited ?? asked);
    // Nothing else has been read since: promises are run before the next event.
    const time = this.#arrivedAt - written;
    return { answer: await asked!, time };
  }

  nextStop(): Promise<P.StoppedEvent> {
    return this.waitForEvent('stopped', stopLimit) as Promise<P.StoppedEvent>;
  }

  /** Stops at the given function. It must run. */
  async stopAt(functionName: string, run: () => Promise<unknown>): Promise<number> {
    await this.setFunctionBreakpointsRequest({ breakpoints: [{ name: functionName }] });
    const stopped = this.nextStop();
    await run();
    return (await stopped).body.threadId!;
  }

  /** Ends it by closing its input, or at once. */
  async end(how: 'kindly' | 'at once'): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (how === 'kindly') this.#child.stdin?.end();
    else this.#child.kill('SIGKILL');
    await exited;
  }
}

/**
 * Steps through a function as often as it is called.
 * @param threadId Stands at a breakpoint at its start. @param takeWaited Milliseconds waited since the last call.
 */
export async function stepThrough(
  client: TimedAdapter,
  threadId: number,
  takeWaited: () => number,
  onCounted: () => void,
): Promise<Stepped> {
  const times: StepTime[] = [];
  const way: string[] = [];
  for (let visit = 0; visit < warmingVisits + countedVisits; visit++) {
    if (visit === warmingVisits) onCounted();
    if (visit > 0) {
      const stopped = client.nextStop();
      await client.continueRequest({ threadId });
      await stopped;
    }
    await showStop(client, threadId);
    for (let i = 0; i < stepsOfVisit; i++) {
      const { place, time } = await step(client, threadId, takeWaited);
      if (visit < warmingVisits) continue;
      times.push(time);
      way.push(place);
    }
  }
  return { times, way };
}

async function step(
  client: TimedAdapter,
  threadId: number,
  takeWaited: () => number,
): Promise<{ place: string; time: StepTime }> {
  takeWaited();
  const started = performance.now();
  const stopped = client.nextStop();
  const { time } = await client.timed(() => client.nextRequest({ threadId, granularity: 'line' }), stopped);
  const shown = await showStop(client, threadId);
  if (!shown.locals.includes('Node')) throw new Error(`The locals are ${shown.locals.join(', ')}`);
  const whole = performance.now() - started;
  return { place: shown.place, time: { whole, answered: time + shown.time, waited: takeWaited() } };
}

/** Stack, scopes, and the locals of the top frame. @returns What there is, and the milliseconds that the answers took. */
export async function showStop(
  client: TimedAdapter,
  threadId: number,
): Promise<{ place: string; locals: readonly string[]; time: number }> {
  const stack = await client.timed(() => client.stackTraceRequest({ threadId, startFrame: 0, levels: 20 }));
  const { stackFrames } = stack.answer.body;
  const [top] = stackFrames;
  const scopes = await client.timed(() => client.scopesRequest({ frameId: top!.id }));
  const found = scopes.answer.body.scopes.find(({ name }) => name === 'Locals');
  if (found === undefined) throw new Error('The top frame has no locals');
  const { variablesReference } = found;
  const locals = await client.timed(() => client.variablesRequest({ variablesReference }));
  return {
    place: `line ${top!.line}, ${stackFrames.length} frames`,
    locals: locals.answer.body.variables.map(({ name }) => name),
    time: stack.time + scopes.time + locals.time,
  };
}
