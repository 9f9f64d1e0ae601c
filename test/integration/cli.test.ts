/** The command line where no kernel answers: each way to fail says its code and the next step, in bounded time. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { buildCli, vmkd } from '../fixtures/cli';
import { tempFolder } from '../fixtures/tempFolder';

before(buildCli);

/** A serial port at whose other end `play` sits. */
async function port(t: TestContext, play: (socket: net.Socket) => void): Promise<string> {
  const file = path.join(tempFolder(t), 'port');
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    play(socket);
  });
  await new Promise<void>((resolve) => server.listen(file, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `unix:${file}`;
}

async function failure(link: string, ...more: string[]) {
  const { code, stdout } = await vmkd(['probe', link, '--json', '--timeout', '2', ...more]);
  assert.equal(code, 1);
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string; nextStep: string } };
  assert.ok(error.message.length > 10);
  assert.ok(error.nextStep.length > 10);
  return error.code;
}

void describe('vmkd probe, where it fails', () => {
  void it('link-not-found: there is no pipe', async (t) => {
    assert.equal(await failure(`unix:${path.join(tempFolder(t), 'absent')}`), 'link-not-found');
  });

  void it('link-timeout: the pipe never came', async (t) => {
    assert.equal(await failure(`unix:${path.join(tempFolder(t), 'absent')}`, '--wait', '1'), 'link-timeout');
  });

  void it('link-refused: nobody listens', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port: number } = taken.address() as net.AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    assert.equal(await failure(`tcp:127.0.0.1:${number}`), 'link-refused');
  });

  void it('target-silent: the guest says nothing', async (t) => {
    assert.equal(await failure(await port(t, (socket) => socket.resume())), 'target-silent');
  });

  void it('target-garbage: wrong baud rate, or not KD', async (t) => {
    const link = await port(t, (socket) => {
      socket.resume();
      socket.write('login: \r\nPassword: \r\n'.repeat(50));
    });
    assert.equal(await failure(link), 'target-garbage');
  });

  void it('link-lost: the machine is powered off meanwhile', async (t) => {
    assert.equal(
      await failure(await port(t, (socket) => socket.once('data', () => socket.end()))),
      'link-lost',
    );
  });

  void it('link-bad-spec: no such kind of link', async () => {
    assert.equal(await failure('serial:9'), 'link-bad-spec');
  });

  void it('file-unwritable: the trace, before anything is sent', async (t) => {
    let connections = 0;
    const link = await port(t, () => connections++);
    assert.equal(await failure(link, '--trace', path.join(tempFolder(t), 'absent', 'x')), 'file-unwritable');
    assert.equal(connections, 0);
  });
});

void describe('vmkd', () => {
  void it('says how it is used, and ends with 2 for wrong usage', async () => {
    const help = await vmkd(['help']);
    assert.match(help.stdout, /vmkd probe LINK/);
    for (const args of [
      ['nonsense'],
      ['probe'],
      ['probe', 'a', 'b'],
      ['probe', 'x', '--nonsense'],
      ['trace'],
    ]) {
      const { code, stderr } = await vmkd(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, /\[usage\]/);
    }
  });

  void it('says its version', async () => {
    assert.match((await vmkd(['version'])).stdout, /^vmkd \d+\.\d+\.\d+\n$/);
    assert.ok(existsSync('dist/vmkd.js'));
  });
});
