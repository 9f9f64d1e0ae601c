import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelTarget, modelBase } from '../../../test/fixtures/modelTarget';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { plus } from '../core/addresses';
import { memoryLinkPair } from '../link/memoryLink';
import { LiveTarget } from './liveTarget';
import { LiveProcessor, type ProcessorSource } from './processors';

interface Setup {
  readonly clock: VirtualClock;
  readonly machine: ModelTarget;
  readonly processor: LiveProcessor;
  /** How many requests it takes. */
  readonly count: (action: () => Promise<unknown>) => Promise<number>;
}

async function attached(): Promise<Setup> {
  const clock = new VirtualClock();
  const [near, far] = memoryLinkPair(clock);
  const machine = new ModelTarget(far, clock);
  const target = new LiveTarget({
    clock,
    linkMilliseconds: 0,
    observer: {},
    endpoint: { spec: 'model', open: () => Promise.resolve(near), dispose: () => Promise.resolve() },
  });
  await clock.run(target.attach({ breakIn: true, milliseconds: 10_000 }));
  const { client, registers } = target;
  // Memory and symbols are not asked for.
  const processor = new LiveProcessor(0, { client, registers } as ProcessorSource);
  const count = async (action: () => Promise<unknown>): Promise<number> => {
    const before = machine.served;
    await clock.run(action());
    return machine.served - before;
  };
  return { clock, machine, processor, count };
}

const many = <T>(action: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 24 }, action));

void describe('the registers of a processor', () => {
  void it('are asked for once, however many want them at the same time', async () => {
    const { processor, count } = await attached();
    assert.equal(await count(() => many(() => processor.context())), 1);
    assert.equal(await count(() => many(() => processor.special())), 1);
    assert.equal(await count(() => many(() => processor.general())), 0, 'they are known');
    processor.forget(undefined);
    assert.equal(await count(() => Promise.all([processor.context(), processor.general()])), 1);
  });

  void it('are asked for again after a failure', async () => {
    const { clock, machine, processor } = await attached();
    machine.registersAreThere = false;
    await assert.rejects(clock.run(many(() => processor.context())));
    machine.registersAreThere = true;
    assert.equal((await clock.run(processor.context())).rip, machine.programCounter(0));
  });

  void it('are what was written, also for who has asked meanwhile', async () => {
    const { clock, machine, processor } = await attached();
    const rip = plus(modelBase, 0x77);
    await clock.run(Promise.all([processor.general(), processor.setGeneral({ rip })]));
    assert.equal((await clock.run(processor.general())).rip, rip);
    assert.equal(machine.programCounter(0), rip);
  });

  void it('of a stop that has ended are not those of the next', async () => {
    const { clock, machine, processor } = await attached();
    const asked = processor.context();
    processor.forget(undefined);
    machine.setProgramCounter(0, plus(modelBase, 0x99));
    await clock.run(asked);
    machine.setProgramCounter(0, plus(modelBase, 0x55));
    assert.equal((await clock.run(processor.general())).rip, plus(modelBase, 0x55));
  });
});
