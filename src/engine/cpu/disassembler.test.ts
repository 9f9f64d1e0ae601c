import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { plus, virtualAddress } from '../core/addresses';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { formatLine, openDisassembler, type CodeMachine, type Disassembler } from './disassembler';
import type { AddressNamer } from './disassemblerText';

const here = virtualAddress(0xfffff80312340000n);
const code = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

async function open(t: TestContext, machine: CodeMachine, nameOf?: AddressNamer): Promise<Disassembler> {
  const disassembler = await openDisassembler(machine, nameOf);
  t.after(() => disassembler.dispose());
  return disassembler;
}

/** Text of the only instruction. */
function textOf(disassembler: Disassembler, hex: string, address = here): string {
  const lines = disassembler.disassemble(code(hex), address);
  assert.equal(lines.length, 1, hex);
  return lines[0]!.text;
}

void describe('instructions as WinDbg writes them, x64', () => {
  const cases: readonly (readonly [bytes: string, text: string])[] = [
    ['48 89 4c 24 08', 'mov     qword ptr [rsp+8],rcx'],
    ['48 89 54 24 10', 'mov     qword ptr [rsp+10h],rdx'],
    ['48 81 ec ab 0c 00 00', 'sub     rsp,0CABh'],
    ['48 83 e4 f0', 'and     rsp,0FFFFFFFFFFFFFFF0h'],
    ['4c 8d 5c 24 d8', 'lea     r11,[rsp-28h]'],
    ['65 48 8b 04 25 88 01 00 00', 'mov     rax,qword ptr gs:[188h]'],
    ['48 8b 04 c8', 'mov     rax,qword ptr [rax+rcx*8]'],
    ['0f 29 74 24 20', 'movaps  xmmword ptr [rsp+20h],xmm6'],
    ['f0 0f b1 11', 'lock cmpxchg dword ptr [rcx],edx'],
    ['cc', 'int     3'],
    ['c3', 'ret'],
    ['ff d0', 'call    rax'],
    ['ff 50 18', 'call    qword ptr [rax+18h]'],
    ['0f 1f 44 00 00', 'nop     dword ptr [rax+rax]'],
    ['48 b9 11 22 33 44 55 66 77 88', 'mov     rcx,8877665544332211h'],
    // Low halves below ten, which iced alone prints wrongly.
    ['48 b9 00 00 00 00 80 f7 ff ff', 'mov     rcx,0FFFFF78000000000h'],
    ['48 a1 08 00 00 00 80 f7 ff ff', 'mov     rax,qword ptr [fffff780`00000008]'],
    ['65 48 a1 08 00 00 00 01 00 00 00', 'mov     rax,qword ptr gs:[100000008h]'],
    ['e8 fb 0f 00 00', 'call    fffff803`12341000'],
    ['75 fe', 'jne     fffff803`12340000'],
    ['e3 10', 'jrcxz   fffff803`12340012'],
    ['48 8b 05 f9 0f 00 00', 'mov     rax,qword ptr [fffff803`12341000]'],
    ['f3 48 ab', 'rep stos qword ptr [rdi]'],
    ['f3 a4', 'rep movs byte ptr [rdi],byte ptr [rsi]'],
    ['65 a4', 'movs    byte ptr [rdi],byte ptr gs:[rsi]'],
    ['67 a5', 'movs    dword ptr [edi],dword ptr [esi]'],
    ['f2 ae', 'repne scas byte ptr [rdi]'],
    ['f3 a6', 'repe cmps byte ptr [rsi],byte ptr [rdi]'],
    ['48 ad', 'lods    qword ptr [rsi]'],
    ['66 6f', 'outs    dx,word ptr [rsi]'],
    ['6c', 'ins     byte ptr [rdi],dx'],
    ['f2 0f 10 41 08', 'movsd   xmm0,qword ptr [rcx+8]'],
    ['06', '???'],
  ];
  void it('without names', async (t) => {
    const disassembler = await open(t, 'x64');
    for (const [bytes, text] of cases) assert.equal(textOf(disassembler, bytes), text, bytes);
  });

  void it('with names: branches, rip-relative and absolute memory, wide immediates', async (t) => {
    const asked: bigint[] = [];
    const disassembler = await open(t, 'x64', (address) => {
      asked.push(address);
      if (address === plus(here, 0x1000)) return 'nt!KeBugCheckEx';
      if (address === 0xfffff78000000008n) return 'SharedUserData+0x8';
      return undefined;
    });
    const named: readonly (readonly [string, string])[] = [
      ['e8 fb 0f 00 00', 'call    nt!KeBugCheckEx (fffff803`12341000)'],
      ['0f 84 fa 0f 00 00', 'je      nt!KeBugCheckEx (fffff803`12341000)'],
      ['48 8d 0d f9 0f 00 00', 'lea     rcx,[nt!KeBugCheckEx (fffff803`12341000)]'],
      ['ff 15 fa 0f 00 00', 'call    qword ptr [nt!KeBugCheckEx (fffff803`12341000)]'],
      ['83 3d f9 0f 00 00 05', 'cmp     dword ptr [nt!KeBugCheckEx (fffff803`12341000)],5'],
      ['48 b8 00 10 34 12 03 f8 ff ff', 'mov     rax,offset nt!KeBugCheckEx (fffff803`12341000)'],
      ['48 a1 08 00 00 00 80 f7 ff ff', 'mov     rax,qword ptr [SharedUserData+0x8 (fffff780`00000008)]'],
    ];
    for (const [bytes, text] of named) assert.equal(textOf(disassembler, bytes), text, bytes);
    asked.length = 0;
    textOf(disassembler, '48 89 4c 24 08');
    textOf(disassembler, '65 48 8b 04 25 88 01 00 00');
    textOf(disassembler, '48 b8 00 01 00 00 00 00 00 00');
    assert.deepEqual(asked, [], 'registers, segments and small numbers are not looked up');
  });

  void it('the row with address and bytes', async (t) => {
    const disassembler = await open(t, 'x64');
    const [line] = disassembler.disassemble(code('48894c2408'), here);
    assert.equal(formatLine(line!, 'x64'), 'fffff803`12340000 48894c2408      mov     qword ptr [rsp+8],rcx');
  });
});

void describe('instructions as WinDbg writes them, x86', () => {
  const base = virtualAddress(0xffffffff80400000n);
  void it('without names', async (t) => {
    const disassembler = await open(t, 'x86');
    const cases: readonly (readonly [string, string])[] = [
      ['64 a1 18 00 00 00', 'mov     eax,dword ptr fs:[00000018h]'],
      ['c7 05 00 00 fe 7f 05 00 00 00', 'mov     dword ptr ds:[7FFE0000h],5'],
      ['ff 75 08', 'push    dword ptr [ebp+8]'],
      ['e8 fb 0f 00 00', 'call    80401000'],
      ['66 e9 00 00', 'jmp     00000004'],
      ['f3 a5', 'rep movs dword ptr es:[edi],dword ptr [esi]'],
      ['64 a5', 'movs    dword ptr es:[edi],dword ptr fs:[esi]'],
      ['f3 ab', 'rep stos dword ptr es:[edi]'],
      ['67 a4', 'movs    byte ptr es:[di],byte ptr [si]'],
      ['c2 08 00', 'ret     8'],
    ];
    for (const [bytes, text] of cases) assert.equal(textOf(disassembler, bytes, base), text, bytes);
    const [line] = disassembler.disassemble(code('90'), base);
    assert.equal(formatLine(line!, 'x86'), '80400000 90              nop');
  });

  void it('with names: also tables and 32-bit immediates, asked for by sign-extended addresses', async (t) => {
    const disassembler = await open(t, 'x86', (address) =>
      address === 0xffffffff80541234n ? 'nt!KiTable' : undefined,
    );
    const cases: readonly (readonly [string, string])[] = [
      ['ff 24 85 34 12 54 80', 'jmp     dword ptr nt!KiTable (80541234)[eax*4]'],
      ['8b 84 88 34 12 54 80', 'mov     eax,dword ptr nt!KiTable (80541234)[eax+ecx*4]'],
      ['68 34 12 54 80', 'push    offset nt!KiTable (80541234)'],
      ['b9 34 12 54 80', 'mov     ecx,offset nt!KiTable (80541234)'],
      ['a1 34 12 54 80', 'mov     eax,dword ptr [nt!KiTable (80541234)]'],
      [
        'c7 05 34 12 54 80 34 12 54 80',
        'mov     dword ptr [nt!KiTable (80541234)],offset nt!KiTable (80541234)',
      ],
      ['0d 00 00 00 c0', 'or      eax,0C0000000h'],
      ['e8 2f 12 14 00', 'call    nt!KiTable (80541234)'],
    ];
    for (const [bytes, text] of cases) assert.equal(textOf(disassembler, bytes, base), text, bytes);
  });
});

void describe('what is no instruction', () => {
  void it('is one byte each, and decoding goes on behind it at the right address', async (t) => {
    const disassembler = await open(t, 'x64');
    const lines = disassembler.disassemble(code('06 07 e8 00 00 00 00 c3'), here);
    assert.deepEqual(
      lines.map((line) => [line.offset, line.length, line.text, line.status]),
      [
        [0, 1, '???', 'invalid'],
        [1, 1, '???', 'invalid'],
        [2, 5, 'call    fffff803`12340007', 'whole'],
        [7, 1, 'ret', 'whole'],
      ],
    );
    assert.equal(lines[2]!.address, plus(here, 2));
    assert.deepEqual(lines[2]!.bytes, code('e800000000'));
  });

  void it('that code ends amid an instruction is told from an invalid one', async (t) => {
    const disassembler = await open(t, 'x64');
    const [whole, cut] = disassembler.disassemble(code('90 48 8b'), here);
    assert.equal(whole!.status, 'whole');
    assert.deepEqual([cut!.status, cut!.length, cut!.end], ['cut', 2, plus(here, 3)]);
    assert.equal(disassembler.inspect(code('48 8b'), here), undefined);
    assert.equal(disassembler.lengthAt(code('48 8b')), 0);
    assert.deepEqual(disassembler.disassemble(new Uint8Array(), here), []);
  });

  void it('random bytes, over several pieces: every byte in one line, both machines agree with themselves', async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    for (const machine of ['x64', 'x86'] as const) {
      const disassembler = await open(t, machine, (address) =>
        (address & 1n) === 0n ? 'm!name' : undefined,
      );
      const bytes = random.bytes(200_000);
      const lines = disassembler.disassemble(bytes, virtualAddress(0xffff_ffff_ffff_0000n));
      let at = 0;
      for (const line of lines) {
        assert.equal(line.offset, at);
        assert.ok(line.length >= 1 && line.length <= 15 && line.text.length > 0);
        if (line.status === 'whole') assert.equal(disassembler.lengthAt(bytes.subarray(at)), line.length);
        disassembler.inspect(bytes.subarray(at), line.address);
        at += line.length;
      }
      assert.equal(at, bytes.length);
    }
  });

  void it('a limit holds, also across pieces', async (t) => {
    const disassembler = await open(t, 'x64');
    const nops = new Uint8Array(200_000).fill(0x90);
    assert.equal(disassembler.disassemble(nops, here, 150_000).length, 150_000);
    assert.equal(disassembler.disassemble(nops, here, 0).length, 0);
  });

  void it('a disposed one throws', async () => {
    const disassembler = await openDisassembler('x64');
    disassembler.dispose();
    disassembler.dispose();
    assert.throws(() => disassembler.disassemble(code('90'), here), { code: 'internal' });
  });

  void it('takes no more WebAssembly memory the more often it runs', async () => {
    const { __wasm } = (await import('iced-x86')) as unknown as {
      __wasm: { memory: { buffer: ArrayBuffer } };
    };
    const bytes = new Uint8Array(60_000).fill(0x90);
    const turn = async (): Promise<void> => {
      const disassembler = await openDisassembler('x64');
      disassembler.disassemble(bytes, here, 100);
      disassembler.inspect(bytes, here);
      disassembler.dispose();
    };
    for (let i = 0; i < 50; i++) await turn();
    const before = __wasm.memory.buffer.byteLength;
    for (let i = 0; i < 1000; i++) await turn();
    assert.equal(__wasm.memory.buffer.byteLength, before);
  });
});

void describe('what a stepper asks', () => {
  void it('where an instruction goes', async (t) => {
    const disassembler = await open(t, 'x64');
    const target = plus(here, 0x1000);
    const cases: readonly (readonly [string, object])[] = [
      ['90', { kind: 'next' }],
      ['e9 fb 0f 00 00', { kind: 'branch', target }],
      ['0f 84 fa 0f 00 00', { kind: 'conditional-branch', target }],
      ['e3 00', { kind: 'conditional-branch', target: plus(here, 2) }],
      ['e8 fb 0f 00 00', { kind: 'call', target }],
      ['ff 10', { kind: 'indirect-call' }],
      ['ff e0', { kind: 'indirect-branch' }],
      ['ff 2c 24', { kind: 'indirect-branch' }],
      ['0f 05', { kind: 'system-call' }],
      ['c3', { kind: 'return' }],
      ['48 cf', { kind: 'return' }],
      ['cc', { kind: 'interrupt' }],
      ['cd 29', { kind: 'interrupt' }],
      ['0f 0b', { kind: 'exception' }],
      ['c7 f8 fa 0f 00 00', { kind: 'conditional-branch', target }],
      ['0f 01 d5', { kind: 'next' }],
    ];
    for (const [bytes, flow] of cases) {
      const info = disassembler.inspect(code(bytes), here);
      assert.deepEqual(info?.flow, flow, bytes);
      assert.equal(info?.length, code(bytes).length, bytes);
    }
    const x86 = await open(t, 'x86');
    assert.deepEqual(x86.inspect(code('9a 11 22 33 44 08 00'), here)?.flow, { kind: 'indirect-call' });
    assert.deepEqual(x86.inspect(code('e8 00 00 00 00'), virtualAddress(0xffffffff80400000n))?.flow, {
      kind: 'call',
      target: 0xffffffff80400005n,
    });
  });

  void it('which memory, whether it repeats, whether it pushes flags', async (t) => {
    const disassembler = await open(t, 'x64');
    const none = { segment: 'ds', base: undefined, index: undefined, scale: 1, displacement: 0n };
    const cases: readonly (readonly [string, object | undefined])[] = [
      ['90', undefined],
      [
        '48 8b 44 c8 f8',
        { ...none, base: 'rax', index: 'rcx', scale: 8, displacement: 0xfffffffffffffff8n, size: 8 },
      ],
      ['83 3d f9 0f 00 00 05', { ...none, displacement: plus(here, 0x1000), size: 4 }],
      ['65 48 8b 04 25 88 01 00 00', { ...none, segment: 'gs', displacement: 0x188n, size: 8 }],
      ['ff 64 24 08', { ...none, segment: 'ss', base: 'rsp', displacement: 8n, size: 8 }],
      ['f3 aa', { ...none, segment: 'es', base: 'rdi', size: 1 }],
      ['48 8d 01', { ...none, base: 'rcx', size: 0 }],
    ];
    for (const [bytes, memory] of cases) {
      assert.deepEqual(disassembler.inspect(code(bytes), here)?.memory, memory, bytes);
    }
    assert.equal(disassembler.inspect(code('f3 aa'), here)?.repeats, true);
    assert.equal(disassembler.inspect(code('aa'), here)?.repeats, false);
    assert.equal(disassembler.inspect(code('f3 c3'), here)?.repeats, false);
    assert.equal(disassembler.inspect(code('9c'), here)?.pushesFlags, true);
    assert.equal(disassembler.inspect(code('9d'), here)?.pushesFlags, false);
  });
});
