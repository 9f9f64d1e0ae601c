/**
 * What the extension and the pages of its webviews say to each other: one union a page and direction. Addresses are hexadecimal
 * texts as memory references are; bytes are base64. Text of a guest may be in any of it: pages show it as text.
 */

import type { OwnSpace, OwnTranslation } from '../../protocol/ownRequests';
import type { Unit } from '../memory/units';

/** Which memory is meant; `name`: of the process, for people. */
export type Space = OwnSpace & { readonly name?: string };

/** Of the memory page. */
export type ToMemory =
  /** What of the session matters to it. A new `epoch`: what it has is old. Another `kernel`: it is not true any more. */
  | {
      readonly kind: 'state';
      readonly phase: 'attaching' | 'running' | 'stopped' | 'ended';
      readonly epoch: number;
      readonly kernel: string;
      readonly canBeLive: boolean;
    }
  /** Answers `ready`: what it shall show. */
  | { readonly kind: 'show'; readonly space: Space; readonly expression: string }
  /** Answers `translate`. */
  | { readonly kind: 'translation'; readonly address: string; readonly translation: OwnTranslation }
  /** Answers `go`: the expression means this address. */
  | { readonly kind: 'went'; readonly id: number; readonly expression: string; readonly address: string }
  /** Answers `go`. */
  | { readonly kind: 'lost'; readonly id: number; readonly message: string }
  /** What it wanted otherwise. */
  | { readonly kind: 'failed'; readonly message: string }
  /** Answers `read`. `unreadable`: bytes that are not there, behind those that are. */
  | {
      readonly kind: 'bytes';
      readonly id: number;
      readonly data: string;
      readonly unreadable: number;
    }
  | { readonly kind: 'unread'; readonly id: number; readonly message: string }
  /** Answers `symbolize`: as many as there are. */
  | { readonly kind: 'names'; readonly id: number; readonly names: readonly (string | null)[] }
  /** Memory that it may show has been written. */
  | { readonly kind: 'touched' }
  /** Names may be known that were not, and others not any more. */
  | { readonly kind: 'renamed' };

export type FromMemory =
  | { readonly kind: 'ready' }
  | { readonly kind: 'go'; readonly id: number; readonly expression: string }
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly space: Space;
      readonly address: string;
      readonly count: number;
    }
  /** Its answer is not wanted any more, though it must come: a failure is enough. */
  | { readonly kind: 'forget'; readonly id: number }
  /** How an address is translated. */
  | { readonly kind: 'translate'; readonly space: Space; readonly address: string }
  | { readonly kind: 'symbolize'; readonly id: number; readonly addresses: readonly string[] }
  /** `epoch`: of the stop in which the user saw what is written over. */
  | { readonly kind: 'write'; readonly epoch: number; readonly address: string; readonly data: string }
  | { readonly kind: 'copy'; readonly text: string }
  /** Of what it has not read. */
  | {
      readonly kind: 'copyRange';
      readonly space: Space;
      readonly address: string;
      readonly count: number;
      readonly unit: Unit;
    }
  | { readonly kind: 'save'; readonly space: Space; readonly address: string; readonly count: number }
  | { readonly kind: 'breakOn'; readonly address: string; readonly count: number }
  /** Where it is. */
  | { readonly kind: 'shows'; readonly space: Space; readonly expression: string };

/** A line of the registers page. */
export interface RegisterLine {
  readonly name: string;
  /** As the adapter has it: number, then what it means. */
  readonly value: string;
  readonly canSet: boolean;
  /** Of a register that has any: flags, lanes. `lines`: undefined: nobody has asked for them yet. */
  readonly parts?: { readonly lines: readonly RegisterLine[] | undefined };
}

export interface RegisterGroup {
  readonly name: string;
  /** undefined: nobody has asked for them yet. */
  readonly lines: readonly RegisterLine[] | undefined;
}

/** Of the registers page. */
export type ToRegisters =
  /** What it shows is old, and there is nothing newer. */
  | { readonly kind: 'nothing'; readonly why: string }
  /** What there is to choose from. */
  | {
      readonly kind: 'cpus';
      readonly cpus: readonly { readonly id: number; readonly name: string }[];
      readonly cpu: number;
    }
  | {
      readonly kind: 'registers';
      /** Which session, and which stop of it. */
      readonly session: string;
      readonly epoch: number;
      readonly cpu: number;
      readonly groups: readonly RegisterGroup[];
      /** Paths of lines whose values are others than in the stop before: `General/rax`. */
      readonly changed: readonly string[];
    }
  /** A register was not set. */
  | { readonly kind: 'failed'; readonly message: string };

export type FromRegisters =
  | { readonly kind: 'ready' }
  | { readonly kind: 'cpu'; readonly id: number }
  /** `path`: of a group, or of a line that has parts. */
  | { readonly kind: 'open'; readonly path: string; readonly isOpen: boolean }
  /** `session`, `epoch`: what was shown then. `path`: of what the line is in. */
  | {
      readonly kind: 'set';
      readonly session: string;
      readonly epoch: number;
      readonly path: string;
      readonly name: string;
      readonly value: string;
    }
  /** At an address that a register has, whoever's it is. */
  | { readonly kind: 'memory'; readonly session: string; readonly address: string };

export interface DoctorStep {
  readonly name: string;
  readonly result: 'pass' | 'warn' | 'fail' | 'skip';
  readonly sentence: string;
  readonly nextStep?: string;
}

/** Of the doctor's page, which only listens. */
export type ToDoctor = {
  readonly kind: 'report';
  readonly subject: string;
  /** Why the doctor was called, or what is being done. */
  readonly note: string;
  readonly steps: readonly DoctorStep[];
};

export type FromDoctor = { readonly kind: 'ready' } | { readonly kind: 'again' };
