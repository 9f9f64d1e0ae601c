/** The text of source files that code names, as far as they are here. */

import * as vscode from 'vscode';
import type { CodeRow } from './listing';

/** Bytes: larger files are no source. */
const largestFile = 8 << 20;

/** @returns The text of a line, from 1; undefined where the file is not here. */
export async function sourceLines(
  rows: readonly CodeRow[],
): Promise<(path: string, line: number) => string | undefined> {
  const paths = new Set(rows.flatMap(({ location }) => location?.path ?? []));
  const files = new Map<string, readonly string[]>();
  await Promise.all(
    [...paths].map(async (path) => {
      const lines = await read(vscode.Uri.file(path));
      if (lines !== undefined) files.set(path, lines);
    }),
  );
  return (path, line) => files.get(path)?.[line - 1];
}

async function read(uri: vscode.Uri): Promise<readonly string[] | undefined> {
  try {
    const { size } = await vscode.workspace.fs.stat(uri);
    if (size > largestFile) return undefined;
    return Buffer.from(await vscode.workspace.fs.readFile(uri))
      .toString()
      .split('\n');
  } catch {
    return undefined;
  }
}
