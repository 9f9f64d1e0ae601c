import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accessOf, bugcheckOf, bugcheckTable } from './bugchecks';

void describe('bugchecks', () => {
  void it('have a name alone, or a name and four parameters', () => {
    const names = new Set<string>();
    for (const [code, row] of Object.entries(bugcheckTable)) {
      assert.ok(row.length === 1 || row.length === 5, code);
      assert.match(row[0], /^[A-Z][A-Z0-9_]+$/);
      assert.ok(!names.has(row[0]), `${row[0]} twice`);
      names.add(row[0]);
    }
  });

  void it('are named by code, the variants for minidumps too, and an unknown one by its number', () => {
    assert.equal(bugcheckOf(0xd1).name, 'DRIVER_IRQL_NOT_LESS_OR_EQUAL');
    assert.deepEqual(bugcheckOf(0x1000007e), bugcheckOf(0x7e));
    assert.deepEqual(bugcheckOf(0x1abc), { name: 'BUGCHECK_0x1ABC', parameters: [] });
  });

  void it('say which parameters are addresses', () => {
    assert.deepEqual(
      bugcheckOf(0x0a).parameters.map((p) => p.isAddress),
      [true, false, false, true],
    );
  });

  void it('of memory faults say what was tried', () => {
    assert.equal(accessOf(0xd1, [0n, 2n, 0n, 0n]), 'read');
    assert.equal(accessOf(0x0a, [0n, 2n, 1n, 0n]), 'write');
    assert.equal(accessOf(0x0a, [0n, 2n, 8n, 0n]), 'execute');
    assert.equal(accessOf(0x50, [0n, 0x10n, 0n, 0n]), 'execute');
    assert.equal(accessOf(0x50, [0n, 2n, 0n, 0n]), 'write');
    assert.equal(accessOf(0xef, [0n, 0n, 0n, 0n]), undefined);
  });
});
