import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import {
  PacketScanner,
  PacketType,
  checksum,
  encodeControlPacket,
  encodeDataPacket,
  initialPacketId,
  maxAcceptedPayload,
} from './framing';

type Found = string;

function scan(chunks: Iterable<Uint8Array>): { found: Found[]; scanner: PacketScanner } {
  const found: Found[] = [];
  const scanner = new PacketScanner({
    onData: (type, id, payload) =>
      found.push(`data ${type} ${id.toString(16)} ${Buffer.from(payload).toString('hex')}`),
    onControl: (type, id) => found.push(`control ${type} ${id.toString(16)}`),
    onBreakIn: () => found.push('break-in'),
    onDamaged: (reason) => found.push(`damaged ${reason}`),
    onGarbage: (count) => found.push(`garbage ${count}`),
  });
  for (const chunk of chunks) scanner.push(chunk);
  return { found, scanner };
}

const payload = Uint8Array.of(1, 2, 3, 0x30, 0x30, 0x30, 0x30, 0x69);
const packet = encodeDataPacket(PacketType.DebugIo, initialPacketId, payload);
const packetFound = `data 3 80800000 ${Buffer.from(payload).toString('hex')}`;
const join = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);

void describe('KDCOM framing', () => {
  void it('lays a data packet out as kdcom does', () => {
    assert.equal(
      Buffer.from(
        encodeDataPacket(PacketType.StateManipulate, 0x80800001, Uint8Array.of(0xff, 0x02)),
      ).toString('hex'),
      '30303030' + '0200' + '0200' + '01008080' + '01010000' + 'ff02' + 'aa',
    );
  });

  void it('lays a control packet out as kdcom does, without a trailer', () => {
    assert.equal(
      Buffer.from(encodeControlPacket(PacketType.Reset, 0)).toString('hex'),
      '69696969' + '0600' + '0000' + '00000000' + '00000000',
    );
  });

  void it('sums bytes', () => {
    assert.equal(checksum(new Uint8Array(4096).fill(0xff)), 4096 * 0xff);
  });

  void it('finds packets however they are split', () => {
    const stream = join(packet, encodeControlPacket(PacketType.Acknowledge, initialPacketId), packet);
    const whole = [packetFound, 'control 4 80800000', packetFound];
    for (let cut = 0; cut <= stream.length; cut++) {
      assert.deepEqual(scan([stream.subarray(0, cut), stream.subarray(cut)]).found, whole, `cut at ${cut}`);
    }
    assert.deepEqual(scan(Array.from(stream, (byte) => Uint8Array.of(byte))).found, whole, 'byte by byte');
  });

  void it('tells a break-in from packet bytes', () => {
    assert.deepEqual(scan([join(Uint8Array.of(0x62), packet, Uint8Array.of(0x62))]).found, [
      'break-in',
      packetFound,
      'break-in',
    ]);
    const inside = encodeDataPacket(PacketType.DebugIo, initialPacketId, Uint8Array.of(0x62, 0x62));
    assert.deepEqual(scan([inside]).found, ['data 3 80800000 6262']);
  });

  void it('finds a packet behind leader bytes that belong to none', () => {
    for (let extra = 1; extra <= 7; extra++) {
      const { found } = scan([join(new Uint8Array(extra).fill(0x30), packet)]);
      assert.equal(found.at(-1), packetFound, `${extra} bytes in front`);
    }
  });

  void it('refuses a wrong checksum and a wrong trailer, and goes on behind the packet', () => {
    const wrongSum = packet.slice();
    wrongSum[16] = 0x55;
    assert.deepEqual(scan([join(wrongSum, packet)]).found, ['damaged checksum', packetFound]);
    const wrongTrailer = packet.slice();
    wrongTrailer[wrongTrailer.length - 1] = 0;
    assert.deepEqual(scan([join(wrongTrailer, packet)]).found, ['damaged trailer', packetFound]);
  });

  void it('does not take packets inside a damaged payload for packets', () => {
    const wrapped = encodeDataPacket(PacketType.DebugIo, initialPacketId, packet);
    wrapped[12] = (wrapped[12] ?? 0) ^ 1;
    assert.deepEqual(scan([wrapped]).found, ['damaged checksum']);
  });

  void it('gives an impossible length up at once', () => {
    const tooLong = packet.slice();
    new DataView(tooLong.buffer).setUint16(6, 0xffff, true);
    const { found, scanner } = scan([tooLong.subarray(0, 16)]);
    assert.ok(found.includes('damaged header'));
    assert.equal(scanner.midPacket, false);
    assert.equal(maxAcceptedPayload < 0xffff, true);
  });

  void it('waits for the rest of a packet, and finds the next one when told that it will not come', () => {
    const { found, scanner } = scan([packet.subarray(0, 20)]);
    assert.equal(scanner.midPacket, true);
    scanner.expire();
    assert.ok(found.includes('damaged header'));
    scanner.push(packet);
    assert.equal(found.at(-1), packetFound);
  });

  void it('consumes any noise in bounded memory and finds the packet behind it', () => {
    const seed = seedFromEnvironment();
    const random = randomFrom(seed);
    for (let round = 0; round < 300; round++) {
      const noise = Uint8Array.from({ length: random.below(3000) }, () =>
        random.below(4) === 0 ? 0x30 : random.below(256),
      );
      const { found, scanner } = scan([noise]);
      // The noise may end in what looks like a packet begun.
      for (let i = 0; i < noise.length && scanner.midPacket; i++) scanner.expire();
      assert.equal(scanner.midPacket, false, `seed ${seed} round ${round}`);
      scanner.push(packet);
      assert.equal(found.at(-1), packetFound, `seed ${seed} round ${round}`);
    }
  });
});
