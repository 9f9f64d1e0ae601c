/**
 * Expressions: how often a second a breakpoint's condition is found to be false, its names looked up and its memory
 * cached. Not in a test, for node:test watches every promise, which takes ten times as long as the condition.
 */

import { SampleContext, sampleModule, typeNamed } from '../fixtures/expressionContext';
import { msvcSamples } from '../fixtures/pdbSamples';
import { virtualAddress } from '../../src/engine/core/addresses';
import { compile } from '../../src/engine/expr/compile';
import { intType } from '../../src/engine/expr/types/builtinTypes';
import { pointerTo, type Type } from '../../src/engine/expr/types/type';
import { inMemory } from '../../src/engine/expr/values/place';
import type { Bench } from './bench';

const warmUps = 20_000;
const rounds = 200_000;

async function conditionsPerSecond(): Promise<number> {
  const context = new SampleContext();
  const module = sampleModule('conpty', undefined, msvcSamples[0]!);
  context.modules.push(module);
  const stack = 0xffffa10000000000n;
  const local = (name: string, offset: bigint, type: Type = intType): void => {
    context.variables.set(name, { type, place: inMemory(virtualAddress(stack + offset)) });
  };
  context.memory.putNumbers(stack, 4, 7n, 9n);
  context.memory.putNumbers(stack + 8n, 8, stack + 16n);
  context.memory.putNumbers(stack + 16n, 8, 1n, 2n);
  local('count', 0n);
  local('limit', 4n);
  local('p', 8n, pointerTo(typeNamed(module, '_LIST_ENTRY')!, 8));
  const condition = compile('count == 7 && limit > 3 && p->Blink == (PVOID)5');
  for (let i = 0; i < warmUps; i++) await condition.test(context);
  const start = performance.now();
  for (let i = 0; i < rounds; i++) {
    if (await condition.test(context)) throw new Error('The condition should be false.');
  }
  return rounds / ((performance.now() - start) / 1000);
}

const bench: Bench = {
  needsKernel: false,
  async figures() {
    return [
      {
        id: 'expr.false_condition_per_s',
        value: await conditionsPerSecond(),
        unit: '1/s',
        goal: { atLeast: 100_000 },
      },
    ];
  },
};

export default bench;
