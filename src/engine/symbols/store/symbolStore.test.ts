import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { makeCabinet, type Compression } from '../../../../test/fixtures/cabinet';
import {
  cutsShort,
  hangsUp,
  scriptedServer,
  sends,
  stalls,
  status,
  type ScriptedServer,
} from '../../../../test/fixtures/symbolHttpServer';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import type { DownloadLimits, DownloadProgress } from './download';
import { httpGet } from './http';
import { compressedName, imageFile, pdbFile, type SymbolFile } from './symbolFile';
import { parseSymbolPath } from './symbolPath';
import { SymbolStore, type Located } from './symbolStore';

const key = 'FB9FB7D58AE247B9988973DAF157F7AB1';
const file = pdbFile('Demo.pdb', key);
const at = `/${file.name}/${key}`;
const right = Buffer.concat([Buffer.from(`right ${key} `), Buffer.alloc(100_000, 'symbols ')]);
const wrong = Buffer.from('<html>Please log in</html>');

const limits: DownloadLimits = {
  attempts: 3,
  silenceMilliseconds: 300,
  wholeMilliseconds: 2_000,
  pauseMilliseconds: 5,
  redirects: 4,
  bytes: 1_000_000,
};

/** Stands for the PDB reader: right files begin with their key. */
async function check(candidate: string, { key: wanted }: SymbolFile): Promise<string | undefined> {
  return readFileSync(candidate).equals(Buffer.from(right.toString().replace(key, wanted)))
    ? undefined
    : 'it is another file';
}

function store(symbolPath: string, defaultCache: string, environment = {}): SymbolStore {
  const parsed = parseSymbolPath(symbolPath, defaultCache);
  return new SymbolStore({ path: parsed, defaultCache, check, get: httpGet(environment), limits });
}

interface Scene {
  readonly server: ScriptedServer;
  readonly cache: string;
  readonly store: SymbolStore;
  readonly cached: string;
}

async function scene(t: TestContext): Promise<Scene> {
  const server = await scriptedServer(t);
  const cache = path.join(tempFolder(t), 'cache');
  return {
    server,
    cache,
    store: store(`srv*${cache}*${server.url}`, cache),
    cached: path.join(cache, file.name, key, file.name),
  };
}

/** All files below, relative. Nothing temporary may be left. */
const filesBelow = (folder: string): string[] => {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  } catch {
    return [];
  }
};

function put(folder: string, name: string, bytes: Uint8Array): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, name), bytes);
}

const outcomes = (located: Located): string[] => located.attempts.map(({ outcome }) => outcome);
const reasons = (located: Located): string => located.attempts.map(({ reason = '' }) => reason).join('\n');

function assertKept({ cached, cache }: Scene, located: Located): void {
  assert.equal(located.path, cached, JSON.stringify(located.attempts));
  assert.ok(readFileSync(cached).equals(right));
  assert.deepEqual(filesBelow(cache), [path.join(file.name, key, file.name)]);
}

void describe('looking without the network', () => {
  void it('find never asks a server; what fetch brought it finds', async (t) => {
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, sends(right));
    assert.deepEqual(await all.store.find(file), { path: undefined, attempts: [] });
    assert.deepEqual(all.server.asked, []);
    assertKept(all, await all.store.fetch(file));
    assert.equal((await all.store.find(file)).path, all.cached);
    assert.equal((await all.store.fetch(file)).path, all.cached);
    assert.deepEqual(all.server.asked, [`${at}/Demo.pdb`]);
  });

  void it('plain folders: every place, and a file of the same name is passed over', async (t) => {
    const folder = tempFolder(t);
    for (const place of ['', 'dll', 'symbols/exe', `demo.pdb/${key}`]) {
      const here = path.join(folder, place.replace(/\W/g, '') || 'top');
      put(path.join(here, place), 'demo.pdb', right);
      const isStore = place.includes(key);
      if (place !== '' && !isStore) put(here, 'Demo.pdb', wrong);
      const located = await store(here, path.join(folder, 'cache')).find(file);
      assert.equal(located.path?.toLowerCase(), path.join(here, place, 'demo.pdb').toLowerCase());
      if (place !== '' && !isStore) assert.equal(located.attempts[0]?.reason, 'it is another file');
    }
  });

  void it('stores: two tiers, lower case, compressed, by pointer; farther ones fill the nearest', async (t) => {
    const folder = tempFolder(t);
    const cabinet = makeCabinet([{ compression: 'mszip', files: [{ name: 'other.name', bytes: right }] }]);
    const fill: Record<string, (root: string) => void> = {
      flat: (root) => put(path.join(root, file.name, key), file.name, right),
      twoTier: (root) => {
        put(root, 'index2.txt', new Uint8Array());
        put(path.join(root, 'De', file.name, key), file.name, right);
      },
      lower: (root) => put(path.join(root, 'demo.pdb', key.toLowerCase()), 'demo.pdb', right),
      compressed: (root) => put(path.join(root, file.name, key), 'Demo.pd_', cabinet),
      pointer: (root) => {
        put(path.join(root, 'elsewhere'), 'x.pdb', right);
        const text = `PATH:${path.resolve(root, 'elsewhere', 'x.pdb')}\r\n`;
        put(path.join(root, file.name, key), 'file.ptr', Buffer.from(text));
      },
      compressedPointer: (root) => {
        put(path.join(root, 'elsewhere'), 'x.pd_', cabinet);
        const text = `PATH:${path.resolve(root, 'elsewhere', 'x.pd_')}`;
        put(path.join(root, file.name, key), 'file.ptr', Buffer.from(text));
      },
    };
    for (const [name, action] of Object.entries(fill)) {
      const [near, far] = [path.join(folder, name, 'near'), path.join(folder, name, 'far')];
      action(far);
      const located = await store(`srv*${near}*${far}`, near).find(file);
      assert.equal(located.path, path.join(near, file.name, key, file.name), name);
      assert.ok(readFileSync(located.path).equals(right), name);
      assert.equal(filesBelow(near).length, 1);
    }
  });

  void it('a pointer with a message, a cut cabinet and a wrong file: none found, reasons given', async (t) => {
    const folder = tempFolder(t);
    const cabinet = makeCabinet([{ compression: 'mszip', files: [{ name: 'x', bytes: right }] }]);
    put(path.join(folder, file.name, key), 'file.ptr', Buffer.from('MSG: It was never built.'));
    put(path.join(folder, file.name, key), 'Demo.pd_', cabinet.subarray(0, 200));
    put(path.join(folder, file.name, key), file.name, wrong);
    const located = await store(`srv*${folder}`, folder).find(file);
    assert.equal(located.path, undefined);
    assert.deepEqual(outcomes(located), ['wrong', 'wrong']);
    assert.match(reasons(located), /it is another file\n.*exceed/);
  });

  void it('cache* keeps what folders to its right have', async (t) => {
    const folder = tempFolder(t);
    put(path.join(folder, 'share'), file.name, right);
    const cache = path.join(folder, 'cache');
    const located = await store(`cache*${cache};${path.join(folder, 'share')}`, folder).find(file);
    assert.equal(located.path, path.join(cache, file.name, key, file.name));
  });
});

void describe('fetching from a server', () => {
  void it('images by time stamp and size', async (t) => {
    const { server, store: symbols, cache } = await scene(t);
    const image = imageFile('demo.sys', 0x12345678, 0x9000);
    const bytes = Buffer.from(right.toString().replace(key, image.key));
    server.on('/demo.sys/123456789000/demo.sys', sends(bytes));
    assert.equal((await symbols.fetch(image)).path, path.join(cache, 'demo.sys', '123456789000', 'demo.sys'));
  });

  const lzx: Compression = { kind: 'lzx', windowBits: 16 };
  for (const [name, compression] of Object.entries({ MSZIP: 'mszip', LZX: lzx, stored: 'stored' } as const)) {
    void it(`compressed by ${name}`, async (t) => {
      const all = await scene(t);
      const cabinet = makeCabinet([{ compression, files: [{ name: '../../evil', bytes: right }] }]);
      all.server.on(`${at}/${compressedName(file.name)}`, sends(cabinet));
      const located = await all.store.fetch(file);
      assertKept(all, located);
      assert.deepEqual(outcomes(located), ['absent', 'found']);
    });
  }

  void it('from a two-tier server, which is asked once what it is', async (t) => {
    const all = await scene(t);
    all.server.on('/index2.txt', sends(Buffer.from('x')));
    all.server.on(`/De${at}/Demo.pdb`, sends(right));
    assertKept(all, await all.store.fetch(file));
    await all.store.fetch(pdbFile('other.pdb', key));
    assert.equal(all.server.asked.filter((asked) => asked === '/index2.txt').length, 1);
    assert.equal(all.server.asked.at(-1), `/ot/other.pdb/${key}/file.ptr`);
  });

  void it('content encodings', async (t) => {
    const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    for (const [encoding, encode] of Object.entries(encoders)) {
      const all = await scene(t);
      all.server.on(`${at}/Demo.pdb`, sends(encode(right), { 'content-encoding': encoding }));
      assertKept(all, await all.store.fetch(file));
    }
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, sends(right, { 'content-encoding': 'rot13' }));
    assert.match(reasons(await all.store.fetch(file)), /rot13/);
  });

  void it('over chains of redirections, also to another host; not round in circles, nor to other schemes', async (t) => {
    const all = await scene(t);
    const other = await scriptedServer(t);
    all.server.on(`${at}/Demo.pdb`, status(302, { location: '/second' }));
    all.server.on('/second', status(307, { location: `${other.url}/third?sig=1` }));
    other.on('/third?sig=1', sends(right));
    assertKept(all, await all.store.fetch(file));

    const bad = ['/loop', 'file:///etc/passwd', 'http://', ''];
    for (const location of bad) {
      const one = await scene(t);
      one.server.on(`${at}/Demo.pdb`, status(302, location === '' ? {} : { location }));
      one.server.on('/loop', status(301, { location: '/loop' }));
      const located = await one.store.fetch(file);
      assert.equal(located.path, undefined);
      assert.equal(located.attempts[0]?.outcome, 'failed');
      assert.match(located.attempts[0]?.reason ?? '', /redirect/, location);
      assert.ok(one.server.asked.length < 12);
      assert.deepEqual(filesBelow(one.cache), []);
    }
  });

  for (const [name, fault] of Object.entries({
    'a 503': status(503),
    'a 429': status(429),
    'a reset': hangsUp,
    'an answer cut short': cutsShort(right),
    'an answer that stalls': stalls(right),
    'no answer at all': () => {},
  })) {
    void it(`again after ${name}, twice`, async (t) => {
      const all = await scene(t);
      all.server.on(`${at}/Demo.pdb`, fault, fault, sends(right));
      assertKept(all, await all.store.fetch(file));
      assert.equal(all.server.asked.length, 3);
    });

    void it(`not for ever after ${name}; then nobody waits for this server for a while`, async (t) => {
      const all = await scene(t);
      all.server.on(`${at}/Demo.pdb`, fault);
      const located = await all.store.fetch(file);
      assert.deepEqual(outcomes(located), ['failed']);
      assert.deepEqual(filesBelow(all.cache), []);
      assert.equal(all.server.asked.length, 3);
      assert.deepEqual(outcomes(await all.store.fetch(pdbFile('other.pdb', key))), ['skipped']);
      assert.equal(all.server.asked.length, 3);
      all.server.on(`${at}/Demo.pdb`, sends(right));
      assertKept(all, await all.store.fetch(file, { again: true }));
    });
  }

  void it('wrong content is refused and not kept; the next form or server is tried', async (t) => {
    const all = await scene(t);
    const second = await scriptedServer(t);
    all.server.on(`${at}/Demo.pdb`, sends(wrong));
    all.server.on(`${at}/Demo.pd_`, sends(wrong));
    second.on(`${at}/Demo.pdb`, sends(right));
    const both = store(`srv*${all.cache}*${all.server.url}*${second.url}`, all.cache);
    const located = await both.fetch(file);
    assertKept(all, located);
    assert.deepEqual(outcomes(located), ['wrong', 'wrong', 'absent', 'found']);
    assert.match(reasons(located), /it is another file\n.*cabinet/);
  });

  void it('a damaged file in the cache is brought anew', async (t) => {
    const all = await scene(t);
    put(path.dirname(all.cached), file.name, right.subarray(0, 500));
    all.server.on(`${at}/Demo.pdb`, sends(right));
    const located = await all.store.fetch(file);
    assertKept(all, located);
    assert.deepEqual(outcomes(located), ['wrong', 'found']);
  });

  void it('what is absent is asked for once a session, or again when asked to', async (t) => {
    const all = await scene(t);
    assert.deepEqual(outcomes(await all.store.fetch(file)), ['absent', 'absent', 'absent']);
    const first = all.server.asked.length;
    assert.deepEqual(outcomes(await all.store.fetch(file)), ['skipped']);
    assert.equal(all.server.asked.length, first);
    all.server.on(`${at}/Demo.pdb`, sends(right));
    assertKept(all, await all.store.fetch(file, { again: true }));
  });

  void it('a pointer from a server is told of, never followed', async (t) => {
    const all = await scene(t);
    const secret = path.join(tempFolder(t), 'secret.pdb');
    writeFileSync(secret, right);
    all.server.on(`${at}/file.ptr`, sends(Buffer.from(`PATH:${secret}`)));
    const located = await all.store.fetch(file);
    assert.equal(located.path, undefined);
    assert.match(reasons(located), /not followed: PATH:.*secret\.pdb/);
  });

  void it('too much is not taken, announced or not', async (t) => {
    const bomb = gzipSync(Buffer.alloc(3_000_000));
    for (const answer of [sends(Buffer.alloc(1_000_001)), sends(bomb, { 'content-encoding': 'gzip' })]) {
      const all = await scene(t);
      all.server.on(`${at}/Demo.pdb`, answer);
      const located = await all.store.fetch(file);
      assert.match(located.attempts[0]?.reason ?? '', /bytes$/);
      assert.deepEqual(filesBelow(all.cache), []);
    }
  });

  void it('progress is told, and a cancelled download leaves nothing', async (t) => {
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, sends(right));
    const told: DownloadProgress[] = [];
    assertKept(all, await all.store.fetch(file, { onProgress: (progress) => told.push(progress) }));
    assert.deepEqual(told.at(-1), {
      url: `${all.server.url}${at}/Demo.pdb`,
      received: right.length,
      total: right.length,
    });

    rmSync(all.cache, { recursive: true });
    all.server.on(`${at}/Demo.pdb`, stalls(right));
    const controller = new AbortController();
    const cancelled = all.store.fetch(file, {
      signal: controller.signal,
      onProgress: ({ received }) => received > 0 && controller.abort(),
    });
    await assert.rejects(cancelled, { code: 'cancelled' });
    assert.deepEqual(filesBelow(all.cache), []);
    await assert.rejects(all.store.fetch(file, { signal: AbortSignal.abort() }), { code: 'cancelled' });
  });

  void it('a server that trickles for ever is given up', async (t) => {
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    });
    const located = await all.store.fetch(file);
    assert.equal(located.path, undefined);
    assert.match(located.attempts[0]?.reason ?? '', /took over 2000 ms/);
    assert.deepEqual(filesBelow(all.cache), []);
  });

  void it('a cache that cannot be written hides nothing that lies elsewhere', async (t) => {
    const all = await scene(t);
    const folder = path.join(tempFolder(t), 'plain');
    put(folder, file.name, right);
    writeFileSync(all.cache, 'a file where the folder should be');
    const both = store(`cache*${all.cache};${folder}`, all.cache);
    assert.equal((await both.find(file)).path, path.join(folder, file.name));
  });

  void it('many who ask at once share one download', async (t) => {
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, sends(right));
    const located = await Promise.all(Array.from({ length: 20 }, () => all.store.fetch(file)));
    assert.ok(located.every((each) => each.path === all.cached));
    assert.equal(all.server.asked.length, 1);
  });

  void it('a cache that cannot be written is an error', async (t) => {
    const all = await scene(t);
    all.server.on(`${at}/Demo.pdb`, sends(right));
    writeFileSync(all.cache, 'a file where the folder should be');
    await assert.rejects(all.store.fetch(file), { code: 'file-unwritable' });
  });

  void it('a cache in a folder that takes no folders is an error, not an endless attempt', async (t) => {
    if (!existsSync('/proc/self')) {
      t.skip('there is no /proc');
      return;
    }
    const { server } = await scene(t);
    server.on(`${at}/Demo.pdb`, sends(right));
    const nowhere = '/proc/vmkd-nowhere';
    await assert.rejects(store(`srv*${nowhere}*${server.url}`, nowhere).fetch(file), {
      code: 'file-unwritable',
    });
  });
});

void describe('proxies', () => {
  void it('plain http goes through the one that the environment names, with its credentials', async (t) => {
    const all = await scene(t);
    const proxy = await scriptedServer(t);
    let seen = '';
    proxy.on(`http://symbols.invalid${at}/Demo.pdb`, (response, request) => {
      seen = request.headers['proxy-authorization'] ?? '';
      sends(right)(response, request);
    });
    const environment = { HTTP_PROXY: proxy.url.replace('//', '//me:p%40ss@'), NO_PROXY: '127.0.0.1' };
    const symbols = store(`srv*${all.cache}*http://symbols.invalid`, all.cache, environment);
    assertKept(all, await symbols.fetch(file));
    assert.equal(Buffer.from(seen.replace('Basic ', ''), 'base64').toString(), 'me:p@ss');

    rmSync(all.cache, { recursive: true });
    all.server.on(`${at}/Demo.pdb`, sends(right));
    const direct = store(`srv*${all.cache}*${all.server.url}`, all.cache, environment);
    assertKept(all, await direct.fetch(file));
    assert.equal(all.server.asked.length, 1);
  });

  void it('https asks it for a tunnel; a refusal is told', async (t) => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      if (asked.length === 1) socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      // A tunnel that leads nowhere: TLS fails in it.
      else socket.end('HTTP/1.1 200 Connection established\r\n\r\nno TLS here');
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    t.after(() => proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const cache = path.join(tempFolder(t), 'cache');
    const environment = { https_proxy: `127.0.0.1:${port}` };
    const symbols = new SymbolStore({
      path: parseSymbolPath(`srv*${cache}*https://symbols.invalid`, cache),
      defaultCache: cache,
      check,
      get: httpGet(environment),
      limits: { ...limits, attempts: 1 },
    });
    assert.match(reasons(await symbols.fetch(file)), /proxy .* answered 407/);
    const second = await symbols.fetch(file, { again: true });
    assert.deepEqual(outcomes(second), ['failed']);
    assert.deepEqual(asked, ['symbols.invalid:443', 'symbols.invalid:443']);
  });
});
