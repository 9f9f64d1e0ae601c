import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FromMemory, ToMemory } from '../webviews/messages';
import { MemoryReader } from './memoryReader';
import { hasChanged, pageBytes } from './pageStore';

type State = Extract<ToMemory, { kind: 'state' }>;
type Read = Extract<FromMemory, { kind: 'read' }>;

const stopped = (epoch: number): State => ({
  kind: 'state',
  phase: 'stopped',
  epoch,
  kernel: 'one',
  canBeLive: true,
});
const running = (epoch: number): State => ({ ...stopped(epoch), phase: 'running' });

const from = 0x10_0000n;

/** A reader of one page's worth of memory, and what it has asked for. */
function reading() {
  const asked: FromMemory[] = [];
  const memory = new MemoryReader((message) => asked.push(message));
  memory.setState(stopped(1), true);
  const answer = ({ id, count }: Read, value: number): string | undefined => {
    const data = Buffer.alloc(count, value).toString('base64');
    return memory.answered({ kind: 'bytes', id, data, unreadable: 0 });
  };
  return {
    memory,
    answer,
    /** Draws: @returns what is asked for by that, one run. */
    draw: (): Read | undefined => {
      memory.want(from, from + 256n);
      return asked.splice(0).find((message): message is Read => message.kind === 'read');
    },
    asked,
  };
}

void describe('a memory view', () => {
  void it('shows what is old until what is new has come, and knows it for old', () => {
    const { memory, draw, answer } = reading();
    answer(draw()!, 1);
    assert.equal(memory.byte(from), 1);
    assert.equal(memory.isOld(memory.page(from)!), false);
    memory.setState(running(1), false);
    memory.setState(stopped(2), false);
    assert.equal(memory.byte(from), 1);
    assert.equal(memory.isOld(memory.page(from)!), true);
    answer(draw()!, 2);
    assert.equal(memory.byte(from), 2);
    assert.equal(memory.isOld(memory.page(from)!), false);
    assert.equal(hasChanged(memory.page(from)!, 0, 1), true);
  });

  void it('asks again in each stop, whatever becomes of what it has asked before', () => {
    const { memory, draw, answer } = reading();
    const first = draw()!;
    assert.equal(draw(), undefined, 'it is asked for');
    memory.setState(running(1), false);
    memory.setState(stopped(2), false);
    const second = draw()!;
    assert.equal(answer(first, 1), undefined);
    assert.equal(memory.byte(from), undefined, 'of the stop before');
    memory.setState(running(2), false);
    memory.setState(stopped(3), false);
    const third = draw()!;
    const late = { kind: 'unread', id: second.id, message: 'The kernel runs' } as const;
    assert.equal(memory.answered(late), undefined, 'nobody wants it any more');
    answer(third, 3);
    assert.equal(memory.byte(from), 3);
  });

  void it('says what cannot be read, and does not ask for it again by itself', () => {
    const { memory, draw } = reading();
    const { id } = draw()!;
    assert.equal(memory.answered({ kind: 'unread', id, message: 'No' }), 'No');
    assert.notEqual(draw(), undefined, 'when something is drawn');
  });

  void it('that is live shows every answer, however slow they are, against the stop that has ended', () => {
    const { memory, draw, answer } = reading();
    answer(draw()!, 1);
    memory.setState(running(1), false);
    memory.lookAgain();
    const slow = draw()!;
    memory.lookAgain();
    assert.equal(draw(), undefined, 'it is looking');
    answer(slow, 2);
    assert.equal(memory.byte(from), 2);
    assert.equal(hasChanged(memory.page(from)!, 0, 1), true);
    memory.lookAgain();
    answer(draw()!, 1);
    assert.equal(hasChanged(memory.page(from)!, 0, 1), false, 'as it was when the kernel stood');
  });

  void it('of other memory or another kernel knows nothing of the one before', () => {
    const { memory, draw, answer } = reading();
    answer(draw()!, 1);
    memory.space = { kind: 'physical' };
    assert.equal(memory.byte(from), undefined);
    answer(draw()!, 2);
    memory.setState({ ...stopped(1) }, true);
    assert.equal(memory.byte(from), undefined);
    memory.setState(running(1), false);
    assert.equal(draw(), undefined, 'physical memory of a kernel that runs');
  });

  void it('gives up what was scrolled past, and asks for little at a time', () => {
    const { memory, asked, answer } = reading();
    const look = (page: bigint): FromMemory[] => {
      const at = page * BigInt(pageBytes);
      memory.want(at, at + 256n);
      return asked.splice(0);
    };
    const reads: Read[] = [];
    const forgotten: number[] = [];
    for (let page = 0n; page < 100_000n; page += 1000n)
      for (const message of look(page)) {
        if (message.kind === 'read') reads.push(message);
        if (message.kind === 'forget') forgotten.push(message.id);
      }
    assert.equal(reads.length, 3);
    assert.deepEqual(
      forgotten,
      reads.map(({ id }) => id),
    );
    // Whatever becomes of one: what is shown now is next.
    answer(reads[0]!, 1);
    assert.equal(memory.byte(0n), undefined, 'nobody wanted it any more');
    const [next] = look(99_000n);
    assert.equal(next?.kind === 'read' && BigInt(next.address), 98_999n * BigInt(pageBytes));
    answer(next as Read, 7);
    assert.equal(memory.byte(99_000n * BigInt(pageBytes)), 7);
    // It is asked for again when somebody comes back.
    memory.answered({ kind: 'unread', id: reads[1]!.id, message: 'cancelled' });
    assert.equal(look(0n).filter(({ kind }) => kind === 'read').length, 1);
  });

  void it('waits for nothing once the kernel runs', () => {
    const { memory, draw, asked } = reading();
    const { id } = draw()!;
    memory.space = { kind: 'physical' };
    memory.setState(running(1), false);
    memory.want(from, from + 256n);
    assert.deepEqual(asked, [{ kind: 'forget', id }]);
  });

  void it('keeps names until others have come, and is not stopped by those that do not', () => {
    const { memory, asked } = reading();
    const pointers = [0xffff_f800_0000_0000n, 5n];
    const ask = (): Extract<FromMemory, { kind: 'symbolize' }> | undefined => {
      memory.wantNames(pointers);
      return asked.splice(0).find((message) => message.kind === 'symbolize');
    };
    const first = ask()!;
    assert.deepEqual(first.addresses, ['0xfffff80000000000'], 'numbers are no addresses');
    assert.equal(ask(), undefined);
    memory.answered({ kind: 'names', id: first.id, names: ['nt!One'] });
    assert.equal(memory.nameOf(pointers[0]!), 'nt!One');
    assert.equal(ask(), undefined);
    memory.touched();
    const second = ask()!;
    assert.equal(memory.nameOf(pointers[0]!), 'nt!One');
    memory.answered({ kind: 'names', id: second.id, names: [] });
    assert.equal(memory.nameOf(pointers[0]!), '');
    memory.renamed();
    assert.notEqual(ask(), undefined);
  });
});

void describe('pages', () => {
  void it('are whole', () => {
    const { draw } = reading();
    const { address, count } = draw()!;
    assert.equal(BigInt(address) % BigInt(pageBytes), 0n);
    assert.equal(count % pageBytes, 0);
  });
});
