/**
 * Branded addresses: a virtual address can never be handed to a reader of physical memory, nor either be mistaken for
 * a plain number. All are unsigned 64-bit bigints; pointers of 32-bit targets are sign-extended, as KD does on the wire.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = bigint & { readonly [brand]: Name };

/** An address in the target's current virtual address space. */
export type VirtualAddress = Branded<'VirtualAddress'>;
/** A guest-physical address. */
export type PhysicalAddress = Branded<'PhysicalAddress'>;
/** The number of a 4 KiB page of guest-physical memory: below 2^40, so a plain number holds it. */
export type PageFrame = number & { readonly [brand]: 'PageFrame' };

const mask64 = 0xffff_ffff_ffff_ffffn;

/** Wraps modulo 2^64. */
export const virtualAddress = (value: bigint): VirtualAddress => BigInt.asUintN(64, value) as VirtualAddress;
/** Wraps modulo 2^64. */
export const physicalAddress = (value: bigint): PhysicalAddress =>
  BigInt.asUintN(64, value) as PhysicalAddress;

/** @param value An integer, 0 ≤ value < 2^40. */
export const pageFrame = (value: number): PageFrame => value as PageFrame;

/** `address + bytes`, modulo 2^64. Either sort of address keeps its sort. */
export function plus<A extends VirtualAddress | PhysicalAddress>(address: A, bytes: number | bigint): A {
  return ((address + BigInt(bytes)) & mask64) as A;
}

/** A 32-bit pointer as KD carries it: sign-extended to 64 bits. */
export const signExtend32 = (pointer: number): VirtualAddress =>
  BigInt.asUintN(64, BigInt.asIntN(32, BigInt(pointer))) as VirtualAddress;

/** `fffff803`12345678`: the way WinDbg prints a 64-bit address. */
export function formatAddress(address: bigint): string {
  const digits = address.toString(16).padStart(16, '0');
  return `${digits.slice(0, 8)}\`${digits.slice(8)}`;
}

/** Reads `0x…`, plain hex digits, or WinDbg's back-quoted form. Undefined if it is none of these, or over 64 bits. */
export function parseAddress(text: string): VirtualAddress | undefined {
  const digits = text.replace(/^0x/i, '').replace(/`/g, '');
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return undefined;
  return virtualAddress(BigInt(`0x${digits}`));
}
