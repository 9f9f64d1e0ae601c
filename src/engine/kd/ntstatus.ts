/** The NTSTATUS values that KD itself uses, in requests, replies and state changes. Source: ntstatus.h's numbers. */

export const NtStatus = {
  Success: 0x00000000,
  Pending: 0x00000103,
  DbgExceptionHandled: 0x00010001,
  DbgContinue: 0x00010002,
  Breakpoint: 0x80000003,
  SingleStep: 0x80000004,
  WakeSystemDebugger: 0x80000007,
  NoMoreEntries: 0x8000001a,
  DbgExceptionNotHandled: 0x80010001,
  Unsuccessful: 0xc0000001,
  AccessViolation: 0xc0000005,
  InvalidParameter: 0xc000000d,
  NoSuchFile: 0xc000000f,
  IllegalInstruction: 0xc000001d,
  NotFound: 0xc0000225,
} as const;

/** Failures and warnings (“no more entries”) have the top bit set: what was asked for did not happen, or not all of it. */
export const isError = (status: number): boolean => status >= 0x80000000;

const names = new Map<number, string>(Object.entries(NtStatus).map(([name, value]) => [value, name]));

/** `0xc0000001 (Unsuccessful)`, or the number alone. */
export function formatStatus(status: number): string {
  const digits = `0x${status.toString(16).padStart(8, '0')}`;
  const name = names.get(status);
  return name === undefined ? digits : `${digits} (${name})`;
}
