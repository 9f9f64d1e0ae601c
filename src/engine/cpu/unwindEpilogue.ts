/**
 * Epilogues of x64 code. Only a few instructions may undo a prologue, so that what is left of an epilogue is known by
 * its bytes:
 *
 *   [ add rsp,n  |  lea rsp,[frame register+n] ]   pop reg …   ret | rep ret | ret n | jmp out of the function
 *
 * Source: learn.microsoft.com/cpp/build/prolog-and-epilog. Version 2 of unwind data tells where epilogues are; then any
 * jump ends one.
 */

/** What the rest of an epilogue does, in order; then it returns, or jumps as if the caller had called there. */
export interface Epilogue {
  /** rsp += n first, or rsp = frame register + n. */
  readonly stack: { readonly from: 'rsp' | 'frame'; readonly bytes: bigint } | undefined;
  /** Numbers of the registers popped after that. */
  readonly pops: readonly number[];
  readonly ending:
    | { readonly kind: 'return' }
    /** `offset` from the first byte decoded. */
    | { readonly kind: 'jump'; readonly offset: number }
    | { readonly kind: 'jump-indirect' };
}

/** More than the longest epilogue has: 7 + 15 × 2 + 7. */
export const longestEpilogue = 48;

const mostPops = 15;

/** Bytes by which nearly all that is no epilogue shows. */
export const longestBegin = 3;

/** Whether code may be the rest of an epilogue, by its first `longestBegin` bytes, or as many as there are. */
export function mayBeEpilogue(code: Uint8Array): boolean {
  const prefix = (code[0]! & 0xf0) === 0x40 ? 1 : 0;
  const [operation, form] = [code[prefix], code[prefix + 1]];
  switch (operation) {
    case undefined:
      return false;
    // add of a constant to rsp
    case 0x83:
    case 0x81:
      return form === 0xc4;
    // lea rsp
    case 0x8d:
      return form !== undefined && (form & 0x38) === 0x20;
    // ret, rep ret, bnd ret, jmp
    case 0xc2:
    case 0xc3:
    case 0xe9:
    case 0xeb:
      return true;
    case 0xf2:
    case 0xf3:
      return form === 0xc3;
    // jmp through memory or a register
    case 0xff:
      return form !== undefined && (form & 0x38) === 0x20;
    default:
      return operation >= 0x58 && operation <= 0x5f;
  }
}

/** @param frameRegister 0: the function has none. @returns Undefined if these bytes are not the rest of an epilogue. */
export function decodeEpilogue(code: Uint8Array, frameRegister: number): Epilogue | undefined {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  let at = 0;
  const byte = (index: number): number => (index < code.length ? code[index]! : -1);
  const signed = (index: number, size: 1 | 4): number | undefined => {
    if (index + size > code.length) return undefined;
    return size === 1 ? view.getInt8(index) : view.getInt32(index, true);
  };

  let stack: Epilogue['stack'];
  const rex = byte(0);
  if (rex === 0x48 && (byte(1) === 0x83 || byte(1) === 0x81) && byte(2) === 0xc4) {
    const size = byte(1) === 0x83 ? 1 : 4;
    const bytes = signed(3, size);
    if (bytes === undefined) return undefined;
    stack = { from: 'rsp', bytes: BigInt(bytes) };
    at = 3 + size;
  } else if ((rex === 0x48 || rex === 0x49) && byte(1) === 0x8d && (byte(2) & 0x38) === 0x20) {
    const [mode, low] = [byte(2) >> 6, byte(2) & 7];
    if (mode === 3 || (mode === 0 && low === 5) || low + (rex & 1) * 8 !== frameRegister) return undefined;
    at = 3;
    if (low === 4) {
      if (byte(at++) !== 0x24) return undefined;
    }
    const size = mode === 1 ? 1 : 4;
    const bytes = mode === 0 ? 0 : signed(at, size);
    if (bytes === undefined || frameRegister === 0) return undefined;
    stack = { from: 'frame', bytes: BigInt(bytes) };
    if (mode !== 0) at += size;
  }

  const pops: number[] = [];
  for (;;) {
    const prefix = (byte(at) & 0xf0) === 0x40 ? byte(at) : 0;
    const operation = byte(at + (prefix ? 1 : 0));
    if (operation < 0x58 || operation > 0x5f) break;
    const register = operation - 0x58 + (prefix & 1) * 8;
    if (register === 4 || pops.length === mostPops) return undefined;
    pops.push(register);
    at += prefix ? 2 : 1;
  }

  const ending = decodeEnding(byte, signed, at, stack !== undefined || pops.length > 0);
  return ending && { stack, pops, ending };
}

function decodeEnding(
  byte: (index: number) => number,
  signed: (index: number, size: 1 | 4) => number | undefined,
  at: number,
  undone: boolean,
): Epilogue['ending'] | undefined {
  switch (byte(at)) {
    case 0xc3:
    case 0xc2:
      return { kind: 'return' };
    // rep ret of old, bnd ret of MPX.
    case 0xf3:
    case 0xf2:
      return byte(at + 1) === 0xc3 ? { kind: 'return' } : undefined;
    case 0xeb:
    case 0xe9: {
      const size = byte(at) === 0xeb ? 1 : 4;
      const distance = signed(at + 1, size);
      return distance === undefined ? undefined : { kind: 'jump', offset: at + 1 + size + distance };
    }
    default: {
      // jmp of a switch has neither REX.W nor this form, unless it is jmp [table+register*8] in the body.
      const wide = (byte(at) & 0xf8) === 0x48;
      const form = byte(at + (wide ? 2 : 1));
      if (byte(at + (wide ? 1 : 0)) !== 0xff || form < 0 || (form & 0x38) !== 0x20) return undefined;
      const plain = form >> 6 === 0 && ((form & 7) !== 4 || undone);
      return wide || plain ? { kind: 'jump-indirect' } : undefined;
    }
  }
}
