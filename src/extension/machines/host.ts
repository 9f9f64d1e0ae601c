/** This computer as the search for machines sees it, with what the user's settings say of it. */

import * as vscode from 'vscode';
import { thisHost, type Host } from '../../engine/machine/host';
import { debugType } from '../names';

export function userHost(): Host {
  const vmrun = vscode.workspace.getConfiguration(debugType).get<string>('vmrun', '');
  if (vmrun === '') return thisHost;
  return { ...thisHost, environment: { ...thisHost.environment, VMKD_VMRUN: vmrun } };
}
