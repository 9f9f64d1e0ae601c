/**
 * Which dwords of an x86 stack may be return addresses: those into code, behind an instruction that calls.
 *
 *   e8 rel32     call near          ff /2    call by register or memory: 2 to 7 bytes by its ModRM
 *   9a off:sel   call far, 7 bytes  ff /3    the same, far
 *
 * What functions that have returned left on the stack looks the same: this tells what is no return address rather than what
 * is one.
 */

import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';

/** An image, as far as it matters here. */
interface CodeHolder {
  readonly imageBase: VirtualAddress;
  isCode(rva: number): boolean;
}

export interface CodeMap {
  readonly memory: VirtualMemory;
  /** Undefined: the address lies in no known image. */
  imageAt(address: VirtualAddress): CodeHolder | undefined | Promise<CodeHolder | undefined>;
}

/** No call of x86 code is longer, prefixes aside. */
const longestCall = 7;

export async function mayBeReturnAddress(map: CodeMap, value: number): Promise<boolean> {
  const address = signExtend32(value);
  const image = await map.imageAt(plus(address, -1));
  if (!image?.isCode(Number(BigInt.asIntN(53, address - image.imageBase)) - 1)) return false;
  const before = await map.memory.readPartial(plus(address, -longestCall), longestCall);
  // What is paged out speaks neither for it nor against it.
  return before.length < longestCall || endsWithCall(before);
}

/** The first dwords of the stack that may be some, with their addresses; until memory is absent. */
export async function* returnAddresses(
  map: CodeMap,
  start: number,
  dwords: number,
): AsyncGenerator<{ readonly at: number; readonly value: number }> {
  for (let i = 0; i < dwords; i++) {
    const at = (start + i * 4) >>> 0;
    const value = await readDword(map.memory, at);
    if (value === undefined) return;
    if (await mayBeReturnAddress(map, value)) yield { at, value };
  }
}

/** Undefined if it is absent. */
export async function readDword(memory: VirtualMemory, address: number): Promise<number | undefined> {
  const bytes = await memory.readPartial(signExtend32(address), 4);
  return bytes.length < 4 ? undefined : new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

/** @param before The bytes in front of the address, at least 7. */
export function endsWithCall(before: Uint8Array): boolean {
  const byte = (back: number): number => before[before.length - back] ?? -1;
  if (byte(5) === 0xe8 || byte(7) === 0x9a) return true;
  for (let length = 2; length <= longestCall; length++)
    if (byte(length) === 0xff && indirectCallLength(byte(length - 1), byte(length - 2)) === length)
      return true;
  return false;
}

/** Of ff with this ModRM and, if it has one, SIB. 0: no call. */
function indirectCallLength(modRm: number, sib: number): number {
  const [mode, operation, low] = [modRm >> 6, (modRm >> 3) & 7, modRm & 7];
  if (modRm < 0 || (operation !== 2 && operation !== 3)) return 0;
  if (mode === 3) return operation === 2 ? 2 : 0;
  const hasSib = low === 4;
  const isAbsolute = mode === 0 && (hasSib ? (sib & 7) === 5 : low === 5);
  return 2 + (hasSib ? 1 : 0) + (mode === 1 ? 1 : mode === 2 || isAbsolute ? 4 : 0);
}
