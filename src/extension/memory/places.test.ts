import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Space } from '../webviews/messages';
import { isSameSpace, spaceOfPointers, titleOf, titleOfSpace, Trail, type Place } from './places';

const virtual: Space = { kind: 'virtual' };
const physical: Space = { kind: 'physical' };
const process = (eprocess: string): Space => ({ kind: 'process', eprocess, name: 'svchost.exe (8)' });

const place = (address: bigint, space: Space = virtual): Place => ({
  ...{ space, address, kernel: 'a 0', expression: `0x${address.toString(16)}` },
});

void describe('spaces', () => {
  void it('are of one process each, whatever it is called', () => {
    assert.equal(isSameSpace(process('0x1'), process('0x1')), true);
    assert.equal(isSameSpace(process('0x1'), process('0x2')), false);
    assert.equal(isSameSpace(process('0x1'), virtual), false);
    assert.equal(isSameSpace(virtual, { kind: 'virtual' }), true);
    assert.equal(isSameSpace(virtual, physical), false);
    assert.equal(titleOfSpace(process('0x1')), 'Virtual, in svchost.exe (8)');
  });

  void it('have pointers to virtual addresses, of the process that they are found in', () => {
    assert.deepEqual(spaceOfPointers(physical), virtual);
    assert.deepEqual(spaceOfPointers(virtual), virtual);
    assert.deepEqual(spaceOfPointers(process('0x1')), process('0x1'));
  });
});

void describe('a tab', () => {
  void it('says whose memory it has, if that may be somebody else’s', () => {
    const title = (space: Space, session?: string): string => titleOf({ expression: '@rsp', space }, session);
    assert.equal(title(virtual), 'Memory: @rsp');
    assert.equal(title(physical), 'Memory: @rsp (physical)');
    assert.equal(title(process('0x1')), 'Memory: @rsp (svchost.exe (8))');
    assert.equal(title({ kind: 'process', eprocess: '0x1' }), 'Memory: @rsp (0x1)');
    assert.equal(title(virtual, 'Attach to it'), 'Memory: @rsp (Attach to it)');
    assert.equal(title(physical, 'Attach to it'), 'Memory: @rsp (physical, Attach to it)');
  });
});

void describe('the way back', () => {
  void it('leads to where the view was, in the memory that it was in', () => {
    const trail = new Trail();
    assert.equal(trail.back(), undefined);
    trail.visit(place(1n));
    assert.equal(trail.isAtStart, true);
    trail.visit(place(1n, physical));
    trail.visit(place(2n));
    assert.deepEqual(trail.back(), place(1n, physical));
    assert.deepEqual(trail.here, place(1n, physical));
    assert.deepEqual(trail.back(), place(1n));
    assert.equal(trail.back(), undefined);
    assert.deepEqual(trail.here, place(1n));
  });

  void it('leaves out where it stays, and where an expression leads from stop to stop', () => {
    const trail = new Trail();
    trail.visit(place(1n));
    trail.visit({ ...place(1n), expression: '@rsp' });
    trail.move(place(2n));
    assert.equal(trail.isAtStart, true);
    assert.deepEqual(trail.here, place(2n));
    for (let address = 3n; address < 3000n; address++) trail.visit(place(address));
    let steps = 0;
    while (trail.back() !== undefined) steps++;
    assert.ok(steps < 2000 && steps > 100, String(steps));
  });
});
