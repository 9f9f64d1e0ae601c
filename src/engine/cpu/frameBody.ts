/**
 * Where the stack pointer and the frame register of an x64 function stand in its body. Offsets of locals count from
 * there; in a prologue or an epilogue the registers themselves are not there yet, or no longer.
 *
 *   caller's rsp ─▶ ┌──────────────┐
 *                   │return address│
 *                   │pushes, allocs│  what the prologue does, by its unwind data
 *   body's rsp ───▶ └──────────────┘  frame register = rsp where it was set + its offset
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { stuck } from './stackWalk';
import { longestChain, readUnwindInfo, resolveRow, type UnwindCode, type UnwindInfo } from './unwindInfo';
import type { CodeImage } from './unwindX64';

export interface FrameBody {
  readonly rsp: VirtualAddress;
  /** Undefined: the function uses none. */
  readonly frameRegister: { readonly number: number; readonly value: VirtualAddress } | undefined;
}

/**
 * @param callerRsp As unwinding found it: behind the return address.
 * @returns Undefined for a leaf, and for code that the processor itself entered (machine frames): nothing is known of theirs.
 * @throws as readUnwindInfo; unwind-stuck
 */
export async function frameBodyOf(
  image: CodeImage,
  callerRsp: VirtualAddress,
): Promise<FrameBody | undefined> {
  if (image.row === undefined) return undefined;
  const chain: UnwindInfo[] = [];
  for (let row = await resolveRow(image.xdata, image.row); ;) {
    const info = await readUnwindInfo(image.xdata, row.unwindInfo);
    chain.push(info);
    if (!info.parent) break;
    if (chain.length > longestChain) throw stuck(`unwind data is chained more than ${longestChain} times`);
    row = await resolveRow(image.xdata, info.parent);
  }
  // In the order of execution: the outermost part first, and each from its lowest offset.
  let rsp = plus(callerRsp, -8);
  let frameRegister: FrameBody['frameRegister'];
  for (const info of chain.reverse()) {
    for (const code of info.codes.toReversed()) {
      if (code.kind === 'machine-frame') return undefined;
      if (code.kind === 'set-frame')
        frameRegister = { number: info.frameRegister, value: plus(rsp, code.offset) };
      rsp = plus(rsp, -bytesOf(code));
    }
  }
  return { rsp, frameRegister };
}

function bytesOf(code: UnwindCode): number {
  switch (code.kind) {
    case 'push':
      return 8;
    case 'allocate':
      return code.bytes;
    case 'set-frame':
    case 'save':
    case 'save-xmm':
    case 'machine-frame':
      return 0;
  }
}
