/** The computer that the machines run on: what the search for them depends on, so that tests can stand in for it. */

import { homedir, platform } from 'node:os';

/** Systems that differ here; every other Unix is looked at as Linux is. */
export type HostSystem = 'win32' | 'darwin' | 'linux';

export interface Host {
  readonly platform: HostSystem;
  /** The user's home folder. */
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Linux: where the system shows its processes. */
  readonly processFolder: string;
}

const system = platform();

export const thisHost: Host = {
  platform: system === 'win32' || system === 'darwin' ? system : 'linux',
  home: homedir(),
  environment: process.env,
  processFolder: '/proc',
};
