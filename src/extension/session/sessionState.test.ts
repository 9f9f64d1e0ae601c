import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { follow, newSession, type Message, type SessionState } from './sessionState';
import { statusDetails, statusText } from './statusText';

const event = (name: string, body: unknown = {}): Message => ({ type: 'event', event: name, body });
const response = (command: string, body: unknown = {}, success = true): Message => ({
  type: 'response',
  command,
  success,
  body,
});
const after = (...messages: Message[]): SessionState => messages.reduce(follow, newSession);

const attached = [
  response('attach'),
  event('vmkd/transport', { tier: 'hybrid', memory: 'backing file' }),
  event('stopped', { reason: 'entry', description: 'Paused on attach', threadId: 1 }),
  response('threads', {
    threads: [
      { id: 1, name: 'CPU 0: System (4), thread 12 at 0xffff' },
      { id: 2, name: 'CPU 1: idle' },
    ],
  }),
];

void describe('a session', () => {
  void it('is what its messages say', () => {
    const stopped = after(...attached);
    assert.equal(stopped.phase, 'stopped');
    assert.equal(stopped.epoch, 1);
    const running = follow(stopped, response('continue'));
    assert.equal(running.phase, 'running');
    assert.equal(follow(running, event('stopped', { reason: 'step', threadId: 2 })).epoch, 2);
    const asleep = event('stopped', { reason: 'pause', threadId: 1001, asleep: true });
    assert.equal(follow(stopped, asleep), stopped);
    assert.equal(follow(stopped, response('continue', {}, false)).phase, 'stopped');
    assert.equal(follow(stopped, event('terminated')).phase, 'ended');
    assert.equal(follow(stopped, response('scopes')), stopped);
  });

  void it('knows its modules as they come and go', () => {
    const module = { id: '0x1', name: 'a.sys', path: '', addressRange: '', symbolStatus: 'none' };
    const state = after(
      response('modules', { modules: [module] }),
      event('module', { reason: 'new', module: { ...module, id: '0x2' } }),
      event('module', { reason: 'changed', module: { ...module, symbolStatus: 'loaded' } }),
    );
    assert.deepEqual(
      [...state.modules.values()].map(({ id, symbolStatus }) => [id, symbolStatus]),
      [
        ['0x1', 'loaded'],
        ['0x2', 'none'],
      ],
    );
    assert.deepEqual(
      [...follow(state, event('module', { reason: 'removed', module })).modules.keys()],
      ['0x2'],
    );
  });

  void it('knows another kernel from the one that has gone', () => {
    const module = { name: 'a.sys', path: '', addressRange: '', symbolStatus: 'none' };
    const tell = (reason: string, id: string, isKernel: boolean): Message =>
      event('module', { reason, module: { ...module, id, ...(isKernel && { isKernel }) } });
    const booted = after(...attached, tell('new', '0x1', true), tell('new', '0x2', false));
    const unloaded = follow(booted, tell('removed', '0x2', false));
    assert.equal(unloaded.boot, booted.boot);
    // KASLR may put it where the last one was.
    const again = [tell('removed', '0x1', true), tell('new', '0x1', true)].reduce(follow, unloaded);
    assert.notEqual(again.boot, booted.boot);
  });

  void it('keeps why there was no attaching', () => {
    const failed = follow(newSession, { ...response('attach', {}, false), message: 'Nobody there' });
    assert.deepEqual([failed.phase, failed.failure], ['ended', 'Nobody there']);
    assert.deepEqual(statusDetails(failed), ['Nobody there']);
  });

  void it('has no failure where the user has broken it off', () => {
    const cancelled = follow(newSession, { ...response('attach', {}, false), message: 'cancelled' });
    assert.deepEqual([cancelled.phase, cancelled.failure], ['ended', undefined]);
    const left = after(response('disconnect', {}));
    assert.equal(follow(left, { ...response('attach', {}, false), message: 'Lost' }).failure, undefined);
  });
});

void describe('the line at the bottom', () => {
  void it('says transport, processors, why it stands, and in whose process', () => {
    assert.equal(statusText(newSession), '$(sync~spin) attaching');
    const stopped = after(...attached);
    assert.equal(statusText(stopped), '$(debug-pause) hybrid · 2 CPUs · Paused on attach · System (4)');
    assert.equal(
      statusText(follow(stopped, event('vmkd/parking', { state: 'parked' }))).endsWith(' · parked'),
      true,
    );
    assert.equal(
      statusText(follow(stopped, response('continue'))),
      '$(play-circle) hybrid · 2 CPUs · running',
    );
  });

  void it('says whose process is looked at, if the user has selected another thread', () => {
    const threads = [
      { id: 1, name: 'CPU 0: System (4), thread 8 at 0x1' },
      { id: 1001, name: 'Asleep: vmkuser.exe (104), thread 108 at 0x2' },
    ];
    const state = after(...attached, response('threads', { threads }));
    assert.ok(statusText(state, 1001).endsWith(' · vmkuser.exe (104)'));
    assert.ok(statusText(state, undefined).endsWith(' · System (4)'));
    assert.match(statusText(state), / 1 CPU /);
  });

  void it('says when WinDbg drives, and how it attaches', () => {
    const pipe = String.raw`windbg -k com:pipe,port=\\.\pipe\kd_win11,resets=0,reconnect`;
    const driven = after(
      ...attached,
      event('vmkd/companion', { pipe, windbg: 'attached', driver: 'windbg' }),
    );
    assert.ok(statusText(driven).endsWith(' · WinDbg drives'));
    assert.ok(statusDetails(driven).includes(`WinDbg is attached: ${pipe}`));
    const closed = follow(driven, event('vmkd/companion', { pipe: null }));
    assert.equal(closed.companion, undefined);
    assert.doesNotMatch(statusText(closed), /WinDbg/);
  });

  void it('takes no icons from the names of processes', () => {
    const state = after(
      ...attached,
      response('threads', { threads: [{ id: 1, name: 'CPU 0: $(bug) (4)' }] }),
    );
    assert.doesNotMatch(statusText(state).slice(2), /\$\(/);
  });
});
