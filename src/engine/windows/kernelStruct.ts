/**
 * Structures of the running kernel, read with the layout that its own PDB has for them: fields move from build to build,
 * their names hardly ever do.
 *
 *   KernelStruct(_EPROCESS) ─ read(address) ─▶ one span of memory ─ field('Pcb.DirectoryTableBase') ─▶ value
 */

import { plus, signExtend32, virtualAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { readMemory, type VirtualMemory } from '../memory/virtualMemory';
import { layoutOf, type LayoutField, type StructLayout } from '../symbols/types/structLayout';
import type { TypeTable } from '../symbols/types/typeTable';

interface Place {
  /** From the start of the structure. */
  readonly offset: number;
  readonly size: number;
  readonly bits: LayoutField['bits'];
}

/** No structure of the kernel is larger; a hostile PDB may say otherwise. */
const largest = 1 << 20;

export class KernelStruct {
  readonly #places = new Map<string, Place>();

  private constructor(
    private readonly types: TypeTable,
    private readonly layout: StructLayout,
  ) {}

  /** @param name As in the PDB: `_EPROCESS`. @throws symbols-lack-type */
  static named(types: TypeTable | undefined, name: string): KernelStruct {
    const type = types?.find(name)[0];
    const layout = types !== undefined && type !== undefined ? layoutOf(types, type) : undefined;
    if (types === undefined || layout === undefined || layout.size > largest) {
      throw new VmkdError('symbols-lack-type', `The kernel's symbols have no layout of ${name}`);
    }
    return new KernelStruct(types, layout);
  }

  get size(): number {
    return this.layout.size;
  }

  /** Whether this build has the field. */
  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** Bytes from the start; `Pcb.Header` goes into structures within. @throws symbols-lack-type */
  offsetOf(path: string): number {
    return this.place(path).offset;
  }

  /** @throws symbols-lack-type */
  place(path: string): Place {
    const place = this.#find(path);
    if (place !== undefined) return place;
    throw new VmkdError('symbols-lack-type', `The kernel's symbols have no ${this.layout.name}.${path}`);
  }

  /** All of it at once. @throws memory-unreadable */
  async read(memory: VirtualMemory, address: VirtualAddress): Promise<StructValue> {
    return new StructValue(this, address, await readMemory(memory, address, this.size));
  }

  /**
   * One field, and no more of the memory than it takes: an unsigned number of 1 to 8 bytes.
   * @throws symbols-lack-type, memory-unreadable
   */
  async readNumber(memory: VirtualMemory, address: VirtualAddress, path: string): Promise<bigint> {
    const { offset, size, bits } = this.place(path);
    return numberOf(await readMemory(memory, plus(address, offset), Math.min(size, 8)), bits);
  }

  /** As `readNumber`, of a pointer. */
  async readPointer(memory: VirtualMemory, address: VirtualAddress, path: string): Promise<VirtualAddress> {
    return pointerOf(await this.readNumber(memory, address, path), this.place(path).size);
  }

  /** As `readNumber`, of an array of characters, up to its NUL. */
  async readText(memory: VirtualMemory, address: VirtualAddress, path: string): Promise<string> {
    const { offset, size } = this.place(path);
    return textOf(await readMemory(memory, plus(address, offset), size));
  }

  #find(path: string): Place | undefined {
    const known = this.#places.get(path);
    if (known !== undefined) return known;
    let layout: StructLayout | undefined = this.layout;
    let offset = 0;
    let field: LayoutField | undefined;
    for (const name of path.split('.')) {
      field = layout?.fields.find((candidate) => candidate.name === name);
      if (field === undefined) return undefined;
      offset += field.offset;
      layout = layoutOf(this.types, field.type);
    }
    if (field === undefined || offset + field.size > this.size) return undefined;
    const place = { offset, size: field.size, bits: field.bits };
    this.#places.set(path, place);
    return place;
  }
}

/** One structure as it was when it was read. */
export class StructValue {
  constructor(
    private readonly struct: KernelStruct,
    readonly address: VirtualAddress,
    private readonly bytes: Uint8Array,
  ) {}

  /** The bytes of a field. @throws symbols-lack-type */
  field(path: string): Uint8Array {
    const { offset, size } = this.struct.place(path);
    return this.bytes.subarray(offset, offset + size);
  }

  /** An unsigned number of 1 to 8 bytes, or a bit field. @throws symbols-lack-type */
  number(path: string): bigint {
    return numberOf(this.field(path).subarray(0, 8), this.struct.place(path).bits);
  }

  /** A pointer. @throws symbols-lack-type */
  pointer(path: string): VirtualAddress {
    return pointerOf(this.number(path), this.struct.place(path).size);
  }

  /** Of an array of characters, up to its NUL. @throws symbols-lack-type */
  text(path: string): string {
    return textOf(this.field(path));
  }

  /** Where a field lies in the target. @throws symbols-lack-type */
  addressOf(path: string): VirtualAddress {
    return plus(this.address, this.struct.offsetOf(path));
  }
}

function numberOf(bytes: Uint8Array, bits: Place['bits']): bigint {
  const whole = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return bits === undefined ? whole : (whole >> BigInt(bits.position)) & ((1n << BigInt(bits.length)) - 1n);
}

const pointerOf = (value: bigint, size: number): VirtualAddress =>
  size === 4 ? signExtend32(Number(value)) : virtualAddress(value);

function textOf(characters: Uint8Array): string {
  const end = characters.indexOf(0);
  return Buffer.from(end < 0 ? characters : characters.subarray(0, end)).toString('latin1');
}
