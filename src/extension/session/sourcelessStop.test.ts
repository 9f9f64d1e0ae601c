import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourcelessStop } from './sourcelessStop';

/** @param first The id of the first frame. */
const stack = (sources: readonly boolean[], totalFrames: number, first = 1) => ({
  type: 'response',
  command: 'stackTrace',
  success: true,
  body: {
    totalFrames,
    stackFrames: sources.map((has, i) => ({ id: first + i, ...(has && { source: { path: 'a.c' } }) })),
  },
});

void describe('a stop', () => {
  void it('is without source when the frames below the top have none, either', () => {
    const stop = new SourcelessStop();
    assert.equal(stop.isSourceless, false);
    for (let times = 0; times < 2; times++) {
      stop.heard(stack([false], 3), 1);
      assert.equal(stop.isSourceless, false);
    }
    stop.heard(stack([false, false], 3, 2), 1);
    assert.equal(stop.isSourceless, true);
    stop.heard({ type: 'event', event: 'stopped' }, 2);
    assert.equal(stop.isSourceless, false);
    stop.heard(stack([false], 1), 2);
    assert.equal(stop.isSourceless, true);
  });

  void it('has one if any frame has', () => {
    const stop = new SourcelessStop();
    stop.heard(stack([false], 3), 1);
    stop.heard(stack([false, true], 3, 2), 1);
    assert.equal(stop.isSourceless, false);
  });

  void it('is left as it is if its stack ends in a word why', () => {
    const stop = new SourcelessStop();
    const { body, ...response } = stack([false, false], 2);
    const [top] = body.stackFrames;
    stop.heard(
      { ...response, body: { ...body, stackFrames: [top, { id: 2, presentationHint: 'label' }] } },
      1,
    );
    assert.equal(stop.isSourceless, false);
  });
});
