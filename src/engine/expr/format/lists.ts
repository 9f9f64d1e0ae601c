/**
 * Doubly linked lists as NT has them: a head and entries in a ring, each LIST_ENTRY { Flink, Blink }.
 *
 * Invariant: a list is the target's claim. Every entry must point back at the one before, no entry comes twice, and
 * nobody walks further than the caller allows; so no ring that misses its head is walked for ever.
 */

import type { VirtualAddress } from '../../core/addresses';
import type { Access } from '../access';
import { findField } from '../types/fields';
import type { StructType } from '../types/type';
import { addressOf, unsignedOf } from '../values/scalar';

export interface WalkedList {
  /** In their order, without the head. */
  readonly entries: readonly VirtualAddress[];
  /** `closed`: back at the head. `cut`: there are more. `broken`: damaged, absent, or never initialised. */
  readonly end: 'closed' | 'cut' | 'broken';
}

/** Whether the type is LIST_ENTRY or one like it: two pointers to its own type. */
export function isListEntry(type: StructType): boolean {
  const links = ['Flink', 'Blink'].map((name) => findField(type, name));
  return links.every(
    (link, i) =>
      link !== undefined &&
      link !== 'ambiguous' &&
      link.type.kind === 'pointer' &&
      link.offset === i * link.type.size &&
      link.type.to.kind === 'struct' &&
      link.type.to.name === type.name,
  );
}

/** @throws link and target errors, cancelled, expression-limit */
export async function walkList(
  access: Access,
  head: VirtualAddress,
  most: number,
  entrySize = access.context.pointerSize * 2,
): Promise<WalkedList> {
  const size = entrySize / 2;
  const entries: VirtualAddress[] = [];
  const seen = new Set<VirtualAddress>([head]);
  let before = head;
  let links = await linksAt(access, head, size);
  while (links) {
    const { next } = links;
    const nextLinks = await linksAt(access, next, size);
    if (nextLinks?.back !== before) break;
    if (next === head) return { entries, end: 'closed' };
    if (seen.has(next)) break;
    if (entries.length >= most) return { entries, end: 'cut' };
    seen.add(next);
    entries.push(next);
    before = next;
    links = nextLinks;
  }
  return { entries, end: 'broken' };
}

/** Undefined if they are not in memory. */
async function linksAt(
  access: Access,
  address: VirtualAddress,
  size: number,
): Promise<{ next: VirtualAddress; back: VirtualAddress } | undefined> {
  const bytes = await access.readPartial(address, size * 2);
  if (bytes.length < size * 2) return undefined;
  const link = (at: number): VirtualAddress => addressOf(unsignedOf(bytes.subarray(at), size), size);
  return { next: link(0), back: link(size) };
}
