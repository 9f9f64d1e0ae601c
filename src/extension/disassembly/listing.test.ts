import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lineOfAddress, listingOf, placeAt, rowsOfFunction, type CodeRow } from './listing';

const row = (address: number, instruction: string, more: Partial<CodeRow> = {}): CodeRow => ({
  address: `0xfffff8030000${address.toString(16).padStart(4, '0')}`,
  instruction,
  instructionBytes: '90',
  ...more,
});

const location = { name: 'work.c', path: '/src/work.c' };
const rows = [
  row(0, 'ret'),
  row(0x10, 'push    rbx                              ; m!Work', { symbol: 'm!Work', location, line: 40 }),
  row(0x11, 'call    m!Outer (fffff803`00000020)', { location, line: 41 }),
  row(0x16, 'ret'),
  row(0x20, 'nop                                      ; m!Outer', { symbol: 'm!Outer' }),
];

void describe('a listing of code', () => {
  void it('has the whole function, and no other', () => {
    assert.deepEqual(rowsOfFunction(rows, 2), rows.slice(1, 4));
    assert.deepEqual(rowsOfFunction(rows, 1), rows.slice(1, 4));
    assert.deepEqual(rowsOfFunction(rows, 4), rows.slice(4));
    const absent = row(0, '??', { presentationHint: 'invalid' });
    assert.deepEqual(rowsOfFunction([absent, rows[0]!, absent], 1), [rows[0]]);
  });

  void it('has source lines between, with their text where the file is here', () => {
    const { lines } = listingOf(rowsOfFunction(rows, 1), 'm!Work', (file, line) =>
      line === 41 && file === location ? '    Total += Outer(1);\r' : undefined,
    );
    assert.deepEqual(
      lines.map(({ text }) => text),
      [
        'm!Work:',
        'work.c:40',
        '  fffff803`00000010  90                    push    rbx',
        'work.c:41      Total += Outer(1);',
        '  fffff803`00000011  90                    call    m!Outer (fffff803`00000020)',
        '  fffff803`00000016  90                    ret',
      ],
    );
    assert.deepEqual(lines[3]!.source, { file: location, line: 41 });
    assert.equal(lines[1]!.source, undefined);
  });

  void it('finds the instruction that an address is in', () => {
    const listing = listingOf(rowsOfFunction(rows, 1), 'm!Work', () => undefined);
    assert.equal(lineOfAddress(listing, 0xfffff80300000011n), 4);
    assert.equal(lineOfAddress(listing, 0xfffff80300000014n), 4);
    assert.equal(lineOfAddress(listing, 0n), undefined);
  });

  void it('says what can be gone to, and not the instruction itself', () => {
    const { text } = listingOf(rows.slice(2, 3), 'm!Work', () => undefined).lines.at(-1)!;
    const at = text.indexOf('Outer');
    const place = placeAt(text, at)!;
    assert.equal(text.slice(place.start, place.end), 'm!Outer (fffff803`00000020)');
    assert.equal(place.address, 0xfffff80300000020n);
    assert.equal(placeAt(text, 5), undefined);
    const memory = '  fffff803`00000010  90  mov     rax,qword ptr [nt!List (fffff803`00000030)]';
    assert.equal(placeAt(memory, memory.indexOf('List'))!.start, memory.indexOf('nt!'));
  });

  void it('has one line a thing, whatever is in a name', () => {
    const { lines } = listingOf([row(0, 'jmp     m!a\nb\u001b[31m')], 'm!x\u2028y', () => 'a\nb');
    for (const { text } of lines) assert.match(text, /^\P{C}*$/u);
  });
});
