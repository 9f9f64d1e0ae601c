import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FileBytes } from '../fileBytes';
import { CrossModule } from './crossModule';

const words = (...values: number[]): FileBytes =>
  new FileBytes(new Uint8Array(Uint32Array.from(values).buffer), 'a module');

void it('indices are found by module and number, and nothing else is', () => {
  const module = new CrossModule(
    words(0x10, 2, 0x1234, 0x80002345, 0x20, 1, 0x1111),
    words(0x1234, 0x5678, 0x80002345, 0x9abc),
  );
  assert.deepEqual(module.imported(0x80000000), { moduleName: 0x10, index: 0x1234 });
  assert.deepEqual(module.imported(0x80000001), { moduleName: 0x10, index: 0x80002345 });
  assert.equal(module.imported(0x80000002), undefined);
  assert.deepEqual(module.imported(0x80100000), { moduleName: 0x20, index: 0x1111 });
  assert.equal(module.imported(0x80200000), undefined);
  assert.equal(module.exported(0x1234), 0x5678);
  assert.equal(module.exported(0x80002345), 0x9abc);
  assert.equal(module.exported(0x5678), undefined);
});

void it('a count that exceeds the file is refused or reaches nothing', () => {
  const module = new CrossModule(words(0x10, 0xffffffff, 1), words(1));
  assert.throws(() => module.imported(0x80000001), { code: 'file-damaged' });
  assert.equal(module.imported(0x80100000), undefined);
  assert.equal(module.exported(1), undefined);
});
