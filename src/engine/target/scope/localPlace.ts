/**
 * Where a local variable is in a frame: what the symbols say of its home, and what the frame's registers make of it. A
 * value that is nowhere is said to be so, with the reason; never is a place given that held something else.
 */

import { plus, signExtend32, virtualAddress, type VirtualAddress } from '../../core/addresses';
import type { FrameBody } from '../../cpu/frameBody';
import { generalNames } from '../../cpu/unwindX64';
import { inMemory, type Place } from '../../expr/values/place';
import { readPointer, type VirtualMemory } from '../../memory/virtualMemory';
import type { Location, UnavailableReason } from '../../symbols/locals/locals';
import type { SectionOffset } from '../../symbols/pdb/sections';
import type { CvRegister } from '../../symbols/locals/registers';

/** What a frame knows. */
export interface FrameFacts {
  readonly memory: VirtualMemory;
  readonly pointerSize: 4 | 8;
  /** A whole register by its name; undefined: not known in this frame. */
  register(name: string): Promise<bigint | undefined>;
  /** Where the body's registers stand; undefined if unwind data do not tell. */
  body(): Promise<FrameBody | undefined>;
  /** Of the module that the frame's code belongs to. */
  addressOf(place: SectionOffset): VirtualAddress | undefined;
}

const reasons: Record<UnavailableReason, string> = {
  'optimised-out': 'optimised out',
  'not-live-here': 'not available here',
  'unknown-record': 'kept in a way that nobody has documented',
  'no-frame': 'not available without a frame',
  'unknown-register': 'in a register that this machine does not have',
};

/** @param size Of the variable, in bytes. @throws what memory throws */
export async function placeOf(frame: FrameFacts, location: Location, size: number): Promise<Place> {
  switch (location.kind) {
    case 'register':
      return registerPlace(frame, location.register);
    case 'memory': {
      const base = await baseOf(frame, location);
      if (base === undefined)
        return unavailable(`relative to ${location.base.name}, which is not known in this frame`);
      const address = plus(base, location.offset);
      if (location.behindPointer === undefined) return inMemory(address);
      return inMemory(
        plus(await readPointer(frame.memory, address, frame.pointerSize), location.behindPointer),
      );
    }
    case 'pieces': {
      const pieces = [];
      for (const [i, { at, location: part }] of location.pieces.entries()) {
        const end = location.pieces[i + 1]?.at ?? size;
        const wide = part.kind === 'register' ? Math.min(part.register.size, end - at) : end - at;
        pieces.push({ at, size: wide, place: await placeOf(frame, part, wide) });
      }
      return { kind: 'pieces', pieces };
    }
    case 'bytes':
      return { kind: 'bytes', bytes: location.bytes };
    case 'constant':
      return { kind: 'bytes', bytes: littleEndian(location.value, size) };
    case 'addressOf': {
      const address = frame.addressOf(location.place);
      return address === undefined
        ? unavailable('the address of something that is not in the image')
        : { kind: 'bytes', bytes: littleEndian(address, frame.pointerSize) };
    }
    case 'static': {
      if (location.threadLocal) return unavailable('thread-local: there is one for each thread');
      const address = frame.addressOf(location.place);
      return address === undefined ? unavailable('not in the image') : inMemory(address);
    }
    case 'unavailable':
      return unavailable(reasons[location.reason]);
  }
}

/** `value` as the target would hold it. */
export function littleEndian(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

async function registerPlace(frame: FrameFacts, { full, offset }: CvRegister): Promise<Place> {
  if ((await frame.register(full)) === undefined)
    return unavailable(`was in ${full}, which calls do not preserve`);
  return { kind: 'register', name: full, offset };
}

/** In a prologue or an epilogue the register is not yet, or no longer, what offsets count from. */
async function baseOf(
  frame: FrameFacts,
  { base, baseUnsettled }: Location & { kind: 'memory' },
): Promise<VirtualAddress | undefined> {
  if (baseUnsettled) {
    const body = await frame.body();
    if (body !== undefined && base.full === 'rsp') return body.rsp;
    const frameRegister = body?.frameRegister;
    if (frameRegister !== undefined && generalNames[frameRegister.number] === base.full)
      return frameRegister.value;
  }
  const value = await frame.register(base.full);
  return value === undefined
    ? undefined
    : frame.pointerSize === 8
      ? virtualAddress(value)
      : signExtend32(Number(value));
}

const unavailable = (reason: string): Place => ({ kind: 'unavailable', reason });
