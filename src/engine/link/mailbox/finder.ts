/**
 * Finding the guest module's mailbox: where the guest says it is, or by its signature at the beginning of some page of RAM.
 *
 * What is found must live: old mailboxes stay behind in memory that nobody has used since the machine was reset. A mailbox
 * lives if its beat moves; that is watched for a moment, reading only.
 *
 * Invariants: reads only; a scan takes turns with everybody else in the event loop; however many pages bear the signature,
 * few are looked at.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { physicalAddress } from '../../core/addresses';
import type { Clock } from '../../core/clock';
import {
  beginsLikeMailbox,
  readDescription,
  readGuestWords,
  type GuestWords,
  type MailboxDescription,
} from './description';
import { GuestState, pageBytes } from './layout';
import type { MailboxRam } from './ram';

export interface FoundMailbox {
  readonly description: MailboxDescription;
  /** As they were when it was found. */
  readonly words: GuestWords;
  /** When it was last seen to live, on the clock; -Infinity: never. */
  readonly beatMoved: number;
}

const chunkBytes = 1 << 20;
const fourGiB = 2 ** 32;
const mostCandidates = 64;
/** How long a beat may take: a guest that is stopped on its UART looks at the mailbox only now and then. */
const lifeMilliseconds = 2000;
const lifePause = 10;

export class MailboxFinder {
  constructor(
    private readonly ram: MailboxRam,
    private readonly clock: Clock,
  ) {}

  /** The page frame that begins at this physical address, if there is RAM. */
  frameAt(address: bigint): readonly number[] {
    if (address % BigInt(pageBytes) !== 0n || !this.#isRam(Number(address))) return [];
    return [Number(address) / pageBytes];
  }

  /** Modules that could not start, and say so in memory; the newest first. @throws what `ram.read` throws */
  failures(frames: readonly number[]): FoundMailbox[] {
    return frames
      .flatMap((frame) => this.#read(frame) ?? [])
      .filter(({ words }) => words.state === GuestState.Failed)
      .sort((a, b) => b.description.loaded.getTime() - a.description.loaded.getTime());
  }

  /** Frames of all pages of RAM that begin like a mailbox. @throws what `ram.read` throws */
  async scan(signal: AbortSignal): Promise<readonly number[]> {
    const chunk = new Uint8Array(chunkBytes);
    const frames: number[] = [];
    for (const [start, end] of this.#regions()) {
      for (let at = start; at < end; at += chunkBytes) {
        if (signal.aborted || frames.length === mostCandidates) return frames;
        const length = Math.min(chunkBytes, end - at);
        this.ram.read([{ address: physicalAddress(BigInt(at)), length }], chunk.subarray(0, length));
        for (let offset = 0; offset < length; offset += pageBytes) {
          if (beginsLikeMailbox(chunk, offset) && frames.length < mostCandidates)
            frames.push((at + offset) / pageBytes);
        }
        await nextTurn();
      }
    }
    return frames;
  }

  #regions(): [start: number, end: number][] {
    const { lowBytes, totalBytes } = this.ram.layout;
    return [
      [0, lowBytes],
      [fourGiB, fourGiB + totalBytes - lowBytes],
    ];
  }

  #isRam(address: number): boolean {
    return this.#regions().some(([start, end]) => address >= start && address + pageBytes <= end);
  }

  #read(frame: number): FoundMailbox | undefined {
    const description = readDescription(this.ram, frame);
    return description && { description, words: readGuestWords(this.ram, description), beatMoved: -Infinity };
  }

  /** Waits for one of these mailboxes to show life: the newest that does. @throws what `ram.read` throws */
  async living(frames: readonly number[], signal: AbortSignal): Promise<FoundMailbox | undefined> {
    const candidates = frames
      .flatMap((frame) => this.#read(frame) ?? [])
      .filter(({ words }) => words.state === GuestState.Ready);
    const end = this.clock.now() + lifeMilliseconds;
    while (candidates.length > 0 && this.clock.now() < end && !signal.aborted) {
      await this.#pause();
      const living = candidates.filter((one) => this.#hasMoved(one));
      if (living.length > 0) {
        const newest = living.reduce((a, b) => (a.description.loaded > b.description.loaded ? a : b));
        return { ...newest, beatMoved: this.clock.now() };
      }
    }
    return undefined;
  }

  #hasMoved({ description, words }: FoundMailbox): boolean {
    const now = readGuestWords(this.ram, description);
    return now.nonce === description.nonce && now.state === GuestState.Ready && now.beat !== words.beat;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.clock.after(lifePause, resolve));
  }
}
