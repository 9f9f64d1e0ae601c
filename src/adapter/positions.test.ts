/** Lines, columns and paths as clients have them. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Positions } from './positions';

void it('lines and columns count from 1, or from 0 if the client wants it so', () => {
  const one = new Positions();
  const zero = new Positions({ adapterID: 'x', linesStartAt1: false, columnsStartAt1: false });
  assert.deepEqual([one.lineToClient(7), one.lineFromClient(7)], [7, 7]);
  assert.deepEqual([zero.lineToClient(7), zero.lineFromClient(6)], [6, 7]);
  assert.deepEqual([zero.columnToClient(1), zero.columnFromClient(0)], [0, 1]);
});

void it(
  'paths are paths or URIs',
  { skip: process.platform === 'win32' && 'not on Debian: paths of POSIX' },
  () => {
    const uris = new Positions({ adapterID: 'x', pathFormat: 'uri' });
    assert.equal(uris.pathToClient('/a b/c.c'), 'file:///a%20b/c.c');
    assert.equal(uris.pathFromClient('file:///a%20b/c.c'), '/a b/c.c');
    assert.equal(new Positions().pathFromClient('/a b/c.c'), '/a b/c.c');
    for (const foreign of ['file://elsewhere/c.c', 'file:///a%2fb', 'http://x/c.c'])
      assert.throws(() => uris.pathFromClient(foreign), { code: 'request-bad', message: /no file of this/ });
  },
);
