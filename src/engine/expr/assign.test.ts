/** What expressions change: where values live, and nothing else; and when they may not. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  at,
  fails,
  heap,
  memory,
  sampleContext,
  shown,
  structIn,
} from '../../../test/fixtures/expressionFrame';
import { Access } from './access';
import { assign } from './assign';
import { evaluate } from './compile';

describe('assignments', () => {
  const table: readonly (readonly [text: string, after: string, result: string])[] = [
    ['count = 5', 'count', 'int 5'],
    ['count += 10', 'count', 'int 15'],
    ['count -= 1', 'count', 'int 14'],
    ['count <<= 2', 'count', 'int 56'],
    ['count++', 'count', 'int 57'],
    ['--count', 'count', 'int 56'],
    ['count = 0x1ffffffff', 'count', 'int -1'],
    ['p->Blink = p', 'entry.Blink == p', 'bool true'],
    ['p = p + 1', 'p', '_LIST_ENTRY * 0xffffa10000000030'],
    ['p -= 1', 'p', '_LIST_ENTRY * 0xffffa10000000020'],
    ['p = 0xffffa10000000020', 'p', '_LIST_ENTRY * 0xffffa10000000020'],
    [
      'priority = TP_CALLBACK_PRIORITY_HIGH',
      'priority',
      '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_HIGH (0)',
    ],
    ['flag = 5', 'flag', 'bool true'],
    ["name[0] = 's'", 'name', 'char [16] "system"'],
    ['numbers[0] = numbers[1] = 7', 'numbers', 'unsigned long [4] {7, 7, 30, 40}'],
    ['inRegister = 1', '@rbx,x', 'unsigned __int64 0xffffa10000000001'],
    ['@rax = 0', '@rax', 'unsigned __int64 0'],
    ['split.Flink = (PVOID)3', '@rbx', 'unsigned __int64 3'],
    ['split.Blink = (PVOID)4', 'entry.Blink', '_LIST_ENTRY * 0x0000000000000004'],
    ['*(_LIST_ENTRY *)&numbers = entry', '*(_LIST_ENTRY *)&numbers == 0 ? 1 : 0', ''],
    ['*(ULONG64 *)&numbers[2] = -1', 'numbers[3]', 'unsigned long 4294967295'],
  ];

  it('write where the value lives, and nothing else', async () => {
    const context = sampleContext();
    for (const [text, after, result] of table) {
      await evaluate(text, context, { allowWrites: true });
      if (result === '') continue;
      assert.equal(await shown(context, after), result, text);
    }
    assert.equal(await shown(context, '*(_LIST_ENTRY **)&numbers == entry.Flink'), 'bool true');
  });

  it('do not run where a condition does not reach them', async () => {
    const context = sampleContext();
    await evaluate('0 && (count = 9)', context, { allowWrites: true });
    await evaluate('count == 0 ? count = 9 : 1', context, { allowWrites: true });
    assert.equal(await shown(context, 'count'), 'int -2');
  });

  it('are refused for what is no place, and by targets that cannot be changed', async () => {
    const context = sampleContext();
    const allow = { allowWrites: true };
    await fails(evaluate('1 = 2', context, allow), 'expression-bad', /without a place/, {
      offset: 0,
      length: 1,
    });
    await fails(evaluate('fixed = 2', context, allow), 'expression-refused', /without a place/);
    await fails(evaluate('gone = 2', context, allow), 'value-unavailable', /optimised out/);
    await fails(evaluate('name = "x"', context, allow), 'expression-bad', /cannot be assigned/);
    await fails(evaluate('entry = text', context, allow), 'expression-bad', /cannot be assigned/);
    const dump = Object.assign(sampleContext(), { write: undefined, setRegister: undefined });
    await fails(evaluate('count = 2', dump, allow), 'expression-refused', /cannot be changed/);
    await fails(evaluate('@rax = 2', dump, allow), 'expression-refused', /cannot be changed/);
  });

  it('of bit fields leave their neighbours alone', async () => {
    const context = sampleContext();
    const header = structIn('_SLIST_HEADER');
    context.variables.set('list', { type: header, place: at(0x200) });
    memory.putNumbers(heap + 0x200n, 8, 0xffffffffffffffffn, 0xffffffffffffffffn);
    await evaluate('list.HeaderX64.Sequence = 0x123', context, { allowWrites: true });
    assert.equal(await shown(context, 'list.Alignment,x'), 'unsigned __int64 0x123ffff');
    assert.equal(await shown(context, 'list.HeaderX64.Depth,x'), 'unsigned __int64 0xffff');
  });

  it('from a view convert what was typed', async () => {
    const context = sampleContext();
    const set = async (target: string, text: string): Promise<void> => {
      const { value } = await evaluate(target, context);
      await assign(new Access(context, { allowWrites: true }), value, text);
    };
    await set('count', '0x10 + 1');
    assert.equal(await shown(context, 'count'), 'int 17');
    await set('priority', 'TP_CALLBACK_PRIORITY_NORMAL');
    assert.equal(await shown(context, 'priority'), '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_NORMAL (1)');
    await set('p', '&entry');
    assert.equal(await shown(context, 'p == &entry'), 'bool true');
    await set('@rax', 'count');
    assert.equal(await shown(context, '@rax'), 'unsigned __int64 17');
    await fails(set('entry', '1'), 'expression-bad', /as a whole/);
    await fails(set('count', 'nothing'), 'expression-bad', /not known/);
    const { value } = await evaluate('count', context);
    await fails(assign(new Access(context), value, '1'), 'expression-refused', /change the target/);
  });
});
