/** This computer as the search for machines sees it, with what the user's settings say of it. */

import * as vscode from 'vscode';
import type { ControlOptions } from '../../engine/machine/machine';
import { thisHost, type Host } from '../../engine/machine/host';
import { debugType } from '../names';

export function userHost(): Host {
  const vmrun = vscode.workspace.getConfiguration(debugType).get<string>('vmrun', '');
  if (vmrun === '') return thisHost;
  return { ...thisHost, environment: { ...thisHost.environment, VMKD_VMRUN: vmrun } };
}

/** As the debugger has it. */
export function controlOptions(): ControlOptions {
  const password = process.env['VMKD_VM_PASSWORD'];
  return password === undefined ? {} : { password };
}
