/** Where symbols are kept when nobody names a folder: in the user's own cache, as each system has it. */

import { platform } from 'node:os';
import path from 'node:path';
import { userFolder } from '../../core/userFolder';

export function defaultCacheFolder(
  environment: Parameters<typeof userFolder>[0],
  system: NodeJS.Platform = platform(),
  home?: string,
): string {
  const paths = system === 'win32' ? path.win32 : path.posix;
  return paths.join(userFolder(environment, system, home), 'symbols');
}
