/**
 * The registers scope. Of the frame in which the processor stands, all of them, and they can be set; of a caller those that
 * the unwinder knows: what calls do not preserve is lost.
 */

import { hex } from '../../engine/core/hex';
import { firstPreservedXmm, xmmOf, type FrameRegisters } from '../../engine/cpu/unwindX64';
import type { CallFrame } from '../../engine/target/callStack';
import type { TargetProcessor } from '../../engine/target/target';
import { sseRegisters, x87Registers } from './floatRegisters';
import { inBits, integerLine, registerRows, settable, type RegisterContext } from './integerRegisters';
import { msrTable, registerGroups, type MsrRow } from './registerTable';
import { listOf, type Container, type Shown } from './shown';

export function processorRegisters(context: RegisterContext): Container {
  const group = (name: string, inside: Container): Shown => ({ name, value: '', readOnly: true, inside });
  return listOf(() => [
    ...registerGroups.map(({ name, rows }) => group(name, registerRows(context, rows))),
    group('SSE', sseRegisters(context)),
    group('x87', x87Registers(context)),
    group('MSRs', msrs(context)),
  ]);
}

/** By the hardware's numbers. */
const generalNames = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

export function callerRegisters({ symbols, processor }: RegisterContext, { frame }: CallFrame): Container {
  const { rip, rsp, general } = frame.registers;
  const line = (name: string, value: bigint): Shown => ({
    ...integerLine(symbols, name, value, 64, true),
    evaluateName: `@${name}`,
    readOnly: true,
  });
  return listOf(async () => [
    line('rip', rip),
    line('rsp', rsp),
    ...general.flatMap((value, number) => {
      const name = generalNames[number];
      return value === undefined || name === undefined || name === 'rsp' ? [] : [line(name, value)];
    }),
    ...(await preservedXmm(processor, frame.registers)),
  ]);
}

async function preservedXmm(processor: TargetProcessor, registers: FrameRegisters): Promise<Shown[]> {
  const found: Shown[] = [];
  for (let number = firstPreservedXmm; number < 16; number++) {
    const bytes = await xmmOf(registers, number, async () => (await processor.context()).floatSave);
    if (bytes === undefined) continue;
    const value = hex(BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`), 32);
    found.push({ name: `xmm${number}`, value, readOnly: true });
  }
  return found;
}

function msrs(context: RegisterContext): Container {
  const { processor, symbols, numberOf } = context;
  const show = ({ name, isAddress = false }: MsrRow, value: bigint): Shown =>
    integerLine(symbols, name, value, 64, isAddress);
  return settable(
    () =>
      Promise.resolve(
        msrTable.map((row): Shown => ({
          name: row.name,
          value: '',
          type: hex(row.index),
          lazy: true,
          inside: listOf(async () => [show(row, await processor.readMsr(row.index))]),
        })),
      ),
    async (name, text) => {
      const row = msrTable.find((candidate) => candidate.name === name);
      if (row === undefined) return undefined;
      await processor.writeMsr(row.index, inBits(await numberOf(text), 64, name));
      return show(row, await processor.readMsr(row.index));
    },
  );
}
