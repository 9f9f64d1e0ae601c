import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { encodeUtf16z } from '../core/text';
import { readMemory, readPointer, type VirtualMemory } from '../memory/virtualMemory';
import { readLoadedModules } from './modules';

/** Memory at one base; all else is absent. */
class Region implements VirtualMemory {
  readonly bytes = new Uint8Array(0x10000);
  readonly view = new DataView(this.bytes.buffer);

  constructor(readonly base: bigint) {}

  readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const offset = Number(address - this.base);
    const inside = offset >= 0 && offset < this.bytes.length;
    return Promise.resolve(inside ? this.bytes.slice(offset, offset + length) : new Uint8Array());
  }

  pointer(offset: number, to: number | bigint, size: 4 | 8): void {
    const target = typeof to === 'bigint' ? to : this.base + BigInt(to);
    if (size === 8) this.view.setBigUint64(offset, BigInt.asUintN(64, target), true);
    else this.view.setUint32(offset, Number(BigInt.asUintN(32, target)), true);
  }
}

const base = { 8: 0xfffff803_00000000n, 4: 0xffffffff_80400000n } as const;
const list = 0x10;

function withModules(size: 4 | 8, names: readonly string[]): Region {
  const region = new Region(base[size]);
  const at = (i: number): number => (i === names.length ? list : 0x100 + i * 0x100);
  region.pointer(list, at(0), size);
  names.forEach((name, i) => {
    const entry = at(i);
    const text = entry + 0x80;
    region.bytes.set(encodeUtf16z(name), text);
    region.pointer(entry, at(i + 1), size);
    region.pointer(entry + (size === 8 ? 0x30 : 0x18), 0x1000 * (i + 1), size);
    region.view.setUint32(entry + (size === 8 ? 0x40 : 0x20), 0x1000, true);
    for (const string of size === 8 ? [0x48, 0x58] : [0x24, 0x2c]) {
      region.view.setUint16(entry + string, name.length * 2, true);
      region.pointer(entry + string + (size === 8 ? 8 : 4), text, size);
    }
  });
  return region;
}

const listOf = (region: Region): VirtualAddress => virtualAddress(region.base + BigInt(list));

void describe('the list of loaded modules', () => {
  for (const size of [8, 4] as const) {
    void it(`is read from a target with pointers of ${size} bytes`, async () => {
      const region = withModules(size, ['ntoskrnl.exe', 'kdcom.dll', 'Gerät.sys']);
      const modules = await readLoadedModules(region, listOf(region), size);
      assert.deepEqual(
        modules.map(({ name, base, size: bytes }) => [name, base - region.base, bytes]),
        [
          ['ntoskrnl.exe', 0x1000n, 0x1000],
          ['kdcom.dll', 0x2000n, 0x1000],
          ['Gerät.sys', 0x3000n, 0x1000],
        ],
      );
    });
  }

  void it('ends at an entry seen before, also where it never comes back to its head', async () => {
    const region = withModules(8, ['a', 'b', 'c']);
    region.pointer(0x300, 0x200, 8);
    assert.equal((await readLoadedModules(region, listOf(region), 8)).length, 3);
  });

  void it('has names that are text, whatever they are', async () => {
    const region = withModules(8, ['<i>\x1b[31m\n.sys']);
    const [module] = await readLoadedModules(region, listOf(region), 8);
    assert.equal(module!.name, '<i>␛[31m␊.sys');
  });

  void it('is bounded', async () => {
    const region = withModules(8, []);
    // Every entry points a little further, over memory that never ends.
    const endless: VirtualMemory = {
      readPartial(address, length) {
        const bytes = new Uint8Array(length);
        if (length >= 8) new DataView(bytes.buffer).setBigUint64(0, address + 0x100n, true);
        return Promise.resolve(bytes);
      },
    };
    await assert.rejects(
      readLoadedModules(endless, listOf(region), 8),
      (error) => error instanceof VmkdError && error.code === 'protocol-violation',
    );
  });

  void it('shows a name that is paged out, and fails where the list itself is absent', async () => {
    const region = withModules(8, ['a.sys']);
    region.pointer(0x100 + 0x60, 0x1000n, 8);
    assert.equal((await readLoadedModules(region, listOf(region), 8))[0]?.name, '<paged out>');
    region.pointer(list, 0x1000n, 8);
    await assert.rejects(
      readLoadedModules(region, listOf(region), 8),
      (error) => error instanceof VmkdError && error.code === 'memory-unreadable',
    );
  });
});

void describe('memory', () => {
  void it('says which byte is absent', async () => {
    const region = new Region(base[8]);
    const end = virtualAddress(region.base + 0xfff8n);
    assert.equal((await readMemory(region, end, 8)).length, 8);
    await assert.rejects(readMemory(region, end, 9), /fffff803`00010000/);
  });

  void it('sign-extends the pointers of 32-bit targets', async () => {
    const region = new Region(base[4]);
    region.view.setUint32(0, 0x80400000, true);
    assert.equal(await readPointer(region, virtualAddress(region.base), 4), 0xffffffff_80400000n);
  });
});
