import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { guestLine } from './layout';
import { moduleFailures, whyModuleFailed } from './moduleStatus';

const noPage = 'C00000BB';

const statuses = [...moduleFailures.keys()].map((status) => status.toString(16).toUpperCase()).sort();

void describe('why the guest module did not start', () => {
  void it('is known for every status that it can leave, and for no other', () => {
    const driver = readFileSync('native/guest/driver.c', 'utf8');
    const names = new Set(driver.match(/\bSTATUS_(?!SUCCESS)[A-Z_]+/g));
    const definitions = readFileSync('native/guest/nt.h', 'utf8');
    const defined = [...names].map(
      (name) => new RegExp(`define ${name} .*0x([0-9A-F]{8})`).exec(definitions)?.[1] ?? name,
    );
    assert.deepEqual(defined.filter((status) => status !== noPage).sort(), statuses);
  });

  void it('is told in the documents too', () => {
    const text = readFileSync('docs/guest-module.md', 'utf8');
    const told = new Set([...text.matchAll(/^\| ([0-9A-F]{8}) `STATUS_/gm)].map(([, status]) => status!));
    assert.deepEqual([...told].filter((status) => status !== noPage).sort(), statuses);
    assert.ok(told.has(noPage));
  });

  void it('has a sentence, and a status that nobody knows is shown', () => {
    const of = (status: number): string => {
      const words = { ...guestLine.read(new Uint8Array(guestLine.size)), status };
      const loaded = new Date(Date.UTC(2026, 0, 2));
      const description = {
        nonce: 1n,
        pages: [1],
        slotCount: 4,
        slotBytes: 4352,
        machine: 0x8664,
        moduleBuild: 1,
        loaded,
      };
      return whyModuleFailed({ words, description, beatMoved: -Infinity }).message;
    };
    assert.equal(
      of(0xc0000354),
      'The guest’s module could not start at 2026-01-02T00:00:00.000Z: kernel debugging is off (status C0000354)',
    );
    assert.match(of(0xc0001234), /it does not say why \(status C0001234\)/);
  });
});
