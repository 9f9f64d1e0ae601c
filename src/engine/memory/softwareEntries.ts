/**
 * What NT keeps in page-table entries that are not present, as far as it says where the page is. 8-byte entries:
 *
 *   63           52 51                12  11  10  9 ─ 5  4        0
 *   ┌──────────────┬────────────────────┬───┬───┬───────┬──┬─ … ─┬─┐
 *   │ 0            │ page frame         │ 1 │ 0 │protect│sw│     │0│  transition: the page is in memory
 *   ├──────────────┴──────────────┬─────┼───┼───┼───────┼──┼─ … ─┼─┤
 *   │ address of a prototype 63─16│     │ x │ 1 │       │  │     │0│  prototype: an entry elsewhere says it (PAE: 63─32)
 *   ├─────────────────────────────┴─────┼───┼───┼───────┼──┼─ … ─┼─┤
 *   │ place in a page file              │ 0 │ 0 │       │  │     │0│  in a page file, or not made yet
 *   └───────────────────────────────────┴───┴───┴───────┴──┴─ … ─┴─┘
 *
 * 4-byte entries have transition pages alike (frame 31─12). Their prototypes count from a base that moves: not resolved.
 *
 * Kernels that guard against L1TF set a high bit of the frame in entries that are not present, unless `sw` is set;
 * KDDEBUGGER_DATA64 has the numbers of both bits.
 *
 * Source: _MMPTE and its parts in the public symbols of Windows 7, 10 and 11.
 */

/** Bits of physical addresses that say where. Zero for high: nothing is hidden. */
export interface SoftwareEntries {
  readonly highBit: number;
  readonly swizzleBit: number;
}

const transition = 0x800;
const prototype = 0x400;

export const isTransition = (low: number): boolean => (low & (prototype | transition)) === transition;
export const isPrototype = (low: number): boolean => (low & prototype) !== 0;

/** The frame of a transition entry. @param high 0 for 4-byte entries. */
export function transitionFrame(low: number, high: number, { highBit, swizzleBit }: SoftwareEntries): number {
  const frame = (high & 0xfffff) * 2 ** 20 + (low >>> 12);
  if (highBit < 12 || highBit > 51 || (low & (1 << swizzleBit)) !== 0) return frame;
  const hidden = 2 ** (highBit - 12);
  return Math.floor(frame / hidden) % 2 === 1 ? frame - hidden : frame + hidden;
}

/** In the high part: “ask the address space”, no address. */
const lookUp = 0xffff_ffff;

/**
 * Where the prototype of an 8-byte entry lies: the number of its page, and bytes from its start. Undefined: it does not say, or
 * names no kernel memory.
 */
export function prototypeAt(
  low: number,
  high: number,
  addressBits: number,
): { readonly page: number; readonly within: number } | undefined {
  if (high === lookUp) return undefined;
  // 48 bits of a 64-bit address; all 32 of a PAE one.
  const bits = addressBits === 32 ? 32 : 48;
  const value = bits === 32 ? high : high * 2 ** 16 + (low >>> 16);
  if (value < 2 ** (bits - 1) || value % 8 !== 0) return undefined;
  return { page: Math.floor(value / 4096) + 2 ** 52 - 2 ** (bits - 12), within: value % 4096 };
}
