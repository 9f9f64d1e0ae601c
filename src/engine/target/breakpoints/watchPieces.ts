/** What debug registers can watch: each an aligned piece of 1, 2, 4 or 8 bytes; a longer range takes several. */

import { plus, type VirtualAddress } from '../../core/addresses';
import { slotCount } from './debugSlots';

export interface WatchPiece {
  readonly address: VirtualAddress;
  /** 1, 2, 4 or 8. */
  readonly size: number;
}

/** A range as pieces. Undefined: more than there are registers, or no range. */
export function watchPieces(address: VirtualAddress, size: number): WatchPiece[] | undefined {
  const pieces: WatchPiece[] = [];
  for (let done = 0; done < size;) {
    const at = plus(address, done);
    const piece = [8, 4, 2, 1].find((one) => one <= size - done && at % BigInt(one) === 0n)!;
    pieces.push({ address: at, size: piece });
    if (pieces.length > slotCount) return undefined;
    done += piece;
  }
  return pieces.length === 0 ? undefined : pieces;
}
