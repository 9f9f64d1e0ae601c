/**
 * Lines, columns and paths as the client counts and writes them. Inside, lines and columns count from 1, and paths are
 * those of this machine.
 */

import { fileURLToPath, pathToFileURL } from 'node:url';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../engine/core/errors';

export class Positions {
  readonly #firstLine: number;
  readonly #firstColumn: number;
  readonly #uris: boolean;

  constructor({ linesStartAt1, columnsStartAt1, pathFormat }: Partial<P.InitializeRequestArguments> = {}) {
    this.#firstLine = linesStartAt1 === false ? 0 : 1;
    this.#firstColumn = columnsStartAt1 === false ? 0 : 1;
    this.#uris = pathFormat === 'uri';
  }

  lineToClient = (line: number): number => line - 1 + this.#firstLine;
  lineFromClient = (line: number): number => line + 1 - this.#firstLine;
  columnToClient = (column: number): number => column - 1 + this.#firstColumn;
  columnFromClient = (column: number): number => column + 1 - this.#firstColumn;

  pathToClient(path: string): string {
    return this.#uris ? pathToFileURL(path).href : path;
  }

  /** @throws request-bad for a URI that is no file's of this machine */
  pathFromClient(path: string): string {
    if (!this.#uris && !path.startsWith('file://')) return path;
    try {
      return fileURLToPath(path);
    } catch (cause) {
      throw new VmkdError('request-bad', `${path} is no file of this machine`, {
        nextStep: 'Open the file by its path on this machine.',
        cause,
      });
    }
  }
}
