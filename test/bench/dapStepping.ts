// One step as VS Code makes it, by any debug adapter: `next`, then what the views ask for when it has stopped.
// Used by the bench of the adapter, for ours and for LLDB's alike.

import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol as P } from '@vscode/debugprotocol';

export interface StepTime {
  /** Milliseconds from `next` to the last variable of the top frame. */
  readonly whole: number;
  /** Milliseconds of them in which the adapter waited for its target. */
  readonly waited: number;
}

const stopLimit = 20_000;

/** @param takeWaited Milliseconds waited since the last call. */
export async function timeSteps(
  client: DebugClient,
  threadId: number,
  count: number,
  takeWaited: () => number,
): Promise<StepTime[]> {
  const times: StepTime[] = [];
  for (let i = 0; i < count; i++) {
    takeWaited();
    const started = performance.now();
    const stopped = client.waitForEvent('stopped', stopLimit);
    await client.nextRequest({ threadId });
    await stopped;
    const variables = await showStop(client, threadId);
    times.push({ whole: performance.now() - started, waited: takeWaited() });
    if (variables === 0) throw new Error('The top frame has no variables');
  }
  return times;
}

/** Stack, scopes, and the locals of the top frame. @returns How many locals there are. */
export async function showStop(client: DebugClient, threadId: number): Promise<number> {
  const { body } = await client.stackTraceRequest({ threadId, startFrame: 0, levels: 20 });
  const frameId = body.stackFrames[0]!.id;
  const { scopes } = (await client.scopesRequest({ frameId })).body;
  const locals = scopes.find(
    ({ name, presentationHint }) => presentationHint === 'locals' || name === 'Locals',
  );
  if (locals === undefined) throw new Error(`No locals among ${scopes.map(({ name }) => name).join(', ')}`);
  const { variables } = (await client.variablesRequest({ variablesReference: locals.variablesReference }))
    .body;
  return variables.length;
}

/** LLDB's debug adapter, on stdio. */
export class LldbClient extends DebugClient {
  readonly #child: ChildProcess;

  constructor(command: string) {
    super('', command, 'lldb-vscode');
    const child = spawn(command, [], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    this.connect(child.stdout, child.stdin);
  }

  /** Attaches to QEMU's gdbstub, and stops at the given function. @returns The thread that stopped there. */
  async stopAt(
    image: string,
    base: bigint,
    imageBase: bigint,
    port: number,
    functionName: string,
  ): Promise<number> {
    await this.initializeRequest();
    const initialized = this.waitForEvent('initialized', stopLimit);
    const attached = this.attachRequest({
      program: image,
      stopOnEntry: false,
      initCommands: ['settings set plugin.process.gdb-remote.packet-timeout 60'],
      attachCommands: [
        `process connect --plugin gdb-remote connect://127.0.0.1:${port}`,
        `target modules load --file ${image} --slide ${BigInt.asUintN(64, base - imageBase)}`,
      ],
    } as P.AttachRequestArguments);
    await initialized;
    await this.setFunctionBreakpointsRequest({ breakpoints: [{ name: functionName }] });
    const stopped = this.waitForEvent('stopped', stopLimit) as Promise<P.StoppedEvent>;
    await this.configurationDoneRequest();
    await attached;
    const { body } = await stopped;
    await this.setFunctionBreakpointsRequest({ breakpoints: [] });
    return body.threadId!;
  }

  async end(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
