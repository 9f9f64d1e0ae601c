import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmkdError } from '../core/errors';
import { formatLinkSpec, parseLinkSpec, type LinkSpec } from './spec';

const good: [string, LinkSpec][] = [
  ['unix:/tmp/com1', { kind: 'unix', path: '/tmp/com1' }],
  ['UNIX:/tmp/a:b', { kind: 'unix', path: '/tmp/a:b' }],
  ['/tmp/com 1', { kind: 'unix', path: '/tmp/com 1' }],
  ['unix-listen:/tmp/com1', { kind: 'unix-listen', path: '/tmp/com1' }],
  ['tcp:esx.example:8001', { kind: 'tcp', host: 'esx.example', port: 8001 }],
  ['tcp:[fe80::1]:8001', { kind: 'tcp', host: 'fe80::1', port: 8001 }],
  ['tcp-listen:8001', { kind: 'tcp-listen', host: '127.0.0.1', port: 8001 }],
  ['tcp-listen:[::1]:8001', { kind: 'tcp-listen', host: '::1', port: 8001 }],
  ['tcp-listen:localhost:65535', { kind: 'tcp-listen', host: 'localhost', port: 65535 }],
  ['pipe:com_1', { kind: 'pipe', path: '\\\\.\\pipe\\com_1' }],
  ['pipe:\\\\.\\pipe\\com_1', { kind: 'pipe', path: '\\\\.\\pipe\\com_1' }],
  ['\\\\.\\PIPE\\com_1', { kind: 'pipe', path: '\\\\.\\pipe\\com_1' }],
  ['//./pipe/com_1', { kind: 'pipe', path: '\\\\.\\pipe\\com_1' }],
  ['\\\\box\\pipe\\com 1', { kind: 'pipe', path: '\\\\box\\pipe\\com 1' }],
  ['pipe-listen:kd_Windows 11', { kind: 'pipe-listen', path: '\\\\.\\pipe\\kd_Windows 11' }],
  ['com:pipe,port=\\\\.\\pipe\\com_1,resets=0,reconnect', { kind: 'pipe', path: '\\\\.\\pipe\\com_1' }],
  ['COM:Port=\\\\box\\pipe\\com_1,Pipe', { kind: 'pipe', path: '\\\\box\\pipe\\com_1' }],
  ['com:ipport=8001,port=10.0.0.7', { kind: 'tcp', host: '10.0.0.7', port: 8001 }],
  ['com:port=fe80::1,ipport=8001', { kind: 'tcp', host: 'fe80::1', port: 8001 }],
];

for (const [text, spec] of good) {
  test(`reads ${text}`, () => {
    assert.deepEqual(parseLinkSpec(text), spec);
    assert.deepEqual(parseLinkSpec(formatLinkSpec(spec)), spec);
  });
}

const wrong: [string, RegExp][] = [
  ['', /no kind/],
  ['com_1', /no kind/],
  ['serial:1', /“serial” is no kind/],
  ['C:\\vm\\com1', /“c” is no kind/],
  ['unix:relative', /must begin with “\/”/],
  ['unix:/a\0b', /NUL/],
  [`unix:/${'x'.repeat(107)}`, /108 bytes, and a Unix socket takes 10\d/],
  [`unix:/${'ü'.repeat(54)}`, /109 bytes/],
  ['tcp:8001', /host:port/],
  ['tcp:host:0', /1 to 65535, not “0”/],
  ['tcp:host:65536', /1 to 65535/],
  ['tcp:host:1e3', /1 to 65535/],
  ['tcp:fe80::1:8001', /brackets/],
  ['tcp:[host]:8001', /“host” is no IPv6 address/],
  ['tcp:a b:1', /“a b” is no host name/],
  ['tcp::8001', /“” is no host name/],
  ['tcp-listen:0.0.0.0:8001', /loopback only/],
  ['tcp-listen:[::]:8001', /loopback only/],
  ['pipe:', /name of the pipe is missing/],
  ['pipe:a\\b', /may not hold/],
  ['pipe:a\nb', /control character/],
  [`pipe:${'x'.repeat(248)}`, /257 characters/],
  ['pipe-listen:\\\\box\\pipe\\x', /this machine's pipes only/],
  ['com:port=COM1,baud=115200', /real serial port/],
  ['com:pipe', /“port=” is missing/],
  ['com:pipe,port=com_1', /should look like/],
  ['com:pipe,port=\\\\.\\pipe\\x,resets=many', /needs a number/],
  ['com:pipe,port=\\\\.\\pipe\\x,resets', /needs a value/],
  ['com:pipe=1,port=\\\\.\\pipe\\x', /takes no value/],
  ['com:pipe,pipe,port=\\\\.\\pipe\\x', /stands twice/],
  ['com:modem', /“modem” is no option/],
  ['com:pipe,ipport=1,port=\\\\.\\pipe\\x', /not both/],
  [`unix:/${'x'.repeat(5000)}`, /longer than 4096/],
];

for (const [text, why] of wrong) {
  test(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
    assert.throws(
      () => parseLinkSpec(text),
      (error) => error instanceof VmkdError && error.code === 'link-bad-spec' && why.test(error.message),
    );
  });
}

const port = fc.integer({ min: 1, max: 65535 });
const path = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map((text) => `/${text.replaceAll('\0', '')}`)
  // `//server/pipe/x` is how shells that eat backslashes spell a pipe, but only without `unix:` before it.
  .filter((text) => Buffer.byteLength(text) <= 103);
const pipeName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((name) => !/[\\/\p{Cc}]/u.test(name));
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
const plain = { noNullPrototype: true };
const spec: fc.Arbitrary<LinkSpec> = fc.oneof(
  fc.record({ kind: fc.constantFrom('unix', 'unix-listen'), path }, plain),
  fc.record({ kind: fc.constant('tcp'), host, port }, plain),
  fc.record(
    { kind: fc.constant('tcp-listen'), host: fc.constantFrom('127.0.0.1', '::1', '127.9.9.9'), port },
    plain,
  ),
  fc.record(
    { kind: fc.constantFrom('pipe', 'pipe-listen'), path: pipeName.map((n) => `\\\\.\\pipe\\${n}`) },
    plain,
  ),
  fc.record({ kind: fc.constant('pipe'), path: pipeName.map((n) => `\\\\box-7\\pipe\\${n}`) }, plain),
);

test('what is formatted reads back the same', () => {
  fc.assert(
    fc.property(spec, (one) => assert.deepEqual(parseLinkSpec(formatLinkSpec(one)), one)),
    { numRuns: 2000 },
  );
});

test('any text gives a link or link-bad-spec, nothing else', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('unix:', 'tcp:', 'tcp-listen:', 'pipe:', 'com:', '//'), fc.string())
      .map((t) => t.join('')),
  );
  fc.assert(
    fc.property(text, (one) => {
      try {
        const parsed = parseLinkSpec(one);
        assert.deepEqual(parseLinkSpec(formatLinkSpec(parsed)), parsed);
      } catch (error) {
        assert.ok(error instanceof VmkdError && error.code === 'link-bad-spec', String(error));
      }
    }),
    { numRuns: 5000 },
  );
});
