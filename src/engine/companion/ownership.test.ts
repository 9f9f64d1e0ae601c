/** The state machine alone: whatever happens, in any order, its promises hold. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import { beginning, turn, type Happening, type Ownership, type ShownStop } from './ownership';

const steps = 200_000;

function happening(random: Random, { peer, owner }: Ownership): Happening {
  const stop: ShownStop = {
    payload: new Uint8Array(),
    kind: random.pick(['event', 'event', 'notice', 'good-bye']),
  };
  const hasPeer = peer.kind !== 'absent' && peer.kind !== 'mute';
  const possible: Happening[] = [
    { kind: 'kernel-stopped', stop },
    { kind: 'kernel-stopped', stop },
    { kind: 'kernel-ran' },
    { kind: 'kernel-gone' },
    { kind: 'kernel-came' },
    ...(peer.kind === 'absent'
      ? ([{ kind: 'peer-came' }] as const)
      : ([
          { kind: 'peer-spoke' },
          { kind: 'peer-reset' },
          { kind: 'peer-reset' },
          { kind: 'peer-broke-in' },
          { kind: 'peer-went-on' },
          { kind: 'peer-went-on' },
          { kind: 'peer-moved' },
          { kind: 'peer-unheard' },
          { kind: 'peer-left' },
        ] as const)),
    ...(hasPeer && owner.kind === 'host' ? ([{ kind: 'host-gives' }] as const) : []),
    ...(owner.kind === 'peer' && owner.hostLooksOn ? ([{ kind: 'host-takes' }] as const) : []),
    ...(random.chance(0.02) ? ([{ kind: 'host-left' }] as const) : []),
  ];
  const wanted = random.pick(possible);
  // Only who has been told of a stop can move from it.
  return wanted.kind === 'peer-moved' && (peer.kind === 'mute' || peer.kind === 'waiting')
    ? { kind: 'peer-spoke' }
    : wanted;
}

void describe('who owns the kernel', () => {
  void it('keeps its promises, whatever happens', (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const seen = new Map<string, number>();
    let now = beginning(true);
    for (let i = 0; i < steps; i++) {
      if (random.chance(0.001)) now = beginning(random.chance(0.5));
      const what = happening(random, now);
      const next = turn(now, what);
      const where = `seed ${seed}, step ${i}: ${what.kind} in ${JSON.stringify(now)}`;
      for (const consequence of next.consequences) {
        seen.set(consequence.kind, (seen.get(consequence.kind) ?? 0) + 1);
        check(consequence.kind, now, next.now, where);
        if (consequence.kind === 'let-go') assert.notEqual(consequence.stop.kind, 'event', where);
      }
      now = next.now;
      const { owner, kernel, peer } = now;
      if (peer.kind === 'stopped') assert.ok(kernel.kind === 'stopped' && kernel.stop === peer.stop, where);
      if (owner.kind === 'peer') assert.ok(peer.kind !== 'absent' && peer.kind !== 'mute', where);
      if (owner.kind === 'nobody') assert.ok(peer.kind === 'absent' || peer.kind === 'mute', where);
      // Whoever waits and listens knows of every stop there is.
      if (peer.kind === 'waiting' && peer.answers && kernel.kind === 'stopped')
        assert.equal(peer.left, kernel.stop, where);
    }
    t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
    for (const kind of ['tell', 'tell-end', 'silence', 'break-in', 'wish', 'let-go'])
      assert.ok((seen.get(kind) ?? 0) > 100, kind);
  });

  void it('a break-in for a kernel that is not there yet is made when it comes, once', () => {
    const before: Happening[] = [{ kind: 'peer-came' }, { kind: 'peer-broke-in' }, { kind: 'peer-broke-in' }];
    const kindsOf = (happenings: readonly Happening[]): string[] => {
      let now = beginning(false);
      return happenings.flatMap((happening) => {
        const next = turn(now, happening);
        now = next.now;
        return next.consequences.map(({ kind }) => kind);
      });
    };
    const comings: Happening[] = [{ kind: 'kernel-came' }, { kind: 'kernel-gone' }, { kind: 'kernel-came' }];
    assert.deepEqual(kindsOf([...before, ...comings]), ['break-in']);
    assert.deepEqual(kindsOf([...before, { kind: 'peer-left' }, ...comings]), []);
  });

  void it('says the end of a kernel once', () => {
    const stop: ShownStop = { payload: new Uint8Array(), kind: 'event' };
    const all: Happening[] = [
      { kind: 'kernel-came' },
      { kind: 'peer-came' },
      { kind: 'peer-spoke' },
      { kind: 'kernel-stopped', stop },
      { kind: 'kernel-ran' },
      { kind: 'kernel-gone' },
      { kind: 'kernel-came' },
      { kind: 'kernel-gone' },
      { kind: 'peer-went-on' },
      { kind: 'peer-went-on' },
      { kind: 'kernel-came' },
      { kind: 'kernel-gone' },
    ];
    let now = beginning(false);
    const said: string[] = [];
    for (const one of all) {
      const next = turn(now, one);
      said.push(...next.consequences.map(({ kind }) => kind));
      now = next.now;
    }
    assert.deepEqual(said, ['tell', 'tell-end']);
  });
});

function check(consequence: string, before: Ownership, after: Ownership, where: string): void {
  switch (consequence) {
    case 'tell':
      assert.equal(after.peer.kind, 'stopped', where);
      assert.notEqual(before.peer.kind, 'absent', where);
      break;
    case 'tell-end':
      assert.equal(after.peer.kind, 'parting', where);
      break;
    case 'break-in':
      assert.equal(after.owner.kind, 'peer', where);
      assert.equal(after.kernel.kind, 'running', where);
      break;
    case 'wish':
      assert.equal(after.owner.kind, 'host', where);
      break;
    case 'silence':
      assert.equal(before.peer.kind, 'behind', where);
      break;
    case 'let-go':
      assert.notEqual(after.owner.kind, 'host', where);
      break;
  }
}
