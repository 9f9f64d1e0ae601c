/** The processors whose KD layouts we know. Wire number: IMAGE_FILE_MACHINE_*, from GetVersion. */

export type MachineType = 'x86' | 'x64';

const machines = { 0x14c: 'x86', 0x8664: 'x64' } as const satisfies Record<number, MachineType>;

/** Undefined for a machine that we do not debug (0xaa64 is ARM64, 0x1c4 ARM). */
export const machineTypeOf = (imageFileMachine: number): MachineType | undefined =>
  (machines as Record<number, MachineType>)[imageFileMachine];
