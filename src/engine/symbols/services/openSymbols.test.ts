import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { msvcSamples } from '../../../../test/fixtures/pdbSamples';
import { openFileSource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { PeFile } from '../peImage';
import { openExportSymbols, openPdbSymbols } from './openSymbols';

const sample = msvcSamples[3]!;

void describe('symbols of one image', () => {
  void it('out of a PDB: names and types', () => {
    const open = openPdbSymbols(sample.pdb);
    assert.equal(open.symbols.quality, 'private');
    assert.deepEqual(
      open.symbols.search('winpty_open', 9).map(({ name }) => name),
      ['winpty_open'],
    );
    assert.ok(open.types!.find('winpty_config_s').length > 0);
    assert.equal(open.types, open.pdb?.types, 'opened once');
    assert.equal(open.functions, undefined, 'its linker put no copy into it');
    open.close();
    open.close();
    assert.throws(() => openPdbSymbols(sample.image), { code: 'file-damaged' });
    assert.throws(() => openPdbSymbols('absent.pdb'), { code: 'file-unreadable' });
  });

  void it('with the function table of the image', () => {
    const file = openFileSource(sample.image);
    const functions = new PeFile(file).functions();
    const open = openPdbSymbols(sample.pdb, functions);
    assert.equal(open.functions, functions);
    open.close();
    file.close();
    assert.throws(
      () => open.pdb?.module(3),
      (error) => error instanceof VmkdError && error.code === 'file-unreadable',
    );
  });

  void it('out of exports', () => {
    const file = openFileSource(sample.image);
    const image = new PeFile(file);
    const open = openExportSymbols(image.exports(), image.image, image.functions());
    assert.equal(open.symbols.quality, 'exports');
    assert.equal(open.types, undefined);
    assert.equal(open.symbols.search('winpty_o*', 9).length, 1);
    open.close();
    file.close();
  });
});
