/** The journal of what we wrote into code: undone only where it is ours, and never trusted. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import { plus, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { FileJournal, journalFile, type PatchedModule } from './journal';

const kernelBase = virtualAddress(0xfffff80000000000n);
const driver: PatchedModule = {
  name: 'x.sys',
  base: virtualAddress(0xfffff80100000000n),
  size: 0x1000,
  timeDateStamp: 77,
};
const place = plus(driver.base, 0x10);

function memoryWith(bytes: Map<VirtualAddress, number>) {
  return {
    readPartial: (address: VirtualAddress) => {
      const byte = bytes.get(address);
      return Promise.resolve(byte === undefined ? new Uint8Array() : Uint8Array.of(byte));
    },
    write: (address: VirtualAddress, data: Uint8Array) => {
      bytes.set(address, data[0]!);
      return Promise.resolve();
    },
  };
}

function journalAt(file: string, module: PatchedModule | undefined = driver, base = kernelBase): FileJournal {
  const journal = new FileJournal(file, () => Promise.resolve(module));
  journal.kernelBase = base;
  return journal;
}

const fileOf = (t: TestContext): string => path.join(tempFolder(t), 'deep', journalFile('unix:/tmp/kd'));

void describe('the journal', () => {
  void it('has each patch on disk as soon as it is told of it, and none when all are undone', async (t) => {
    const file = fileOf(t);
    const journal = journalAt(file);
    await journal.add(place, 0x48);
    assert.match(readFileSync(file, 'utf8'), /"original":72/);
    await journal.add(plus(place, 1), 0x49);
    await journal.remove(place);
    assert.doesNotMatch(readFileSync(file, 'utf8'), /"original":72/);
    await journal.remove(plus(place, 1));
    assert.equal(existsSync(file), false);
  });

  void it('is undone where an int3 still stands in the same image of the same kernel', async (t) => {
    const file = fileOf(t);
    const bytes = new Map([
      [place, 0xcc],
      [plus(place, 1), 0x90],
    ]);
    const write = async (): Promise<void> => {
      const journal = journalAt(file);
      await journal.add(place, 0x48);
      await journal.add(plus(place, 1), 0x49);
      await journal.add(plus(place, 2), 0x50);
    };
    for (const [what, other] of Object.entries({
      'another kernel': journalAt(file, driver, plus(kernelBase, 0x1000)),
      'another build': journalAt(file, { ...driver, timeDateStamp: 78 }),
      elsewhere: journalAt(file, { ...driver, base: plus(driver.base, 0x1000) }),
      gone: journalAt(file, undefined),
    })) {
      // `undefined` as an argument means the default.
      const journal = what === 'gone' ? new FileJournal(file, () => Promise.resolve(undefined)) : other;
      journal.kernelBase ??= kernelBase;
      await write();
      assert.equal(await journal.undo(memoryWith(bytes)), 0, what);
      assert.equal(bytes.get(place), 0xcc, what);
    }
    await write();
    assert.equal(await journalAt(file).undo(memoryWith(bytes)), 1);
    assert.equal(bytes.get(place), 0x48);
    assert.equal(bytes.get(plus(place, 1)), 0x90);
    assert.equal(existsSync(file), false);
  });

  void it('is ignored if it is none', async (t) => {
    const file = fileOf(t);
    await journalAt(file).add(place, 0x48);
    const good = readFileSync(file, 'utf8');
    const bytes = new Map([[place, 0xcc]]);
    for (const bad of [
      '',
      'null',
      '[]',
      good.slice(0, -3),
      good.replace('"vmkdJournal":1', '"vmkdJournal":2'),
      good.replace('"original":72', '"original":256'),
      good.replace('"original":72', '"original":"72"'),
      good.replace(/"address":"[^"]*"/, '"address":"zz"'),
      good.replace(/"module":\{.*?\}/, '"module":7'),
    ]) {
      writeFileSync(file, bad);
      assert.equal(await journalAt(file).undo(memoryWith(bytes)), 0, bad);
    }
    assert.equal(bytes.get(place), 0xcc);
  });

  void it('that cannot be written keeps the target from being written', async (t) => {
    const folder = tempFolder(t);
    writeFileSync(path.join(folder, 'file'), '');
    const journal = journalAt(path.join(folder, 'file', 'journal.json'));
    await assert.rejects(
      journal.add(place, 1),
      (error) => error instanceof VmkdError && error.code === 'file-unwritable',
    );
  });
});
