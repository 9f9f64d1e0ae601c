/** The words for each way in which the guest module does not start, held against the table that people read. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { VmkdError } from '../../core/errors';
import { moduleFailure } from './moduleFailure';

void it('every status of docs/guest-module.md has its sentence and a next step of its own', () => {
  const table = readFileSync('docs/guest-module.md', 'utf8').matchAll(/^\| ([0-9A-F]{8}) `STATUS_/gm);
  const statuses = [...table].map(([, digits]) => Number.parseInt(digits!, 16));
  assert.ok(statuses.length >= 7, String(statuses.length));
  for (const status of statuses) {
    const { code, message, nextStep } = moduleFailure(status);
    assert.equal(code, 'module-failed');
    assert.match(message, new RegExp(`did not start: .+ \\(${status.toString(16)}\\)$`), 'unknown');
    assert.notEqual(nextStep, new VmkdError('module-failed', '').nextStep);
  }
});

void it('any other is told by its number, signed or not', () => {
  assert.match(moduleFailure(0xc0001234 | 0).message, /: status c0001234$/);
  assert.match(moduleFailure(0xc0001234).message, /: status c0001234$/);
});
