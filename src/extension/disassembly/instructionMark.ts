/** The instruction at which the selected frame stands, marked in documents of code. */

import * as vscode from 'vscode';
import type { KernelSession } from '../session/sessions';
import type { Listing } from './listing';

export class InstructionMark implements vscode.Disposable {
  readonly #type = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor('editor.stackFrameHighlightBackground'),
    overviewRulerColor: new vscode.ThemeColor('editor.stackFrameHighlightBackground'),
  });

  dispose(): void {
    this.#type.dispose();
  }

  async show(
    editors: readonly vscode.TextEditor[],
    session: KernelSession | undefined,
    listingOfDocument: (document: vscode.TextDocument) => Listing | undefined,
  ): Promise<void> {
    const at = await instructionPointer(session);
    for (const editor of editors) {
      const listing = listingOfDocument(editor.document);
      const line = listing?.lines.findIndex(({ address }) => address !== undefined && address === at) ?? -1;
      editor.setDecorations(this.#type, line < 0 ? [] : [new vscode.Range(line, 0, line, 0)]);
    }
  }
}

/** Of the frame that is selected; undefined: there is none. */
async function instructionPointer(session: KernelSession | undefined): Promise<bigint | undefined> {
  const frameId = session?.frameId;
  if (session === undefined || frameId === undefined) return undefined;
  try {
    return BigInt((await session.own('vmkd/locate', { expression: '@rip', frameId })).memoryReference);
  } catch {
    // It runs on.
    return undefined;
  }
}
