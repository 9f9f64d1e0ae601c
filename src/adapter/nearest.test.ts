/** What people meant. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { nearest } from './nearest';

void it('a slip of a word is known for what it was meant to be, and another word is not', () => {
  const words = ['symbolPath', 'sourceMap', 'link', 'lm'];
  assert.equal(nearest('symbolpath', words), 'symbolPath');
  assert.equal(nearest('symoblPath', words), 'symbolPath');
  assert.equal(nearest('sourcMap', words), 'sourceMap');
  assert.equal(nearest('lnik', words), 'link');
  assert.equal(nearest('lmm', words), 'lm');
  assert.equal(nearest('colour', words), undefined);
  assert.equal(nearest('', words), undefined);
});
