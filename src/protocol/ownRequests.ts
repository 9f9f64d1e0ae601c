/**
 * Requests and events that are not DAP's, between the adapter and clients that know it. Addresses are texts as memory references
 * are: `0xfffff80312345678`. Text of the guest has no control characters.
 */

export interface OwnRequests {
  /** All processes, in the order of the kernel's list. */
  'vmkd/processes': {
    arguments: undefined;
    body: { readonly processes: readonly OwnProcess[] };
  };
  /** The threads of a process. */
  'vmkd/threads': {
    arguments: { readonly eprocess: string };
    body: { readonly threads: readonly OwnThread[] };
  };
  /** The address that an expression means, as console commands take it: of a symbol with its module, its own. */
  'vmkd/locate': {
    arguments: { readonly expression: string; readonly frameId?: number };
    body: { readonly memoryReference: string };
  };
  /** Where the code of a source line begins, or of the next line that has any. `path`, `line`: as in DAP's own requests. */
  'vmkd/locateLine': {
    arguments: { readonly path: string; readonly line: number };
    body: { readonly memoryReference: string };
  };
  /** Names of addresses: `nt!KeSetEvent+0x12`; null: nobody knows one. */
  'vmkd/symbolize': {
    arguments: { readonly addresses: readonly string[] };
    body: { readonly names: readonly (string | null)[] };
  };
  /** Loads the symbols of the module at this base address, from servers too. What comes of it is what the module shows, too. */
  'vmkd/loadSymbols': {
    arguments: { readonly base: string };
    body: { readonly isLoaded: boolean; readonly symbolStatus: string };
  };
  /**
   * Memory of any space, for views that listen to `vmkd/memoryWritten`: it is not kept in mind, as what DAP's `readMemory` reads is.
   * Virtual memory is read while the kernel runs, too, where that can be. `unreadableBytes`: behind `data`, and not there.
   */
  'vmkd/readMemory': {
    arguments: { readonly space: OwnSpace; readonly address: string; readonly count: number };
    body: { readonly data: string; readonly unreadableBytes: number };
  };
  /** How an address is translated: by the processor that stopped, or in a process. */
  'vmkd/pageTables': {
    arguments: { readonly address: string; readonly eprocess?: string };
    body: OwnTranslation;
  };
  /**
   * Makes a thread one of DAP's, until the kernel runs on; of one that a processor runs, it is the processor's. `listed`: it is
   * among those that `threads` gives, too; an event `stopped` with `asleep: true` makes it the one that is looked at.
   */
  'vmkd/visitThread': {
    arguments: { readonly ethread: string; readonly listed?: boolean };
    body: { readonly threadId: number };
  };
  /** Orders to the machine, by the control that the session has of it. `name`: of the snapshot to take. */
  'vmkd/controlMachine': {
    arguments: {
      readonly order: 'pause' | 'resume' | 'reset' | 'listSnapshots' | 'takeSnapshot';
      readonly name?: string;
    };
    body: { readonly snapshots?: readonly string[] };
  };
  /**
   * Opens a pipe for WinDbg. `place`: its name, or a link that listens; without it, what the configuration or the machine is
   * called. The answer is how a WinDbg attaches, as text to be copied.
   */
  'vmkd/startCompanion': {
    arguments: { readonly place?: string };
    body: { readonly pipe: string };
  };
  /** Closes it. A WinDbg that is there is shown out, and leaves nothing in the kernel. */
  'vmkd/stopCompanion': { arguments: undefined; body: undefined };
}

/** What the processor that stopped sees, physical memory, or what a process sees. */
export type OwnSpace =
  | { readonly kind: 'virtual' }
  | { readonly kind: 'physical' }
  | { readonly kind: 'process'; readonly eprocess: string };

export interface OwnTranslation {
  /** `4-level`, and so on. */
  readonly mode: string;
  /** Physical address of the top table. */
  readonly root: string;
  /** From the top table on. */
  readonly entries: readonly {
    readonly name: string;
    readonly address: string;
    readonly value: string;
    readonly flags: readonly string[];
  }[];
  /** Where the byte is; undefined: nowhere, and `why` says why. */
  readonly physical?: string;
  readonly pageBytes?: number;
  readonly why?: string;
}

export interface OwnProcess {
  readonly eprocess: string;
  readonly id: number;
  readonly name: string;
  readonly directoryTableBase: string;
  /** Numbers of the processors that are in it. */
  readonly cpus: readonly number[];
}

export interface OwnThread {
  readonly ethread: string;
  readonly id: number;
  /** Where it began, by name. */
  readonly start?: string;
  /** The processor that it runs on. */
  readonly cpu?: number;
}

export interface OwnEvents {
  'vmkd/transport': {
    readonly tier: 'serial' | 'hybrid' | 'mailbox';
    readonly memory?: string;
    readonly why?: OwnProblem;
  };
  /** `pipe`: how a WinDbg attaches, as text to be copied; null: there is no pipe any more. */
  'vmkd/companion': OwnCompanion | { readonly pipe: null };
  /** Somebody has written memory while the kernel stands. Without an address: anywhere. */
  'vmkd/memoryWritten': { readonly address?: string; readonly count?: number };
  'vmkd/parking': { readonly state: 'awake' | 'parked' | 'off' | 'failed'; readonly why?: OwnProblem };
}

export interface OwnCompanion {
  readonly pipe: string;
  readonly windbg: 'absent' | 'attached';
  readonly driver: 'windbg' | 'session' | 'nobody';
}

export interface OwnProblem {
  readonly code: string;
  readonly message: string;
  readonly nextStep: string;
}
