/** WinDbg on this computer: where it may be, and how it is told to attach to our pipe. */

import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** The one of the Store first, then those of the Windows kits. None on other systems than Windows. */
export function windbgPlaces(platform: NodeJS.Platform, env: Environment): string[] {
  if (platform !== 'win32') return [];
  const { win32 } = path;
  const { LOCALAPPDATA: local } = env;
  const store = local === undefined ? [] : [win32.join(local, 'Microsoft', 'WindowsApps', 'WinDbgX.exe')];
  const kits = ['ProgramFiles(x86)', 'ProgramFiles'].flatMap((variable) => {
    const folder = env[variable];
    return folder === undefined
      ? []
      : [win32.join(folder, 'Windows Kits', '10', 'Debuggers', 'x64', 'windbg.exe')];
  });
  return [...store, ...kits];
}

/**
 * @param text As the adapter gives it, to be copied: `windbg -k com:pipe,port=…`; on other systems than Windows `unix:/path` or
 *   `tcp:host:port`, for whatever takes WinDbg's command line there. @returns undefined: it says nothing of the kind
 */
export function windbgArguments(text: string): readonly string[] | undefined {
  const given = /\s-k\s+(com:pipe,port=[^\s"&|<>^]+)$/.exec(text)?.[1];
  if (given !== undefined) return ['-k', given];
  const socket = /^unix:(\/[^\s"&|<>^,]+)$/.exec(text)?.[1];
  if (socket !== undefined) return ['-k', `com:pipe,port=${socket},resets=0,reconnect`];
  const [, host, port] = /^tcp:(.+):(\d+)$/.exec(text) ?? [];
  return host === undefined ? undefined : ['-k', `com:ipport=${port},port=${host}`];
}
