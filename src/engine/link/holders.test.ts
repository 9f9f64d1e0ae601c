import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHeldByAnother, isTcpRowHeldByAnother, parseUnixQueue } from './holders';

// Rows as Linux 6 prints them; that a real QEMU makes such rows is tested in test/integration/links.qemu.test.ts.
const unixRows = `Num       RefCount Protocol Flags    Type St Inode Path
00000000063ed339: 00000003 00000000 00000000 0001 02     0 /tmp/vm/com1
00000000c0fcb834: 00000003 00000000 00000000 0001 03 11204 /tmp/vm/com1
000000003676894a: 00000002 00000000 00010000 0001 01 11202 /tmp/vm/com1
00000000aaaaaaaa: 00000003 00000000 00000000 0001 03 11300 /tmp/vm/com1.old
00000000bbbbbbbb: 00000003 00000000 00000000 0001 03 11301 /other /tmp/vm/com1
00000000cccccccc: 00000003 00000000 00000000 0001 03 11302
`;

const nothing = { listening: false, known: new Set(), accepted: new Set(), waiting: 0 };

test('reads the queue of one path only', () => {
  assert.deepEqual(parseUnixQueue(unixRows, '/tmp/vm/com1'), {
    listening: true,
    known: new Set(['00000000063ed339', '00000000c0fcb834']),
    accepted: new Set(['00000000c0fcb834']),
    waiting: 1,
  });
  assert.deepEqual(parseUnixQueue(unixRows, '/tmp/vm/com2'), nothing);
  assert.deepEqual(parseUnixQueue('nonsense\n: /tmp/vm/com1', '/tmp/vm/com1'), nothing);
  assert.deepEqual(parseUnixQueue('', '/tmp/vm/com1'), nothing);
});

test('where the kernel hides its addresses, inodes tell rows apart', () => {
  const hidden = unixRows.replaceAll(/^0[0-9a-f]{15}/gm, '0'.repeat(16));
  const { known, accepted, waiting } = parseUnixQueue(hidden, '/tmp/vm/com1');
  assert.deepEqual([known, accepted, waiting], [new Set(['11204']), new Set(['11204']), 1]);
});

/** `a` to `c` accepted, `A` to `C` waiting. */
const queue = (rows: string) => {
  const accepted = new Set(rows.replaceAll(/[A-Z]/g, ''));
  const known = new Set(rows.toLowerCase());
  return { listening: true, known, accepted, waiting: known.size - accepted.size };
};

test('held by another: one who was there before us is let in, and somebody waits', () => {
  assert.ok(isHeldByAnother(queue('a'), queue('aB')));
  assert.ok(isHeldByAnother(queue('A'), queue('aB')), 'who waited before us has been let in');
  assert.ok(!isHeldByAnother(queue(''), queue('b')), 'we are let in');
  assert.ok(!isHeldByAnother(queue(''), queue('bC')), 'we are let in, another waits behind us');
  assert.ok(!isHeldByAnother(queue('a'), queue('b')), 'the other one went, we are let in');
  assert.ok(!isHeldByAnother(queue('A'), queue('bC')), 'the other one went, and a third waits behind us');
  assert.ok(!isHeldByAnother(queue('a'), queue('ab')), 'a listener that lets in all');
  assert.ok(!isHeldByAnother(queue('A'), queue('AB')), 'a listener that lets in nobody is hung, not held');
});

const tcpRows = (
  ours: number,
  other: number,
) => `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:11D7 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 11203 2 00000000fa1618ad 100 0 0 10 0
   2: 0100007F:11D7 0100007F:CD3C 01 00000000:00000000 00:00000000 00000000     0        0 ${ours} 1 000000006b64517f 20 0 0 10 -1
   5: 0100007F:CD3A 0100007F:11D7 01 00000000:00000000 00:00000000 00000000     0        0 9837 2 000000008e4b06a5 20 0 0 10 -1
   6: 0100007F:CD3C 0100007F:11D7 01 00000000:00000000 00:00000000 00000000     0        0 9839 2 000000001f1d4d0a 20 0 0 10 -1
   7: 0100007F:11D7 0100007F:CD3A 01 00000000:00000000 00:00000000 00000000     0        0 ${other} 1 00000000328a07b7 20 0 0 10 -1
`;

test('TCP: ours waits while another is let in', () => {
  const ends = { localPort: 0xcd3c, remotePort: 0x11d7 };
  assert.ok(isTcpRowHeldByAnother(tcpRows(0, 11205), ends));
  assert.ok(!isTcpRowHeldByAnother(tcpRows(11206, 11205), ends), 'both are let in');
  assert.ok(!isTcpRowHeldByAnother(tcpRows(0, 0), ends), 'nobody is');
  assert.ok(!isTcpRowHeldByAnother(tcpRows(11206, 0), ends), 'we are');
  assert.ok(!isTcpRowHeldByAnother('', ends));
  const elsewhere = tcpRows(0, 11205).replaceAll('0100007F:11D7', '0100A8C0:11D7');
  assert.ok(!isTcpRowHeldByAnother(elsewhere, ends), 'another machine’s address');
  const mapped = tcpRows(0, 11205).replaceAll('0100007F', '0000000000000000FFFF00000100007F');
  assert.ok(isTcpRowHeldByAnother(mapped, ends), 'a listener on IPv6 that takes IPv4 too');
});
