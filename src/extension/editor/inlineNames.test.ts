import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inlineNames } from './inlineNames';

function namesIn(source: string, stopped: number): string[] {
  const lines = source.split('\n');
  return inlineNames((line) => lines[line]!, stopped).map(({ line, column, name }) => {
    assert.equal(lines[line]!.slice(column, column + name.length), name);
    return `${line}:${name}`;
  });
}

void describe('names with values beside them', () => {
  const source = [
    'int Before(int Other) { return Other; }',
    'ULONG Work(ULONG Value)',
    '{',
    '  ULONG Total = 0; // Comment',
    '  Total += Node->Flags.Busy + Call(Value, "text") + Value;',
    '  return Total;',
    '}',
  ].join('\n');

  void it('are those of the function, down to the line', () => {
    assert.deepEqual(namesIn(source, 4), [
      ...['1:ULONG', '1:Value', '3:ULONG', '3:Total'],
      ...['4:Total', '4:Node', '4:Value'],
    ]);
  });

  void it('end where the kernel stands', () => {
    assert.ok(!namesIn(source, 3).some((name) => name.startsWith('4:')));
  });

  void it('are bounded by the lines above', () => {
    const long = Array.from({ length: 1000 }, (_, i) => `  name${i}`).join('\n');
    assert.equal(namesIn(long, 999).length, 201);
  });
});
