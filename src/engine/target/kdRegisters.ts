/**
 * Registers of the processors of a stopped x64 target, by KD requests.
 * A processor other than the one that stopped is frozen; NT answers for it from its saved state.
 */

import { VmkdError } from '../core/errors';
import {
  contextSizeX64,
  contextX64,
  specialRegistersX64,
  type ContextX64,
  type SpecialRegistersX64,
} from '../cpu/contextX64';
import type { KdClient } from '../kd/client';
import {
  ControlSpace,
  getContext,
  readControlSpace,
  setContext,
  writeControlSpace,
} from '../kd/manipulate/context';

export class KdRegisters {
  constructor(private readonly client: KdClient) {}

  /** @param processor Default: the one that stopped. @throws target-refused, protocol-violation */
  async context(processor?: number): Promise<ContextX64> {
    return contextX64.read(await this.#contextBytes(processor));
  }

  /** Changes the given registers of the stopped processor and leaves all others. */
  async setContext(changes: Partial<ContextX64>): Promise<void> {
    // NT takes a new CONTEXT only from who has read it in the same stop.
    const whole = await this.#contextBytes(undefined);
    contextX64.write(whole, changes);
    await this.client.demand(setContext, {}, { data: whole });
  }

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

  async #contextBytes(processor: number | undefined): Promise<Uint8Array> {
    const { data } = await this.client.demand(getContext, {}, onProcessor(processor));
    if (data.length < contextSizeX64) {
      throw new VmkdError(
        'protocol-violation',
        `A CONTEXT of ${data.length} bytes; x64's has ${contextSizeX64}`,
      );
    }
    return data.slice(0, contextSizeX64);
  }

  /** As many bytes as the target has: older ones lack the last fields. */
  async #specialBytes(processor: number | undefined): Promise<Uint8Array> {
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
