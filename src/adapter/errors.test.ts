/** Errors as the protocol carries them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorCodes, VmkdError } from '../engine/core/errors';
import { errorId, errorResponse } from './errors';

void describe('errors on the wire', () => {
  void it('have an id each', () => {
    const ids = new Map(errorCodes.map((code) => [errorId(code), code]));
    assert.equal(ids.size, errorCodes.length);
  });

  void it('say what to do, as one text', () => {
    const { message, body } = errorResponse('attach', new VmkdError('link-busy', 'The pipe is busy'));
    assert.equal(
      message,
      'The pipe is busy. Another debugger or terminal holds the pipe. Close it, then attach again.',
    );
    assert.equal(body.error?.format, message);
    assert.equal(body.error?.showUser, true);
  });

  void it('are quiet where the client shows them in place', () => {
    const error = new VmkdError('memory-unreadable', 'No memory at 0');
    assert.equal(errorResponse('evaluate', error).body.error?.showUser, false);
    assert.equal(errorResponse('writeMemory', error).body.error?.showUser, true);
  });

  void it('use the protocol’s own words where it has some', () => {
    assert.equal(errorResponse('next', new VmkdError('target-running', 'It runs')).message, 'notStopped');
    assert.equal(errorResponse('attach', new VmkdError('cancelled', 'Stopped')).message, 'cancelled');
    assert.equal(errorResponse('attach', new VmkdError('cancelled', 'Stopped')).body.error?.showUser, false);
  });
});
