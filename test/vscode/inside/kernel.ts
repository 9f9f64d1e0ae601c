/** A kernel is debugged by the API that VS Code gives to extensions. */

import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';
import { lineOf } from '../../fixtures/demoSource';
import type { Bdd } from './run';

/** Given by the test that has started this VS Code. */
const { VMKD_INSIDE_LINK: link, VMKD_INSIDE_SYMBOLS: symbolPath } = process.env;

export function kernelSuite({ after, before, describe, it }: Bdd): void {
  describe('a kernel', () => {
    let session: vscode.DebugSession;
    const stops = new Stops();
    const locate = async (expression: string, frameId?: number): Promise<string> => {
      const args = { expression, ...(frameId !== undefined && { frameId }) };
      const found: unknown = await session.customRequest('vmkd/locate', args);
      return (found as { memoryReference: string }).memoryReference;
    };
    before(() => stops.follow());
    after(() => stops.dispose());

    it('is attached to, and stands', async () => {
      const configuration = {
        type: 'vmkd',
        request: 'attach',
        name: 'Attach to VMware kernel',
        link,
        symbolPath,
      };
      assert.equal(await vscode.debug.startDebugging(undefined, configuration), true);
      assert.equal((await stops.next()).description, 'Paused on attach');
      session = vscode.debug.activeDebugSession!;
      assert.equal(session.type, 'vmkd');
    });

    it('stops at a breakpoint that an extension sets', async () => {
      const file = path.resolve(process.env['VMKD_INSIDE_SOURCES']!, 'work.c');
      const line = lineOf('work.c', 'VmkDemoWorkCalls++;');
      const breakpoint = new vscode.SourceBreakpoint(
        new vscode.Location(vscode.Uri.file(file), new vscode.Position(line - 1, 0)),
      );
      vscode.debug.addBreakpoints([breakpoint]);
      await session.customRequest('continue', { threadId: 1 });
      assert.equal((await stops.next()).reason, 'breakpoint');
      const bound = (await session.getDebugProtocolBreakpoint(breakpoint)) as { verified?: boolean };
      assert.equal(bound.verified, true);
      vscode.debug.removeBreakpoints([breakpoint]);
    });

    it('has the frame as the selected one', async () => {
      const frame = await stops.frame();
      assert.equal(frame.session.id, session.id);
      assert.match(await locate('@rsp', frame.frameId), /^0xffff[0-9a-f]{12}$/);
    });

    it('shows its memory in VS Code’s own hex view, and says there what was written and when it has stopped', async () => {
      const memoryReference = await locate('&vmkdemo!VmkDemoWatched');
      const view = new HexView(session, memoryReference);
      try {
        const [first] = await view.read(1);
        const wanted = first === 0x5a ? 0xa5 : 0x5a;
        // Our own views look at more than VS Code has panes.
        for (let page = 0; page < 100; page++)
          await session.customRequest('vmkd/readMemory', {
            space: { kind: 'virtual' },
            address: `0x${(BigInt(memoryReference) + BigInt(page * 4096)).toString(16)}`,
            count: 16,
          });
        const written = view.changed();
        await session.customRequest('evaluate', {
          expression: `*(unsigned char *)${memoryReference} = ${wanted}`,
          context: 'repl',
        });
        await written;
        assert.deepEqual([...(await view.read(1))], [wanted]);
        const stopped = view.changed();
        await session.customRequest('next', { threadId: (await stops.frame()).threadId });
        assert.equal((await stops.next()).reason, 'step');
        await stopped;
      } finally {
        view.dispose();
      }
    });

    it('is stepped, and let go', async () => {
      const { threadId } = await stops.frame();
      await session.customRequest('next', { threadId });
      assert.equal((await stops.next()).reason, 'step');
      const ended = new Promise<void>((resolve) => {
        const listener = vscode.debug.onDidTerminateDebugSession(() => {
          listener.dispose();
          resolve();
        });
      });
      await vscode.debug.stopDebugging(session);
      await ended;
    });
  });
}

/** What the hex editor opens for a variable: a file of VS Code's, which reads memory, and is told of when it changes. */
class HexView implements vscode.Disposable {
  readonly #uri: vscode.Uri;
  readonly #watcher: vscode.FileSystemWatcher;

  constructor(session: vscode.DebugSession, memoryReference: string) {
    this.#uri = vscode.Uri.from({
      scheme: 'vscode-debug-memory',
      authority: session.id,
      path: `/${encodeURIComponent(memoryReference)}/memory.bin`,
      query: '?range=0:16',
    });
    this.#watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(this.#uri, '*'));
  }

  async read(count: number): Promise<Uint8Array> {
    return (await vscode.workspace.fs.readFile(this.#uri)).subarray(0, count);
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      const listener = this.#watcher.onDidChange(() => {
        listener.dispose();
        resolve();
      });
    });
  }

  dispose(): void {
    this.#watcher.dispose();
  }
}

interface StoppedBody {
  readonly reason: string;
  readonly description?: string;
}

/** The stops of all sessions, one after the other. */
class Stops implements vscode.Disposable {
  readonly #waiting: ((stop: StoppedBody) => void)[] = [];
  readonly #unseen: StoppedBody[] = [];
  #tracker: vscode.Disposable | undefined;

  follow(): void {
    this.#tracker = vscode.debug.registerDebugAdapterTrackerFactory('vmkd', {
      createDebugAdapterTracker: () => ({
        onDidSendMessage: ({ event, body }: { event?: string; body?: unknown }) => {
          if (event !== 'stopped') return;
          const waiting = this.#waiting.shift();
          if (waiting !== undefined) waiting(body as StoppedBody);
          else this.#unseen.push(body as StoppedBody);
        },
      }),
    });
  }

  next(): Promise<StoppedBody> {
    const unseen = this.#unseen.shift();
    return unseen === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(unseen);
  }

  /** The frame that VS Code has selected, as soon as it has. */
  async frame(): Promise<vscode.DebugStackFrame> {
    for (;;) {
      const item = vscode.debug.activeStackItem;
      if (item instanceof vscode.DebugStackFrame) return item;
      await new Promise<void>((resolve) => {
        const listener = vscode.debug.onDidChangeActiveStackItem(() => {
          listener.dispose();
          resolve();
        });
      });
    }
  }

  dispose(): void {
    this.#tracker?.dispose();
  }
}
