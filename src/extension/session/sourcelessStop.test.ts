import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourcelessStop } from './sourcelessStop';

/** The thread that has stopped, and one that has not. */
const [stopped, other] = [1, 2];

/** Asks for a stack, and answers: frames from `first` on, with a source or without. */
function tell(
  stop: SourcelessStop,
  sources: readonly boolean[],
  { total = 3, first = 1, thread = stopped, epoch = 1, last = {} } = {},
): void {
  stop.asked({ type: 'request', command: 'stackTrace', seq: 7, arguments: { threadId: thread } });
  const stackFrames = sources.map((has, i) => ({
    id: first + i,
    ...(has && { source: { path: 'a.c' } }),
    ...(i === sources.length - 1 && last),
  }));
  const body = { totalFrames: total, stackFrames };
  stop.heard(
    { type: 'response', command: 'stackTrace', request_seq: 7, success: true, body },
    epoch,
    stopped,
  );
}

void describe('a stop', () => {
  void it('is without source when the frames below the top have none, either', () => {
    const stop = new SourcelessStop();
    assert.equal(stop.isSourceless, false);
    for (let times = 0; times < 2; times++) {
      tell(stop, [false]);
      assert.equal(stop.isSourceless, false);
    }
    tell(stop, [false, false], { first: 2 });
    assert.equal(stop.isSourceless, true);
    stop.heard({ type: 'event', event: 'stopped' }, 2, stopped);
    assert.equal(stop.isSourceless, false);
    tell(stop, [false], { total: 1, epoch: 2 });
    assert.equal(stop.isSourceless, true);
  });

  void it('of a stack whose end nobody knows is judged by what is known', () => {
    const stop = new SourcelessStop();
    tell(stop, [false], { total: 1024 });
    assert.equal(stop.isSourceless, false);
    tell(stop, [false, false], { first: 2, total: 1024 });
    assert.equal(stop.isSourceless, true);
  });

  void it('has one if any frame has', () => {
    const stop = new SourcelessStop();
    tell(stop, [false]);
    tell(stop, [false, true], { first: 2 });
    assert.equal(stop.isSourceless, false);
  });

  void it('is not judged by stacks of other threads', () => {
    const stop = new SourcelessStop();
    tell(stop, [false]);
    tell(stop, [true, false], { first: 10, thread: other });
    assert.equal(stop.isSourceless, false);
    tell(stop, [false], { first: 2 });
    assert.equal(stop.isSourceless, true);
  });

  void it('is left as it is if its stack ends in a word why', () => {
    const stop = new SourcelessStop();
    tell(stop, [false, false], { total: 2, last: { presentationHint: 'label' } });
    assert.equal(stop.isSourceless, false);
  });
});
