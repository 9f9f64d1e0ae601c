/** The text of source files that code names, as far as they are here. */

import * as vscode from 'vscode';
import { sourceUri, type NamedSource } from '../session/sourceUri';
import type { CodeRow } from './listing';

/** Bytes: larger files are no source. */
const largestFile = 8 << 20;

/** @returns The text of a line, from 1; undefined where the file is not here. */
export async function sourceLines(
  rows: readonly CodeRow[],
): Promise<(file: NamedSource, line: number) => string | undefined> {
  const files = new Map<string, Promise<readonly string[] | undefined>>();
  for (const { location } of rows) {
    const uri = sourceUri(location);
    if (uri !== undefined && !files.has(uri.toString())) files.set(uri.toString(), read(uri));
  }
  const texts = new Map<string, readonly string[] | undefined>();
  for (const [uri, lines] of files) texts.set(uri, await lines);
  return (file, line) => {
    const uri = sourceUri(file);
    return uri === undefined ? undefined : texts.get(uri.toString())?.[line - 1];
  };
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
