/**
 * What expressions are worth, what names mean, where mistakes are said to be: over types of MSVC's and made-up memory.
 * Arithmetic, and all of C++'s types, against a compiler: test/integration/expr.clang.test.ts.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  at,
  conpty,
  fails,
  heap,
  memory,
  sampleContext,
  shown,
  structIn,
} from '../../../test/fixtures/expressionFrame';
import { hex } from '../core/hex';
import { compile, evaluate } from './compile';
import type { ExpressionError } from './expressionError';
import { intType, unsignedLongType } from './types/builtinTypes';
import { pointerTo } from './types/type';

describe('values', () => {
  const table: readonly (readonly [text: string, result: string])[] = [
    ['count', 'int -2'],
    ['-count * 3', 'int 6'],
    ['count < 1u', 'bool false'],
    ['entry.Flink', '_LIST_ENTRY * 0xffffa10000000100'],
    ['p->Blink', '_LIST_ENTRY * 0x0000000000000010'],
    ['p == &entry', 'bool true'],
    ['(*p).Flink == p->Flink', 'bool true'],
    ['p + 1', '_LIST_ENTRY * 0xffffa10000000030'],
    ['p[-1].Flink', '_LIST_ENTRY * 0x00000000fffffffe'],
    ['&p[2] - p', '__int64 2'],
    ['(char *)&p->Blink - (char *)p', '__int64 8'],
    ['null ? null->Flink : 0', '_LIST_ENTRY * 0x0000000000000000'],
    ['null && null->Flink', 'bool false'],
    ['!null || wild->Flink', 'bool true'],
    ['!p', 'bool false'],
    ['name', 'char [16] "System"'],
    ['name == "System"', 'bool true'],
    ['name == "Sys"', 'bool false'],
    ['"System" != name', 'bool false'],
    ['&name[0] == "System"', 'bool true'],
    ['text', '_UNICODE_STRING "Disk"'],
    ['text == L"Disk"', 'bool true'],
    ['&text == "DiskX"', 'bool false'],
    ['&text', '_UNICODE_STRING * 0xffffa10000000060 "Disk"'],
    ['text.Buffer', 'wchar_t * 0xffffa10000000070 "DiskX"'],
    ['name[1]', "char 121 'y'"],
    ['*name', "char 83 'S'"],
    ['numbers', 'unsigned long [4] {10, 20, 30, 40}'],
    ['numbers[1] + numbers[2]', 'unsigned long 50'],
    ['*(numbers + 3)', 'unsigned long 40'],
    ['sizeof numbers / sizeof(numbers[0])', 'unsigned __int64 4'],
    ['sizeof(_LIST_ENTRY)', 'unsigned __int64 16'],
    ['sizeof(conpty!_CONTEXT)', 'unsigned __int64 1232'],
    ['priority', '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_LOW (2)'],
    ['priority == TP_CALLBACK_PRIORITY_LOW', 'bool true'],
    ['TP_CALLBACK_PRIORITY_HIGH == priority', 'bool false'],
    [
      '_TP_CALLBACK_PRIORITY::TP_CALLBACK_PRIORITY_NORMAL',
      '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_NORMAL (1)',
    ],
    ['(_TP_CALLBACK_PRIORITY)1', '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_NORMAL (1)'],
    ['priority | 1', 'int 3'],
    ['fixed + 1', 'int 8'],
    ['inRegister', 'unsigned long 32'],
    ['split.Flink', '_LIST_ENTRY * 0xffffa10000000020'],
    ['split.Blink', '_LIST_ENTRY * 0x0000000000000010'],
    ['half.Blink', '_LIST_ENTRY * 0x0000000000000010'],
    ['half.Flink', '_LIST_ENTRY * <A part of this value is not available>'],
    ['split', '_LIST_ENTRY {Flink=0xffffa10000000020, Blink=0x0000000000000010}'],
    ['gone', 'int <optimised out>'],
    ['lost', 'int <The value of rcx in this frame is lost: calls do not preserve it>'],
    ['wild->Flink', '_LIST_ENTRY * <unreadable: ffffa200`00000000>'],
    ['*wild', '_LIST_ENTRY {Flink=<unreadable: ffffa200`00000000>, Blink=<unreadable: ffffa200`00000008>}'],
    ['@rax', 'unsigned __int64 1234605616436508552'],
    ['@RAX,x', 'unsigned __int64 0x1122334455667788'],
    ['@ax', 'unsigned short 30600'],
    ['(char)@rax', "char -120 '\\x88'"],
    ['((_LIST_ENTRY *)@rbx)->Flink', '_LIST_ENTRY * 0xffffa10000000100'],
    ['@$proc->Blink', '_LIST_ENTRY * 0x0000000000000010'],
    ['$proc == p', 'bool true'],
    ['@$ip', 'unsigned __int64 0'],
    ['poi(0xffffa10000000030)', 'unsigned __int64 18446639620104912928'],
    ['poi(&p) == p', 'bool true'],
    ['dwo(&numbers[1])', 'unsigned long 20'],
    ['wo(&numbers[1])', 'unsigned short 20'],
    ['by(name)', "unsigned char 83 'S'"],
    ['qwo(&entry.Blink)', 'unsigned __int64 16'],
    ['hi(0x12345678),x', 'unsigned int 0x1234'],
    ['low(0x12345678),x', 'unsigned int 0x5678'],
    ['CONTAINING_RECORD(&p->Blink, _LIST_ENTRY, Blink) == p', 'bool true'],
    ['#CONTAINING_RECORD(0x1010, _CONTEXT, P3Home)', '_CONTEXT * 0x0000000000001000'],
    ['FIELD_OFFSET(_CONTEXT, FltSave.XmmRegisters[2].High)', 'long 456'],
    ['RTL_FIELD_SIZE(_CONTEXT, Rip)', 'unsigned __int64 8'],
    ['RTL_SIZEOF_THROUGH_FIELD(_CONTEXT, P2Home)', 'unsigned __int64 16'],
    ['(PLIST_ENTRY)p', '_LIST_ENTRY * 0xffffa10000000020'],
    ['((LIST_ENTRY *)p)->Blink', '_LIST_ENTRY * 0x0000000000000010'],
    ['(PVOID)count', 'void * 0xfffffffffffffffe'],
    ['(ULONG)count', 'unsigned long 4294967294'],
    ['(UCHAR)300', "unsigned char 44 ','"],
    ['(PLIST_ENTRY)-1', '_LIST_ENTRY * 0xffffffffffffffff'],
    ['(PLIST_ENTRY)*&p', '_LIST_ENTRY * 0xffffa10000000020'],
    ['*(unsigned long (*)[4])numbers', 'unsigned long [4] {10, 20, 30, 40}'],
    ['(*(unsigned long (*)[2])&numbers[2])[1]', 'unsigned long 40'],
    ['(unsigned char &)count', 'unsigned char 254'],
    ['STATUS_ACCESS_DENIED', 'NTSTATUS STATUS_ACCESS_DENIED (0xc0000022)'],
    ['(NTSTATUS)0', 'NTSTATUS STATUS_SUCCESS (0x0)'],
    ['(LONG)0xc0000005', 'long STATUS_ACCESS_VIOLATION (0xc0000005)'],
    ['STATUS_SUCCESS == FALSE', 'bool true'],
    ['p != NULL', 'bool true'],
    ['null == nullptr', 'bool true'],
    ["true ? 'a' : 'b'", "char 97 'a'"],
    ['1 ? 2 : 3.5', 'double 2.0'],
    ['1.1f', 'float 1.1'],
    ['0.1 + 0.2', 'double 0.30000000000000004'],
    ['1.0f / 3', 'float 0.33333334'],
    ['5 / 2 * 2.0', 'double 4.0'],
    ['-7 / 2', 'int -3'],
    ['-7 % 3', 'int -1'],
    ['1 << 31', 'int -2147483648'],
    ['1u << 40', 'unsigned int 0'],
    ['-1 >> 40', 'int -1'],
    ['2147483647 + 1', 'int -2147483648'],
    ['flag', 'bool false'],
  ];

  it('come out as C++ has them', async () => {
    const context = sampleContext();
    for (const [text, result] of table) assert.equal(await shown(context, text), result, text);
  });

  it('of hovers change nothing, whatever they hold', async () => {
    const context = sampleContext();
    context.write = () => assert.fail('written');
    context.setRegister = () => assert.fail('written');
    for (const text of ['count = 5', 'count++', '--count', '@rax = 1', 'entry = *p', '1 ? count += 1 : 0']) {
      await fails(evaluate(text, context), 'expression-refused', /change the target/);
      await fails(compile(text).test(context), 'expression-refused', /change the target/);
    }
  });

  it('are found at 32 bits too', async () => {
    const context = sampleContext();
    context.pointerSize = 4;
    memory.putNumbers(0xffffffff80001000n, 4, 0x12345678n);
    assert.equal(await shown(context, '*(ULONG *)0x80001000,x'), 'unsigned long 0x12345678');
    assert.equal(await shown(context, '(PVOID)0x80001000'), 'void * 0x80001000');
    assert.equal(await shown(context, 'sizeof(PVOID)'), 'unsigned int 4');
    assert.equal(await shown(context, 'poi(0x80001000),x'), 'unsigned int 0x12345678');
    assert.equal(await shown(context, '(ULONG_PTR)-1'), 'unsigned int 4294967295');
    assert.equal(await shown(context, '(PUCHAR)0xffffffff + 1'), 'unsigned char * 0x00000000');
  });
});

describe('names', () => {
  it('come from symbols, with their module or without', async () => {
    const context = sampleContext();
    assert.equal(await shown(context, 'std::_BADOFF'), '__int64 -1');
    assert.equal(await shown(context, 'conpty!std::_BADOFF,x'), '__int64 0xffffffffffffffff');
    assert.match(
      await shown(context, '&conpty!std::_BADOFF'),
      /^__int64 \* 0x0000000180\w{6} conpty!std::_BADOFF$/,
    );
    assert.match(
      await shown(context, 'std::msgs[0]'),
      /^char \* 0x0000000180\w{6} "device or resource busy"$/,
    );
    assert.match(
      await shown(context, 'std::codes'),
      /^std::errc \[7\] \{device_or_resource_busy \(16\), invalid/,
    );
    assert.match(
      await shown(context, "std::exception::`vftable'[1]"),
      /^void \(\*\)\(void\) 0x0000000180\w{6} conpty!/,
    );
    assert.match(
      await shown(context, '__security_check_cookie'),
      /^void \(\) 0x0000000180\w{6} conpty!__security_check_cookie$/,
    );
    assert.match(await shown(context, '&__security_check_cookie'), /^void \(\*\)\(\) 0x0000000180/);
  });

  it('of publics have an address and no type', async () => {
    const context = sampleContext();
    const [symbol] = conpty.symbols.search('__imp_CloseHandle', 1);
    assert.equal(symbol?.kind, 'public');
    const address = conpty.base + BigInt(symbol.rva);
    memory.putNumbers(address, 8, heap);
    assert.equal(
      await shown(context, '__imp_CloseHandle'),
      `<no type> ${hex(address, 16)} conpty!__imp_CloseHandle`,
    );
    assert.equal(
      await shown(context, '&__imp_CloseHandle'),
      `void * ${hex(address, 16)} conpty!__imp_CloseHandle`,
    );
    await fails(evaluate('__imp_CloseHandle + 1', context), 'expression-bad', /no type/, {
      offset: 0,
      length: 17,
    });
    assert.equal(await shown(context, '*(PVOID *)&__imp_CloseHandle'), `void * ${hex(heap)}`);
    assert.equal(await shown(context, 'poi(__imp_CloseHandle),x'), `unsigned __int64 ${hex(heap)}`);
  });

  it('of local variables hide all others', async () => {
    const context = sampleContext();
    context.variables.set('__imp_CloseHandle', { type: intType, place: at(0x10) });
    assert.equal(await shown(context, '__imp_CloseHandle'), 'int -2');
    assert.match(await shown(context, 'conpty!__imp_CloseHandle'), / conpty!__imp_CloseHandle$/);
  });

  it('of members need no “this”', async () => {
    const context = sampleContext();
    context.variables.set('this', { type: pointerTo(structIn('_LIST_ENTRY'), 8), place: at(0x30) });
    assert.equal(await shown(context, 'Blink'), '_LIST_ENTRY * 0x0000000000000010');
    assert.equal(await shown(context, 'this->Blink == Blink'), 'bool true');
    await fails(evaluate('Nothing', context), 'expression-bad', /not known/);
  });

  it('of constants have values', async () => {
    const context = sampleContext();
    context.constants.set('PoolTag', { type: unsignedLongType, value: 0x31676154n });
    assert.equal(await shown(context, "PoolTag == '1gaT'"), 'bool true');
  });

  it('are said to need symbols where these are not loaded', async () => {
    const context = sampleContext();
    context.unloaded.add('driver');
    await fails(evaluate('driver!x + 1', context), 'symbols-not-loaded', /symbols of driver/, {
      offset: 0,
      length: 8,
    });
    await fails(evaluate('1 + nowhere', context), 'symbols-not-loaded', /symbols of driver/, {
      offset: 4,
      length: 7,
    });
    await fails(evaluate('(driver!_T *)0', context), 'symbols-not-loaded', /type “driver!_T”/);
    await fails(evaluate('(driver!_T)*p', context), 'symbols-not-loaded', /symbols of driver/);
  });

  it('that are both a value and a type are what C++ says', async () => {
    const context = sampleContext();
    context.variables.set('LIST_ENTRY', { type: intType, place: at(0x10) });
    assert.equal(await shown(context, '(LIST_ENTRY)-1'), 'int -3');
    assert.equal(
      await shown(context, '(_TP_CALLBACK_PRIORITY)-(-1)'),
      '_TP_CALLBACK_PRIORITY TP_CALLBACK_PRIORITY_NORMAL (1)',
    );
    assert.equal(await shown(context, '(_TP_CALLBACK_PRIORITY)+1 + 1'), 'int 2');
  });
});

it('says what is wrong and where', async () => {
  const context = sampleContext();
  const wrong: readonly (readonly [pointed: string, message: RegExp])[] = [
    ['‹nowhere› + 1', /“nowhere” is not known/],
    ['‹fffff803›', /not known/],
    ['entry.‹Nothing›', /no member “Nothing”/],
    ['‹count›.x', /int has no members/],
    ['‹p›.Flink', /has no members/],
    ['‹count›->x', /no pointer/],
    ['*‹count›', /no pointer/],
    ['*‹(void *)p›', /nothing of a known type/],
    ['‹count›[0]', /no elements/],
    ['numbers[‹1.5›]', /must be an integer/],
    ['‹entry› + 1', /no number/],
    ['‹p + p›', /not for two pointers/],
    ['‹p * 2›', /not for/],
    ['‹~1.5›', /for integers/],
    ['‹1.5 % 2›', /for integers/],
    ['‹1 / 0›', /divides by zero/],
    ['1 + (count ‹%› 0)', /divides by zero/],
    ['‹&1›', /no address/],
    ['(‹nothing› *)p', /no type|type “nothing”/],
    ['‹(_LIST_ENTRY)p›', /Nothing can be cast/],
    ['‹(float)p›', /cannot be cast/],
    ['sizeof(‹nothing›)', /not known/],
    ['‹"abc"› + 1', /only be compared/],
    ['‹count› == "abc"', /cannot be compared/],
    ['‹name < "abc"›', /== and != only/],
    ['‹p ? p : 1.5›', /choices/],
    ['‹@nothing›', /no register/],
    ['‹@$nothing›', /There is no “\$nothing”/],
    ['FIELD_OFFSET(_CONTEXT, ‹Nothing›)', /no member/],
    ['FIELD_OFFSET(_CONTEXT, ‹Rip›.x)', /no members/],
    ['‹this›', /no “this”/],
    ['numbers,[‹-1›]', /So many/],
    ['p,list(‹_TP_CALLBACK_PRIORITY›.x)', /structures/],
  ];
  for (const [pointed, message] of wrong) {
    const text = pointed.replace(/[‹›]/g, '');
    const offset = pointed.indexOf('‹');
    const length = pointed.indexOf('›') - offset - 1;
    await fails(evaluate(text, context), 'expression-bad', message);
    const error = await evaluate(text, context).catch((thrown: unknown) => thrown);
    const { position } = error as ExpressionError;
    // Some point at the whole of what the sign belongs to.
    const inside = position.offset <= offset && position.offset + position.length >= offset + length;
    assert.ok(inside && position.length <= text.length, `${text}: ${JSON.stringify(position)}`);
  }
});

it('says where the memory is missing', async () => {
  const context = sampleContext();
  await fails(
    evaluate('1 + wild->Flink->Blink[0].Flink', context),
    'memory-unreadable',
    /ffffa200`00000000/,
    {
      offset: 4,
      length: 11,
    },
  );
  await fails(evaluate('gone + 1', context), 'value-unavailable', /optimised out/, { offset: 0, length: 4 });
  await fails(evaluate('lost + 1', context), 'value-unavailable', /rcx/, { offset: 0, length: 4 });
  await fails(evaluate('&inRegister', context), 'expression-bad', /no address/);
});
