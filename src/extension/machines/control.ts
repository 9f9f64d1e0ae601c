/**
 * Commands that control the machine of the shown session, or one that the user chooses: pause, resume, reset, snapshots. Where a
 * session is attached, it gives the orders: it may hold the only control that the machine offers.
 */

import * as vscode from 'vscode';
import { asVmkdError } from '../../engine/core/errors';
import type { MachineControl, Snapshots } from '../../engine/machine/control';
import { findMachine } from '../../engine/machine/find';
import { powerOn } from '../../engine/machine/powerOn';
import { withControl } from '../../engine/machine/withControl';
import { withoutLinks } from '../../protocol/notificationText';
import { commands } from '../names';
import { sessionMeant } from '../session/orders';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { attachingAgain } from './attachingAgain';
import { userHost } from './host';
import { pickMachine } from './pick';

/** What of a control the commands need. */
type Control = Pick<MachineControl, 'pause' | 'unpause' | 'reset'> & {
  readonly snapshots: Pick<Snapshots, 'list' | 'take'>;
};

/** What a command is about: bound when it is called, for once the user has answered a question, another session may be shown. */
interface Subject {
  /** As findMachine knows it. */
  readonly machine: string;
  /** The one that is attached to it. */
  readonly session: KernelSession | undefined;
}

export function registerControl(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const command = (name: string, title: string, action: (subject: Subject) => Promise<void>) =>
    subscriptions.push(
      vscode.commands.registerCommand(name, (given?: unknown) =>
        told(title, async () => {
          const subject = await subjectOf(sessionMeant(sessions, given));
          if (subject !== undefined) await action(subject);
        }),
      ),
    );
  const order = (name: string, title: string, action: (control: Control, machine: string) => Promise<void>) =>
    command(name, title, (subject) => ordered(subject, title, action));
  order(commands.pauseMachine, 'Pausing the machine', (control) => control.pause());
  order(commands.resumeMachine, 'Resuming the machine', (control) => control.unpause());
  order(commands.resetMachine, 'Resetting the machine', async (control, machine) => {
    const question = `Reset ${await called(machine)}? What runs in it is lost.`;
    if (await confirmed(question, 'Reset')) await control.reset();
  });
  order(commands.takeSnapshot, 'Taking a snapshot', async (control) => {
    const name = await vscode.window.showInputBox({ prompt: 'What shall the snapshot be called?' });
    if (name !== undefined && name !== '') await control.snapshots.take(name);
  });
  const reverting = 'Reverting to a snapshot';
  command(commands.revertToSnapshot, reverting, (subject) => revert(sessions, subject, reverting));
}

async function subjectOf(session: KernelSession | undefined): Promise<Subject | undefined> {
  const machine = machineOf({ shown: session }) ?? (await pickMachine())?.where;
  if (machine === undefined) return undefined;
  const phase = session?.state.phase;
  return { machine, session: phase === 'running' || phase === 'stopped' ? session : undefined };
}

/** The kernel of the snapshot is another one than that of the session: it is let go before, and attached to anew, whatever comes of it. */
async function revert(sessions: KernelSessions, subject: Subject, title: string): Promise<void> {
  const { machine, session } = subject;
  let name: string | undefined;
  await ordered(subject, title, async (control) => {
    name = await vscode.window.showQuickPick(control.snapshots.list(), { placeHolder: 'Which snapshot?' });
  });
  if (name === undefined) return;
  const snapshot = name;
  const question = `Take ${await called(machine)} back to the snapshot “${snapshot}”? What runs in it is lost.`;
  if (!(await confirmed(question, 'Revert'))) return;
  // The user may have ended it meanwhile.
  const attached = session && sessions.byId(session.session.id)?.session;
  if (attached !== undefined) await ended(attached);
  try {
    await controlled(machine, title, async (control) => {
      if (control.snapshots === undefined) throw noSnapshots(control.way);
      await control.snapshots.revert(snapshot);
      // VMware leaves it off, or suspended.
      if (attached !== undefined) await powerOn(control);
    });
  } finally {
    // Not waited for: what has failed is told now.
    if (attached !== undefined)
      void vscode.debug.startDebugging(attached.workspaceFolder, attachingAgain(attached.configuration));
  }
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

async function ordered(
  { machine, session }: Subject,
  title: string,
  action: (control: Control, machine: string) => Promise<void>,
): Promise<void> {
  if (session !== undefined)
    await withProgress(title, session.name, () => action(bySession(session), machine));
  else await controlled(machine, title, (control) => action(byUs(control), machine));
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

/** For a question: two machines may have one name. */
async function called(machine: string): Promise<string> {
  try {
    const { name, where } = await findMachine(machine, userHost());
    return name === where ? `“${name}”` : `“${name}” (${where})`;
  } catch {
    return `“${machine}”`;
  }
}

/** As its launch configuration names it. */
export function machineOf({ shown }: Pick<KernelSessions, 'shown'>): string | undefined {
  const { vm, link } = (shown?.session.configuration ?? {}) as { vm?: unknown; link?: unknown };
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
    void vscode.window.showErrorMessage(withoutLinks(`${title}: ${message}${more}`));
  }
}

const confirmed = async (question: string, yes: string): Promise<boolean> =>
  (await vscode.window.showWarningMessage(question, { modal: true }, yes)) === yes;
