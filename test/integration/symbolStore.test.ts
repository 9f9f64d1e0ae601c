/**
 * Two processes with one cache: they fetch the same files at the same time from a real server, one is killed in the
 * middle, and nobody ever sees a file that is not whole. The child is this very file, started with the word `child`.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { httpGet } from '../../src/engine/symbols/store/http';
import { pdbFile, type SymbolFile } from '../../src/engine/symbols/store/symbolFile';
import { parseSymbolPath } from '../../src/engine/symbols/store/symbolPath';
import { SymbolStore } from '../../src/engine/symbols/store/symbolStore';
import { scriptedServer } from '../fixtures/symbolHttpServer';
import { tempFolder } from '../fixtures/tempFolder';

const fileCount = 30;
const files = Array.from({ length: fileCount }, (_, i) =>
  pdbFile(`race${i}.pdb`, `${i.toString(16).padStart(32, '0').toUpperCase()}1`),
);
const contentOf = (file: SymbolFile): Buffer => Buffer.alloc(200_000, `${file.name} ${file.key} `);

function openStore(url: string, cache: string): SymbolStore {
  return new SymbolStore({
    path: parseSymbolPath(`srv*${cache}*${url}`, cache),
    defaultCache: cache,
    check: async (candidate, file) =>
      readFileSync(candidate).equals(contentOf(file)) ? undefined : 'it is not whole',
    get: httpGet(process.env),
  });
}

/** Fetches all files, all at once, and reads the cache meanwhile. Prints what is wrong; ends with 0 if nothing is. */
async function child(url: string, cache: string): Promise<void> {
  const symbols = openStore(url, cache);
  let done = false;
  const watching = (async () => {
    while (!done) {
      for (const file of files) {
        const final = path.join(cache, file.name, file.key, file.name);
        if (existsSync(final))
          assert.ok(readFileSync(final).equals(contentOf(file)), `${final} is not whole`);
      }
      await new Promise((next) => setImmediate(next));
    }
  })();
  try {
    const all = await Promise.all(files.map((file) => symbols.fetch(file)));
    for (const located of all) assert.ok(located.path !== undefined, JSON.stringify(located.attempts));
  } finally {
    done = true;
    await watching;
  }
}

const [, self = '', role, url = '', cache = ''] = process.argv;

function start(
  t: TestContext,
  serverUrl: string,
  folder: string,
  environment: Record<string, string> = {},
): { process: ChildProcess; ended: Promise<string> } {
  const started = spawn(process.execPath, [self, 'child', serverUrl, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...environment },
  });
  let output = '';
  started.stdout.on('data', (piece) => (output += String(piece)));
  started.stderr.on('data', (piece) => (output += String(piece)));
  t.after(() => started.kill('SIGKILL'));
  const limit = setTimeout(() => started.kill('SIGKILL'), 60_000);
  const ended = once(started, 'close').then(([code, signal]) => {
    clearTimeout(limit);
    return code === 0 ? '' : `ended by ${String(code ?? signal)}: ${output}`;
  });
  return { process: started, ended };
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

function defineTests(): void {
  test('two processes race for the same files', async (t) => {
    const server = await scriptedServer(t);
    // Each answer comes in two halves, so that both processes have all files open at once.
    for (const file of files) {
      server.on(`/${file.name}/${file.key}/${file.name}`, (response) => {
        const bytes = contentOf(file);
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 1000), () =>
          setTimeout(() => response.end(bytes.subarray(1000)), 20),
        );
      });
    }
    for (let round = 0; round < 4; round++) {
      const folder = path.join(tempFolder(t), 'cache');
      const asked = server.asked.length;
      const racers = [start(t, server.url, folder), start(t, server.url, folder)];
      assert.deepEqual(await Promise.all(racers.map((racer) => racer.ended)), ['', '']);
      assert.deepEqual(
        filesBelow(folder).sort(),
        files.map((file) => file.name).sort(),
        'nothing is left over',
      );
      if (server.asked.length - asked > fileCount) t.diagnostic(`round ${round}: they did race`);
    }
    assert.ok(server.asked.length > 4 * fileCount, 'at least one file was fetched by both at once');
  });

  test('one is killed in the middle: the other gets everything, and later the remains go', async (t) => {
    const server = await scriptedServer(t);
    const folder = path.join(tempFolder(t), 'cache');
    let stalled = 0;
    let allStalled: () => void = () => {};
    const victimIsBusy = new Promise<void>((resolve) => (allStalled = resolve));
    for (const file of files) {
      const bytes = contentOf(file);
      server.on(
        `/${file.name}/${file.key}/${file.name}`,
        (response) => {
          response.writeHead(200, { 'content-length': bytes.length });
          response.write(bytes.subarray(0, 100_000), () => {
            if (++stalled === fileCount) allStalled();
          });
        },
        (response) => void response.end(bytes),
      );
    }
    const victim = start(t, server.url, folder);
    await Promise.race([
      victimIsBusy,
      victim.ended.then((how) => assert.fail(`the victim ended too soon: ${how}`)),
    ]);
    victim.process.kill('SIGKILL');
    await victim.ended;
    assert.ok(filesBelow(folder).every((name) => name.endsWith('.tmp')));
    assert.equal(await start(t, server.url, folder).ended, '');
    for (const file of files) {
      assert.ok(readFileSync(path.join(folder, file.name, file.key, file.name)).equals(contentOf(file)));
    }
    const remains = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.name.endsWith('.tmp'),
    );
    assert.equal(remains.length, fileCount, 'they may belong to somebody who is slow');
    const yesterday = Date.now() / 1000 - 25 * 3600;
    for (const { parentPath, name } of remains) utimesSync(path.join(parentPath, name), yesterday, yesterday);
    const again = openStore(server.url, folder);
    for (const file of files) {
      writeFileSync(path.join(folder, file.name, file.key, file.name), 'damaged');
      assert.notEqual((await again.fetch(file)).path, undefined);
    }
    assert.equal(filesBelow(folder).filter((name) => name.endsWith('.tmp')).length, 0);
  });

  test('over TLS, directly and through a proxy’s tunnel; not from a server that nobody vouches for', async (t) => {
    const folder = tempFolder(t);
    const [keyFile, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')];
    const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', ...made, ...names, '-keyout', keyFile, '-out', certificate], {
      stdio: 'pipe',
      timeout: 30_000,
    });
    const server = createHttpsServer({ key: readFileSync(keyFile), cert: readFileSync(certificate) });
    server.on('request', (request, response) => {
      const file = files.find(({ name, key }) => request.url === `/${name}/${key}/${name}`);
      if (file === undefined) response.writeHead(404).end();
      else response.end(contentOf(file));
    });
    const tunnels: string[] = [];
    const proxy = createHttpServer();
    proxy.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '');
      const onward = connect(portOf(server), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      for (const end of [socket, onward])
        end.on('error', () => [socket, onward].map((each) => each.destroy()));
    });
    for (const each of [server, proxy]) {
      await new Promise<void>((listening) => each.listen(0, '127.0.0.1', listening));
      t.after(() => each.close());
      t.after(() => each.closeAllConnections());
    }
    const serverUrl = `https://localhost:${portOf(server)}`;
    const trust = { NODE_EXTRA_CA_CERTS: certificate };
    const tunnel = { https_proxy: `http://127.0.0.1:${portOf(proxy)}` };

    assert.equal(await start(t, serverUrl, path.join(folder, 'direct'), trust).ended, '');
    assert.deepEqual(tunnels, []);
    assert.equal(await start(t, serverUrl, path.join(folder, 'proxied'), { ...trust, ...tunnel }).ended, '');
    assert.deepEqual(new Set(tunnels), new Set([`localhost:${portOf(server)}`]));
    assert.equal(tunnels.length, fileCount);
    for (const environment of [{}, tunnel]) {
      const refused = await start(t, serverUrl, path.join(folder, 'refused'), environment).ended;
      assert.match(refused, /self-signed certificate/);
    }
  });
}

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

if (role === 'child') await child(url, cache);
else defineTests();
