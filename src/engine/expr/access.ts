/**
 * One evaluation's way to the target: every byte it reads or writes goes through here, and counts.
 *
 * Invariants: no more than the budget is read, whatever a hostile target's pointers and lengths say; nothing is written
 * unless the caller allows it; after `signal` has fired nothing is read or written.
 */

import { formatAddress, plus, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import type { EvaluationContext } from './context';
import { within, type Piece, type Place } from './values/place';
import { encodeUnsigned, unsignedOf } from './values/scalar';

/** All of an AbortSignal that is needed to look whether to go on. */
export type Cancellation = Pick<AbortSignal, 'aborted'>;

export interface AccessOptions {
  readonly signal?: Cancellation;
  /** Without it nothing is ever written. */
  readonly allowWrites?: boolean;
  /** Told of what was written, piece by piece: to memory or to a register. */
  readonly onStored?: (place: Place, size: number) => void;
  /** Requests to memory. */
  readonly mostReads?: number;
  /** Bytes read, all together. */
  readonly mostBytes?: number;
}

/** The code is memory-unreadable. */
export class UnreadableMemory extends VmkdError {
  /** @param address The first byte that is absent. */
  constructor(readonly address: VirtualAddress) {
    super('memory-unreadable', `No memory at ${formatAddress(address)}`);
  }
}

const defaultReads = 10_000;
const defaultBytes = 4 << 20;

export class Access {
  readonly allowWrites: boolean;
  readonly #signal: Cancellation | undefined;
  readonly #onStored: AccessOptions['onStored'];
  #reads: number;
  #bytes: number;

  constructor(
    readonly context: EvaluationContext,
    {
      signal,
      allowWrites = false,
      onStored,
      mostReads = defaultReads,
      mostBytes = defaultBytes,
    }: AccessOptions = {},
  ) {
    this.#signal = signal;
    this.#onStored = onStored;
    this.allowWrites = allowWrites;
    this.#reads = mostReads;
    this.#bytes = mostBytes;
  }

  /** As VirtualMemory.readPartial. @throws expression-limit, cancelled, too */
  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    this.#spend(length);
    return this.context.memory.readPartial(address, length);
  }

  /** Exactly so many bytes of a place. @throws memory-unreadable, value-unavailable, expression-limit, cancelled */
  async load(place: Place, size: number): Promise<Uint8Array> {
    switch (place.kind) {
      case 'memory': {
        this.#spend(size);
        const bytes = await this.context.memory.readPartial(place.address, size);
        if (bytes.length === size) return bytes;
        throw new UnreadableMemory(plus(place.address, bytes.length));
      }
      case 'register': {
        const { register, value } = await this.#register(place);
        if (place.offset + size > register.size) throw partly();
        return encodeUnsigned(value >> BigInt(place.offset * 8), size);
      }
      case 'pieces':
        return this.#assemble(place.pieces, size);
      case 'bytes':
        if (place.bytes.length < size) throw partly();
        return place.bytes.subarray(0, size);
      case 'unavailable':
        throw new VmkdError('value-unavailable', place.reason);
    }
  }

  /** @throws expression-refused, value-unavailable, what the context throws */
  async store(place: Place, bytes: Uint8Array): Promise<void> {
    if (!this.allowWrites) throw new VmkdError('expression-refused', 'This would change the target.');
    this.#mustGoOn();
    const { context } = this;
    switch (place.kind) {
      case 'memory':
        if (!context.write) throw readOnly();
        await context.write(place.address, bytes);
        break;
      case 'register': {
        if (!context.setRegister) throw readOnly();
        const { register, value } = await this.#register(place);
        if (place.offset + bytes.length > register.size) throw partly();
        const shift = BigInt(place.offset * 8);
        const mask = ((1n << BigInt(bytes.length * 8)) - 1n) << shift;
        const changed = (value & ~mask) | (unsignedOf(bytes, bytes.length) << shift);
        await context.setRegister(place.name, changed);
        break;
      }
      case 'pieces':
        return this.#scatter(place.pieces, bytes);
      case 'bytes':
        throw new VmkdError(
          'expression-refused',
          'This is a value without a place: it cannot be assigned to.',
          {
            nextStep: 'Assign to a variable, a member, a register, or through a pointer.',
          },
        );
      case 'unavailable':
        throw new VmkdError('value-unavailable', place.reason);
    }
    this.#onStored?.(place, bytes.length);
  }

  #spend(length: number): void {
    this.#mustGoOn();
    this.#reads--;
    this.#bytes -= length;
    if (this.#reads < 0 || this.#bytes < 0) {
      throw new VmkdError('expression-limit', 'This would read more memory than an expression may.');
    }
  }

  #mustGoOn(): void {
    if (this.#signal?.aborted === true) throw new VmkdError('cancelled', 'The evaluation was cancelled.');
  }

  async #register({
    name,
  }: Place & { kind: 'register' }): Promise<{ register: { size: number }; value: bigint }> {
    const register = await this.context.register(name);
    if (!register) throw new VmkdError('value-unavailable', `This machine has no register ${name}.`);
    if (register.value === undefined) {
      throw new VmkdError(
        'value-unavailable',
        `The value of ${name} in this frame is lost: calls do not preserve it.`,
      );
    }
    return { register, value: register.value };
  }

  async #assemble(pieces: readonly Piece[], size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    let covered = 0;
    for (const part of partsOf(pieces, size)) {
      bytes.set(await this.load(part.place, part.size), part.at);
      covered += part.size;
    }
    if (covered < size) throw partly();
    return bytes;
  }

  async #scatter(pieces: readonly Piece[], bytes: Uint8Array): Promise<void> {
    const parts = partsOf(pieces, bytes.length);
    if (parts.reduce((sum, part) => sum + part.size, 0) < bytes.length) throw partly();
    for (const { at, size, place } of parts) await this.store(place, bytes.subarray(at, at + size));
  }
}

/** What of the first `size` bytes is where, without overlaps, in order. */
function partsOf(pieces: readonly Piece[], size: number): Piece[] {
  const parts: Piece[] = [];
  let end = 0;
  for (const piece of [...pieces].sort((a, b) => a.at - b.at)) {
    const from = Math.max(piece.at, end);
    const to = Math.min(piece.at + piece.size, size);
    if (from >= to) continue;
    parts.push({ at: from, size: to - from, place: within(piece.place, from - piece.at) });
    end = to;
  }
  return parts;
}

const partly = (): VmkdError => new VmkdError('value-unavailable', 'A part of this value is not available.');
const readOnly = (): VmkdError =>
  new VmkdError('expression-refused', 'This target cannot be changed now.', {
    nextStep: 'Break in first; a dump cannot be changed at all.',
  });
