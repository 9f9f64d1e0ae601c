/** Every packet family, both ways: what one side encodes the other decodes, for any values of any field. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { virtualAddress } from '../core/addresses';
import {
  bytes,
  hex16,
  hex32,
  pa,
  u16,
  u32,
  u64,
  u8,
  va,
  type FieldType,
  type Fields,
  type Layout,
} from '../core/layout';
import { decodeControlAnswer, decodeControlRequest, encodeControlRequest } from './controlRequest';
import { decodeDebugIo, decodePromptAnswer, encodeDebugIo, encodePromptAnswer } from './debugIo';
import { describePacket } from './describe';
import { decodeFileAnswer, decodeFileRequest, encodeFileAnswer, encodeFileRequest } from './fileIo';
import { PacketType } from './framing';
import { manipulateApi, manipulateApis } from './manipulate';
import { encodeManipulate, manipulateData, readManipulateHead } from './manipulate/message';
import { interpretVersion, getVersion } from './manipulate/version';
import { VmkdError } from '../core/errors';
import { decodeTraceIo, encodeTraceIo } from './traceIo';

const u64s = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const u32s = fc.integer({ min: 0, max: 0xffff_ffff });
const u16s = fc.integer({ min: 0, max: 0xffff });
const ansi = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
  maxLength: 400,
});
const data = fc.uint8Array({ maxLength: 3900 });

const plainObjects = { noNullPrototype: true } as const;

const arbitraries = new Map<FieldType<never>, fc.Arbitrary<unknown>>([
  [u8 as FieldType<never>, fc.integer({ min: 0, max: 0xff })],
  [u16 as FieldType<never>, u16s],
  [hex16 as FieldType<never>, u16s],
  [u32 as FieldType<never>, u32s],
  [hex32 as FieldType<never>, u32s],
  [u64 as FieldType<never>, u64s],
  [va as FieldType<never>, u64s],
  [pa as FieldType<never>, u64s],
]);

function valuesOf(structure: Layout<Fields>): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    Object.fromEntries(
      Object.entries(structure.fields).map(([name, [, type]]) => {
        const arbitrary = arbitraries.get(type as FieldType<never>);
        assert.ok(arbitrary, `no arbitrary for ${name}`);
        return [name, arbitrary];
      }),
    ),
    plainObjects,
  );
}

void describe('manipulate family', () => {
  for (const machine of ['x64', 'x86'] as const) {
    for (const api of manipulateApis(machine)) {
      void it(`${machine} ${api.name}: request and reply come back as they went`, () => {
        for (const structure of [api.request, api.reply]) {
          fc.assert(
            fc.property(valuesOf(structure), u16s, data, (fields, processor, extra) => {
              const payload = encodeManipulate(
                structure,
                { apiNumber: api.number, processor },
                fields,
                extra,
              );
              assert.deepEqual(structure.read(payload), fields);
              assert.equal(readManipulateHead(payload).apiNumber, api.number);
              assert.equal(readManipulateHead(payload).processor, processor);
              assert.deepEqual(manipulateData(payload), extra);
              const line = describePacket({ type: PacketType.StateManipulate, payload }, 'debugger', machine);
              assert.match(line, new RegExp(`^StateManipulate ${api.name} `));
            }),
            { numRuns: 20 },
          );
        }
      });
    }
  }

  void it('knows the whole table', () => {
    const numbers = manipulateApis('x64').map((api) => api.number);
    const expected = [];
    for (let n = 0x3130; n <= 0x3160; n++) expected.push(n);
    const reserved = [0x314a, 0x314b, 0x314c, 0x314d, 0x314e, 0x314f, 0x3154, 0x3155];
    assert.deepEqual(
      numbers,
      expected.filter((n) => !reserved.includes(n)),
    );
    assert.equal(manipulateApi(0x3161, 'x64'), undefined);
  });

  void it('lays a reply over its request, so that unused bytes come back', () => {
    const api = manipulateApi(0x3130, 'x64')!;
    const request = new Uint8Array(56).fill(0xee);
    const reply = encodeManipulate(api.reply, { returnStatus: 0 }, {}, undefined, request);
    assert.equal(reply[12], 0xee);
    assert.equal(reply[55], 0xee);
    assert.equal(reply[8], 0);
  });

  void it('places fields where NT has them', () => {
    const at = (
      number: number,
      side: 'request' | 'reply',
      field: string,
      machine: 'x64' | 'x86' = 'x64',
    ): number => manipulateApi(number, machine)![side].fields[field]![0];
    assert.equal(at(0x3130, 'reply', 'actual'), 28);
    assert.equal(at(0x3134, 'reply', 'handle'), 24);
    assert.equal(at(0x313c, 'request', 'dr7'), 24);
    assert.equal(at(0x313c, 'request', 'symbolStart'), 32);
    assert.equal(at(0x313c, 'request', 'symbolStart', 'x86'), 28);
    assert.equal(at(0x3146, 'reply', 'kernelBase'), 32);
    assert.equal(at(0x3156, 'request', 'patternLength'), 32);
    assert.equal(at(0x315b, 'request', 'patternLength'), 30);
    assert.equal(at(0x3157, 'reply', 'length'), 32);
    assert.equal(at(0x3152, 'reply', 'high'), 24);
    assert.equal(at(0x315f, 'reply', 'copied'), 24);
  });

  void it('refuses data that no packet can carry', () => {
    const api = manipulateApi(0x3131, 'x64')!;
    assert.throws(
      () => encodeManipulate(api.request, {}, {}, new Uint8Array(3945)),
      (error) => error instanceof VmkdError && error.code === 'value-out-of-range',
    );
  });
});

void describe('GetVersion', () => {
  const reply = getVersion.reply.read(new Uint8Array(56));
  const refused = (changes: Partial<typeof reply>, code: string): void =>
    assert.throws(
      () => interpretVersion({ ...reply, ...changes }),
      (error) => error instanceof VmkdError && error.code === code,
    );

  void it('trusts the machine type, not the pointer flag', () => {
    const version = interpretVersion({
      ...reply,
      protocolVersion: 6,
      machineType: 0x8664,
      flags: 2,
      majorVersion: 0xc,
    });
    assert.equal(version.machine, 'x64');
    assert.equal(version.checkedBuild, true);
  });

  void it('names what it cannot debug', () => {
    refused({ protocolVersion: 4, machineType: 0x14c }, 'target-32bit-protocol');
    refused({ protocolVersion: 6, machineType: 0xaa64 }, 'target-unsupported');
  });
});

void describe('debug I/O family', () => {
  void it('prints and prompts come back as they went', () => {
    fc.assert(
      fc.property(u16s, u16s, ansi, u32s, (processorLevel, processor, text, maxAnswer) => {
        const print = { kind: 'print', processorLevel, processor, text } as const;
        assert.deepEqual(decodeDebugIo(encodeDebugIo(print)), print);
        const prompt = { kind: 'prompt', processorLevel, processor, prompt: text, maxAnswer } as const;
        assert.deepEqual(decodeDebugIo(encodeDebugIo(prompt)), prompt);
      }),
    );
  });

  void it('cuts an answer to the guest’s buffer', () => {
    const prompt = { kind: 'prompt', processorLevel: 6, processor: 0, prompt: 'go? ', maxAnswer: 3 } as const;
    assert.equal(decodePromptAnswer(encodePromptAnswer(prompt, 'yes, please')), 'yes');
  });

  void it('cuts an answer to what a packet carries, whatever the guest says', () => {
    const prompt = {
      kind: 'prompt',
      processorLevel: 6,
      processor: 0,
      prompt: '?',
      maxAnswer: 0xffff,
    } as const;
    assert.equal(encodePromptAnswer(prompt, 'x'.repeat(70_000)).length, 4000);
  });

  void it('refuses a text longer than its packet', () => {
    const packet = encodeDebugIo({ kind: 'print', processorLevel: 6, processor: 0, text: 'abc' });
    new DataView(packet.buffer).setUint32(8, 4, true);
    assert.throws(() => decodeDebugIo(packet), VmkdError);
  });
});

void describe('file I/O family', () => {
  const requests = fc.oneof(
    fc.record(
      {
        kind: fc.constant('create' as const),
        name: fc.string({ maxLength: 100 }).filter((s) => !s.includes('\0')),
        desiredAccess: u32s,
        fileAttributes: u32s,
        shareAccess: u32s,
        createDisposition: u32s,
        createOptions: u32s,
      },
      plainObjects,
    ),
    fc.record({ kind: fc.constant('read' as const), handle: u64s, offset: u64s, length: u32s }, plainObjects),
    fc.record({ kind: fc.constant('write' as const), handle: u64s, offset: u64s, data }, plainObjects),
    fc.record({ kind: fc.constant('close' as const), handle: u64s }, plainObjects),
  );

  void it('requests come back as they went', () => {
    fc.assert(
      fc.property(requests, (request) =>
        assert.deepEqual(decodeFileRequest(encodeFileRequest(request)), request),
      ),
    );
  });

  void it('answers bring no more than was asked for, nor than a packet carries', () => {
    const read = (length: number) => encodeFileRequest({ kind: 'read', handle: 1n, offset: 0n, length });
    const answer = { status: 0, data: new Uint8Array(8192) };
    assert.equal(encodeFileAnswer(read(10), answer).length, 74);
    assert.equal(encodeFileAnswer(read(100_000), answer).length, 4000);
  });

  void it('answers keep the request’s fields and bring their own', () => {
    fc.assert(
      fc.property(requests, u32s, u64s, data, (request, status, number, content) => {
        const wire = encodeFileRequest(request);
        const answer = decodeFileAnswer(
          encodeFileAnswer(wire, { status, handle: number, length: number, data: content, written: 7 }),
        );
        assert.equal(answer.status, status);
        if (request.kind === 'create') assert.deepEqual([answer.handle, answer.length], [number, number]);
        if (request.kind === 'read') assert.deepEqual(answer.data, content.subarray(0, request.length));
        if (request.kind === 'write') assert.equal(answer.written, 7);
      }),
    );
  });
});

void describe('trace I/O and control request families', () => {
  void it('come back as they went', () => {
    fc.assert(
      fc.property(u16s, data, u32s, fc.boolean(), (processor, content, number, granted) => {
        const trace = { processorLevel: 6, processor, data: content };
        assert.deepEqual(decodeTraceIo(encodeTraceIo(trace)), trace);
        for (const kind of ['request', 'release'] as const) {
          assert.deepEqual(decodeControlRequest(encodeControlRequest({ kind, number })), {
            kind,
            number,
          });
          const answer = decodeControlAnswer(encodeControlRequest({ kind, number }, granted));
          assert.equal(answer.granted, granted);
        }
      }),
    );
  });
});

void describe('layouts', () => {
  void it('write only their own bytes and refuse what does not fit', () => {
    const field = bytes(4);
    const buffer = new Uint8Array(8).fill(0xff);
    field.write(new DataView(buffer.buffer), 2, Uint8Array.of(1, 2));
    assert.deepEqual([...buffer], [0xff, 0xff, 1, 2, 0, 0, 0xff, 0xff]);
    assert.throws(() => field.write(new DataView(buffer.buffer), 0, new Uint8Array(5)), VmkdError);
    assert.throws(() => getVersion.reply.read(new Uint8Array(55)), VmkdError);
    assert.equal(virtualAddress(-1n), 0xffff_ffff_ffff_ffffn);
  });
});
