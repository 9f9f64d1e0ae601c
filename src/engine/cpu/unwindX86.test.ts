import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import {
  framePrograms,
  imageBase,
  MadeUpX86,
  registersAtX86,
  stackBase,
  taskDescriptor,
} from '../../../test/fixtures/unwindingX86';
import { CodeX86 } from './codeX86';
import { contextX86 } from './contextX86';
import { openDisassembler } from './disassembler';
import { walkStackX86 } from './unwindStack';
import { registersOfX86, unwindFrameX86, type FrameRegistersX86, type UnwoundX86 } from './unwindX86';

const disassembler = await openDisassembler('x86');
after(() => disassembler.dispose());

async function unwind(source: MadeUpX86, registers: FrameRegistersX86): Promise<UnwoundX86> {
  const image = source.imageAt(registers.exact ? registers.eip : plus(registers.eip, -1));
  return unwindFrameX86(source, new CodeX86(disassembler, source.memory), image, registers);
}

/** How, eip, esp above the stack's base, ebx, ebp, esi, edi. */
async function told(source: MadeUpX86, registers: FrameRegistersX86): Promise<unknown[]> {
  const { caller, method } = await unwind(source, registers);
  const [eip, esp] = [caller.eip, caller.esp].map((address) => Number(BigInt.asUintN(32, address)));
  const [, , , ebx, , ebp, esi, edi] = caller.general;
  assert.deepEqual(caller.eip, signExtend32(eip!));
  return [method, eip, esp! - stackBase, ebx, ebp, esi, edi];
}

const inexact = (registers: FrameRegistersX86, callee?: FrameRegistersX86['callee']): FrameRegistersX86 => ({
  ...registers,
  exact: false,
  callee,
});

const { search, chain } = framePrograms;

void describe('by FRAMEDATA', () => {
  void it('that follows ebp', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.code(0x1000, '55 8b ec 53 e8 00 10 00 00 5b 5d c3');
    source.frameData(0x1000, 12, chain, { prologBytes: 4, savedRegisterBytes: 4 });
    source.dwords(0x100, 0xbb, stackBase + 0x200, caller);
    const registers = registersAtX86(0x1004, 0x100, { ebp: stackBase + 0x104 });
    // No program of this row restores ebx: it says so by leaving it out.
    assert.deepEqual(await told(source, registers), [
      ...['frame-data', caller, 0x10c, 0x1003, stackBase + 0x200, 0x1006, 0x1007],
    ]);
  });

  void it('whose prologue stands in one row: by its code, up to where eip is', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.code(0x1000, '8b ff 55 8b ec 83 ec 10 53 56 e8 f1 0f 00 00 5e 5b c9 c3');
    source.frameData(0x1000, 19, `${chain} $ebx $T0 20 - ^ = $esi $T0 24 - ^ =`, {
      ...{ prologBytes: 10, localBytes: 16, savedRegisterBytes: 8 },
    });
    source.dwords(0x100, 0x66, 0xbb, 0, 0, 0, 0, stackBase + 0x200, caller);
    const frame = stackBase + 0x118;
    const points: readonly (readonly [rva: number, esp: number, ebp: number, method: string])[] = [
      [0x1000, 0x11c, stackBase + 0x200, 'code'],
      [0x1002, 0x11c, stackBase + 0x200, 'code'],
      [0x1003, 0x118, stackBase + 0x200, 'code'],
      [0x1005, 0x118, frame, 'code'],
      [0x1008, 0x108, frame, 'code'],
      [0x1009, 0x104, frame, 'code'],
      [0x100a, 0x100, frame, 'frame-data'],
      [0x100f, 0x100, frame, 'code'],
      [0x1010, 0x104, frame, 'code'],
      [0x1011, 0x108, frame, 'code'],
      [0x1012, 0x11c, stackBase + 0x200, 'code'],
    ];
    for (const [rva, esp, ebp, method] of points) {
      const registers = registersAtX86(rva, esp, { ebp, ebx: 0xbb, esi: 0x66 });
      assert.deepEqual(
        await told(source, registers),
        [method, caller, 0x120, 0xbb, stackBase + 0x200, 0x66, 0x1007],
        rva.toString(16),
      );
    }
  });

  void it('that searches: past what was pushed, and past what earlier calls left', async () => {
    const source = new MadeUpX86();
    const [ours, stale, pointer] = [source.callSite(0x1000), source.callSite(0x2000), source.callSite()];
    // An instruction that nobody decodes: the stack alone must do.
    source.code(0x1000, '53 ff ff');
    source.frameData(0x1000, 0x40, `${search} $ebx $T0 4 - ^ =`, { localBytes: 8, savedRegisterBytes: 4 });
    const at = registersAtX86(0x1001, 0x100);
    source.dwords(0x100, 0, 0, 0xbb, ours);
    assert.deepEqual((await told(source, at)).slice(0, 4), ['frame-data', ours, 0x110, 0xbb]);
    source.dwords(0x100, 1, 2, 3, 0, stale, 0xbb, ours);
    assert.deepEqual((await told(source, at)).slice(0, 4), ['frame-data', ours, 0x11c, 0xbb]);
    // Where it is awaited, a call through a pointer is as good.
    source.dwords(0x100, 0, 0, 0xbb, pointer, 0, ours);
    assert.deepEqual((await told(source, at)).slice(0, 4), ['frame-data', pointer, 0x110, 0xbb]);
    // Parameters of the function called last are still there; or were in this frame from the start.
    const later = inexact(at, { begin: undefined, parameterBytes: 8 });
    source.dwords(0x100, 1, 2, 0, 0, 0xbb, pointer, 0);
    assert.deepEqual((await told(source, later)).slice(0, 4), ['frame-data', pointer, 0x118, 0xbb]);
    source.dwords(0x100, 1, 2, 0xbb, pointer, 0, 0, 0);
    assert.deepEqual((await told(source, later)).slice(0, 4), ['frame-data', pointer, 0x110, 0xbb]);
  });

  void it('that searches: by the code to its return, over calls', async () => {
    const source = new MadeUpX86();
    const [ours, stale] = [source.callSite(0x1000), source.callSite(0x1000)];
    // push ebx; push 1; push 2; call 2000 (ret 8); push 3; call 2010; pop ecx; pop ebx; ret
    source.code(0x1000, '53 6a 01 6a 02 e8 f6 0f 00 00 6a 03 e8 ff 0f 00 00 59 5b c3');
    source.code(0x2000, '90 c2 08 00');
    source.code(0x2010, 'c3');
    source.frameData(0x1000, 20, `${search} $ebx $T0 4 - ^ =`, { savedRegisterBytes: 4, prologBytes: 1 });
    source.dwords(0x100, stale, stale, 0xbb, ours);
    for (const [rva, esp] of [
      [0x1005, 0x100],
      [0x1003, 0x104],
      [0x100c, 0x104],
    ] as const)
      assert.deepEqual((await told(source, registersAtX86(rva, esp))).slice(0, 4), [
        ...['frame-data', ours, 0x110, 0xbb],
      ]);
    // Behind the call, what it takes off is known from the function called.
    const behind = inexact(registersAtX86(0x100a, 0x100));
    assert.deepEqual((await told(source, behind)).slice(0, 4), ['frame-data', ours, 0x110, 0xbb]);
  });

  void it('that searches a switch', async () => {
    const source = new MadeUpX86();
    const [ours, stale] = [source.callSite(0x1000), source.callSite(0x1000)];
    // push ebx; push eax; jmp [table+ecx*4]; case 0: call 2000; pop eax; pop ebx; ret
    source.code(0x1000, '53 50 ff 24 8d 00 90 40 80 e8 f2 0f 00 00 58 5b c3');
    source.code(0x2000, 'c3');
    source.code(0x9000, '09 10 40 80');
    source.frameData(0x1000, 17, `${search} $ebx $T0 4 - ^ =`, { savedRegisterBytes: 4, prologBytes: 1 });
    source.dwords(0x100, stale, 0xbb, ours);
    assert.deepEqual((await told(source, registersAtX86(0x1002, 0x100))).slice(0, 4), [
      ...['frame-data', ours, 0x10c, 0xbb],
    ]);
  });

  void it('tells the next frame how many bytes of parameters there are', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.code(0x1000, 'c2 0c 00');
    source.frameData(0x1000, 3, search, { parameterBytes: 12 });
    source.dwords(0x100, caller);
    const { callee } = (await unwind(source, registersAtX86(0x1000, 0x100))).caller;
    assert.deepEqual(callee, { begin: signExtend32(imageBase + 0x1000), parameterBytes: 12 });
  });

  void it('that is damaged: the chain of ebp stands in', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.frameData(0x1000, 0x40, '$eip $esp 0 / = nonsense');
    source.dwords(0x100, 0, stackBase + 0x200, caller);
    const registers = registersAtX86(0x1010, 0x100, { ebp: stackBase + 0x104 });
    assert.deepEqual((await told(source, registers)).slice(0, 3), ['ebp', caller, 0x10c]);
    source.dwords(0x108, 0x1234);
    await assert.rejects(unwind(source, registers), { code: 'unwind-stuck' });
    // A program that leads to no return address is as bad; absent memory is not the program's fault.
    source.frameRows.length = 0;
    source.frameData(0x1000, 0x40, '$eip $esp 4 + ^ = $esp $esp 8 + =');
    source.dwords(0x100, caller, imageBase + 0x100);
    assert.deepEqual((await told(source, registers)).slice(0, 3), ['scan', caller, 0x104]);
    source.frameRows.length = 0;
    source.frameData(0x1000, 0x40, '$eip 16 ^ = $esp 8 =');
    await assert.rejects(unwind(source, registers), { code: 'memory-unreadable' });
  });
});

void describe('by FPO_DATA', () => {
  void it('with registers that the prologue saves', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    // sub esp,8; push ebx; push ebp; push esi; call eax; …
    source.code(0x1000, '83 ec 08 53 55 56 ff d0 cc');
    source.fpo(0x1000, 0x40, {
      ...{ localBytes: 8, savedRegisters: 3, usesEbp: true, prologBytes: 6, parameterBytes: 4 },
    });
    source.dwords(0x100, 0x66, 0x55, 0xbb, 0, 0, caller);
    const found = [caller, 0x118, 0xbb, 0x55, 0x66, 0x1007];
    assert.deepEqual(await told(source, registersAtX86(0x1006, 0x100)), ['fpo', ...found]);
    assert.deepEqual(await told(source, inexact(registersAtX86(0x1008, 0x100))), ['fpo', ...found]);
    const early = registersAtX86(0x1005, 0x104, { esi: 0x66 });
    assert.deepEqual(await told(source, early), ['code', ...found]);
    assert.deepEqual((await unwind(source, early)).caller.callee?.parameterBytes, 4);
    // A prologue that cannot be read saves registers nobody knows where.
    source.code(0x1003, 'ff ff');
    assert.deepEqual(await told(source, registersAtX86(0x1006, 0x100)), [
      ...['fpo', caller, 0x118, undefined, undefined, undefined, undefined],
    ]);
    source.fpoRows.length = 0;
    source.fpo(0x1000, 0x40, { localBytes: 20, prologBytes: 6 });
    assert.deepEqual(await told(source, registersAtX86(0x1006, 0x100)), [
      ...['fpo', caller, 0x118, 0x1003, 0x1005, 0x1006, 0x1007],
    ]);
  });

  void it('of a frame of ebp, with what its prologue saves', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.code(0x1000, '55 8b ec 83 ec 04 57 ff d0 cc');
    source.fpo(0x1000, 0x40, { frame: 'ebp', prologBytes: 7 });
    source.dwords(0x100, 0x77, 0, stackBase + 0x200, caller);
    const registers = inexact(registersAtX86(0x1009, 0x80, { ebp: stackBase + 0x108 }));
    assert.deepEqual(await told(source, registers), [
      ...['ebp', caller, 0x110, 0x1003, stackBase + 0x200, 0x1006, 0x77],
    ]);
  });
});

void describe('what was interrupted', () => {
  const frame = 0x200;

  /** A KTRAP_FRAME under ebp. */
  function trapped(cs: number, changes: Readonly<Record<number, number>> = {}): MadeUpX86 {
    const source = new MadeUpX86();
    source.fpo(0x1000, 0x40, { frame: 'trap' });
    const fields: Record<number, number> = {
      ...{ 0x54: 0x77, 0x58: 0x66, 0x5c: 0xbb, 0x60: 0x55, 0x68: imageBase + 0x3000, 0x6c: cs, 0x70: 0x246 },
      ...{ 0x74: stackBase + 0x800, 0x78: 0x23 },
      ...changes,
    };
    for (const [at, value] of Object.entries(fields)) source.dwords(frame + Number(at), value);
    return source;
  }

  const registers = inexact(registersAtX86(0x1010, 0x100, { ebp: stackBase + frame }));

  void it('by a trap, from either ring', async () => {
    const found = [0xbb, 0x55, 0x66, 0x77];
    assert.deepEqual(await told(trapped(8), registers), ['trap', imageBase + 0x3000, frame + 0x74, ...found]);
    assert.deepEqual(await told(trapped(0x1b), registers), ['trap', imageBase + 0x3000, 0x800, ...found]);
    const { caller, switchesStack } = await unwind(trapped(0x1b), registers);
    assert.deepEqual([caller.exact, caller.callee, switchesStack], [true, undefined, true]);
  });

  void it('by a trap that moved the stack, of Windows before and since 8.1', async () => {
    const old = { 0x10: 0x10008, 0x14: stackBase + 0x900 };
    const recent = { 0xc: 8, 0x10: stackBase + 0x900, 0x14: 5 };
    for (const changes of [old, recent]) assert.equal((await told(trapped(0, changes), registers))[2], 0x900);
  });

  void it('in virtual-8086 mode, or where ebp is not known: nobody can say', async () => {
    await assert.rejects(unwind(trapped(8, { 0x70: 0x20246 }), registers), { code: 'unwind-stuck' });
    await assert.rejects(unwind(trapped(8), { ...registers, general: [] }), { code: 'unwind-stuck' });
    const nowhere = { ...registers, general: registers.general.map(() => 0x10) };
    await assert.rejects(unwind(trapped(8), nowhere), { code: 'memory-unreadable' });
  });

  void it('by a task gate', async () => {
    const source = new MadeUpX86();
    source.fpo(0x1000, 0x40, { frame: 'tss' });
    const descriptor = (at: number, base: number, access: number): void =>
      source.dwords(at, ...taskDescriptor(base, access));
    descriptor(0x428, stackBase + 0x600, 0x8b);
    descriptor(0x450, stackBase + 0x700, 0x8b);
    source.dwords(0x620, imageBase + 0x3000, 0x246, 0xa, 0xc, 0xd, 0xb, stackBase + 0x800, 5, 6, 7);
    source.dwords(0x700, 0x28);
    const tasks = { gdt: signExtend32(stackBase + 0x400), gdtLimit: 0x57, taskRegister: 0x50 };
    source.tasks = tasks;
    assert.deepEqual(await told(source, registers), ['tss', imageBase + 0x3000, 0x800, 0xb, 5, 6, 7]);
    const { general, exact } = (await unwind(source, registers)).caller;
    assert.deepEqual([general[0], general[1], general[2], exact], [0xa, 0xc, 0xd, true]);

    const stuck = { code: 'unwind-stuck' };
    for (const bad of [
      { taskRegister: 0 },
      { taskRegister: 0x54 },
      { taskRegister: 0x58 },
      { gdtLimit: 0x56 },
    ]) {
      source.tasks = { ...tasks, ...bad };
      await assert.rejects(unwind(source, registers), stuck, JSON.stringify(bad));
    }
    source.tasks = tasks;
    // Not present; a 16-bit one; a gate.
    for (const access of [0x0b, 0x83, 0x8c, 0x9b]) {
      descriptor(0x428, stackBase + 0x600, access);
      await assert.rejects(unwind(source, registers), stuck, access.toString(16));
    }
    source.tasks = undefined;
    await assert.rejects(unwind(source, registers), stuck);
  });
});

void describe('without rows', () => {
  void it('by the code, where it can be followed', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    // push esi; push edi; call 2000; mov esi,eax; pop edi; mov eax,esi; pop esi; ret 4
    source.code(0x1000, '56 57 e8 f9 0f 00 00 8b f0 5f 8b c6 5e c2 04 00');
    source.code(0x2000, 'c3');
    source.dwords(0x100, 0x77, 0x66, caller);
    const found = [caller, 0x10c, 0x1003, 0x1005, 0x66, 0x77];
    for (const registers of [
      ...[registersAtX86(0x1002, 0x100), inexact(registersAtX86(0x1007, 0x100))],
      ...[registersAtX86(0x1009, 0x100), registersAtX86(0x100a, 0x104, { edi: 0x77 })],
      registersAtX86(0x100d, 0x108, { esi: 0x66, edi: 0x77 }),
    ])
      assert.deepEqual(await told(source, registers), ['code', ...found]);
    // At its first instruction, the call says where that is.
    const first = registersAtX86(0x1000, 0x108, { esi: 0x66, edi: 0x77 });
    source.code(0x1002, 'ff ff');
    assert.deepEqual(await told(source, first), ['code', ...found]);
  });

  void it('a jump to another function is a return; one within is none', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    source.frameData(0x1000, 0x40, search);
    source.frameData(0x2000, 0x40, search);
    // The one jumped to calls, and so cannot be followed.
    source.code(0x2000, '51 ff d0 59 c3');
    source.code(0x1000, '5b e9 fa 0f 00 00');
    source.dwords(0x100, 0xbb, caller, caller);
    assert.deepEqual((await told(source, registersAtX86(0x1000, 0x100))).slice(0, 4), [
      ...['code', caller, 0x108, 0xbb],
    ]);
    source.code(0x1010, 'eb 0e');
    source.code(0x1020, '83 c4 04 c3');
    assert.deepEqual((await told(source, registersAtX86(0x1010, 0x100))).slice(0, 3), [
      'code',
      caller,
      0x108,
    ]);
    source.code(0x1030, '58 ff 25 00 00 00 00');
    assert.deepEqual((await told(source, registersAtX86(0x1030, 0x100))).slice(0, 3), [
      'code',
      caller,
      0x108,
    ]);
  });

  void it('loops end the second time', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite(0x1000);
    // again: dec ecx; jz out; jmp again; out: pop ebx; ret
    source.code(0x1000, '49 74 02 eb fb 5b c3');
    source.dwords(0x100, 0xbb, caller);
    assert.deepEqual((await told(source, registersAtX86(0x1000, 0x100))).slice(0, 4), [
      ...['code', caller, 0x108, 0xbb],
    ]);
  });

  void it('no code at all was called just now', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite();
    source.dwords(0x100, caller, 0, stackBase + 0x200, source.callSite());
    const registers = { ...registersAtX86(0, 0x100, { ebp: stackBase + 0x108 }), eip: 0n as VirtualAddress };
    assert.deepEqual((await told(source, registers)).slice(0, 3), ['code', caller, 0x104]);
  });

  void it('by ebp, if it leads to a return address; of registers that may be saved nothing is known', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite();
    source.code(0x1000, 'ff ff');
    source.dwords(0x120, stackBase + 0x200, caller);
    const at = (ebp: number) => inexact(registersAtX86(0x1000, 0x100, { ebp }));
    assert.deepEqual(await told(source, at(stackBase + 0x120)), [
      ...['ebp', caller, 0x128, undefined, stackBase + 0x200, undefined, undefined],
    ]);
    // Where chains end.
    assert.deepEqual((await told(source, at(0))).slice(0, 2), ['ebp', 0]);
    source.dwords(0x130, 0, 0);
    assert.deepEqual((await told(source, at(stackBase + 0x130))).slice(0, 2), ['ebp', 0]);
    // No frame: below esp, crooked, far off, zero alone.
    source.dwords(0x130, 1, 0);
    for (const ebp of [stackBase + 0x80, stackBase + 0x121, stackBase + 0x3f0000, stackBase + 0x130])
      assert.equal((await told(source, at(ebp)))[0], 'scan', ebp.toString(16));
  });

  void it('by a guess, which says that it is one', async () => {
    const source = new MadeUpX86();
    const caller = source.callSite();
    source.code(0x1000, 'ff ff');
    // Code that no call leads to; data; then a frame of ebp.
    source.dwords(0x100, imageBase + 0x100, imageBase + 0x9000, 0, stackBase + 0x300, caller);
    assert.deepEqual(await told(source, registersAtX86(0x1000, 0x100)), [
      ...['scan', caller, 0x114, undefined, stackBase + 0x300, undefined, undefined],
    ]);
    // ebp of a frame further up may still hold.
    source.dwords(0x10c, 5);
    source.dwords(0x400, 5);
    const registers = registersAtX86(0x1000, 0x100, { ebp: stackBase + 0x400 });
    assert.equal((await told(source, registers))[4], stackBase + 0x400);
    assert.equal((await told(source, registersAtX86(0x1000, 0x100)))[4], undefined);
    source.dwords(0x110, 0);
    await assert.rejects(unwind(source, registers), { code: 'unwind-stuck' });
  });
});

void describe('walking an x86 stack', () => {
  void it('from a CONTEXT to the bottom, with the return address one byte back for what it is in', async () => {
    const source = new MadeUpX86();
    // Its call is its last instruction: the return address is the next function's.
    source.code(0x1000, '55 8b ec e8 f8 0f 00 00');
    source.frameData(0x1000, 8, chain, { prologBytes: 3 });
    source.code(0x1008, 'c3');
    source.frameData(0x1008, 1, search);
    source.code(0x2000, '55 8b ec ff d0 cc');
    source.frameData(0x2000, 6, chain, { prologBytes: 3 });
    source.dwords(0x100, stackBase + 0x120, imageBase + 0x1008);
    source.dwords(0x120, 0, 0);
    const context = new Uint8Array(contextX86.size);
    contextX86.write(context, { eip: imageBase + 0x2003, esp: stackBase + 0x100, ebp: stackBase + 0x100 });
    const { frames, end } = await walkStackX86(source, registersOfX86(contextX86.read(context)));
    assert.equal(end.kind, 'bottom');
    assert.deepEqual(
      frames.map((f) => [Number(f.registers.eip - signExtend32(imageBase)), f.method]),
      [
        [0x2003, 'frame-data'],
        [0x1008, 'frame-data'],
      ],
    );
    const limited = await walkStackX86(source, registersOfX86(contextX86.read(context)), 1);
    assert.deepEqual([limited.frames.length, limited.end.kind], [1, 'most-frames']);
  });

  void it('ends where user code begins, the frames form a circle, or memory is absent', async () => {
    const source = new MadeUpX86();
    source.fpo(0x1000, 0x40, { frame: 'trap' });
    source.dwords(0x268, 0x401000, 0x1b, 0x246, 0x12fff0, 0x23);
    const at = inexact(registersAtX86(0x1010, 0x100, { ebp: stackBase + 0x200 }));
    const user = await walkStackX86(source, at);
    assert.deepEqual([user.frames.length, user.end.kind], [2, 'unknown-code']);
    // Interrupted where the trap's own code stands, with the same stack: again and again.
    source.dwords(0x260, stackBase + 0x200, 0, imageBase + 0x1010, 8);
    const circle = await walkStackX86(source, at);
    assert.deepEqual([circle.frames.length, circle.end.kind], [2, 'failed']);
    const absent = await walkStackX86(source, inexact(registersAtX86(0x1010, 0x100)));
    assert.equal(absent.end.kind === 'failed' && absent.end.error.code, 'memory-unreadable');
    const broken = {
      imageAt: () => undefined,
      tasks: undefined,
      memory: { readPartial: () => Promise.reject(new VmkdError('link-lost', 'gone')) },
    };
    await assert.rejects(walkStackX86(broken, registersAtX86(0, 0)), { code: 'link-lost' });
  });
});
