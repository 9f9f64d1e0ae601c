/**
 * Where VMware's products keep what they know of their machines, and where their tools are.
 *
 * Known (VMware's manuals, public scripts): all of these paths. Where Workstation or Player was installed elsewhere on
 * Windows, vmrun is found through PATH or the setting only.
 */

import path from 'node:path';
import type { Host } from '../host';

/** Dictionaries that list machines: the library, and the recently used ones. */
export function inventoryFiles({ platform, home, environment }: Host): string[] {
  switch (platform) {
    case 'win32': {
      const roaming = environment['APPDATA'] ?? path.win32.join(home, 'AppData', 'Roaming');
      return ['inventory.vmls', 'preferences.ini'].map((name) => path.win32.join(roaming, 'VMware', name));
    }
    case 'darwin': {
      const library = path.posix.join(home, 'Library');
      return [
        path.posix.join(library, 'Application Support', 'VMware Fusion', 'vmInventory'),
        path.posix.join(library, 'Preferences', 'VMware Fusion', 'preferences'),
      ];
    }
    case 'linux':
      return ['inventory.vmls', 'preferences'].map((name) => path.posix.join(home, '.vmware', name));
  }
}

/** Settings for all machines, the strongest first; each counts where the .vmx is silent. */
export function defaultsFiles({ platform, home, environment }: Host): string[] {
  switch (platform) {
    case 'win32': {
      const roaming = environment['APPDATA'] ?? path.win32.join(home, 'AppData', 'Roaming');
      const common = environment['ProgramData'] ?? 'C:\\ProgramData';
      return [
        path.win32.join(roaming, 'VMware', 'config.ini'),
        path.win32.join(common, 'VMware', 'VMware Workstation', 'config.ini'),
        path.win32.join(common, 'VMware', 'VMware Player', 'config.ini'),
      ];
    }
    case 'darwin':
      return [
        path.posix.join(home, 'Library', 'Preferences', 'VMware Fusion', 'config'),
        '/Library/Preferences/VMware Fusion/config',
      ];
    case 'linux':
      return [path.posix.join(home, '.vmware', 'config'), '/etc/vmware/config'];
  }
}

/** What -T says to vmrun: Workstation, Player, Fusion. */
export type VmrunHostType = 'ws' | 'player' | 'fusion';

export interface VmrunPlace {
  readonly program: string;
  readonly hostType: VmrunHostType;
}

/** Where vmrun may be, the likeliest first. */
export function vmrunPlaces({ platform, environment }: Host): VmrunPlace[] {
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const program = platform === 'win32' ? 'vmrun.exe' : 'vmrun';
  const ownType: VmrunHostType = platform === 'darwin' ? 'fusion' : 'ws';
  const onPath = (environment['PATH'] ?? environment['Path'] ?? '')
    .split(paths.delimiter)
    // A relative folder is whatever somebody has put where we happen to be.
    .filter((folder) => paths.isAbsolute(folder))
    .map((folder) => paths.join(folder, program));
  const usual: string[] = [];
  if (platform === 'win32') {
    const roots = [
      environment['ProgramFiles(x86)'] ?? 'C:\\Program Files (x86)',
      environment['ProgramFiles'] ?? 'C:\\Program Files',
    ];
    for (const product of ['VMware Workstation', 'VMware VIX', 'VMware Player'])
      usual.push(...roots.map((root) => path.win32.join(root, 'VMware', product, program)));
  } else if (platform === 'darwin') {
    for (const folder of ['Library', 'Public'])
      usual.push(`/Applications/VMware Fusion.app/Contents/${folder}/vmrun`);
  } else {
    usual.push('/usr/bin/vmrun', '/usr/local/bin/vmrun');
  }
  const isPlayer = (file: string): boolean => paths.basename(paths.dirname(file)) === 'VMware Player';
  return [...new Set([...usual, ...onPath])].map((file) => ({
    program: file,
    hostType: isPlayer(file) ? 'player' : ownType,
  }));
}
