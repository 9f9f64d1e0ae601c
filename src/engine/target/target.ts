/**
 * What every face of the debugger (adapter, command line, views) sees of a debugged kernel, live or dumped.
 *
 * Capabilities are objects: a part that a back end does not have is undefined, and what the face offers derives from what is
 * there. A live kernel has execution and breakpoints; a dump has neither.
 *
 *   face ──▶ Target ┬ memory        cached per stop, our own int3s never visible
 *                   ├ processors    registers of each, what runs on it, its stack
 *                   ├ symbols       of all modules
 *                   ├ execution?    run, stop, step; why it stopped
 *                   └ breakpoints?  what the user wants, and what became of it
 */

import type { VirtualAddress } from '../core/addresses';
import type { VmkdError } from '../core/errors';
import type { Listeners } from '../core/listeners';
import type { ContextX64, SpecialRegistersX64 } from '../cpu/contextX64';
import type { MachineType } from '../kd/machineType';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { SourceMapping } from '../symbols/services/sourcePaths';
import type { KernelSymbols } from '../windows/kernelSymbols';
import type { ModuleSymbols } from '../windows/moduleSymbols';
import type { SymbolicStack } from './callStack';
import type { PhysicalReader } from './spaces';

export type TargetState =
  | { readonly kind: 'detached' }
  | { readonly kind: 'attaching' }
  | { readonly kind: 'running' }
  /** `epoch` counts stops: what was read in one is void in the next. */
  | { readonly kind: 'stopped'; readonly stop: Stop; readonly epoch: number }
  | { readonly kind: 'lost'; readonly error: VmkdError };

/** Why the target stands. */
export interface Stop {
  readonly processor: number;
  readonly programCounter: VirtualAddress;
  /** KTHREAD of the processor that stopped. */
  readonly thread: VirtualAddress;
  readonly reason: StopReason;
}

export type StopReason =
  /** The attach, or the target's own first stop. */
  | { readonly kind: 'entry' }
  | { readonly kind: 'pause' }
  /** Another debugger drives the target: it stopped for that one. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'step' }
  | { readonly kind: 'breakpoint'; readonly breakpoints: readonly UserBreakpoint[] }
  | { readonly kind: 'goto' }
  /** An int3 that stands in the code: DbgBreakPoint, an assertion. */
  | { readonly kind: 'code-breakpoint' }
  | { readonly kind: 'exception'; readonly exception: TargetException }
  | { readonly kind: 'bugcheck'; readonly code: number; readonly parameters: readonly bigint[] }
  | { readonly kind: 'module'; readonly name: string; readonly unloaded: boolean };

export interface TargetException {
  /** NTSTATUS. */
  readonly code: number;
  readonly flags: number;
  readonly address: VirtualAddress;
  readonly information: readonly bigint[];
  readonly firstChance: boolean;
}

export interface TargetMemory extends VirtualMemory {
  /** How often it was written to in this session: what was made of it before is old. Undefined: nobody counts. */
  readonly writes?: number;
  /** All of it. Undefined on targets that cannot be written. @throws target-refused, memory-unreadable */
  write?(address: VirtualAddress, bytes: Uint8Array): Promise<void>;
}

/** General registers, flags and rip. */
export type GeneralContext = Omit<ContextX64, 'floatSave' | 'mxCsr'>;

/** One processor of a stopped target. All answers are kept until it runs or is written. */
export interface TargetProcessor {
  readonly number: number;
  /** It is none, but a thread that no processor runs: nothing of it can be set, and it cannot be stepped. */
  readonly asleep?: boolean;
  /** As it has it: the user half is that of the process it is in. */
  readonly memory: TargetMemory;
  /** x64 only, as yet. */
  context(): Promise<ContextX64>;
  /** What nearly everybody needs, at a fifth of the bytes. */
  general(): Promise<GeneralContext>;
  special(): Promise<SpecialRegistersX64>;
  /** @throws target-unsupported where nothing can be written */
  setContext(changes: Partial<ContextX64>): Promise<void>;
  setSpecial(changes: Partial<SpecialRegistersX64>): Promise<void>;
  readMsr(index: number): Promise<bigint>;
  writeMsr(index: number, value: bigint): Promise<void>;
  /** @param limit Unwound frames wanted; a longer walk later goes on where a shorter one ended. */
  stack(limit?: number): Promise<SymbolicStack>;
  /** KTHREAD that runs on it. */
  thread(): Promise<VirtualAddress>;
}

/** A module came, went, or got other symbols. */
export interface ModuleChange {
  readonly kind: 'added' | 'removed' | 'symbols';
  readonly module: ModuleSymbols;
}

export interface Target {
  readonly state: TargetState;
  /** Told after each change. */
  readonly onState: Listeners<TargetState>;
  /** Known once attached. */
  readonly machine: MachineType;
  readonly processors: readonly TargetProcessor[];
  readonly memory: TargetMemory;
  /**
   * Memory while it runs, where anybody can read it then: of this moment, and pages of one read may be of different ones.
   * Reads throw ram-* errors that say why they cannot.
   */
  readonly liveMemory?: VirtualMemory;
  /** As it is: our own int3s are visible in it. Undefined where only virtual memory is there. */
  readonly physicalMemory?: PhysicalReader;
  readonly symbols: KernelSymbols;
  readonly onModules: Listeners<ModuleChange>;
  readonly execution?: Execution;
  readonly breakpoints?: Breakpoints;
  /** Why it cannot be stopped at places of ours, by breakpoints or steps, if that is so; what stops by itself does. */
  readonly withoutPlaces?: VmkdError | undefined;
}

export type StepKind = 'into' | 'over' | 'out';
/** `statement` is a line's own row of the line table; compilers of C make it the same as `line`. */
export type StepGranularity = 'instruction' | 'line' | 'statement';

export interface StepOptions {
  readonly kind: StepKind;
  readonly granularity: StepGranularity;
  /** The processor whose thread steps. */
  readonly processor: number;
  /** For 'into': the call of this line to enter, by its address. */
  readonly intoCall?: VirtualAddress;
  /** For 'out': the frame to come back to, as an index into that processor's stack; 1 if absent. */
  readonly frame?: number;
}

export interface Execution {
  /**
   * Every continue first puts breakpoints where they belong. @param options.passException To the guest's own handlers; if
   * absent, exceptions are, and traps that only a debugger makes are not. @throws target-running, target-not-attached, link-*
   */
  resume(options?: { readonly passException?: boolean }): Promise<void>;
  /** Ends as a stop of kind `step`, or as whatever comes first; it returns when the target runs. */
  step(options: StepOptions): Promise<void>;
  /** Ends as a stop of kind `pause`. @throws target-did-not-stop */
  pause(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Sets the instruction pointer. A stop of kind `goto` is announced. */
  goto(processor: number, address: VirtualAddress): Promise<void>;
  /** Calls that the rest of the current line may make, for the user to choose from. */
  callsAhead(
    processor: number,
  ): Promise<readonly { readonly address: VirtualAddress; readonly name: string }[]>;
  /** Asks the guest to reboot; symbols and breakpoints come back with it. @throws target-did-not-stop */
  reboot(): Promise<void>;
  /** Removes what we put into the guest, lets it run (or leaves it stopped), closes the link. */
  release(options?: { readonly leaveStopped?: boolean }): Promise<void>;
}

export type BreakpointPlace =
  | {
      readonly kind: 'source';
      readonly path: string;
      readonly line: number;
      /** Of the file here, to tell it from another of its name, and from what was compiled. */
      readonly content?: Uint8Array;
      readonly sourceMap?: readonly SourceMapping[];
    }
  /** `nt!NtCreateFile`, `VmkDemo*`, `mydriver!*Dispatch*`: code behind the prologue. */
  | { readonly kind: 'function'; readonly name: string }
  /** Kept as symbol and offset, so that it finds its place again after a reboot. */
  | { readonly kind: 'instruction'; readonly address: VirtualAddress }
  | {
      readonly kind: 'data';
      readonly address: VirtualAddress;
      readonly size: number;
      readonly access: 'write' | 'access';
    };

/**
 * Decides, without asking anybody, whether a hit is one. The target is stopped, on `processor`; who is asked may look at all of
 * it, and change nothing but the target's memory and registers.
 */
export interface HitRule {
  /** False: go on. */
  condition?(processor: TargetProcessor): Promise<boolean>;
  /** Given the number of hits so far (those whose condition held), this one included. False: go on. */
  hits?(count: number): boolean;
  /** Told instead of stopping. */
  log?(processor: TargetProcessor): Promise<void>;
  /** `condition` or `log` threw: the breakpoint stops, and says so. */
  onError?(error: VmkdError): void;
}

export interface BreakpointRequest {
  readonly place: BreakpointPlace;
  /** Absent: the software table first, what does not fit there by other means. */
  readonly mode?: 'software' | 'hardware';
  readonly rule?: HitRule;
}

/** One object for the life of the breakpoint; its fields change, and `onChange` tells of it (not of each hit). */
export interface UserBreakpoint {
  readonly id: number;
  readonly request: BreakpointRequest;
  readonly status: BreakpointStatus;
  readonly hitCount: number;
}

export type BreakpointStatus =
  | {
      readonly kind: 'bound';
      readonly locations: readonly BreakpointLocation[];
      /** For people: “hardware slot 2”, “KD slot 5 of 32”, “the file differs from the one that was compiled”. */
      readonly message: string;
    }
  /** It may come to be: its module is not loaded, its symbols are not, its page is not there yet. */
  | { readonly kind: 'pending'; readonly message: string }
  /** It will not, unless the user changes something. */
  | { readonly kind: 'failed'; readonly message: string };

export interface BreakpointLocation {
  readonly address: VirtualAddress;
  readonly mechanism: 'kd-table' | 'int3' | 'hardware';
  /** Of the code, where known. */
  readonly source: { readonly path: string; readonly line: number } | undefined;
}

export interface Breakpoints {
  /** May be called while the target runs: it is then stopped for a moment. @throws target-did-not-stop, and what it throws */
  add(request: BreakpointRequest): Promise<UserBreakpoint>;
  remove(breakpoint: UserBreakpoint): Promise<void>;
  /** New rule for a breakpoint that stays where it is. */
  change(breakpoint: UserBreakpoint, rule: HitRule | undefined): void;
  readonly all: readonly UserBreakpoint[];
  /** Told when one is bound, lost its place, or failed. */
  readonly onChange: Listeners<UserBreakpoint>;
  /** Which exceptions stop, and which go to the guest unseen. */
  exceptionRule: ExceptionRule;
}

export interface ExceptionRule {
  readonly bugchecks: boolean;
  /** First-chance exceptions: none, all, or those whose NTSTATUS is listed. Second-chance ones always stop. */
  readonly firstChance: 'none' | 'all' | ReadonlySet<number>;
  readonly codeBreakpoints: boolean;
  /** Modules at whose load the target stops, by wildcards for their names. */
  readonly moduleLoads: readonly string[];
  readonly moduleUnloads: readonly string[];
}
