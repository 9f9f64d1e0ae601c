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
      const { memoryReference } = (await session.customRequest('vmkd/locate', {
        expression: '@rsp',
        frameId: frame.frameId,
      })) as { memoryReference: string };
      assert.match(memoryReference, /^0xffff[0-9a-f]{12}$/);
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
