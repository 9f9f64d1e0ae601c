import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressIn, RegisterHistory, registerText, typedAs } from './registerText';

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
    const shown = '0x0000000000000001 nt+0x1';
    assert.equal(typedAs('10', 'hex', shown), '0x10');
    assert.equal(typedAs('fffff803`12345678', 'hex', shown), '0xfffff80312345678');
    assert.equal(typedAs('0x10', 'hex', shown), '0x10');
    assert.equal(typedAs('@rax+8', 'hex', shown), '@rax+8');
    assert.equal(typedAs('10', 'decimal', shown), '10');
    assert.equal(typedAs('0001 0000', 'binary', shown), '0b00010000');
  });

  void it('is typed as it is shown, where that is in no radix', () => {
    assert.equal(typedAs('10', 'hex', '1.5 (0x3fffc000000000000000)'), '10');
    assert.equal(typedAs('10', 'binary', '0'), '10');
    assert.equal(typedAs(' -1e3', 'hex', '-Infinity'), '-1e3');
  });

  void it('is an address, if it is a number and no longer than one', () => {
    assert.equal(addressIn('0xfffff80312345678 nt!KeSetEvent+0x12'), '0xfffff80312345678');
    assert.equal(addressIn('0x0010'), '0x0000000000000010');
    for (const value of ['1.5', '1.5 (0x3fff)', `0x${'0'.repeat(32)}`, '<unreadable>', ''])
      assert.equal(addressIn(value), undefined, value);
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

  void it('is told of each flag, too', () => {
    const flags = (zf: string) => [
      {
        name: 'Flags',
        lines: [
          {
            ...{ name: 'eflags', value: '0x2', canSet: true },
            parts: { lines: [{ name: 'zf', value: zf, canSet: true }] },
          },
        ],
      },
    ];
    const history = new RegisterHistory();
    history.changes('a 1', 1, flags('0'));
    assert.deepEqual([...history.changes('a 1', 2, flags('1'))], ['Flags/eflags/zf']);
  });
});
