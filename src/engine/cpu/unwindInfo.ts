/**
 * UNWIND_INFO: what the prologue of a piece of x64 code did to the stack and to the registers that it must preserve.
 *
 *   .pdata  RUNTIME_FUNCTION (12): u32 begin, u32 end, u32 unwind info (bit 0: the RVA, less 1, of another one)
 *   .xdata  0 version:3 flags:5   1 size of the prologue   2 number of slots   3 frame register:4 offset / 16:4
 *           4 slots of u16, padded to an even number       flags 4: then the RUNTIME_FUNCTION that this one continues
 *   slot    0 offset in the prologue, behind the instruction   1 operation:4 info:4   (latest instruction first)
 *
 *    0 PUSH_NONVOL            4 SAVE_NONVOL      u16 × 8      8 SAVE_XMM128     u16 × 16
 *    1 ALLOC_LARGE u16 × 8,   5 SAVE_NONVOL_FAR  u32          9 SAVE_XMM128_FAR u32
 *      or info 1: u32         6 EPILOG (version 2)           10 PUSH_MACHFRAME info 1: under it an error code
 *    2 ALLOC_SMALL info×8+8   7 none                         11 SET_FPREG_LARGE u32 × 16
 *    3 SET_FPREG              (6 and 7 of version 1: obsolete saves of 2 and 3 slots, without effect)
 *
 *   Version 2 begins with EPILOG slots: the first has the length of every epilogue, and info bit 0 if one is at the
 *   very end; each further one (12 bits: byte 0, info) how far before the end an epilogue begins, 0 being padding.
 *
 * Source: learn.microsoft.com/cpp/build/exception-handling-x64; version 2 as found in WDK drivers; 11 from CoreCLR.
 * Invariant: a chain of descriptions is followed 32 times at most; nothing is read that its head does not announce.
 */

import { fileDamaged } from '../core/byteSource';
import { VmkdError } from '../core/errors';

/** A row of .pdata, in RVAs: [begin, end). */
export interface RuntimeFunction {
  readonly begin: number;
  readonly end: number;
  readonly unwindInfo: number;
}

/** Reads an image by RVA: from its file, from guest memory, or from the PDB's copy of .xdata. */
export interface XdataReader {
  /** Exactly `length` bytes. @throws if any is absent. */
  read(rva: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** It always reads the same: what was decoded of it is kept. */
  readonly isConstant?: boolean;
}

/** Numbers of registers are the hardware's: 0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8 … 15. */
export type UnwindCode = { readonly prologOffset: number } & (
  | { readonly kind: 'push'; readonly register: number }
  | { readonly kind: 'allocate'; readonly bytes: number }
  | { readonly kind: 'set-frame'; readonly offset: number }
  | { readonly kind: 'save'; readonly register: number; readonly offset: number }
  | { readonly kind: 'save-xmm'; readonly register: number; readonly offset: number }
  | { readonly kind: 'machine-frame'; readonly errorCode: boolean }
);

export interface UnwindInfo {
  readonly version: 1 | 2;
  /** 1 exception handler, 2 termination handler, 4 chained. */
  readonly flags: number;
  readonly prologSize: number;
  readonly slots: number;
  /** 0: none. */
  readonly frameRegister: number;
  /** Bytes that the frame register, once set, lies above rsp. */
  readonly frameOffset: number;
  readonly codes: readonly UnwindCode[];
  /** Version 2: distances from the function's end to where its epilogues begin, and the length of each. */
  readonly epilogues: { readonly length: number; readonly beforeEnd: readonly number[] };
  /** What this part continues. */
  readonly parent: RuntimeFunction | undefined;
}

export const longestChain = 32;
/** Descriptions that are kept of one image. */
const mostKept = 65_536;
/** By RVA. */
const kept = new WeakMap<XdataReader, Map<number, UnwindInfo>>();

const chained = 4;
const source = 'Unwind data';
const damaged = (what: string): VmkdError => fileDamaged(source, what);

/** The row that holds an RVA, of a whole .pdata. Undefined: a leaf function, or no code. */
export function findRuntimeFunction(pdata: Uint8Array, rva: number): RuntimeFunction | undefined {
  const view = new DataView(pdata.buffer, pdata.byteOffset, pdata.length);
  let low = 0;
  let high = Math.floor(pdata.length / 12);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(middle * 12, true) <= rva) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const row = rowAt(view, (low - 1) * 12);
  return rva < row.end ? row : undefined;
}

/** Follows rows that stand for others. @throws file-damaged */
export async function resolveRow(xdata: XdataReader, row: RuntimeFunction): Promise<RuntimeFunction> {
  let resolved = row;
  for (let i = 0; (resolved.unwindInfo & 1) === 1; i++) {
    if (i === longestChain) throw damaged(`rows refer to others more than ${longestChain} times`);
    const bytes = await readExactly(xdata, resolved.unwindInfo - 1, 12);
    resolved = rowAt(new DataView(bytes.buffer, bytes.byteOffset, 12), 0);
  }
  return resolved;
}

/** @throws file-damaged, or file-unsupported for a version newer than 2 */
export async function readUnwindInfo(xdata: XdataReader, rva: number): Promise<UnwindInfo> {
  const known = xdata.isConstant === true ? keptOf(xdata) : undefined;
  const before = known?.get(rva);
  if (before !== undefined) return before;
  const head = await readExactly(xdata, rva, 4);
  const info = decodeUnwindInfo(await readExactly(xdata, rva, sizeOf(head)));
  if (known !== undefined && known.size < mostKept) known.set(rva, info);
  return info;
}

function keptOf(xdata: XdataReader): Map<number, UnwindInfo> {
  let known = kept.get(xdata);
  if (known === undefined) kept.set(xdata, (known = new Map<number, UnwindInfo>()));
  return known;
}

async function readExactly(xdata: XdataReader, rva: number, length: number): Promise<Uint8Array> {
  const bytes = await xdata.read(rva, length);
  if (bytes.length < length) throw damaged(`ends at ${rva + bytes.length}`);
  return bytes;
}

/** Bytes that a head announces; none of what follows for a handler. */
function sizeOf(head: Uint8Array): number {
  const slots = head[2]!;
  return (head[0]! >> 3) & chained ? 4 + ((slots + 1) & ~1) * 2 + 12 : 4 + slots * 2;
}

/** @throws as readUnwindInfo */
export function decodeUnwindInfo(bytes: Uint8Array): UnwindInfo {
  if (bytes.length < 4 || bytes.length < sizeOf(bytes)) throw damaged('is cut short');
  const version = bytes[0]! & 7;
  if (version > 2) throw new VmkdError('file-unsupported', `${source} of version ${version} is not read yet`);
  if (version === 0) throw damaged('has no version');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = bytes[0]! >> 3;
  const slots = bytes[2]!;
  const info = {
    version: version as 1 | 2,
    flags,
    prologSize: bytes[1]!,
    slots,
    frameRegister: bytes[3]! & 15,
    frameOffset: (bytes[3]! >> 4) * 16,
    parent: flags & chained ? rowAt(view, 4 + ((slots + 1) & ~1) * 2) : undefined,
  };
  return { ...info, ...decodeSlots(new Slots(view, slots), info) };
}

function decodeSlots(
  slots: Slots,
  info: Pick<UnwindInfo, 'version' | 'frameOffset' | 'frameRegister'>,
): Pick<UnwindInfo, 'codes' | 'epilogues'> {
  const codes: UnwindCode[] = [];
  const beforeEnd: number[] = [];
  let length: number | undefined;
  while (slots.left > 0) {
    const slot = slots.u16();
    const [prologOffset, operation, extra] = [slot & 0xff, (slot >> 8) & 15, slot >> 12];
    if (operation === 6 && info.version === 2) {
      if (length === undefined) {
        length = prologOffset;
        if (extra & 1) beforeEnd.push(length);
      } else {
        const distance = prologOffset | (extra << 8);
        if (distance !== 0) beforeEnd.push(distance);
      }
      continue;
    }
    const code = decodeCode(slots, operation, extra, info.frameOffset);
    if (code?.kind === 'set-frame' && info.frameRegister === 0)
      throw damaged('sets a frame register of none');
    if (code) codes.push({ prologOffset, ...code });
  }
  return { codes, epilogues: { length: length ?? 0, beforeEnd } };
}

type Operation = UnwindCode extends infer C
  ? C extends UnwindCode
    ? Omit<C, 'prologOffset'>
    : never
  : never;

function decodeCode(
  slots: Slots,
  operation: number,
  extra: number,
  frameOffset: number,
): Operation | undefined {
  switch (operation) {
    case 0:
      return { kind: 'push', register: extra };
    case 1:
      if (extra > 1) throw damaged(`has an allocation of form ${extra}`);
      return { kind: 'allocate', bytes: extra === 0 ? slots.u16() * 8 : slots.u32() };
    case 2:
      return { kind: 'allocate', bytes: extra * 8 + 8 };
    case 3:
      return { kind: 'set-frame', offset: frameOffset };
    case 4:
      return { kind: 'save', register: extra, offset: slots.u16() * 8 };
    case 5:
      return { kind: 'save', register: extra, offset: slots.u32() };
    case 6:
      slots.u16();
      return undefined;
    case 7:
      slots.u32();
      return undefined;
    case 8:
      return { kind: 'save-xmm', register: extra, offset: slots.u16() * 16 };
    case 9:
      return { kind: 'save-xmm', register: extra, offset: slots.u32() };
    case 10:
      if (extra > 1) throw damaged(`has a machine frame of form ${extra}`);
      return { kind: 'machine-frame', errorCode: extra === 1 };
    case 11:
      return { kind: 'set-frame', offset: slots.u32() * 16 };
    default:
      throw damaged(`has an unknown operation ${operation}`);
  }
}

/** The slots of a description, one after the other. */
class Slots {
  #at = 0;

  constructor(
    private readonly view: DataView,
    private readonly count: number,
  ) {}

  get left(): number {
    return this.count - this.#at;
  }

  u16(): number {
    if (this.left < 1) throw damaged('ends within an operation');
    return this.view.getUint16(4 + this.#at++ * 2, true);
  }

  u32(): number {
    return this.u16() + this.u16() * 0x10000;
  }
}

const rowAt = (view: DataView, at: number): RuntimeFunction => ({
  begin: view.getUint32(at, true),
  end: view.getUint32(at + 4, true),
  unwindInfo: view.getUint32(at + 8, true),
});
