/**
 * The machines that VMware's own files list.
 *
 *   inventory.vmls, vmInventory     vmlist1.config = "C:\VMs\a\a.vmx"   a folder of the library has an empty one
 *                                   index0.id = "C:\VMs\a\a.vmx"
 *   preferences                     pref.mruVM0.filename = "C:\VMs\a\a.vmx"
 *
 * Known: these keys, in public files of Workstation, Player and Fusion. A path that is not absolute names nothing.
 */

import path from 'node:path';
import type { HostSystem } from '../host';
import type { Dictionary } from '../vmx/dictionary';

const keys = [/^vmlist\d{1,6}\.config$/, /^index\d{1,6}\.id$/, /^pref\.mruvm\d{1,6}\.filename$/];
const mostMachines = 4096;

/** Paths of .vmx files, in the order of the file. They need not exist. */
export function listedMachines(file: Dictionary, platform: HostSystem): string[] {
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const found = new Set<string>();
  for (const key of keys) {
    for (const { value } of file.matching(key)) {
      if (found.size >= mostMachines) break;
      if (paths.isAbsolute(value) && /\.vmx$/i.test(value)) found.add(paths.normalize(value));
    }
  }
  return [...found];
}
