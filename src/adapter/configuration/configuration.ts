/**
 * The launch configuration: one table of what a user may write, from which the checks, the types, the manual and the
 * schema in package.json come.
 *
 * A field that the table lacks is an error if it looks like a slip of one that it has: a mistyped name would silently not
 * do what its writer wanted. Others belong to the client (`preLaunchTask`) or to other extensions, and are only mentioned.
 */

import { VmkdError } from '../../engine/core/errors';
import type { SourceMapping } from '../../engine/symbols/services/sourcePaths';
import {
  choice,
  field,
  fieldWithDefault,
  FieldProblem,
  flag,
  group,
  isObject,
  mebibytes,
  perSecond,
  readFields,
  refuseUnknown,
  seconds,
  text,
  textList,
  textMap,
  type ValuesOf,
} from './fieldTypes';

export const configurationFields = {
  link: field(
    text,
    'How to reach the debug port: `unix:/path`, `tcp:host:port` or `pipe:name`; with `-listen` after the kind, vmkd waits to be connected.',
  ),
  vm: field(
    text,
    'The virtual machine, instead of `link`: the path of its `.vmx` file, or its name as `vmkd machines` lists it. Its debug port and its memory are found.',
  ),
  transport: fieldWithDefault(
    choice(['auto', 'mailbox', 'hybrid', 'serial']),
    'auto',
    'How bytes come from the kernel. `serial`: all over the debug port. `hybrid`: memory is read in the machine’s RAM, as this computer has it. `mailbox`: the packets of KD go through that RAM, too, once the guest has the module of vmkd loaded. `auto`: the best that proves to be right; the console says which, and why not a better one. Whatever fails falls back to the debug port.',
  ),
  guestRam: field(
    group({
      file: field(
        text,
        'The file that the machine has its memory in: `mem-path` of QEMU’s `memory-backend-file` with `share=on`.',
      ),
      machine: fieldWithDefault(
        choice(['pc', 'q35']),
        'pc',
        'What QEMU’s `-machine` is: it decides where the memory has its hole below 4 GiB. VMware’s is that of `pc`.',
      ),
      lowMiB: field(mebibytes, 'MiB of memory below the hole, where it is another than that of `machine`.'),
    }),
    'Where the memory of the machine is, if vmkd does not find it by itself: machines of QEMU and VMware on this computer are found by `link` or `vm`.',
  ),
  live: fieldWithDefault(
    group({
      memory: fieldWithDefault(
        flag,
        true,
        'Memory views and watches of global names can be read while the kernel runs, where its memory is read in the machine’s RAM. What they show is marked as live: its parts may be of different moments.',
      ),
      refreshesPerSecond: fieldWithDefault(
        perSecond,
        0,
        'How often those that are open are looked at while the kernel runs; the client is told of what has changed. 0: only when it asks.',
      ),
    }),
    { memory: true, refreshesPerSecond: 0 },
    'What can be seen while the kernel runs.',
  ),
  parking: fieldWithDefault(
    group({
      enabled: field(
        flag,
        'Default: where the machine is found and can be controlled, by QEMU’s monitor or `vmrun`. `true`: the console says why, if it cannot.',
      ),
      after: fieldWithDefault(seconds, 5, 'Seconds that nobody needs the kernel, until it is parked.'),
    }),
    { enabled: undefined, after: 5 },
    'While the kernel stands and nobody needs it, its machine is paused: at a break a guest would burn its processors. Memory is read on; what else asks the kernel wakes it.',
  ),
  symbolPath: field(
    text,
    'Where PDBs and images are: folders, `cache*FOLDER`, `srv*FOLDER*URL`, with `;` between them. Default: `_NT_SYMBOL_PATH`, else Microsoft’s server.',
  ),
  symbols: fieldWithDefault(
    group({
      download: fieldWithDefault(
        flag,
        false,
        'Fetches missing PDBs from the servers of `symbolPath` after attaching. Without it they are asked only by the command `.reload`.',
      ),
    }),
    { download: false },
    'How symbols are loaded.',
  ),
  sourceMap: fieldWithDefault(
    textMap,
    {},
    'Folders of sources: the prefix in the PDB → the folder here. `{"d:\\\\build": "/home/me/driver"}`',
  ),
  breakOnAttach: fieldWithDefault(flag, true, 'Stays stopped after attaching. Otherwise the kernel runs on.'),
  stopAt: fieldWithDefault(
    textList,
    [],
    '`initialBreakpoint`: stop at the first chance after each boot. `module:PATTERN`: stop when such a module is loaded, e.g. `module:mydriver*`.',
  ),
  initCommands: fieldWithDefault(textList, [], 'Console commands that are run after attaching.'),
  timeouts: fieldWithDefault(
    group({
      link: fieldWithDefault(seconds, 10, 'For the link to appear: the machine may still be starting.'),
      attach: fieldWithDefault(seconds, 20, 'For the kernel to answer.'),
      breakIn: fieldWithDefault(seconds, 10, 'For the kernel to stop when asked to.'),
    }),
    { link: 10, attach: 20, breakIn: 10 },
    'Limits, in seconds.',
  ),
  companion: field(
    text,
    'Lets WinDbg attach to the same kernel: the name of a pipe, which becomes `\\\\.\\pipe\\kd_NAME` or a Unix socket of yours, or a link that listens.',
  ),
  companionTrace: field(text, 'Records every packet that passes the companion pipe into this file.'),
  trace: field(text, 'Records every packet into this file; `vmkd trace FILE` prints them.'),
} as const;

/** What "request": "launch" understands besides. */
export const launchFields = {
  snapshot: field(
    text,
    'The machine is taken back to this snapshot before it is attached to. Without it, it is powered on or resumed if need be.',
  ),
} as const;

type Fields = ValuesOf<typeof configurationFields>;

export interface Configuration extends Omit<Fields, 'link' | 'vm' | 'guestRam' | 'sourceMap' | 'stopAt'> {
  readonly machine: MachineChoice;
  readonly guestRam: GivenRam | undefined;
  readonly sourceMap: readonly SourceMapping[];
  readonly stopAt: StopAt;
}

/** How the kernel is reached: by its debug port, or by the machine that has one. */
export type MachineChoice =
  { readonly kind: 'link'; readonly link: string } | { readonly kind: 'vm'; readonly vm: string };

export interface GivenRam {
  readonly file: string;
  readonly machine: 'pc' | 'q35';
  readonly lowMiB: number | undefined;
}

export interface StopAt {
  readonly initialBreakpoint: boolean;
  /** Wildcards for the names of modules at whose load it stops. */
  readonly modules: readonly string[];
}

/** What VS Code itself understands in any launch configuration; not ours to mention. */
const clientFields: ReadonlySet<string> = new Set([
  'type',
  'request',
  'name',
  'presentation',
  'preLaunchTask',
  'postDebugTask',
  'internalConsoleOptions',
  'debugServer',
  'serverReadyAction',
  'suppressMultipleSessionWarning',
  'windows',
  'linux',
  'osx',
  'noDebug',
  'restart',
]);

/** @param onIgnored Told of fields that nobody here knows. @throws configuration-bad */
export function readConfiguration(given: unknown, onIgnored: (sentence: string) => void): Configuration {
  try {
    return interpret(given, onIgnored);
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    throw new VmkdError('configuration-bad', error.message, { cause: error });
  }
}

/** What a launch wants besides its configuration, and what is left of it for that. @throws configuration-bad */
export function readLaunch(given: unknown): {
  readonly snapshot: string | undefined;
  readonly rest: unknown;
} {
  if (!isObject(given)) return { snapshot: undefined, rest: given };
  const { snapshot, ...rest } = given;
  if (snapshot !== undefined && (typeof snapshot !== 'string' || snapshot === ''))
    throw new VmkdError('configuration-bad', '“snapshot” wants the name of one');
  return { snapshot, rest };
}

function interpret(given: unknown, onIgnored: (sentence: string) => void): Configuration {
  if (!isObject(given)) throw new FieldProblem('The configuration is no object');
  const ours = Object.fromEntries(
    Object.entries(given).filter(([name]) => !clientFields.has(name) && !name.startsWith('__')),
  );
  const { link, vm, guestRam, sourceMap, stopAt, ...rest } = readFields(
    configurationFields,
    ours,
    (name) => name,
    (name, meant) => {
      if (meant !== undefined) refuseUnknown(name, meant);
      onIgnored(`The launch configuration has a field “${name}” that vmkd does not know.`);
    },
  );
  return {
    ...rest,
    machine: interpretMachine(link, vm),
    guestRam: guestRam && interpretRam(guestRam),
    sourceMap: Object.entries(sourceMap).map(([pdb, local]) => ({ pdb, local })),
    stopAt: interpretStops(stopAt),
  };
}

function interpretMachine(link: string | undefined, vm: string | undefined): MachineChoice {
  if (link !== undefined && vm !== undefined)
    throw new FieldProblem('“link” and “vm” say the same thing: keep one of them');
  if (vm !== undefined && vm !== '') return { kind: 'vm', vm };
  if (link === undefined || link === '')
    throw new FieldProblem('“link” is missing: where is the debug port of the machine?');
  return { kind: 'link', link };
}

function interpretRam({ file, ...rest }: NonNullable<Fields['guestRam']>): GivenRam {
  if (file === undefined || file === '')
    throw new FieldProblem('“guestRam.file” is missing: which file has the memory of the machine?');
  return { file, ...rest };
}

function interpretStops(stops: readonly string[]): StopAt {
  let initialBreakpoint = false;
  const modules: string[] = [];
  for (const stop of stops) {
    if (stop === 'initialBreakpoint') initialBreakpoint = true;
    else if (/^module:./.test(stop)) modules.push(stop.slice('module:'.length));
    else {
      throw new FieldProblem(`“stopAt” wants “initialBreakpoint” or “module:PATTERN”, not “${stop}”`);
    }
  }
  return { initialBreakpoint, modules };
}
