import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { breakInStop } from '../../../test/fixtures/modelTarget';
import { checksum } from './framing';
import {
  decodeStateChange,
  encodeControlReport,
  encodeStateChange,
  readControlReport,
  type ControlReport,
  type StateChange,
} from './stateChange';

/** A break-in of a live Windows 8.1 x64 as it stood on the wire: padding and unused parameters hold garbage. */
const windows81 = Buffer.from(
  '303000000600000001000000000000000' +
    '05af66b02f8ffff902bd76b02f8ffff' +
    '0300008000000000' +
    '0000000000000000' +
    '902bd76b02f8ffff' +
    '0100000000000000' +
    '000000000000000000000000000000000000000000000000' +
    '70d96e6d02f8ffff' +
    '00'.repeat(88) +
    '0100000001f8ffff' +
    'f00fffff00000000' +
    '0004000000000000' +
    '02020000' +
    '1000' +
    '0300' +
    'ccc3cccccccccccc0f1f840000000000' +
    '1000' +
    '2b00' +
    '2b00' +
    '5300',
  'hex',
);

void describe('state change', () => {
  void it('reads a break-in of Windows 8.1 x64', () => {
    assert.equal(windows81.length, 240);
    assert.ok(checksum(windows81) > 0);
    const change = decodeStateChange(windows81);
    assert.equal(change.kind, 'exception');
    if (change.kind !== 'exception') return;
    assert.equal(change.code, 0x80000003);
    assert.equal(change.processorLevel, 6);
    assert.equal(change.numberProcessors, 1);
    assert.equal(change.thread, 0xfffff8026bf65a00n);
    assert.equal(change.programCounter, 0xfffff8026bd72b90n);
    assert.equal(change.address, change.programCounter);
    assert.equal(change.firstChance, true);
    assert.deepEqual(change.information, [0n]);
    const report = readControlReport(change, 'x64');
    assert.equal(report.dr6, 0xffff0ff0n);
    assert.equal(report.dr7, 0x400n);
    assert.equal(report.eflags, 0x202);
    assert.equal(report.instructionCount, 16);
    assert.equal(report.instructionStream[0], 0xcc);
    assert.deepEqual([report.segCs, report.segDs, report.segEs, report.segFs], [0x10, 0x2b, 0x2b, 0x53]);
  });

  const common = { ...breakInStop } as const;
  const samples: StateChange[] = [
    { ...common, information: [1n, 2n, 0xffff_ffff_ffff_ffffn], code: 0xc0000005, firstChance: false },
    {
      ...withoutException(common),
      kind: 'loadSymbols',
      path: '\\SystemRoot\\System32\\drivers\\x.sys',
      base: virtualAddress(0xfffff80312340000n),
      processId: 4n,
      checkSum: 0x12345,
      sizeOfImage: 0x8000,
      unload: false,
    },
    { ...withoutException(common), kind: 'targetGone' },
    { ...withoutException(common), kind: 'commandString', name: 'source', command: '.echo hello' },
  ];

  void it('comes back from the wire as it went', () => {
    for (const change of samples) assert.deepEqual(decodeStateChange(encodeStateChange(change)), change);
  });

  void it('reads the path of an old target, which puts a whole CONTEXT in front of it', () => {
    const [, load] = samples;
    assert.ok(load?.kind === 'loadSymbols');
    const modern = encodeStateChange(load);
    const old = Buffer.concat([modern.subarray(0, 240), Buffer.alloc(712), modern.subarray(240)]);
    const change = decodeStateChange(old);
    assert.equal(change.kind === 'loadSymbols' && change.path, load.path);
  });

  void it('keeps both layouts of the control report', () => {
    const report: ControlReport = {
      dr6: 0xffff0ff0n,
      dr7: 0x455n,
      eflags: 0x246,
      instructionCount: 16,
      reportFlags: 3,
      instructionStream: Uint8Array.from({ length: 16 }, (_, i) => i),
      segCs: 0x10,
      segDs: 0x2b,
      segEs: 0x2b,
      segFs: 0x53,
    };
    for (const machine of ['x64', 'x86'] as const) {
      assert.deepEqual(readControlReport({ report: encodeControlReport(report, machine) }, machine), report);
    }
  });

  void it('accepts trailing data behind an exception, as newer and older targets send it', () => {
    assert.equal(decodeStateChange(Buffer.concat([windows81, Buffer.alloc(4)])).kind, 'exception');
  });

  void it('refuses what is too short, of no kind, or claims a path longer than itself', () => {
    const refused = (bytes: Uint8Array): void =>
      assert.throws(
        () => decodeStateChange(bytes),
        (error) => error instanceof VmkdError && error.code === 'protocol-violation',
      );
    refused(windows81.subarray(0, 239));
    const noKind = Buffer.from(windows81);
    noKind.writeUInt32LE(0x3039, 0);
    refused(noKind);
    const [, load] = samples;
    const liar = Buffer.from(encodeStateChange(load!));
    liar.writeUInt32LE(0xffff, 32);
    refused(liar);
  });
});

function withoutException(change: typeof breakInStop) {
  const { processorLevel, processor, numberProcessors, thread, programCounter, report } = change;
  return { processorLevel, processor, numberProcessors, thread, programCounter, report };
}
