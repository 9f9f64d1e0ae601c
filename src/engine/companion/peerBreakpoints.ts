/**
 * The breakpoints that the debugger on the pipe has set: in the kernel's table while it drives, asleep while it does not.
 *
 *   its handle ──▶ address ──▶ handle of the kernel     awake
 *                         └─▶ none                     asleep: the debugger believes that it is set
 *
 * While they never slept, both handles are the same, and requests and replies pass untouched.
 *
 * Invariant: what is noted as awake is in the kernel's table, as far as anybody can tell: NT itself takes out what lies near a
 * stop. Only the table is looked after: int3s that a debugger writes as memory are its own affair.
 */

import type { VirtualAddress } from '../core/addresses';
import type { KdClient } from '../kd/client';
import { breakpointSlots, restoreBreakPoint, writeBreakPoint } from '../kd/manipulate/breakpoint';
import { encodeManipulate, readManipulateHead } from '../kd/manipulate/message';
import { NtStatus, isError } from '../kd/ntstatus';
import { withStatus } from '../kd/server';
import type { StateChange } from '../kd/stateChange';

interface Entry {
  readonly address: VirtualAddress;
  /** Undefined: asleep. */
  real: number | undefined;
}

/** The most that NT deletes from the program counter on, when it stops. */
const nearStop = 16n;

export class PeerBreakpoints {
  /** By the handles that the debugger knows. */
  readonly #entries = new Map<number, Entry>();

  /** Its table is another kernel's, or nobody is there who knows of it. */
  forget(): void {
    this.#entries.clear();
  }

  /** Some are in the kernel. */
  get areAwake(): boolean {
    return [...this.#entries.values()].some(({ real }) => real !== undefined);
  }

  get areAsleep(): boolean {
    return [...this.#entries.values()].some(({ real }) => real === undefined);
  }

  /** NT has stopped, and taken out what is near. */
  sawStop({ programCounter }: StateChange): void {
    for (const [handle, { address, real }] of this.#entries)
      if (real !== undefined && address >= programCounter && address - programCounter < nearStop)
        this.#entries.delete(handle);
  }

  /** The request as it shall go to the kernel, or the reply if the kernel need not be asked. */
  outward(request: Uint8Array): { readonly request: Uint8Array } | { readonly reply: Uint8Array } {
    if (readManipulateHead(request).apiNumber !== restoreBreakPoint.number) return { request };
    const { handle } = restoreBreakPoint.request.read(request);
    const entry = this.#entries.get(handle);
    if (entry === undefined) {
      // The kernel has that handle for another breakpoint of the debugger's.
      const isTaken = [...this.#entries.values()].some(({ real }) => real === handle);
      return isTaken ? { reply: withStatus(request, NtStatus.Unsuccessful) } : { request };
    }
    if (entry.real === undefined) return { reply: this.answer(request) };
    return { request: entry.real === handle ? request : withHandle(request, entry.real) };
  }

  /** What the debugger shall see of the kernel's reply. */
  inward(request: Uint8Array, reply: Uint8Array): Uint8Array {
    const { apiNumber, returnStatus } = readManipulateHead(reply);
    if (apiNumber === restoreBreakPoint.number) {
      const { handle } = restoreBreakPoint.request.read(request);
      // Whatever the kernel says, it is not there any more.
      this.#entries.delete(handle);
      return withHandle(reply, handle);
    }
    if (apiNumber !== writeBreakPoint.number || isError(returnStatus)) return reply;
    const { address } = writeBreakPoint.request.read(request);
    const { handle: real } = writeBreakPoint.reply.read(reply);
    const handle = this.#entries.has(real) ? (this.#freeHandle() ?? real) : real;
    this.#entries.set(handle, { address, real });
    if (handle === real) return reply;
    const changed = reply.slice();
    writeBreakPoint.reply.write(changed, { handle });
    return changed;
  }

  /** Sets or takes out a breakpoint that sleeps. */
  answer(request: Uint8Array): Uint8Array {
    if (readManipulateHead(request).apiNumber === restoreBreakPoint.number) {
      const { handle } = restoreBreakPoint.request.read(request);
      const entry = this.#entries.get(handle);
      if (entry?.real !== undefined || entry === undefined) return withStatus(request, NtStatus.Unsuccessful);
      this.#entries.delete(handle);
      return withStatus(request, NtStatus.Success);
    }
    const { address } = writeBreakPoint.request.read(request);
    const isThere = [...this.#entries.values()].some((entry) => entry.address === address);
    const handle = isThere ? undefined : this.#freeHandle();
    if (handle === undefined) {
      return encodeManipulate(
        writeBreakPoint.reply,
        { returnStatus: NtStatus.Unsuccessful },
        { handle: 0 },
        undefined,
        request,
      );
    }
    this.#entries.set(handle, { address, real: undefined });
    return encodeManipulate(
      writeBreakPoint.reply,
      { returnStatus: NtStatus.Success },
      { handle },
      undefined,
      request,
    );
  }

  /** Takes them out of the kernel, which stands. @throws as KdClient.request */
  async sleep(client: KdClient): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.real === undefined) continue;
      await client.request(restoreBreakPoint, { handle: entry.real });
      entry.real = undefined;
    }
  }

  /** Puts them into the kernel, which stands. One that it refuses sleeps on. @throws as KdClient.request */
  async wake(client: KdClient): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.real !== undefined) continue;
      const { status, fields } = await client.request(writeBreakPoint, { address: entry.address });
      if (!isError(status)) entry.real = fields.handle;
    }
  }

  #freeHandle(): number | undefined {
    for (let handle = 1; handle <= breakpointSlots; handle++) if (!this.#entries.has(handle)) return handle;
    return undefined;
  }
}

function withHandle(packet: Uint8Array, handle: number): Uint8Array {
  if (restoreBreakPoint.request.read(packet).handle === handle) return packet;
  const changed = packet.slice();
  restoreBreakPoint.request.write(changed, { handle });
  return changed;
}
