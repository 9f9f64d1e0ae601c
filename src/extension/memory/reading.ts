/** Reading memory of any space beyond what a page shows: to be copied, and into files. */

import { homedir } from 'node:os';
import * as vscode from 'vscode';
import type { KernelSession } from '../session/sessions';
import type { Space } from '../webviews/messages';
import { copiedText } from './copied';
import { pageBytes, PageStore } from './pageStore';
import { reference, type Unit } from './units';

/** A range of it. */
interface Range {
  readonly space: Space;
  readonly address: string;
  /** Bytes. */
  readonly count: number;
}

const mostSaved = 64 << 20;
const savePiece = 1 << 20;
/** Milliseconds: what is over sooner is not shown. */
const patience = 1000;

/** Puts it into the clipboard. @throws what the adapter answers, if the user gives it up */
export async function copy(session: KernelSession, range: Range, unit: Unit): Promise<void> {
  const from = BigInt(range.address);
  const to = from + BigInt(range.count);
  const text = await patiently(`Copying ${range.count} bytes`, async ({ signal }) => {
    const store = await readPages(session, range.space, { from, to }, signal);
    return copiedText({ from, to, unit }, (at) => store.page(at / BigInt(pageBytes)));
  });
  if (text === undefined) throw new Error('Not all of the memory can be read');
  await vscode.env.clipboard.writeText(text);
}

/** @returns All pages of [from, to) of which the adapter says anything. @throws what it answers */
async function readPages(
  session: KernelSession,
  space: Space,
  { from, to }: { readonly from: bigint; readonly to: bigint },
  signal: AbortSignal,
): Promise<PageStore> {
  const store = new PageStore();
  const size = BigInt(pageBytes);
  // A run ends where an answer does: the rest of it is wanted again.
  for (let hasCome = true; hasCome;) {
    hasCome = false;
    for (const run of store.wanted(from / size, (to - 1n) / size)) {
      const args = { space, address: reference(run.page * size), count: run.count * pageBytes };
      const { data, unreadableBytes } = await session.own('vmkd/readMemory', args, signal);
      // It may have come to its end all the same.
      signal.throwIfAborted();
      store.received(run, Buffer.from(data, 'base64'), unreadableBytes);
      hasCome ||= data !== '' || unreadableBytes > 0;
    }
  }
  return store;
}

/** Asks for a file. @throws if not all of it can be read, if the user gives it up */
export async function save(session: KernelSession, { space, address, count }: Range): Promise<void> {
  if (count > mostSaved) throw new Error(`At most ${mostSaved >> 20} MiB are saved at once`);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file(homedir());
  const target = await vscode.window.showSaveDialog({
    saveLabel: 'Save memory',
    title: `${count} bytes at ${address}`,
    defaultUri: vscode.Uri.joinPath(folder, `memory-${address.slice(2)}.bin`),
  });
  if (target === undefined) return;
  const bytes = await patiently(`Saving ${count} bytes`, async ({ signal, report }) => {
    const pieces: Buffer[] = [];
    for (let done = 0; done < count; done += savePiece) {
      const wanted = Math.min(savePiece, count - done);
      const args = { space, address: reference(BigInt(address) + BigInt(done)), count: wanted };
      const { data } = await session.own('vmkd/readMemory', args, signal);
      signal.throwIfAborted();
      const piece = Buffer.from(data, 'base64');
      if (piece.length < wanted)
        throw new Error(`Not all of the memory can be read: it ends after ${done + piece.length} bytes`);
      pieces.push(piece);
      report((done + wanted) / count);
    }
    return Buffer.concat(pieces);
  });
  await vscode.workspace.fs.writeFile(target, bytes);
}

interface Patience {
  /** The user gives it up. */
  readonly signal: AbortSignal;
  /** @param part 0 to 1. */
  readonly report: (part: number) => void;
}

/** Shows how far it is, if it takes long. @throws what it throws */
async function patiently<T>(title: string, action: (patience: Patience) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let message = '';
  let show: (() => void) | undefined;
  const done = action({
    signal: abort.signal,
    report: (part) => {
      message = `${Math.floor(part * 100)} %`;
      show?.();
    },
  });
  const timer = setTimeout(() => {
    const location = vscode.ProgressLocation.Notification;
    void vscode.window.withProgress({ location, title, cancellable: true }, async (progress, token) => {
      token.onCancellationRequested(() => abort.abort());
      show = () => progress.report({ message });
      show();
      await done.catch(() => undefined);
    });
  }, patience);
  try {
    return await done;
  } finally {
    clearTimeout(timer);
  }
}
