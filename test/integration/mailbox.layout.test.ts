/** The mailbox of native/guest/mailbox.h and that of engine/link/mailbox/layout.ts are the same, name by name. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Fields, Layout } from '../../src/engine/core/layout';
import * as ours from '../../src/engine/link/mailbox/layout';

const header = 'native/guest/mailbox.h';

const structures: Record<string, Layout<Fields>> = {
  _MAILBOX_HEADER: ours.header,
  _MAILBOX_GUEST: ours.guestLine,
  _MAILBOX_HOST: ours.hostLine,
  _MAILBOX_MESSAGE: ours.messageHead,
};

const constants: Record<string, number> = {
  MAILBOX_VERSION: ours.mailboxVersion,
  MAILBOX_PAGE_BYTES: ours.pageBytes,
  MAILBOX_PAYLOAD_BYTES: ours.payloadBytes,
  MAILBOX_FRAMES_OFFSET: ours.framesOffset,
  MAILBOX_RINGS_OFFSET: ours.ringsOffset,
  MAILBOX_CHECKED_BYTES: ours.checkedBytes,
  MAILBOX_HOST_BEAT_MS: ours.hostBeatMilliseconds,
  MAILBOX_STATE_READY: ours.GuestState.Ready,
  MAILBOX_STATE_LEAVING: ours.GuestState.Leaving,
  MAILBOX_STATE_FAILED: ours.GuestState.Failed,
  MAILBOX_LEFT_BY_HOST: ours.LeftReason.ByHost,
  MAILBOX_LEFT_SILENT: ours.LeftReason.Silent,
  MAILBOX_LEFT_STUCK: ours.LeftReason.Stuck,
  MAILBOX_LEFT_DAMAGED: ours.LeftReason.Damaged,
  MAILBOX_LEFT_LARGE: ours.LeftReason.Large,
  MAILBOX_LEFT_UNLOAD: ours.LeftReason.Unload,
  MAILBOX_KIND_PACKET: ours.MessageKind.Packet,
  MAILBOX_KIND_RESET: ours.MessageKind.Reset,
  MAILBOX_KIND_RESET_DONE: ours.MessageKind.ResetDone,
};

for (const target of ['x86_64-pc-windows-msvc', 'i686-pc-windows-msvc']) {
  test(`every field lies where the other side has it, for ${target}`, () => {
    const records = recordLayouts(target);
    for (const [name, { size, fields }] of Object.entries(structures)) {
      const theirs = records.get(name);
      assert.ok(theirs, `clang shows no ${name}`);
      const mine = Object.entries(fields).map(([field, [offset]]) => `${pascal(field)} ${offset}`);
      assert.deepEqual(mine, theirs.fields, name);
      assert.equal(size, theirs.size, name);
    }
    const mailbox = records.get('_MAILBOX');
    assert.ok(mailbox);
    for (const place of [
      `Guest ${ours.guestOffset}`,
      `Host ${ours.hostOffset}`,
      `Slots ${ours.ringsOffset}`,
    ]) {
      assert.ok(mailbox.fields.includes(place), `${place} is not among ${mailbox.fields.join(', ')}`);
    }
  });
}

test('every constant has the same value', () => {
  const text = readFileSync(header, 'latin1');
  const theirs = new Map(
    [...text.matchAll(/^#define (MAILBOX_\w+) (0x[0-9A-F]+|\d+)u/gm)].map(([, name, value]) => [
      name!,
      Number(value),
    ]),
  );
  for (const [name, value] of Object.entries(constants)) assert.equal(theirs.get(name), value, name);
  const magic = /#define MAILBOX_MAGIC "(.*)"/.exec(text)?.[1];
  assert.equal(JSON.parse(`"${magic ?? ''}"`), ours.mailboxMagic);
  const unknown = [...theirs.keys()].filter(
    (name) => /_(STATE|LEFT|KIND)_/.test(name) && !(name in constants),
  );
  assert.deepEqual(unknown, [], 'the host does not know these');
});

/** What clang says of the structures: `Field offset` in order. */
function recordLayouts(target: string): Map<string, { readonly fields: string[]; readonly size: number }> {
  // A record is laid out when it is used.
  const uses = [...Object.keys(structures), '_MAILBOX'].map((name, i) => `struct ${name} use${i};`);
  const source = `#include "${process.cwd()}/${header}"\n${uses.join('\n')}\n`;
  const args = [`--target=${target}`, '-ffreestanding', '-std=gnu17', '-fsyntax-only'];
  const { status, stdout, stderr } = spawnSync(
    'clang',
    [...args, '-Xclang', '-fdump-record-layouts', '-x', 'c', '-'],
    { input: source, encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const records = new Map<string, { readonly fields: string[]; readonly size: number }>();
  for (const dump of stdout.split('*** Dumping AST Record Layout').slice(1)) {
    const name = /^\s*0 \| struct (\w+)/m.exec(dump)?.[1];
    const size = Number(/sizeof=(\d+)/.exec(dump)?.[1]);
    const fields = [...dump.matchAll(/^\s*(\d+) \|\s{3}(?! ).* (\w+)(?:\[.*)?$/gm)].map(
      ([, offset, field]) => `${field!} ${offset!}`,
    );
    if (name !== undefined) records.set(name, { fields, size });
  }
  return records;
}

const pascal = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
