/** What can be done with the memory that a view shows, and if not, why: for people. */

import type { Space, ToMemory } from '../webviews/messages';

type State = Extract<ToMemory, { kind: 'state' }>;

/** @returns undefined: it can be written */
export function whyReadOnly(space: Space, phase: State['phase']): string | undefined {
  switch (phase) {
    case 'running':
      return 'The kernel is running: its memory can be changed while it stands.';
    case 'attaching':
    case 'ended':
      return 'There is no kernel whose memory could be changed.';
    case 'stopped':
      return whyReadOnlySpace(space);
  }
}

function whyReadOnlySpace({ kind }: Space): string | undefined {
  switch (kind) {
    case 'virtual':
      return undefined;
    case 'physical':
      return 'Physical memory can only be looked at: change it at a virtual address.';
    case 'process':
      return 'What a process sees can only be looked at, unless the kernel stands in it.';
  }
}

/** @returns undefined: what the kernel that runs changes can be seen */
export function whyNotLive({ kind }: Space, canBeLive: boolean): string | undefined {
  if (!canBeLive)
    return 'Memory is not read in the machine’s RAM: what a running kernel changes cannot be seen.';
  return kind === 'virtual' ? undefined : `${titles[kind]} is read only while the kernel stands.`;
}

const titles = { physical: 'Physical memory', process: 'What a process sees' } as const;
