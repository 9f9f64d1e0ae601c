/** The native part as Windows has it: nativeInWindows.ts in Windows' Node under Wine. */

import { copyFileSync, cpSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { nativeProgram, notBuilt } from '../fixtures/nativeHost';
import { Wine } from '../fixtures/wine';
import { scenarios } from './nativeInWindows';
import { testInWindows } from './scenarios';

testInWindows(notBuilt || (await Wine.start()), 'test/wine/nativeInWindows.ts', scenarios, (folder) => {
  // The folder of a package, as it is installed.
  writeFileSync(join(folder, 'package.json'), '{}');
  cpSync(resolve('prebuilds/win32-x64'), join(folder, 'prebuilds/win32-x64'), { recursive: true });
  for (const name of ['vmware-vmx.exe', 'pipe-access.exe'])
    copyFileSync(nativeProgram(name), join(folder, name));
});
