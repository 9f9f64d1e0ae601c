/**
 * Guest RAM by native code, whatever holds it: a file that is mapped, or the monitor's process. All ranges of a read are
 * copied by one call.
 *
 *   ranges ─▶ offsets and lengths in two arrays that are kept ─▶ native copy, straight into the caller's bytes
 */

import type { PageFrame } from '../../core/addresses';
import type { VmkdError } from '../../core/errors';
import type { GuestRam, PhysicalRange, RamWindow, WatchPlan, WindowWatch, WindowWaiting } from './guestRam';
import { pageSize, rangeOffset, type PhysicalLayout } from './layout';
import type { NativeHost, NativeRam, NativeWatch, NativeWindow } from '../../core/nativeHost';
import { ramError } from './ramError';

export interface NativeRamParts {
  readonly host: NativeHost;
  /** Of which all of the layout is there. */
  readonly ram: NativeRam;
  readonly layout: PhysicalLayout;
  readonly way: string;
  /** Of the file or the process, for what goes wrong. */
  readonly name: string;
}

export function guestRamBy(parts: NativeRamParts): GuestRam {
  return new NativeGuestRam(parts);
}

class NativeGuestRam implements GuestRam {
  readonly way: string;
  readonly layout: PhysicalLayout;
  readonly #parts: NativeRamParts;
  #offsets = new Float64Array(64);
  #lengths = new Uint32Array(64);

  constructor(parts: NativeRamParts) {
    this.#parts = parts;
    this.way = parts.way;
    this.layout = parts.layout;
  }

  read(ranges: readonly PhysicalRange[], into: Uint8Array): void {
    if (ranges.length > this.#offsets.length) {
      this.#offsets = new Float64Array(2 * ranges.length);
      this.#lengths = new Uint32Array(2 * ranges.length);
    }
    let count = 0;
    for (const { address, length } of ranges) {
      if (length === 0) continue;
      this.#offsets[count] = rangeOffset(this.layout, Number(address), length);
      this.#lengths[count++] = length;
    }
    const { host, ram } = this.#parts;
    this.#try(() => host.copy(ram, this.#offsets, this.#lengths, count, into));
  }

  window(pages: readonly PageFrame[]): RamWindow {
    const { host, ram, name } = this.#parts;
    const offsets = pages.map((page) => rangeOffset(this.layout, page * pageSize, pageSize));
    const window = this.#try(() => host.openWindow(ram, Float64Array.from(offsets)));
    return new NativeRamWindow(host, window, name, pages.length * pageSize);
  }

  check(): void {
    this.#try(() => this.#parts.host.check(this.#parts.ram));
  }

  close(): void {
    this.#parts.host.close(this.#parts.ram);
  }

  #try<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw ramError(this.#parts.name, error);
    }
  }
}

class NativeRamWindow implements RamWindow, WindowWaiting {
  readonly waiting: WindowWaiting = this;
  readonly #watches = new Set<NativeWindowWatch>();

  constructor(
    private readonly host: NativeHost,
    private readonly native: NativeWindow,
    private readonly name: string,
    readonly length: number,
  ) {}

  read(offset: number, into: Uint8Array): void {
    this.#try(() => this.host.readWindow(this.native, offset, into));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#try(() => this.host.writeWindow(this.native, offset, bytes));
  }

  readU32(offset: number): number {
    return this.#try(() => this.host.loadWord(this.native, offset));
  }

  writeU32(offset: number, value: number): void {
    this.#try(() => this.host.storeWord(this.native, offset, value));
  }

  awaitU32(offset: number, old: number, microseconds: number): number {
    return this.#try(() => this.host.awaitWord(this.native, offset, old, microseconds));
  }

  watch(offsets: readonly number[], changed: (lost?: VmkdError) => void, plan?: WatchPlan): WindowWatch {
    const { spin, yielding, shortestSleep, longestSleep } = plan ?? defaultPlan;
    const watch = this.#try(() =>
      this.host.watch(
        this.native,
        Uint32Array.from(offsets),
        Uint32Array.of(spin, yielding, shortestSleep, longestSleep),
        (error) => changed(error === undefined ? undefined : ramError(this.name, error)),
      ),
    );
    const made = new NativeWindowWatch(this.host, watch, () => this.#watches.delete(made));
    this.#watches.add(made);
    return made;
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
    this.host.close(this.native);
  }

  #try<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw ramError(this.name, error);
    }
  }
}

/** An answer of a guest that runs comes within microseconds; one that nobody awaits may be some milliseconds late. */
const defaultPlan: WatchPlan = { spin: 50, yielding: 200, shortestSleep: 50, longestSleep: 4000 };

class NativeWindowWatch implements WindowWatch {
  #isStopped = false;

  constructor(
    private readonly host: NativeHost,
    private readonly native: NativeWatch,
    private readonly onStopped: () => void,
  ) {}

  hurry(): void {
    if (!this.#isStopped) this.host.hurry(this.native);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.host.close(this.native);
    this.onStopped();
  }
}
