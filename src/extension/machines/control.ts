/**
 * Commands that control the machine of the shown session, or one that the user chooses: pause, resume, reset, snapshots. Where a
 * session is attached, it gives the orders: it may hold the only control that the machine offers.
 */

import * as vscode from 'vscode';
import { asVmkdError } from '../../engine/core/errors';
import type { MachineControl, Snapshots } from '../../engine/machine/control';
import { findMachine } from '../../engine/machine/find';
import { withControl } from '../../engine/machine/withControl';
import { commands } from '../names';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { userHost } from './host';
import { pickMachine } from './pick';

/** What of a control the commands need. */
type Control = Pick<MachineControl, 'pause' | 'unpause' | 'reset'> & {
  readonly snapshots: Pick<Snapshots, 'list' | 'take'>;
};

export function registerControl(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const order = (command: string, title: string, action: (control: Control) => Promise<void>) =>
    subscriptions.push(
      vscode.commands.registerCommand(command, () => told(title, () => ordered(sessions, title, action))),
    );
  order(commands.pauseMachine, 'Pausing the machine', (control) => control.pause());
  order(commands.resumeMachine, 'Resuming the machine', (control) => control.unpause());
  order(commands.resetMachine, 'Resetting the machine', async (control) => {
    if (await confirmed('Reset the machine? What runs in it is lost.', 'Reset')) await control.reset();
  });
  order(commands.takeSnapshot, 'Taking a snapshot', async (control) => {
    const name = await vscode.window.showInputBox({ prompt: 'What shall the snapshot be called?' });
    if (name !== undefined && name !== '') await control.snapshots.take(name);
  });
  subscriptions.push(
    vscode.commands.registerCommand(commands.revertToSnapshot, () =>
      told('Reverting to a snapshot', () => revert(sessions)),
    ),
  );
}

/** The kernel of the snapshot is another one than that of the session: it is let go before, and attached to anew. */
async function revert(sessions: KernelSessions): Promise<void> {
  const title = 'Reverting to a snapshot';
  let name: string | undefined;
  const machine = await ordered(sessions, title, async (control) => {
    name = await vscode.window.showQuickPick(control.snapshots.list(), { placeHolder: 'Which snapshot?' });
  });
  if (name === undefined || machine === undefined) return;
  const snapshot = name;
  const attached = attachedSession(sessions)?.session;
  if (attached !== undefined) await ended(attached);
  await controlled(machine, title, async ({ snapshots, way }) => {
    if (snapshots === undefined) throw noSnapshots(way);
    await snapshots.revert(snapshot);
  });
  if (attached !== undefined)
    await vscode.debug.startDebugging(attached.workspaceFolder, attached.configuration);
}

/** VS Code looks at another session when one has ended for good: the new one must not be there before. */
async function ended(session: vscode.DebugSession): Promise<void> {
  const end = new Promise<void>((resolve) => {
    const listening = vscode.debug.onDidTerminateDebugSession(({ id }) => {
      if (id !== session.id) return;
      listening.dispose();
      resolve();
    });
  });
  await vscode.debug.stopDebugging(session);
  await end;
}

function attachedSession({ shown }: KernelSessions): KernelSession | undefined {
  const phase = shown?.state.phase;
  return phase === 'running' || phase === 'stopped' ? shown : undefined;
}

/** @returns The machine that got the order, as findMachine knows it; undefined: none was chosen */
async function ordered(
  sessions: KernelSessions,
  title: string,
  action: (control: Control) => Promise<void>,
): Promise<string | undefined> {
  const session = attachedSession(sessions);
  const machine = machineOf(sessions) ?? (await pickMachine())?.where;
  if (session !== undefined) await withProgress(title, session.name, () => action(bySession(session)));
  else if (machine !== undefined) await controlled(machine, title, (control) => action(byUs(control)));
  return machine;
}

function bySession(session: KernelSession): Control {
  const order = async (
    word: 'pause' | 'resume' | 'reset' | 'listSnapshots' | 'takeSnapshot',
    name?: string,
  ): Promise<readonly string[]> => {
    const args = name === undefined ? { order: word } : { order: word, name };
    return (await session.own('vmkd/controlMachine', args)).snapshots ?? [];
  };
  const obey = (...args: Parameters<typeof order>) => order(...args).then(() => undefined);
  return {
    pause: () => obey('pause'),
    unpause: () => obey('resume'),
    reset: () => obey('reset'),
    snapshots: {
      list: async () => [...(await order('listSnapshots'))],
      take: (name) => obey('takeSnapshot', name),
    },
  };
}

function byUs(control: MachineControl): Control {
  const { snapshots, way } = control;
  const none = (): never => {
    throw noSnapshots(way);
  };
  return {
    pause: () => control.pause(),
    unpause: () => control.unpause(),
    reset: () => control.reset(),
    snapshots: snapshots ?? { list: none, take: none },
  };
}

const noSnapshots = (way: string): Error => new Error(`There are no snapshots by ${way}`);

/** As its launch configuration names it. */
export function machineOf(sessions: KernelSessions): string | undefined {
  const { vm, link } = (sessions.shown?.session.configuration ?? {}) as { vm?: unknown; link?: unknown };
  if (typeof vm === 'string' && vm !== '') return vm;
  return typeof link === 'string' && link !== '' ? link : undefined;
}

async function controlled(
  text: string,
  title: string,
  action: (control: MachineControl) => Promise<void>,
): Promise<void> {
  const machine = await findMachine(text, userHost());
  await withControl(machine, async (control) => withProgress(title, machine.name, () => action(control)));
}

const withProgress = (title: string, of: string, action: () => Promise<void>): Thenable<void> =>
  vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: `${title} (${of})` }, action);

/** The user hears of what fails. */
async function told(title: string, action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    const { message, nextStep, code } = asVmkdError(thrown);
    // What the adapter says has its next step in it.
    const more = code === 'internal' ? '' : ` ${nextStep}`;
    void vscode.window.showErrorMessage(`${title}: ${message}${more}`);
  }
}

const confirmed = async (question: string, yes: string): Promise<boolean> =>
  (await vscode.window.showWarningMessage(question, { modal: true }, yes)) === yes;
