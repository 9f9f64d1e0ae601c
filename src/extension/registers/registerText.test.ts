import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegisterHistory, registerText, typedAs } from './registerText';

void describe('a register', () => {
  void it('is shown in each radix, with what it means', () => {
    const value = '0xfffff80312345678 nt!KeSetEvent+0x12';
    assert.deepEqual(registerText(value, 'hex'), {
      number: 'fffff803`12345678',
      meaning: 'nt!KeSetEvent+0x12',
    });
    assert.equal(registerText(value, 'decimal').number, '18446735290806851192');
    assert.equal(registerText(value, 'signed').number, '-8782902700424');
    assert.deepEqual(registerText('0x0010 zf', 'binary'), { number: '00000000 00010000', meaning: 'zf' });
    assert.deepEqual(registerText('1.5', 'binary'), { number: '1.5', meaning: '' });
    assert.deepEqual(registerText('<unreadable>', 'hex'), { number: '<unreadable>', meaning: '' });
  });

  void it('is typed in the radix that is shown, or as any expression', () => {
    assert.equal(typedAs('10', 'hex'), '0x10');
    assert.equal(typedAs('fffff803`12345678', 'hex'), '0xfffff80312345678');
    assert.equal(typedAs('0x10', 'hex'), '0x10');
    assert.equal(typedAs('@rax+8', 'hex'), '@rax+8');
    assert.equal(typedAs('10', 'decimal'), '10');
    assert.equal(typedAs('0001 0000', 'binary'), '0b00010000');
  });
});

void describe('what has changed', () => {
  const groups = (rax: string, rbx: string) => [
    {
      name: 'General',
      lines: [
        { name: 'rax', value: rax, canSet: true },
        { name: 'rbx', value: rbx, canSet: true },
      ],
    },
    { name: 'Flags', lines: undefined },
  ];

  void it('is told against the stop before, for each processor of each session alone', () => {
    const history = new RegisterHistory();
    const changes = (of: string, epoch: number, rax: string, rbx: string): string[] => [
      ...history.changes(of, epoch, groups(rax, rbx)),
    ];
    assert.deepEqual(changes('a 1', 1, '0x1', '0x2'), []);
    assert.deepEqual(changes('b 1', 1, '0x7', '0x7'), []);
    assert.deepEqual(changes('a 1', 2, '0x1', '0x3'), ['General/rbx']);
    assert.deepEqual(changes('a 1', 2, '0x9', '0x3'), ['General/rax', 'General/rbx'], 'set by hand');
    assert.deepEqual(changes('a 1', 3, '0x9', '0x3'), []);
  });
});
