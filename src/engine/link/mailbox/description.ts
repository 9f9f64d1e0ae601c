/**
 * What a mailbox says about itself, checked: a page of guest memory may hold anything, an old mailbox or half of one too.
 */

import { crc32 } from 'node:zlib';
import { physicalAddress } from '../../core/addresses';
import {
  framesOffset,
  guestLine,
  guestOffset,
  header,
  mailboxMagic,
  mailboxVersion,
  messageHead,
  pageBytes,
  payloadBytes,
  ringsOffset,
} from './layout';
import type { MailboxRam } from './ram';

export interface MailboxDescription {
  /** Another one at each load of the module. */
  readonly nonce: bigint;
  /** Frame numbers of all its pages, its header's first. */
  readonly pages: readonly number[];
  readonly slotCount: number;
  readonly slotBytes: number;
  readonly machine: number;
  readonly moduleBuild: number;
  /** When the module was loaded, by the guest's clock. */
  readonly loaded: Date;
}

export type GuestWords = ReturnType<typeof guestLine.read>;

/** More than any version has. */
const mostPages = 64;
const mostSlots = 16;
const headerEnd = framesOffset + mostPages * 8;

const magic = Buffer.from(mailboxMagic, 'latin1');
const fourGiB = 2 ** 32;

/** Whether a page begins like a mailbox. Cheap: most do not. */
export function beginsLikeMailbox(page: Uint8Array, at: number): boolean {
  if (page[at] !== magic[0]) return false;
  for (let i = 1; i < magic.length; i++) if (page[at + i] !== magic[i]) return false;
  return true;
}

/**
 * The mailbox whose header is in page frame `frame`; undefined if there is no sound one.
 * @throws what `ram.read` throws
 */
export function readDescription(ram: MailboxRam, frame: number): MailboxDescription | undefined {
  const page = new Uint8Array(headerEnd);
  ram.read([{ address: physicalAddress(BigInt(frame) * BigInt(pageBytes)), length: headerEnd }], page);
  if (!beginsLikeMailbox(page, 0)) return undefined;
  const { version, pageCount, nonce, slotCount, slotBytes, machine, moduleBuild, loadTime, checksum } =
    header.read(page);
  if (version !== mailboxVersion || pageCount === 0 || pageCount > mostPages) return undefined;
  const frames = page.subarray(framesOffset, framesOffset + pageCount * 8);
  const covered = page.subarray(0, header.fields.checksum[0]);
  if (crc32(frames, crc32(covered)) !== checksum) return undefined;
  const pages = readFrames(ram, frames);
  if (pages?.[0] !== frame || new Set(pages).size !== pages.length) return undefined;
  const loaded = new Date(Number(loadTime / 10_000n - 11_644_473_600_000n));
  const found = { nonce, pages, slotCount, slotBytes, machine, moduleBuild, loaded };
  // A module that failed leaves a header and nothing else.
  if (pageCount > 1 && !ringsFit(found)) return undefined;
  return found;
}

/** The guest's line, read afresh. */
export function readGuestWords(ram: MailboxRam, { pages }: MailboxDescription): GuestWords {
  const line = new Uint8Array(guestLine.size);
  const address = physicalAddress(BigInt(pages[0]!) * BigInt(pageBytes) + BigInt(guestOffset));
  ram.read([{ address, length: line.length }], line);
  return guestLine.read(line);
}

/** As numbers; undefined if one of them is no page of RAM. */
function readFrames({ layout }: MailboxRam, frames: Uint8Array): number[] | undefined {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  const pages: number[] = [];
  for (let at = 0; at < frames.length; at += 8) {
    const frame = view.getBigUint64(at, true);
    if (frame >= 1n << 40n) return undefined;
    const address = Number(frame) * pageBytes;
    const highEnd = fourGiB + layout.totalBytes - layout.lowBytes;
    const isRam = address < layout.lowBytes || (address >= fourGiB && address < highEnd);
    if (!isRam) return undefined;
    pages.push(Number(frame));
  }
  return pages;
}

function ringsFit({ pages, slotCount, slotBytes }: MailboxDescription): boolean {
  if (slotCount === 0 || slotCount > mostSlots || slotBytes % 8 !== 0) return false;
  if (slotBytes < messageHead.size + payloadBytes) return false;
  return ringsOffset + 2 * slotCount * slotBytes <= pages.length * pageBytes;
}
