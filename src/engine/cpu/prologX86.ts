/**
 * What the instructions of an x86 prologue have done to the stack: where esp and ebp are, and which registers of the caller
 * are saved where. All places count bytes down from the return address.
 *
 *   [0]  return address          push ebp            saved ebp 4, esp 4
 *   [4]  ebp                     mov  ebp,esp        ebp 4
 *   [8…] locals                  sub  esp,10h        esp 14
 *   [18] esi                     push esi            saved esi 18, esp 18
 */

import type { FollowedInstruction } from './disassembler';
import { ebpNumber, espNumber } from './stackEffect';

export interface ReplayedProlog {
  /** Undefined if that was lost. */
  readonly esp: number | undefined;
  /** Undefined: ebp is not the function's. */
  readonly ebp: number | undefined;
  /** Where registers of the caller are saved. */
  readonly saved: ReadonlyMap<number, number>;
  /** Registers that no longer have the caller's value and are not saved. */
  readonly overwritten: ReadonlySet<number>;
}

export class Prolog implements ReplayedProlog {
  esp: number | undefined = 0;
  ebp: number | undefined;
  readonly saved = new Map<number, number>();
  readonly overwritten = new Set<number>();

  /** The next instruction. False: this is no prologue. */
  step({ flow, stack }: FollowedInstruction): boolean {
    // A helper that allocates: how much is not followed.
    if (flow.kind === 'call') this.esp = undefined;
    else if (flow.kind !== 'next') return false;
    switch (stack.kind) {
      case 'push':
        if (this.esp === undefined) return stack.register === undefined;
        this.esp += 4;
        if (stack.register !== undefined) this.#save(stack.register, this.esp);
        return true;
      case 'set':
        this.#set(stack.target, stack.source, stack.bytes);
        return true;
      case 'lost':
        this.esp = undefined;
        return true;
      case 'load':
        this.#overwrite(stack.target);
        return true;
      case 'none':
        for (const register of stack.written) this.#overwrite(register);
        return true;
      case 'pop':
      case 'leave':
        return false;
    }
  }

  #save(register: number, at: number): void {
    if (!this.saved.has(register) && !this.overwritten.has(register)) this.saved.set(register, at);
  }

  #set(target: number, source: number, bytes: number): void {
    const from = source === espNumber ? this.esp : this.ebp;
    const to = from === undefined ? undefined : from - bytes;
    if (target === espNumber) this.esp = to;
    else {
      this.#overwrite(ebpNumber);
      this.ebp = to;
    }
  }

  #overwrite(register: number): void {
    if (register === ebpNumber) this.ebp = undefined;
    if (!this.saved.has(register)) this.overwritten.add(register);
  }
}
