import assert from 'node:assert/strict';
import { it } from 'node:test';
import { defaultCacheFolder } from './cacheFolder';

void it('is the user’s own cache on each system', () => {
  const local = { LOCALAPPDATA: 'D:\\Local' };
  assert.equal(defaultCacheFolder(local, 'win32', 'C:\\Users\\me'), 'D:\\Local\\vmkd\\symbols');
  assert.equal(
    defaultCacheFolder({}, 'win32', 'C:\\Users\\me'),
    'C:\\Users\\me\\AppData\\Local\\vmkd\\symbols',
  );
  assert.equal(defaultCacheFolder({}, 'darwin', '/Users/me'), '/Users/me/Library/Caches/vmkd/symbols');
  assert.equal(defaultCacheFolder({}, 'linux', '/home/me'), '/home/me/.cache/vmkd/symbols');
  assert.equal(defaultCacheFolder({ XDG_CACHE_HOME: '/c' }, 'linux', '/home/me'), '/c/vmkd/symbols');
  assert.equal(
    defaultCacheFolder({ XDG_CACHE_HOME: 'c' }, 'linux', '/home/me'),
    '/home/me/.cache/vmkd/symbols',
  );
});
