// What a bench prints.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresComplaint, figuresJson, figuresTable, met } from '../../scripts/testing/figures.mjs';

const fast = { id: 'kd.codec.packets_per_s', value: 250_000, unit: 'packets/s', goal: { atLeast: 100_000 } };
const slow = { id: 'kd.uart.client_overhead_pct', value: 31.25, unit: '%', goal: { atMost: 20 } };
const free = { id: 'kd.roundtrip.inprocess_us_p50', value: 3.14159, unit: 'us' };

test('a goal is met at its bound, and a figure without a goal is neither', () => {
  assert.deepEqual([fast, slow, free].map(met), ['yes', 'NO', '']);
  assert.equal(met({ value: 20, goal: { atMost: 20 } }), 'yes');
  assert.equal(met({ value: 0, goal: { atLeast: 0 } }), 'yes');
});

test('machines get exactly the agreed fields', () => {
  assert.deepEqual(JSON.parse(figuresJson('kd', [{ ...fast, extra: 1 }, free])), {
    bench: 'kd',
    figures: [fast, free],
  });
});

test('people get an aligned table with the missed goals counted', () => {
  const rows = figuresTable([fast, slow, free]).split('\n');
  assert.equal(rows[0], 'figure                          value  unit       goal       met');
  assert.equal(rows[1], 'kd.codec.packets_per_s         250000  packets/s  >= 100000  yes');
  assert.equal(rows[2], 'kd.uart.client_overhead_pct      31.3  %          <= 20      NO');
  assert.equal(rows[3], 'kd.roundtrip.inprocess_us_p50   3.142  us');
  assert.equal(rows[4], '1 of the goals missed');
});

test('what is no figure is refused', () => {
  assert.equal(figuresComplaint([fast, slow, free]), undefined);
  assert.match(figuresComplaint([]), /no figures/);
  assert.match(figuresComplaint(undefined), /no figures/);
  assert.match(figuresComplaint([fast, fast]), /twice/);
  assert.match(figuresComplaint([{ ...fast, value: NaN }]), /finite/);
  assert.match(figuresComplaint([{ ...fast, goal: {} }]), /goal/);
});
