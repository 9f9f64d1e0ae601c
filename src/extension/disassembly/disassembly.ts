/** Commands that show code as documents (codeDocuments.ts), and that lead from code and frames to memory. */

import * as vscode from 'vscode';
import { reference } from '../memory/units';
import { commands } from '../names';
import { sessionMeant, withSession } from '../session/orders';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { CodeDocuments } from './codeDocuments';
import { frameMeant } from './frameMeant';

export function registerDisassembly(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const documents = new CodeDocuments(sessions);
  subscriptions.push(
    documents,
    ...documents.register(),
    vscode.commands.registerCommand(commands.openDisassembly, async (given?: unknown) => {
      const meant = sessionMeant(sessions, given);
      const expression = typeof given === 'string' ? given : await askForExpression();
      if (expression === undefined || expression.trim() === '') return;
      await withSession(meant, async (session) => {
        const { frameId } = session;
        const args = frameId === undefined ? { expression } : { expression, frameId };
        await documents.open(session, BigInt((await session.own('vmkd/locate', args)).memoryReference));
      });
    }),
    vscode.commands.registerCommand(commands.disassembleLine, async () => {
      const editor = vscode.window.activeTextEditor;
      if (editor?.document.uri.scheme !== 'file') return;
      const { document, selection } = editor;
      await withSession(sessions.shown, async (session) => {
        const line = selection.active.line + 1;
        const { memoryReference } = await session.own('vmkd/locateLine', { path: document.uri.fsPath, line });
        await documents.open(session, BigInt(memoryReference));
      });
    }),
    vscode.commands.registerCommand(commands.disassembleStackFrame, (...given: unknown[]) =>
      withFrame(sessions, given, async (session, frame) => {
        await documents.open(session, BigInt(frame.instructionPointerReference));
      }),
    ),
    vscode.commands.registerCommand(commands.openMemoryOfStackFrame, (...given: unknown[]) =>
      withFrame(sessions, given, async (session, { id }) => {
        const stack = await session.own('vmkd/locate', { expression: '@rsp', frameId: id });
        await openMemory(session, stack.memoryReference);
      }),
    ),
    vscode.commands.registerCommand(commands.openMemoryOfCode, async () => {
      const editor = vscode.window.activeTextEditor;
      const session = editor && sessions.byId(editor.document.uri.query);
      const address = editor && documents.addressAt(editor);
      if (session !== undefined && address !== undefined) await openMemory(session, reference(address));
    }),
  );
}

const openMemory = (session: KernelSession, memoryReference: string): Thenable<unknown> =>
  vscode.commands.executeCommand(commands.openMemory, memoryReference, session.session.id);

/** Of the call stack, as its menu names it. */
async function withFrame(
  sessions: KernelSessions,
  given: readonly unknown[],
  action: (session: KernelSession, frame: StackFrame) => Promise<unknown>,
): Promise<void> {
  const meant = frameMeant(given);
  if (meant === undefined) return;
  await withSession(sessions.byId(meant.sessionId), async (session) => {
    const args = { threadId: meant.threadId, startFrame: meant.index, levels: 1 };
    const [frame] = (await session.ask<{ stackFrames: readonly StackFrame[] }>('stackTrace', args))
      .stackFrames;
    if (frame === undefined) throw new Error('The frame is of an earlier stop');
    await action(session, frame);
  });
}

/** Of DAP's stackTrace. */
interface StackFrame {
  readonly id: number;
  readonly instructionPointerReference: string;
}

const askForExpression = (): Thenable<string | undefined> =>
  vscode.window.showInputBox({
    prompt: 'The code at which address?',
    placeHolder: 'nt!KeSetEvent, @rip, poi(@rsp), 0xfffff80312345678',
    value: '@rip',
    ignoreFocusOut: true,
  });
