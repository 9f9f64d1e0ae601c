import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VmkdError } from '../core/errors';
import type { MachineControl } from './control';
import { powerOn } from './powerOn';

type Power = Awaited<ReturnType<MachineControl['power']>>;

async function orders(power: Power, canStart = true): Promise<string[]> {
  const given: string[] = [];
  const note = (order: string) => () => {
    given.push(order);
    return Promise.resolve();
  };
  await powerOn({
    way: 'a monitor',
    power: () => Promise.resolve(power),
    unpause: note('unpause'),
    ...(canStart && { start: note('start') }),
  });
  return given;
}

void describe('a machine that shall run', () => {
  void it('gets the order that it takes, and no other', async () => {
    assert.deepEqual(await orders('running'), []);
    assert.deepEqual(await orders('unknown'), []);
    assert.deepEqual(await orders('paused'), ['unpause']);
    assert.deepEqual(await orders('off'), ['start']);
    assert.deepEqual(await orders('suspended'), ['start']);
  });

  void it('is refused if its control cannot', async () => {
    await assert.rejects(orders('off', false), ({ code, message }: VmkdError) => {
      assert.equal(code, 'machine-no-control');
      return /powered on by a monitor/.test(message);
    });
  });
});
