/** Messages of logpoints, and hit conditions. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { SampleContext } from '../../../test/fixtures/expressionContext';
import { virtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { ExpressionError } from './expressionError';
import { parseHitCondition } from './hitCondition';
import { compileLogMessage } from './logMessage';
import { intType, longType } from './types/builtinTypes';
import { pointerTo } from './types/type';
import { inMemory } from './values/place';

const stack = 0xffffa10000000000n;

function contextWithLocals(): SampleContext {
  const context = new SampleContext();
  context.memory.putNumbers(stack, 4, 42n, 0xc0000022n);
  context.variables.set('count', { type: intType, place: inMemory(virtualAddress(stack)) });
  context.variables.set('status', { type: longType, place: inMemory(virtualAddress(stack + 4n)) });
  context.variables.set('p', { type: pointerTo(intType, 8), place: inMemory(virtualAddress(stack + 8n)) });
  context.unloaded.add('nt');
  return context;
}

it('evaluates what stands in braces, and goes on where that fails', async () => {
  const context = contextWithLocals();
  const logged: readonly (readonly [template: string, text: string])[] = [
    ['', ''],
    ['nothing', 'nothing'],
    ['count={count}, {count,x} {{count}}', 'count=42, 0x2a {count}'],
    ['{status}', 'STATUS_ACCESS_DENIED (0xc0000022)'],
    ['{ count + 1 }{count}', '4342'],
    ['{\'}\'}{"}" == "}"}', "125 '}'true"],
    ['{*p}|{count}', '<unreadable: 00000000`00000000>|42'],
    ['{gone}', '<“gone” is not known: the symbols of nt are not loaded>'],
    ['{count = 1}', '<This would change the target>'],
    ['{1/0}', '<This divides by zero>'],
  ];
  for (const [template, text] of logged) {
    assert.equal(await compileLogMessage(template).text(context, { hex: false }), text, template);
  }
  assert.equal(await compileLogMessage('{count}').text(context, { hex: true }), '0x2a');
});

it('says where a message is wrong', () => {
  const wrong: readonly (readonly [template: string, offset: number, length: number])[] = [
    ['abc {1 +} def', 8, 0],
    ['abc {', 4, 1],
    ['abc }', 4, 1],
    ['{a.}{b}', 3, 0],
    ['{"abc}', 1, 4],
    ['{}', 1, 0],
  ];
  for (const [template, offset, length] of wrong) {
    assert.throws(
      () => compileLogMessage(template),
      (error) => {
        assert.ok(error instanceof ExpressionError);
        assert.deepEqual(error.position, { offset, length }, template);
        return true;
      },
    );
  }
});

it('does not hide that the link is lost', async () => {
  const context = contextWithLocals();
  context.memory.readPartial = () => Promise.reject(new VmkdError('link-lost', 'gone'));
  await assert.rejects(compileLogMessage('{count}').text(context, { hex: false }), { code: 'link-lost' });
});

it('tells at which hits to stop', () => {
  const stopsAt = (text: string): number[] => {
    const holds = parseHitCondition(text);
    return [1, 2, 3, 4, 5, 6, 7, 8].filter(holds);
  };
  assert.deepEqual(stopsAt('5'), [5]);
  assert.deepEqual(stopsAt(' == 5 '), [5]);
  assert.deepEqual(stopsAt('=5'), [5]);
  assert.deepEqual(stopsAt('>=7'), [7, 8]);
  assert.deepEqual(stopsAt('> 7'), [8]);
  assert.deepEqual(stopsAt('<3'), [1, 2]);
  assert.deepEqual(stopsAt('<=3'), [1, 2, 3]);
  assert.deepEqual(stopsAt('!=1'), [2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(stopsAt('%4'), [4, 8]);
  for (const text of ['', 'x', '>', '5x', '%0', '-1', '=>3', '1e3', '99999999999999999999']) {
    assert.throws(() => parseHitCondition(text), { code: 'expression-bad' }, text);
  }
});
