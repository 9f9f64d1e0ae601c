/** Reading memory of any space: for pages, and into files. */

import { homedir } from 'node:os';
import * as vscode from 'vscode';
import type { KernelSession } from '../session/sessions';
import type { Space } from '../webviews/messages';

const mostSaved = 64 << 20;
const savePiece = 1 << 20;

/** Asks for a file. @throws if not all of it can be read */
export async function save(
  session: KernelSession,
  space: Space,
  address: string,
  count: number,
): Promise<void> {
  if (count > mostSaved) throw new Error(`At most ${mostSaved >> 20} MiB are saved at once`);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file(homedir());
  const target = await vscode.window.showSaveDialog({
    saveLabel: 'Save memory',
    title: `${count} bytes at ${address}`,
    defaultUri: vscode.Uri.joinPath(folder, `memory-${address.slice(2)}.bin`),
  });
  if (target === undefined) return;
  const pieces: Buffer[] = [];
  for (let done = 0; done < count; done += savePiece) {
    const wanted = Math.min(savePiece, count - done);
    const at = `0x${(BigInt(address) + BigInt(done)).toString(16).padStart(16, '0')}`;
    const { data } = await session.own('vmkd/readMemory', { space, address: at, count: wanted });
    const piece = Buffer.from(data, 'base64');
    if (piece.length < wanted)
      throw new Error(`Not all of the memory can be read: it ends after ${done + piece.length} bytes`);
    pieces.push(piece);
  }
  await vscode.workspace.fs.writeFile(target, Buffer.concat(pieces));
}
