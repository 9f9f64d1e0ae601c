/** The user's own folder for what vmkd keeps and can make or fetch again, as each system has it. */

import { homedir, platform } from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

export function userFolder(
  environment: Environment,
  system: NodeJS.Platform = platform(),
  home = homedir(),
): string {
  const { LOCALAPPDATA: local, XDG_CACHE_HOME: xdg } = environment;
  if (system === 'win32') return path.win32.join(local ?? path.win32.join(home, 'AppData', 'Local'), 'vmkd');
  if (system === 'darwin') return path.posix.join(home, 'Library', 'Caches', 'vmkd');
  // A relative path there is to be ignored, says the XDG specification.
  const root = xdg !== undefined && path.posix.isAbsolute(xdg) ? xdg : path.posix.join(home, '.cache');
  return path.posix.join(root, 'vmkd');
}

/** Where debuggers note what must outlive them. */
export const sessionsFolder = (): string => path.join(userFolder(process.env), 'sessions');
