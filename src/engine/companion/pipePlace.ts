/**
 * Where the companion pipe of a machine is.
 *
 *   Windows     \\.\pipe\kd_NAME
 *   elsewhere   $XDG_RUNTIME_DIR/vmkd/kd_NAME, or vmkd-UID/kd_NAME in the folder for temporary files
 *
 * Invariants: a name from anywhere becomes one path component; the folder is ours alone, or is not used.
 */

import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { VmkdError } from '../core/errors';
import { linkError } from '../link/osErrors';
import type { ListenSpec } from '../link/spec';

const longestName = 60;

/** What of a machine's name can stand in the name of a pipe: other characters become `_`, as VirtualKD has it. */
export const pipeName = (machine: string): string =>
  `kd_${machine.replace(/[^\p{L}\p{N}._-]/gu, '_').slice(0, longestName)}`;

/**
 * The pipe of a machine of this name. Its folder is made.
 * @throws link-denied if somebody else may use the folder; link-failed
 */
export function pipeFor(machine: string): ListenSpec {
  const name = pipeName(machine);
  if (process.platform === 'win32') return { kind: 'pipe-listen', path: `\\\\.\\pipe\\${name}` };
  return { kind: 'unix-listen', path: path.join(privateFolder(), name) };
}

/** How WinDbg is told where to attach; elsewhere, where any other debugger may. */
export const attachText = (spec: ListenSpec): string =>
  spec.kind === 'pipe-listen' ? `windbg -k com:pipe,port=${spec.path},resets=0,reconnect` : whereOf(spec);

const whereOf = (spec: Exclude<ListenSpec, { kind: 'pipe-listen' }>): string =>
  spec.kind === 'unix-listen' ? `unix:${spec.path}` : `tcp:${spec.host}:${spec.port}`;

function privateFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const folder = runtime ? path.join(runtime, 'vmkd') : path.join(tmpdir(), `vmkd-${uid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw linkError(folder, 'listen', error);
  }
  const found = lstatSync(folder);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0) return folder;
  throw new VmkdError('link-denied', `${folder} is not yours alone, so that the pipe cannot be there`, {
    nextStep: `Make it a folder of yours with mode 0700, or set XDG_RUNTIME_DIR.`,
  });
}
