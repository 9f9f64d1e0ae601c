/** Guest-physical memory as a file has it. */

/** Guest-physical memory as RAM file offsets: [0, lowBytes) is at 0; the rest starts at 4 GiB and is at lowBytes. */
export interface PhysicalLayout {
  readonly lowBytes: number;
  readonly totalBytes: number;
}
