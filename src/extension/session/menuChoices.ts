/** What can be done with a session as it is now: a pure function of its state. */

import { commands } from '../names';
import type { SessionState } from './sessionState';

export interface Choice {
  /** Of VS Code's icons. */
  readonly icon: string;
  readonly title: string;
  readonly command: string;
  readonly detail?: string;
}

export function sessionChoices({ phase, companion }: SessionState): Choice[] {
  return [
    { icon: 'pulse', title: 'Check the way to the machine', command: commands.doctor },
    ...(phase === 'attaching' ? [] : ofPipe(companion)),
    ...(phase === 'stopped' ? looking : []),
    { icon: 'debug-pause', title: 'Pause the machine', command: commands.pauseMachine },
    { icon: 'play', title: 'Resume the machine', command: commands.resumeMachine },
    { icon: 'debug-restart', title: 'Reset the machine…', command: commands.resetMachine },
    { icon: 'device-camera', title: 'Take a snapshot…', command: commands.takeSnapshot },
    { icon: 'history', title: 'Revert to a snapshot, and attach again…', command: commands.revertToSnapshot },
  ];
}

const looking: readonly Choice[] = [
  { icon: 'file-binary', title: 'Open a memory view…', command: commands.openMemory },
];

function ofPipe(companion: SessionState['companion']): Choice[] {
  if (companion === undefined) {
    const detail = 'WinDbg can attach to the same kernel then.';
    return [{ icon: 'plug', title: 'Start the pipe for WinDbg', command: commands.startCompanion, detail }];
  }
  const { pipe, windbg, driver } = companion;
  return [
    ...(windbg === 'absent' ? [] : [driver === 'windbg' ? take : give]),
    {
      icon: 'copy',
      title: 'Copy the command that attaches WinDbg',
      command: commands.copyWindbgCommand,
      detail: pipe,
    },
    { icon: 'rocket', title: 'Launch WinDbg', command: commands.launchWindbg },
    { icon: 'debug-disconnect', title: 'Stop the pipe for WinDbg', command: commands.stopCompanion },
  ];
}

const give: Choice = {
  icon: 'arrow-swap',
  title: 'Give the kernel to WinDbg',
  command: commands.giveKernel,
  detail: 'This session drives it.',
};

const take: Choice = {
  icon: 'arrow-swap',
  title: 'Take the kernel from WinDbg',
  command: commands.takeKernel,
  detail: 'WinDbg drives it.',
};
