/** Where a source file is that the adapter has named. */

import * as vscode from 'vscode';

/** Of DAP, as it comes out of VS Code. */
export interface NamedSource {
  readonly name?: string;
  /** Where VS Code's window is on another computer, it has made a URI of that computer of it on the way. */
  readonly path?: string;
  /** It is not here. */
  readonly sourceReference?: number;
}

/** @returns undefined: it is not here */
export function sourceUri(source: NamedSource | undefined): vscode.Uri | undefined {
  const { path, sourceReference = 0 } = source ?? {};
  if (path === undefined || sourceReference > 0) return undefined;
  return vscode.Uri.file(/^[a-z][\w+.-]+:\/\//.test(path) ? vscode.Uri.parse(path).path : path);
}
