// What a stopped target must answer, request by request. Each check states NT's rule in its name.

import { stateOf, TYPE } from './wire.mjs';

export const FAILED = 0xc0000001;
const u64 = (bytes, at = 0) => bytes.readBigUInt64LE(at);

export const read = (peer, address, count, options) =>
  peer.request(
    0x3130,
    [
      [16, 8, address],
      [24, 4, count],
    ],
    undefined,
    options,
  );
export const write = (peer, address, data) =>
  peer.request(
    0x3131,
    [
      [16, 8, address],
      [24, 4, data.length],
    ],
    data,
  );
export const physical = (peer, address, count, caching = 0) =>
  peer.request(0x313d, [
    [16, 8, address],
    [24, 4, count],
    [28, 4, caching],
  ]);
export const control = (peer, base, count, cpu = 0) =>
  peer.request(
    0x3137,
    [
      [16, 8, base],
      [24, 4, count],
    ],
    undefined,
    { cpu },
  );
export const context = (peer, cpu = 0) => peer.request(0x3132, [], undefined, { cpu });
export const setBreakpoint = async (peer, address) => {
  const reply = await peer.request(0x3134, [[16, 8, address]]);
  return reply.status === 0 ? reply.head.readUInt32LE(24) : 0;
};
export const clearBreakpoint = async (peer, handle) =>
  (await peer.request(0x3135, [[16, 4, handle]])).status === 0;
export const go = (peer, { trace = 0, dr7 = 0x400n, status = 0x10002 } = {}) =>
  peer.request(
    0x313c,
    [
      [16, 4, status],
      [20, 4, trace],
      [24, 8, dr7],
      [32, 8, 1],
      [40, 8, 0],
    ],
    undefined,
    { reply: false },
  );
export const pointer = async (peer, address) => u64((await read(peer, address, 8)).data);

/** Waits for a stop; module notices on the way are collected and continued, as a debugger does. */
export async function stop(peer, limit = 10000, { notices = [], continueNotices = true } = {}) {
  for (;;) {
    const state = stateOf((await peer.next([TYPE.state], limit)).payload);
    if (state.kind !== 'symbols' || !continueNotices) return state;
    notices.push(state);
    await go(peer);
  }
}

/** A stop at a hard-coded int3 repeats for ever unless RIP is moved over it. */
export async function skipInt3(peer, state) {
  if ((await read(peer, state.pc, 1)).data[0] !== 0xcc) return;
  const whole = (await context(peer, state.cpu)).data;
  whole.writeBigUInt64LE(state.pc + 1n, 0xf8);
  await peer.request(0x3133, [[16, 4, 0]], whole, { cpu: state.cpu });
}

export async function resume(peer, state, options) {
  await skipInt3(peer, state);
  await go(peer, options);
}

export async function memory(t, peer, target) {
  const header = await read(peer, target.base, 0x40);
  t.is('the kernel header begins with MZ', header.data.toString('latin1', 0, 2), 'MZ');
  t.is('ActualBytesRead is the length', header.head.readUInt32LE(28), 0x40);
  const long = await read(peer, target.base, 100000);
  t.is(
    'a read is clamped to 3944 bytes',
    [long.status, long.head.readUInt32LE(28), long.data.length],
    [0, 3944, 3944],
  );
  const none = await read(peer, 0x10n, 8);
  t.is('an address that is not there: C0000001, no bytes', [none.status, none.data.length], [FAILED, 0]);
  let edge = (target.base & ~0xfffn) + 0x1000n;
  for (let i = 0; i < 4096 && (await read(peer, edge, 1)).status === 0; i++) edge += 0x1000n;
  const partial = await read(peer, edge - 24n, 64);
  t.is(
    'a read into a hole: C0000001 and the bytes before it',
    [partial.status, partial.head.readUInt32LE(28), partial.data.length],
    [FAILED, 24, 24],
  );
  const odd = await read(peer, target.base + 3n, 13);
  t.is('odd addresses and lengths', odd.data.equals(header.data.subarray(3, 16)), true);

  const buffer = target.scratch;
  const before = (await read(peer, buffer, 256)).data;
  const pattern = Buffer.from(Array.from({ length: 255 }, (_, i) => i));
  const wrote = await write(peer, buffer + 1n, pattern);
  t.is('a write counts its bytes', [wrote.status, wrote.head.readUInt32LE(28)], [0, 255]);
  t.is('what was written is read', (await read(peer, buffer + 1n, 255)).data.equals(pattern), true);
  await write(peer, target.base + 2n, Buffer.from([0x77]));
  t.is('a read-only page of code is written', (await read(peer, target.base + 2n, 1)).data[0], 0x77);
  await write(peer, target.base + 2n, header.data.subarray(2, 3));

  const find = await peer.request(
    0x3156,
    [
      [16, 8, buffer],
      [24, 8, 4096],
      [32, 4, 3],
    ],
    Buffer.from([9, 10, 11]),
  );
  t.is('SearchMemory finds', [find.status, u64(find.head, 16)], [0, buffer + 1n + 9n]);
  const lost = await peer.request(
    0x3156,
    [
      [16, 8, target.base],
      [24, 8, 64],
      [32, 4, 4],
    ],
    Buffer.from('nope'),
  );
  t.is('SearchMemory that finds nothing: 8000001A', lost.status, 0x8000001a);
  const hole = await peer.request(
    0x3156,
    [
      [16, 8, edge - 0x2000n],
      [24, 8, 0x4000],
      [32, 4, 8],
    ],
    Buffer.from('\x01nowhere'),
  );
  t.is('SearchMemory steps over holes', hole.status, 0x8000001a);
  const fill = await peer.request(
    0x315b,
    [
      [16, 8, buffer],
      [24, 4, 10],
      [28, 2, 1],
      [30, 2, 3],
    ],
    Buffer.from('abc'),
  );
  t.is('FillMemory counts', [fill.status, fill.head.readUInt32LE(24)], [0, 10]);
  t.is('FillMemory repeats its pattern', (await read(peer, buffer, 10)).data.toString(), 'abcabcabca');
  const query = await peer.request(0x315c, [
    [16, 8, buffer],
    [24, 8, 0],
    [32, 4, 0],
  ]);
  t.is(
    'QueryMemory: kernel space, all allowed',
    [query.status, query.head.readUInt32LE(32), query.head.readUInt32LE(36)],
    [0, 2, 7],
  );
  t.is(
    'QueryMemory of another space: C000000D',
    (
      await peer.request(0x315c, [
        [16, 8, buffer],
        [32, 4, 1],
      ])
    ).status,
    0xc000000d,
  );
  t.is('CheckLowMemory answers', (await peer.request(0x3159)).status, 0);
  await write(peer, buffer, before);

  const cr3 = u64((await control(peer, 2, 0xe0)).data, 0x10) & 0x000ffffffffff000n;
  let table = cr3;
  let frame = 0n;
  for (const shift of [39n, 30n, 21n, 12n]) {
    const entry = u64((await physical(peer, table + ((buffer >> shift) & 0x1ffn) * 8n, 8)).data);
    if (!(entry & 1n)) break;
    const large = shift > 12n && shift < 39n && (entry & 0x80n) !== 0n;
    if (large || shift === 12n) {
      frame = (entry & 0x000ffffffffff000n & ~((1n << shift) - 1n)) | (buffer & ((1n << shift) - 1n));
      break;
    }
    table = entry & 0x000ffffffffff000n;
  }
  for (const caching of [0, 1, 2, 3]) {
    t.is(
      `physical memory, cache flag ${caching}, is what the page tables say`,
      (await physical(peer, frame, 64, caching)).data.equals(before.subarray(0, 64)),
      true,
    );
  }
  const spoil = await peer.request(
    0x313e,
    [
      [16, 8, frame],
      [24, 4, 4],
      [28, 4, 0],
    ],
    Buffer.from('PHYS'),
  );
  t.is('WritePhysicalMemory', [spoil.status, (await read(peer, buffer, 4)).data.toString()], [0, 'PHYS']);
  const fillPhysical = await peer.request(
    0x315b,
    [
      [16, 8, frame],
      [24, 4, 4],
      [28, 2, 2],
      [30, 2, 1],
    ],
    Buffer.from('z'),
  );
  t.is(
    'FillMemory, physical',
    [fillPhysical.status, (await read(peer, buffer, 4)).data.toString()],
    [0, 'zzzz'],
  );
  await write(peer, buffer, before);
  t.is(
    'physical memory beyond the machine: C0000001',
    (await physical(peer, 0xfffffffffffff000n, 8)).status,
    FAILED,
  );
}

export async function registers(t, peer, target) {
  await peer.reset(); // a fresh report: contexts are not "sent" yet
  target.state = await stop(peer);
  const old = Buffer.alloc(1232);
  t.is(
    'SetContext without GetContext: C0000001',
    (await peer.request(0x3133, [[16, 4, 0]], old)).status,
    FAILED,
  );
  for (let cpu = 0; cpu < target.cpus; cpu++) {
    const whole = await context(peer, cpu);
    t.is(`cpu ${cpu}: GetContext has 1232 bytes`, [whole.status, whole.data.length], [0, 1232]);
    const rip = u64(whole.data, 0xf8);
    t.is(`cpu ${cpu}: RIP is in the kernel half`, rip > 0xffff800000000000n, true);
    if (cpu === target.state.cpu) t.is('RIP is the reported ProgramCounter', rip, target.state.pc);
    const halves = [];
    for (const [offset, count] of [
      [0, 0x200],
      [0x200, 0x400],
    ]) {
      const part = await peer.request(
        0x315f,
        [
          [16, 4, offset],
          [20, 4, count],
        ],
        undefined,
        { cpu },
      );
      halves.push(part.data);
      t.is(
        `cpu ${cpu}: GetContextEx at ${offset}`,
        part.head.readUInt32LE(24),
        Math.min(count, 1232 - offset),
      );
    }
    t.is(`cpu ${cpu}: GetContextEx agrees`, Buffer.concat(halves).equals(whole.data), true);

    const changed = Buffer.from(whole.data);
    changed.writeBigUInt64LE(0x1122334455667788n, 0xf0); // R15
    t.is(
      `cpu ${cpu}: SetContext`,
      (await peer.request(0x3133, [[16, 4, 0x58c]], changed, { cpu })).status,
      0,
    );
    t.is(`cpu ${cpu}: SetContext took`, u64((await context(peer, cpu)).data, 0xf0), 0x1122334455667788n);
    for (const [offset, count] of [
      [0, 512],
      [512, 512],
      [1024, 208],
    ]) {
      const part = await peer.request(
        0x3160,
        [
          [16, 4, offset],
          [20, 4, count],
          [24, 4, 1232],
        ],
        whole.data.subarray(offset, offset + count),
        { cpu },
      );
      t.is(`cpu ${cpu}: SetContextEx at ${offset}`, [part.status, part.head.readUInt32LE(24)], [0, count]);
      const committed = u64((await context(peer, cpu)).data, 0xf0) === u64(whole.data, 0xf0);
      t.is(`cpu ${cpu}: committed only when complete`, committed, offset === 1024);
    }

    const pcr = u64((await control(peer, 0, 8, cpu)).data);
    const prcb = u64((await control(peer, 1, 8, cpu)).data);
    const thread = u64((await control(peer, 3, 8, cpu)).data);
    t.is(`cpu ${cpu}: KPRCB lies in KPCR`, prcb - pcr, 0x180n);
    t.is(`cpu ${cpu}: KPCR.Self`, await pointer(peer, pcr + 0x18n), pcr);
    t.is(`cpu ${cpu}: KPRCB.CurrentThread`, await pointer(peer, prcb + 8n), thread);
    t.is(
      `cpu ${cpu}: KiProcessorBlock`,
      await pointer(peer, target.kdbg.processorBlock + BigInt(cpu * 8)),
      prcb,
    );
    const special = await control(peer, 2, 0xe0, cpu);
    t.is(`cpu ${cpu}: special registers, 0xE0 asked and given`, special.data.length, 0xe0);
    t.is(`cpu ${cpu}: paging is on in CR0`, special.data.readUInt32LE(0) >>> 31, 1);
    const dr = Buffer.from(special.data);
    dr.writeBigUInt64LE(0xffff800012345678n, 0x20);
    t.is(
      `cpu ${cpu}: WriteControlSpace 2`,
      (
        await peer.request(
          0x3138,
          [
            [16, 8, 2],
            [24, 4, dr.length],
          ],
          dr,
          { cpu },
        )
      ).head.readUInt32LE(28),
      0xe0,
    );
    t.is(
      `cpu ${cpu}: KernelDr0 took`,
      u64((await control(peer, 2, 0x28, cpu)).data, 0x20),
      0xffff800012345678n,
    );
    await peer.request(
      0x3138,
      [
        [16, 8, 2],
        [24, 4, 0xe0],
      ],
      special.data,
      { cpu },
    );
  }
  t.is('control space 4: C0000001', (await control(peer, 4, 8)).status, FAILED);
  t.is(
    'write to control space 0: C0000001',
    (
      await peer.request(
        0x3138,
        [
          [16, 8, 0],
          [24, 4, 8],
        ],
        Buffer.alloc(8),
      )
    ).status,
    FAILED,
  );
  t.is('a processor that does not exist: C0000001', (await context(peer, 32)).status, FAILED);
}

export async function processor(t, peer) {
  const msr = (index, lo, hi) =>
    lo === undefined
      ? peer.request(0x3152, [[16, 4, index]])
      : peer.request(0x3153, [
          [16, 4, index],
          [20, 4, lo],
          [24, 4, hi],
        ]);
  const efer = await msr(0xc0000080);
  t.is('EFER: long mode is active', [efer.status, (efer.head.readUInt32LE(20) & 0x400) !== 0], [0, true]);
  // QEMU's TCG lets every MSR be read; a reserved bit of IA32_PKRS is one of the few things that it refuses.
  t.is('a write that faults fails, and the kernel lives', (await msr(0x6e1, 0, 1)).status, 0xc000000e);
  const star = await msr(0xc0000083);
  t.is('a write of CSTAR', (await msr(0xc0000083, 0x1234, 0)).status, 0);
  t.is('took', (await msr(0xc0000083)).head.readUInt32LE(20), 0x1234);
  await msr(0xc0000083, star.head.readUInt32LE(20), star.head.readUInt32LE(24));

  const input = (port, size) =>
    peer.request(0x3139, [
      [16, 8, port],
      [24, 4, size],
    ]);
  const output = (port, size, value) =>
    peer.request(0x313a, [
      [16, 8, port],
      [24, 4, size],
      [28, 4, value],
    ]);
  t.is('WriteIoSpace: the scratch register of COM2', (await output(0x2ff, 1, 0x5c)).status, 0);
  t.is('ReadIoSpace', (await input(0x2ff, 1)).head[28], 0x5c);
  t.is(
    '32-bit ports: the PCI address',
    [(await output(0xcf8, 4, 0x80000000)).status, (await input(0xcfc, 4)).head.readUInt32LE(28) & 0xffff],
    [0, 0x8086],
  );
  t.is('16-bit ports', (await input(0xcfc, 2)).head.readUInt16LE(28), 0x8086);
  t.is('a misaligned port: 80000002', (await input(0xcfd, 4)).status, 0x80000002);
  t.is('a size of 3: C000000D', (await input(0xcfc, 3)).status, 0xc000000d);
  const extended = await peer.request(0x3144, [
    [16, 4, 1],
    [20, 4, 1],
    [24, 4, 0],
    [28, 4, 1],
    [32, 8, 0x2ff],
  ]);
  t.is('ReadIoSpaceExtended', [extended.status, extended.head[40]], [0, 0x5c]);
  t.is(
    'WriteIoSpaceExtended',
    (
      await peer.request(0x3145, [
        [16, 4, 1],
        [20, 4, 1],
        [24, 4, 0],
        [28, 4, 1],
        [32, 8, 0x2ff],
        [40, 4, 0x5d],
      ])
    ).status,
    0,
  );
  t.is('took', (await input(0x2ff, 1)).head[28], 0x5d);
  const bus = await peer.request(0x3157, [
    [16, 4, 4],
    [20, 4, 0],
    [24, 4, 0],
    [28, 4, 0],
    [32, 4, 64],
  ]);
  t.is(
    'GetBusData: the host bridge',
    [bus.status, bus.head.readUInt32LE(32), bus.data.readUInt32LE(0)],
    [0, 64, 0x12378086],
  );
  const line = await peer.request(0x3157, [
    [16, 4, 4],
    [20, 4, 0],
    [24, 4, 1],
    [28, 4, 0x3c],
    [32, 4, 1],
  ]);
  t.is(
    'SetBusData: an interrupt line',
    (
      await peer.request(
        0x3158,
        [
          [16, 4, 4],
          [20, 4, 0],
          [24, 4, 1],
          [28, 4, 0x3c],
          [32, 4, 1],
        ],
        line.data,
      )
    ).status,
    0,
  );
  t.is(
    'GetBusData of another bus kind: C0000001',
    (
      await peer.request(0x3157, [
        [16, 4, 1],
        [32, 4, 4],
      ])
    ).status,
    FAILED,
  );
}

export async function refused(t, peer) {
  for (const api of [
    0x313f, 0x3140, 0x3142, 0x3143, 0x3147, 0x3148, 0x3151, 0x3154, 0x315d, 0x315e, 0x3161, 0x9999,
  ]) {
    const reply = await peer.request(api);
    const echoed = Buffer.from(peer.lastRequest);
    echoed.writeUInt32LE(FAILED, 8);
    t.is(
      `api ${api.toString(16)}: the 56 bytes come back with C0000001`,
      [reply.head.equals(echoed), reply.data.length],
      [true, 0],
    );
  }
  await peer.request(0x3141, [], undefined, { reply: false });
  await peer.request(0x315a, [], undefined, { reply: false });
  const version = await peer.request(0x3146, [], undefined, { cpu: 0xffff });
  t.is('after two silent ones GetVersion is next', version.status, 0);
  t.is(
    'unused fields are echoed',
    [version.head.readUInt16LE(6), version.head.readUInt32LE(12)],
    [0xffff, 0xcdcdcdcd],
  );
}

export async function breakpoints(t, peer, target) {
  const place = target.base + 0x1000n; // never executed while we look: the machine is stopped
  const before = (await read(peer, place, 64)).data;
  const handle = await setBreakpoint(peer, place);
  t.is('a handle between 1 and 32', handle >= 1 && handle <= 32, true);
  t.is('the int3 is in memory', (await read(peer, place, 1)).data[0], 0xcc);
  t.is('a second one at the same place is refused', await setBreakpoint(peer, place), 0);
  const handles = [handle];
  for (let i = 1n; i < 32n; i++) handles.push(await setBreakpoint(peer, place + i));
  t.is('there are 32', new Set(handles).size, 32);
  t.is('and no more', await setBreakpoint(peer, place + 40n), 0);
  for (const each of handles) await clearBreakpoint(peer, each);
  t.is('all bytes are back', (await read(peer, place, 64)).data.equals(before), true);
  t.is('a handle twice: C0000001', await clearBreakpoint(peer, handle), false);
  t.is('handle 0: C0000001', await clearBreakpoint(peer, 0), false);
  t.is('handle 33: C0000001', await clearBreakpoint(peer, 33), false);
  const owed = await setBreakpoint(peer, 0xffffff0000001000n);
  t.is('a page that is not there is owed its breakpoint', owed > 0, true);
  t.is('and may be forgiven', await clearBreakpoint(peer, owed), true);

  const near = await setBreakpoint(peer, target.state.pc + 5n);
  const far = await setBreakpoint(peer, target.state.pc + 16n);
  const here = await setBreakpoint(peer, target.state.pc);
  await peer.request(0x3150, [], undefined, { cpu: 1 - target.state.cpu, reply: false });
  const other = await stop(peer);
  t.is(
    'SwitchProcessor: 80000007 from the other one',
    [other.code, other.cpu],
    [0x80000007, 1 - target.state.cpu],
  );
  await peer.request(0x3150, [], undefined, { cpu: target.state.cpu, reply: false });
  target.state = await stop(peer);
  t.is('and back', target.state.cpu, 1 - other.cpu);
  t.is(
    'a report deletes breakpoints in its 16 bytes',
    [await clearBreakpoint(peer, near), await clearBreakpoint(peer, here)],
    [false, false],
  );
  t.is('and not the next one', await clearBreakpoint(peer, far), true);
  const original = (await read(peer, target.state.pc, target.state.streamLength)).data;
  t.is('the stream shows the original bytes', target.state.stream.equals(original), true);
}

export async function handshake(t, peer, target) {
  peer.breakIn();
  const again = await stop(peer);
  t.is("a 'b' to a stopped target: the state again", again.pc, target.state.pc);
  await peer.reset();
  t.is('RESET: the state again', (await stop(peer)).pc, target.state.pc);

  const duplicates = peer.seen.duplicates;
  peer.dropAcks = 2;
  t.is('lost acknowledgements: sent again until acknowledged', (await read(peer, target.base, 4)).status, 0);
  await peer.until(() => peer.seen.duplicates >= duplicates + 1, 3000, 'a repeated reply');
  t.is('with the same id', peer.seen.duplicates > duplicates, true);

  const request = Buffer.alloc(56);
  request.writeUInt32LE(0x3146, 0);
  const spoilt = peer.frame(TYPE.manipulate, request, peer.nextId);
  spoilt[20] ^= 0xff;
  let resends = peer.seen.resends;
  peer.raw(spoilt);
  await peer.until(() => peer.seen.resends > resends, 3000, 'RESEND for a bad checksum');
  resends = peer.seen.resends;
  peer.raw(peer.frame(TYPE.manipulate, request, peer.nextId).subarray(0, 40));
  await peer.until(() => peer.seen.resends > resends, 3000, 'RESEND for half a packet');
  resends = peer.seen.resends;
  peer.raw(peer.frame(TYPE.manipulate, Buffer.alloc(5000), peer.nextId));
  await peer.until(() => peer.seen.resends > resends, 3000, 'RESEND for a packet too long');
  await new Promise((resolve) => setTimeout(resolve, 300)); // its 5000 bytes are searched for a leader
  peer.raw(peer.frame(TYPE.manipulate, request, (peer.nextId ^ 1) >>> 0));
  t.is('a duplicate is dropped, the next one answered', (await read(peer, target.base, 4)).status, 0);
  for (const type of [TYPE.io, 0x22]) {
    const id = peer.nextId;
    const acks = peer.seen.acks.length;
    resends = peer.seen.resends;
    peer.raw(peer.frame(type, request, id));
    await peer.until(() => peer.seen.acks.length > acks, 3000, `an acknowledgement of type ${type}`);
    t.is(
      `type ${type}, which nobody waits for, is acknowledged`,
      [peer.seen.acks[acks], peer.seen.resends],
      [id, resends],
    );
    t.is('and dropped: its id comes again', (await read(peer, target.base, 4)).status, 0);
  }
  peer.raw(Buffer.from('\x00garbage 0i0i0i bbb000'));
  t.is('garbage in front of a packet does no harm', (await read(peer, target.base, 4)).status, 0);
  await resume(peer, target.state);
  target.state = await stop(peer);
  t.is("the b's among it were remembered: the target stops again after go", target.state.code, 0x80000003);
}
