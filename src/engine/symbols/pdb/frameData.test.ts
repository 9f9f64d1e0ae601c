import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memorySource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { FileBytes } from '../fileBytes';
import { Fpo } from './fpo';
import { FrameData, FrameDataTable } from './frameData';
import { StringTable } from './stringTable';

const straight = { linkedRva: (rva: number) => rva, imageRva: (rva: number) => rva };
const programs = Buffer.from('\0$T0 .raSearch =\0$eip $esp ^ =\0', 'latin1');

function strings(): StringTable {
  const header = Buffer.from(Uint32Array.of(0xeffeeffe, 1, programs.length).buffer);
  return new StringTable(memorySource(Buffer.concat([header, programs]), 'names'));
}

const bytesOf = (...words: number[]): FileBytes =>
  new FileBytes(new Uint8Array(Uint32Array.from(words).buffer), 'rows');

void describe('rows of FRAMEDATA', () => {
  void it('inner ones hold; the function is that of the outer one that begins it', () => {
    const table = new FrameDataTable([
      {
        base: 0x1000,
        rows: bytesOf(
          ...[0, 0x40, 0, 8, 0, 1, 3, 4],
          ...[1, 0x3f, 4, 8, 0, 17, (4 << 16) | 2, 0],
          // A piece at the end that is no row.
          ...[0, 0],
        ),
      },
      { base: 0, rows: bytesOf() },
      { base: 0x2000, rows: bytesOf(0, 0x10, 0, 0, 0, 1, 0, 0) },
    ]);
    assert.equal(table.count, 3);
    const data = new FrameData(() => table, strings(), straight);
    assert.deepEqual(data.find(0x1000)?.program, '$T0 .raSearch =');
    assert.deepEqual(data.find(0x103f), {
      ...{ begin: 0x1001, codeBytes: 0x3f, localBytes: 4, parameterBytes: 8, mostPushedBytes: 0 },
      ...{ prologBytes: 2, savedRegisterBytes: 4, program: '$eip $esp ^ =' },
      ...{ functionBegin: 0x1000, functionEnd: 0x1040 },
    });
    assert.equal(data.find(0x1040), undefined);
    assert.equal(data.find(0x2008)?.functionBegin, undefined);
    assert.equal(new FrameData(() => undefined, strings(), straight).find(0x1000), undefined);
  });

  void it('20,000 tables of nonsense give rows or a typed error', () => {
    const random = randomFrom(seedFromEnvironment());
    console.log(`seed ${random.seed}`);
    let found = 0;
    for (let i = 0; i < 20_000; i++) {
      const word = (): number => (random.chance(0.8) ? random.below(64) : random.next());
      const part = () => ({ base: word(), rows: bytesOf(...Array.from({ length: random.below(80) }, word)) });
      const table = new FrameDataTable(Array.from({ length: random.below(3) }, part));
      const data = new FrameData(() => table, strings(), straight);
      const fpo = new Fpo(part().rows, straight);
      for (const rva of [word(), word(), random.next()]) {
        assert.ok((fpo.find(rva)?.begin ?? rva) <= rva);
        try {
          const row = data.find(rva);
          if (row === undefined) continue;
          found++;
          assert.ok(row.begin <= rva && rva < row.begin + row.codeBytes);
        } catch (error) {
          assert.ok(error instanceof VmkdError && error.code === 'file-damaged', String(error));
        }
      }
    }
    assert.ok(found > 1000, String(found));
  });
});
