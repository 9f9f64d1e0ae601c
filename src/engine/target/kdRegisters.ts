/**
 * Registers of the processors of a stopped target, by KD requests.
 * A processor other than the one that stopped is frozen; NT answers for it from its saved state.
 *
 * A CONTEXT is long for a serial port, and what a debugger needs at each stop is its first fifth:
 *
 *   0 … general … 100 floating point, vectors … 4d0      (hexadecimal)
 *
 * Newer targets read and write it in pieces. How they take a piece that is not the rest of it is told nowhere, so the first
 * time it is read back and compared; a target that does not do it gets whole ones.
 */

import { signExtend32, virtualAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import {
  contextSizeX64,
  contextX64,
  generalSizeX64,
  specialRegistersX64,
  type ContextX64,
  type SpecialRegistersX64,
} from '../cpu/contextX64';
import { equalBytes } from '../core/bytes';
import { contextSizeX86, contextX86, type ContextX86 } from '../cpu/contextX86';
import type { KdClient } from '../kd/client';
import type { MachineType } from '../kd/machineType';
import {
  ControlSpace,
  getContext,
  getContextEx,
  readControlSpace,
  setContext,
  setContextEx,
  writeControlSpace,
} from '../kd/manipulate/context';
import { isError } from '../kd/ntstatus';

const contextSizes: Record<MachineType, number> = { x64: contextSizeX64, x86: contextSizeX86 };

/** CONTEXT_AMD64 | CONTROL | INTEGER: what of a piece the target shall take over. */
const generalFlags = 0x100003;
/** Up to EFlags, ContextFlags included. */
const leastPiece = 0x48;
/** The same with SEGMENTS and FLOATING_POINT. */
const wholeFlags = 0x10000f;

export class KdRegisters {
  #readsPieces = true;
  /** Undefined: not tried yet. */
  #writesPieces: boolean | undefined;

  constructor(private readonly client: KdClient) {}

  /** Another target may know other requests. */
  forget(): void {
    this.#readsPieces = true;
    this.#writesPieces = undefined;
  }

  /** An x64 CONTEXT, or its first `generalSizeX64` bytes if `whole` is false and the target gives pieces. */
  async contextImage(processor: number, whole: boolean): Promise<Uint8Array> {
    this.#mustBeX64();
    if (!whole && this.#readsPieces) {
      const { status, fields, data } = await this.client.request(
        getContextEx,
        { offset: 0, count: generalSizeX64 },
        { processor },
      );
      if (!isError(status) && fields.copied === generalSizeX64 && data.length >= generalSizeX64)
        return data.slice(0, generalSizeX64);
      this.#readsPieces = false;
    }
    return this.#contextBytes('x64', processor);
  }

  /**
   * @param image What `contextImage` gave in this stop, edited. @param changed How many bytes of it hold all that was changed:
   *   the rest need not be sent. @throws target-refused
   */
  async setContextImage(image: Uint8Array, processor: number, changed = image.length): Promise<void> {
    if (changed > generalSizeX64) return this.#setWhole(image, processor);
    const piece = image.subarray(0, Math.max(changed, leastPiece));
    if (this.#writesPieces === undefined) return this.#tryPieces(piece, processor);
    if (!this.#writesPieces) return this.#setWhole(await this.#grown(piece, processor), processor);
    if (!(await this.#setPiece(piece, processor))) {
      this.#writesPieces = false;
      await this.setContextImage(image, processor, changed);
    }
  }

  async #tryPieces(image: Uint8Array, processor: number): Promise<void> {
    const whole = await this.#grown(image, processor);
    this.#writesPieces = await this.#setPiece(image, processor);
    if (this.#writesPieces) {
      const now = await this.#contextBytes('x64', processor);
      // Whether the target keeps the flags of the piece is its own business.
      contextX64.write(now, { contextFlags: contextX64.read(whole).contextFlags });
      this.#writesPieces = equalBytes(now, whole);
    }
    if (!this.#writesPieces) await this.#setWhole(whole, processor);
  }

  /** The whole context, with the piece in its place. */
  async #grown(image: Uint8Array, processor: number): Promise<Uint8Array> {
    const whole = await this.#contextBytes('x64', processor);
    whole.set(image);
    return whole;
  }

  async #setPiece(image: Uint8Array, processor: number): Promise<boolean> {
    const data = image.slice();
    new DataView(data.buffer).setUint32(contextX64.fields.contextFlags[0], generalFlags, true);
    const { status, fields } = await this.client.request(
      setContextEx,
      { offset: 0, count: data.length, total: data.length },
      { data, processor },
    );
    return !isError(status) && fields.copied === data.length;
  }

  async #setWhole(image: Uint8Array, processor: number): Promise<void> {
    const { contextFlags } = contextX64.read(image);
    contextX64.write(image, { contextFlags: contextFlags | wholeFlags });
    await this.client.demand(setContext, {}, { data: image, processor });
  }

  /** Of an x64 target. @param processor Default: the one that stopped. @throws target-refused, protocol-violation */
  async context(processor?: number): Promise<ContextX64> {
    return contextX64.read(await this.#contextBytes('x64', processor));
  }

  /** Of an x86 target; else as `context`. */
  async contextX86(processor?: number): Promise<ContextX86> {
    return contextX86.read(await this.#contextBytes('x86', processor));
  }

  /** Makes a processor go on elsewhere, if it still stands at `from`. All other registers stay. */
  async moveProgramCounter(
    machine: MachineType,
    processor: number,
    from: VirtualAddress,
    to: VirtualAddress,
  ): Promise<void> {
    // NT takes a new CONTEXT only from who has read it in the same stop.
    const whole = await this.#contextBytes(machine, processor);
    const at = machine === 'x64' ? contextX64.read(whole).rip : signExtend32(contextX86.read(whole).eip);
    if (at !== from) return;
    if (machine === 'x64') contextX64.write(whole, { rip: to });
    else contextX86.write(whole, { eip: Number(BigInt.asUintN(32, to)) });
    await this.client.demand(setContext, {}, { data: whole, processor });
  }

  /** As many bytes of an x64 target's KSPECIAL_REGISTERS as it has. */
  specialImage(processor: number): Promise<Uint8Array> {
    return this.#specialBytes(processor);
  }

  /** @param image What `specialImage` gave in this stop, edited. */
  async setSpecialImage(image: Uint8Array, processor: number): Promise<void> {
    await this.client.demand(
      writeControlSpace,
      { base: ControlSpace.SpecialRegisters, count: image.length },
      { data: image, processor },
    );
  }

  /** KTHREAD that a processor of an x64 target runs. */
  async thread(processor: number): Promise<VirtualAddress> {
    this.#mustBeX64();
    const { data } = await this.client.demand(
      readControlSpace,
      { base: ControlSpace.Kthread, count: 8 },
      { processor },
    );
    if (data.length < 8) throw new VmkdError('protocol-violation', `A pointer of ${data.length} bytes`);
    return virtualAddress(new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true));
  }

  /** Of an x64 target. */
  async special(processor?: number): Promise<SpecialRegistersX64> {
    return specialRegistersX64.read(padded(await this.#specialBytes(processor), specialRegistersX64.size));
  }

  /** Changes the given special registers of one processor; they are loaded when it runs on. */
  async setSpecial(changes: Partial<SpecialRegistersX64>, processor?: number): Promise<void> {
    const whole = await this.#specialBytes(processor);
    const edited = padded(whole, specialRegistersX64.size);
    specialRegistersX64.write(edited, changes);
    await this.client.demand(
      writeControlSpace,
      { base: ControlSpace.SpecialRegisters, count: whole.length },
      { data: edited.subarray(0, whole.length), ...onProcessor(processor) },
    );
  }

  /** x86 keeps other registers at other offsets: what x64 calls base 2 lies in the middle of its CONTEXT. */
  #mustBeX64(): void {
    const { state } = this.client;
    if (state.kind === 'stopped' && state.version.machine !== 'x64') {
      throw new VmkdError('target-unsupported', 'Registers of x86 guests are not supported here yet');
    }
  }

  async #contextBytes(machine: MachineType, processor: number | undefined): Promise<Uint8Array> {
    const size = contextSizes[machine];
    const { data } = await this.client.demand(getContext, {}, onProcessor(processor));
    if (data.length < size) {
      throw new VmkdError(
        'protocol-violation',
        `A CONTEXT of ${data.length} bytes; that of ${machine} has ${size}`,
      );
    }
    return data.slice(0, size);
  }

  /** As many bytes as the target has: older ones lack the last fields. @throws target-unsupported on x86 */
  async #specialBytes(processor: number | undefined): Promise<Uint8Array> {
    this.#mustBeX64();
    const count = specialRegistersX64.size;
    const { data, fields } = await this.client.demand(
      readControlSpace,
      { base: ControlSpace.SpecialRegisters, count },
      onProcessor(processor),
    );
    return data.slice(0, Math.min(count, fields.actual, data.length));
  }
}

const onProcessor = (processor: number | undefined) => (processor === undefined ? {} : { processor });

function padded(bytes: Uint8Array, size: number): Uint8Array {
  const whole = new Uint8Array(size);
  whole.set(bytes);
  return whole;
}
