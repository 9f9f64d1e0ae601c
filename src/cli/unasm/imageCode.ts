/** The code of an image file, by RVA and by address, with what stands at an address. */

import { signExtend32, virtualAddress, type VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import type { CodeMachine } from '../../engine/cpu/disassembler';
import type { VirtualMemory } from '../../engine/memory/virtualMemory';
import { knownMachine } from '../../engine/symbols/pe/headers';
import type { PeFile } from '../../engine/symbols/peImage';
import { machineText, type SymbolView } from '../symbolView';

/** Loaded where `view` has it. */
export class ImageCode {
  readonly machine: CodeMachine;
  readonly image: PeFile;

  /** @throws file-unsupported */
  constructor(readonly view: SymbolView) {
    const { image, path, machine } = view.session;
    if (image === undefined) {
      throw new VmkdError('file-unsupported', `${path} is a PDB, which holds no code`, {
        nextStep: 'Give the image (.exe, .dll, .sys) that it belongs to.',
      });
    }
    const known = knownMachine(machine);
    if (known !== 'x64' && known !== 'x86') {
      throw new VmkdError('file-unsupported', `${path} is for ${machineText(machine)}`, {
        nextStep: 'vmkd disassembles x64 and x86 only.',
      });
    }
    this.machine = known;
    this.image = image;
  }

  addressOf(rva: number): VirtualAddress {
    const address = this.view.addressOf(rva);
    return this.machine === 'x64'
      ? virtualAddress(address)
      : signExtend32(Number(BigInt.asUintN(32, address)));
  }

  /** RVA modulo the width of an address; compare it with the image's size. */
  rvaOf(address: VirtualAddress): number {
    return Number(BigInt.asUintN(this.machine === 'x64' ? 64 : 32, address - this.view.base));
  }

  readonly nameOf = (address: VirtualAddress): string | undefined => {
    const rva = this.rvaOf(address);
    return rva < this.view.session.size ? this.view.place(rva) : undefined;
  };

  /** At most `length` bytes, as far as the file has them in one piece. */
  read(rva: number, length: number): Uint8Array {
    const { sections, sizeOfHeaders } = this.image.image;
    const parts = [{ rva: 0, size: sizeOfHeaders, fileSize: this.image.file.size }, ...sections];
    const part = parts.find((p) => p.rva <= rva && rva < p.rva + Math.min(p.size, p.fileSize));
    if (part === undefined) return new Uint8Array();
    const end = part.rva + Math.min(part.size, part.fileSize);
    return this.image.memory.read(rva, Math.min(length, end - rva));
  }

  readonly memory: VirtualMemory = {
    readPartial: (address, length) => Promise.resolve(this.read(this.rvaOf(address), length)),
  };
}
