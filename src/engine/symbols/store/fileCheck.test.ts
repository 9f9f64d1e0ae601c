import assert from 'node:assert/strict';
import { copyFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { msvcSamples } from '../../../../test/fixtures/pdbSamples';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import { VmkdError } from '../../core/errors';
import { checkSymbolFile } from './fileCheck';
import { imageFile, pdbFile } from './symbolFile';
import { parseSymbolPath } from './symbolPath';
import { SymbolStore } from './symbolStore';

// What llvm-readobj (--file-headers --coff-debug-directory) says of the image and the PDB that it names.
const sample = msvcSamples[2]!;
const rightPdb = pdbFile('conpty_console_list.pdb', '491DA6CC4CC3403194C24DFDF69E31A51');
const rightImage = imageFile('conpty_console_list.node', 0x69485da7, 163840);

const refusal = async (file: string, wanted = rightPdb): Promise<string> => {
  try {
    return (await checkSymbolFile(file, wanted)) ?? 'right';
  } catch (error) {
    assert.ok(error instanceof VmkdError);
    return error.code;
  }
};

void describe('the check of a symbol file', () => {
  void it('knows a PDB by GUID and age, whatever it is called', async () => {
    assert.equal(await refusal(sample.pdb), 'right');
    const lowerCase = { ...rightPdb, name: 'x.pdb', key: rightPdb.key.toLowerCase() };
    assert.equal(await refusal(sample.pdb, lowerCase), 'right');
    for (const key of ['491DA6CC4CC3403194C24DFDF69E31A52', '491DA6CC4CC3403194C24DFDF69E31A61']) {
      assert.match(await refusal(sample.pdb, { ...rightPdb, key }), /another build.*491DA6CC.*not/);
    }
    assert.match(await refusal(msvcSamples[0]!.pdb), /another build/);
  });

  void it('knows an image by time stamp and size', async () => {
    assert.equal(await refusal(sample.image, rightImage), 'right');
    for (const [stamp, size] of [
      [0x69485da8, 163840],
      [0x69485da7, 163841],
    ] as const) {
      assert.match(await refusal(sample.image, imageFile('a.node', stamp, size)), /another build/);
    }
  });

  void it('says what else a file is', async (t) => {
    const folder = tempFolder(t);
    assert.equal(await refusal(sample.image), 'file-damaged', 'an image is no PDB');
    assert.equal(await refusal(sample.pdb, rightImage), 'file-damaged', 'nor the other way round');
    assert.equal(await refusal(path.join(folder, 'absent')), 'file-unreadable');
    assert.equal(await refusal(folder), 'file-unreadable');
    const cut = path.join(folder, 'cut.pdb');
    copyFileSync(sample.pdb, cut);
    truncateSync(cut, 100_000);
    assert.equal(await refusal(cut), 'file-damaged');
    const compressed = path.join(folder, 'z.pdb');
    writeFileSync(compressed, 'Microsoft MSFZ Container\r\n\x1aALD\0\0');
    assert.equal(await refusal(compressed), 'file-unsupported');
  });

  void it('serves a symbol store', async (t) => {
    const folder = tempFolder(t);
    const store = new SymbolStore({
      path: parseSymbolPath(folder, path.join(folder, 'cache')),
      defaultCache: path.join(folder, 'cache'),
      check: checkSymbolFile,
      get: () => Promise.reject(new Error('nobody goes online')),
    });
    const place = path.join(folder, rightPdb.name);
    copyFileSync(msvcSamples[0]!.pdb, place);
    const wrong = await store.find(rightPdb);
    assert.equal(wrong.path, undefined);
    assert.equal(wrong.attempts[0]?.outcome, 'wrong');
    copyFileSync(sample.pdb, place);
    assert.equal((await store.find(rightPdb)).path, place);
  });
});
