import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Space } from '../webviews/messages';
import { whyNotLive, whyReadOnly } from './abilities';

const spaces: Record<Space['kind'], Space> = {
  virtual: { kind: 'virtual' },
  physical: { kind: 'physical' },
  process: { kind: 'process', eprocess: '0xffff800000001000' },
};

void describe('memory', () => {
  void it('is written where the kernel stands, and else says why not', () => {
    assert.equal(whyReadOnly(spaces.virtual, 'stopped'), undefined);
    assert.match(whyReadOnly(spaces.physical, 'stopped')!, /^Physical memory/);
    assert.match(whyReadOnly(spaces.process, 'stopped')!, /^What a process sees/);
    assert.match(whyReadOnly(spaces.virtual, 'running')!, /is running/);
    assert.match(whyReadOnly(spaces.virtual, 'ended')!, /no kernel/);
  });

  void it('is live where it is read in RAM, and as the kernel sees it', () => {
    assert.equal(whyNotLive(spaces.virtual, true), undefined);
    assert.match(whyNotLive(spaces.virtual, false)!, /not read in the machine’s RAM/);
    assert.match(whyNotLive(spaces.physical, true)!, /^Physical memory is read only while/);
    assert.match(whyNotLive(spaces.process, true)!, /^What a process sees/);
  });
});
