/**
 * STATE_CHANGE64 (packet type 7): the target has stopped and says why. DBGKD_ANY_WAIT_STATE_CHANGE, target → debugger.
 *
 *     0 u32 NewState     4 u16 ProcessorLevel   6 u16 Processor   8 u32 NumberProcessors
 *    16 u64 Thread      24 u64 ProgramCounter
 *    32 .. 191  what happened:
 *         Exception      32 u32 Code  36 u32 Flags  40 u64 Record  48 u64 Address  56 u32 NumberParameters
 *                        64 u64 Information[15]    184 u32 FirstChance
 *         LoadSymbols    32 u32 PathNameLength  40 u64 BaseOfDll  48 u64 ProcessId  56 u32 CheckSum
 *                        60 u32 SizeOfImage     64 u8 UnloadSymbols      … path (ANSI) at the packet's end
 *         CommandString  32 u32 Flags            … name NUL command NUL at 240
 *   192 .. 239  control report, by machine:
 *         x64   0 u64 Dr6   8 u64 Dr7  16 u32 EFlags  20 u16 InstructionCount  22 u16 ReportFlags
 *              24 InstructionStream[16]  40 u16 SegCs  SegDs  SegEs  SegFs
 *         x86   0 u32 Dr6   4 u32 Dr7   8 u16 InstructionCount  10 u16 ReportFlags  12 InstructionStream[16]
 *              28 u16 SegCs SegDs SegEs SegFs  36 u32 EFlags
 *   240 ..      trailing data; exceptions may carry a few bytes of trace data there
 *
 * Invariants: nothing is required of padding; the control report stays raw until the machine is known (GetVersion),
 * for x86 and x64 cannot be told apart by length. Pointers of x86 targets are sign-extended.
 * Source: captures of Windows 8.1 x64 and of the boot debugger of Windows 10; offsets checked with compilers.
 */

import { formatAddress, type VirtualAddress } from '../core/addresses';
import { equalBytes } from '../core/bytes';
import { VmkdError } from '../core/errors';
import { bytes, hex16, hex32, layout, list, u16, u32, u64, u8, va, type ValuesOf } from '../core/layout';
import { decodeAnsiz, encodeAnsi } from '../core/text';
import type { MachineType } from './machineType';

export const stateChangeSize = 240;
const reportOffset = 192;
const reportSize = 48;
/** Windows' own limit. */
const mostProcessors = 2048;
const noBase = 0xffff_ffff_ffff_ffffn;

export const NewState = { Exception: 0x3030, LoadSymbols: 0x3031, CommandString: 0x3032 } as const;
/** Or'ed into NewState when the target offers the alternate form; it changes nothing for us. */
const alternateState = 0x10000;

const common = layout(32, {
  newState: [0, hex32],
  processorLevel: [4, u16],
  processor: [6, u16],
  numberProcessors: [8, u32],
  thread: [16, va],
  programCounter: [24, va],
});

const exceptionUnion = layout(160, {
  code: [0, hex32],
  flags: [4, hex32],
  record: [8, va],
  address: [16, va],
  numberParameters: [24, u32],
  information: [32, list(u64, 15)],
  firstChance: [152, u32],
});

const loadSymbolsUnion = layout(40, {
  pathNameLength: [0, u32],
  baseOfDll: [8, va],
  processId: [16, u64],
  checkSum: [24, u32],
  sizeOfImage: [28, u32],
  unloadSymbols: [32, u8],
});

const commandStringUnion = layout(64, { flags: [0, hex32] });

const reportX64 = layout(reportSize, {
  dr6: [0, u64],
  dr7: [8, u64],
  eflags: [16, hex32],
  instructionCount: [20, u16],
  reportFlags: [22, u16],
  instructionStream: [24, bytes(16)],
  segCs: [40, hex16],
  segDs: [42, hex16],
  segEs: [44, hex16],
  segFs: [46, hex16],
});

const reportX86 = layout(40, {
  dr6: [0, hex32],
  dr7: [4, hex32],
  instructionCount: [8, u16],
  reportFlags: [10, u16],
  instructionStream: [12, bytes(16)],
  segCs: [28, hex16],
  segDs: [30, hex16],
  segEs: [32, hex16],
  segFs: [34, hex16],
  eflags: [36, hex32],
});

/** What the stopped processor's debug registers and next instructions were; the same shape for x86 and x64. */
export type ControlReport = ValuesOf<(typeof reportX64)['fields']>;

interface Common {
  /** CPU family, e.g. 6. */
  readonly processorLevel: number;
  /** The processor that stopped, from 0. */
  readonly processor: number;
  readonly numberProcessors: number;
  /** KTHREAD. */
  readonly thread: VirtualAddress;
  readonly programCounter: VirtualAddress;
  /** Control report, 48 bytes as sent: see `readControlReport`. */
  readonly report: Uint8Array;
}

export interface ExceptionChange extends Common {
  readonly kind: 'exception';
  /** NTSTATUS. */
  readonly code: number;
  readonly flags: number;
  /** The nested EXCEPTION_RECORD, 0 if none. */
  readonly record: VirtualAddress;
  readonly address: VirtualAddress;
  /** At most 15 parameters, as many as the target says are valid. */
  readonly information: readonly bigint[];
  readonly firstChance: boolean;
}

export interface LoadSymbolsChange extends Common {
  readonly kind: 'loadSymbols';
  readonly path: string;
  readonly base: VirtualAddress;
  readonly processId: bigint;
  readonly checkSum: number;
  readonly sizeOfImage: number;
  readonly unload: boolean;
}

/** The target says good-bye: it shuts down or reboots. An unload of no module. */
export interface TargetGoneChange extends Common {
  readonly kind: 'targetGone';
}

export interface CommandStringChange extends Common {
  readonly kind: 'commandString';
  readonly name: string;
  readonly command: string;
}

export type StateChange = ExceptionChange | LoadSymbolsChange | TargetGoneChange | CommandStringChange;

/** @throws protocol-violation if the packet is too short, or of no known kind. */
export function decodeStateChange(payload: Uint8Array): StateChange {
  if (payload.length < stateChangeSize) {
    throw new VmkdError(
      'protocol-violation',
      `A state change of ${payload.length} bytes; ${stateChangeSize} are the least`,
    );
  }
  const { newState, ...rest } = common.read(payload);
  if (rest.numberProcessors > mostProcessors || rest.processor > mostProcessors) {
    throw new VmkdError('protocol-violation', `Processor ${rest.processor} of ${rest.numberProcessors}`);
  }
  const shared: Common = { ...rest, report: payload.slice(reportOffset, reportOffset + reportSize) };
  switch (newState & ~alternateState) {
    case NewState.Exception:
      return exceptionChange(shared, payload);
    case NewState.LoadSymbols:
      return loadSymbolsChange(shared, payload);
    case NewState.CommandString: {
      const [name = '', command = ''] =
        payload.length > stateChangeSize ? splitStrings(payload.subarray(stateChangeSize)) : [];
      return { ...shared, kind: 'commandString', name, command };
    }
    default:
      throw new VmkdError('protocol-violation', `A state change of unknown kind 0x${newState.toString(16)}`);
  }
}

function exceptionChange(shared: Common, payload: Uint8Array): ExceptionChange {
  const { numberParameters, information, firstChance, ...exception } = exceptionUnion.read(payload, 32);
  return {
    ...shared,
    ...exception,
    kind: 'exception',
    information: information.slice(0, Math.min(numberParameters, 15)),
    firstChance: firstChance !== 0,
  };
}

function loadSymbolsChange(shared: Common, payload: Uint8Array): LoadSymbolsChange | TargetGoneChange {
  const { pathNameLength, baseOfDll, unloadSymbols, processId, checkSum, sizeOfImage } =
    loadSymbolsUnion.read(payload, 32);
  if (pathNameLength === 0 && baseOfDll === noBase && unloadSymbols !== 0)
    return { ...shared, kind: 'targetGone' };
  if (pathNameLength > payload.length - stateChangeSize) {
    throw new VmkdError(
      'protocol-violation',
      `A module path of ${pathNameLength} bytes in a packet of ${payload.length}`,
    );
  }
  // Counted from the end: targets of protocol version 5 put a whole CONTEXT in front of the path.
  const path = decodeAnsiz(payload.subarray(payload.length - pathNameLength));
  return {
    ...shared,
    kind: 'loadSymbols',
    path,
    base: baseOfDll,
    processId,
    checkSum,
    sizeOfImage,
    unload: unloadSymbols !== 0,
  };
}

function splitStrings(data: Uint8Array): string[] {
  const end = data.indexOf(0);
  if (end < 0) return [decodeAnsiz(data)];
  return [decodeAnsiz(data), decodeAnsiz(data.subarray(end + 1))];
}

/** The inverse of `decodeStateChange`: what a target sends. */
export function encodeStateChange(change: StateChange): Uint8Array {
  const tail = trailingBytes(change);
  const payload = new Uint8Array(stateChangeSize + tail.length);
  payload.set(tail, stateChangeSize);
  payload.set(change.report.subarray(0, reportSize), reportOffset);
  const newState = {
    exception: NewState.Exception,
    loadSymbols: NewState.LoadSymbols,
    targetGone: NewState.LoadSymbols,
    commandString: NewState.CommandString,
  }[change.kind];
  common.write(payload, { ...pickCommon(change), newState });
  switch (change.kind) {
    case 'exception': {
      const { code, flags, record, address, information, firstChance } = change;
      exceptionUnion.write(
        payload,
        {
          code,
          flags,
          record,
          address,
          information,
          numberParameters: information.length,
          firstChance: Number(firstChance),
        },
        32,
      );
      break;
    }
    case 'loadSymbols': {
      const { base, processId, checkSum, sizeOfImage, unload } = change;
      loadSymbolsUnion.write(
        payload,
        {
          pathNameLength: tail.length,
          baseOfDll: base,
          processId,
          checkSum,
          sizeOfImage,
          unloadSymbols: Number(unload),
        },
        32,
      );
      break;
    }
    case 'targetGone':
      loadSymbolsUnion.write(payload, { baseOfDll: noBase as VirtualAddress, unloadSymbols: 1 }, 32);
      break;
    case 'commandString':
      commandStringUnion.write(payload, { flags: 0 }, 32);
      break;
  }
  return payload;
}

function trailingBytes(change: StateChange): Uint8Array {
  if (change.kind === 'loadSymbols')
    return change.path === '' ? new Uint8Array() : encodeAnsi(`${change.path}\0`);
  if (change.kind === 'commandString') return encodeAnsi(`${change.name}\0${change.command}\0`);
  return new Uint8Array();
}

const pickCommon = ({ processorLevel, processor, numberProcessors, thread, programCounter }: Common) => ({
  processorLevel,
  processor,
  numberProcessors,
  thread,
  programCounter,
});

/** Reads the control report of a state change. */
export function readControlReport(
  change: { readonly report: Uint8Array },
  machine: MachineType,
): ControlReport {
  if (machine === 'x64') return reportX64.read(change.report);
  const { dr6, dr7, ...rest } = reportX86.read(change.report);
  return { ...rest, dr6: BigInt(dr6), dr7: BigInt(dr7) };
}

/** 48 bytes; for the target side. */
export function encodeControlReport(report: ControlReport, machine: MachineType): Uint8Array {
  const target = new Uint8Array(reportSize);
  if (machine === 'x64') reportX64.write(target, report);
  else reportX86.write(target, { ...report, dr6: Number(report.dr6), dr7: Number(report.dr7) });
  return target;
}

/**
 * The same stop as a debugger shall see it: at another place, and with this code there. The payload itself, if that is what it
 * says already. @param code At most 16 bytes.
 */
export function withPlace(
  payload: Uint8Array,
  machine: MachineType,
  programCounter: VirtualAddress,
  code: Uint8Array,
): Uint8Array {
  const report = machine === 'x64' ? reportX64 : reportX86;
  const now = report.read(payload, reportOffset);
  const shown = now.instructionStream.slice(0, now.instructionCount);
  const isSame = common.read(payload).programCounter === programCounter && equalBytes(shown, code);
  if (isSame) return payload;
  const changed = payload.slice();
  common.write(changed, { programCounter });
  report.write(
    changed,
    { instructionCount: code.length, instructionStream: code.subarray(0, 16) },
    reportOffset,
  );
  return changed;
}

/** One line for logs and the packet trace. */
export function describeStateChange(change: StateChange): string {
  const where = `cpu ${change.processor}/${change.numberProcessors} pc ${formatAddress(change.programCounter)}`;
  switch (change.kind) {
    case 'exception':
      return `exception ${change.code.toString(16)} ${change.firstChance ? 'first' : 'second'} chance at ${formatAddress(change.address)}, ${where}`;
    case 'loadSymbols':
      return `${change.unload ? 'unload' : 'load'} ${JSON.stringify(change.path)} ${formatAddress(change.base)}+${change.sizeOfImage.toString(16)}, ${where}`;
    case 'targetGone':
      return `target gone, ${where}`;
    case 'commandString':
      return `command string ${JSON.stringify(change.name)} ${JSON.stringify(change.command)}, ${where}`;
  }
}
