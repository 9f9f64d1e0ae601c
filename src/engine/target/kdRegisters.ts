/**
 * Registers of the processors of a stopped target, by KD requests.
 * A processor other than the one that stopped is frozen; NT answers for it from its saved state.
 */

import { signExtend32, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import {
  contextSizeX64,
  contextX64,
  specialRegistersX64,
  type ContextX64,
  type SpecialRegistersX64,
} from '../cpu/contextX64';
import { contextSizeX86, contextX86, type ContextX86 } from '../cpu/contextX86';
import type { KdClient } from '../kd/client';
import type { MachineType } from '../kd/machineType';
import {
  ControlSpace,
  getContext,
  readControlSpace,
  setContext,
  writeControlSpace,
} from '../kd/manipulate/context';

const contextSizes: Record<MachineType, number> = { x64: contextSizeX64, x86: contextSizeX86 };

export class KdRegisters {
  constructor(private readonly client: KdClient) {}

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
      throw new VmkdError('target-unsupported', 'Special registers of x86 guests are not supported yet');
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
