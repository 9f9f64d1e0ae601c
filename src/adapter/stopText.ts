/** Stops for people: what happened, who did it, with names for the numbers. */

import type { VirtualAddress } from '../engine/core/addresses';
import { hex } from '../engine/core/hex';
import { statusName } from '../engine/expr/statusNames';
import { NtStatus } from '../engine/kd/ntstatus';
import type { TargetException } from '../engine/target/target';
import { accessOf, accessParameter, bugcheckOf } from '../engine/windows/bugchecks';
import type { KernelSymbols } from '../engine/windows/kernelSymbols';

/** Who knows names of addresses. */
type Names = Pick<KernelSymbols, 'nameOf'>;

export interface ExceptionText {
  /** `0xc0000005`, `0x0000000a`. */
  readonly id: string;
  /** `STATUS_ACCESS_VIOLATION`, `IRQL_NOT_LESS_OR_EQUAL`. */
  readonly name: string;
  /** One or more lines. */
  readonly description: string;
}

export function exceptionText(exception: TargetException, symbols: Names): ExceptionText {
  const { code, address, firstChance } = exception;
  const id = hex(code, 8);
  const chance = firstChance ? 'first chance' : 'second chance: nobody has handled it';
  return {
    id,
    name: statusName(code) ?? `Exception ${id}`,
    description: `${whatWasDone(exception, symbols)} at ${place(symbols, address)} (${chance})`,
  };
}

/** EXCEPTION_RECORD.ExceptionInformation of memory faults: what was tried, where, and of an in-page error why. */
function whatWasDone({ code, information }: TargetException, symbols: Names): string {
  const [kind, where, why] = information;
  const isFault = code === NtStatus.AccessViolation || code === inPageError;
  if (!isFault || kind === undefined || where === undefined) return 'The code failed';
  const verb = kind === 0n ? 'read from' : kind === 1n ? 'wrote to' : 'executed';
  const reason =
    why === undefined || code !== inPageError
      ? ''
      : `: ${statusName(Number(why & 0xffff_ffffn)) ?? hex(why)}`;
  return `The code ${verb} ${place(symbols, where as VirtualAddress)}${reason},`;
}

const inPageError = 0xc0000006;

export function bugcheckText(code: number, parameters: readonly bigint[], symbols: Names): ExceptionText {
  const { name, parameters: meanings } = bugcheckOf(code);
  const lines = parameters.map((value, i) => {
    const { meaning = '', isAddress = false, isStatus = false } = meanings[i] ?? {};
    const name = isAddress
      ? symbols.nameOf(value as VirtualAddress)
      : isStatus
        ? statusName(Number(BigInt.asUintN(32, value)))
        : i === accessParameter(code)
          ? accessOf(code, parameters)
          : undefined;
    return `  ${i + 1}: ${named(hex(value, 16), name)}${meaning === '' ? '' : `  ${meaning}`}`;
  });
  return { id: hex(code, 8), name, description: [`Bugcheck ${hex(code, 8)} ${name}`, ...lines].join('\n') };
}

/** `0xfffff80312345678 (nt!KeBugCheckEx+0x12)`. */
const place = (symbols: Names, address: VirtualAddress): string =>
  named(hex(address, 16), symbols.nameOf(address));

const named = (text: string, name: string | undefined): string =>
  `${text}${name === undefined ? '' : ` (${name})`}`;
