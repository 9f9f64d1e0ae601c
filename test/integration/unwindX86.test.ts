// test-limit: 300 s
/**
 * The x86 unwinder at every instruction that a machine does: code by clang, built in several ways, its own frame programs
 * out of the PDB, assembly code without any, a trap, a task gate. What the stack must be is known from counting calls.
 *
 * Not judged: code that starts the machine or enters a trap, and _chkstk, which moves its own return address.
 */

import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import { plus, signExtend32 } from '../../src/engine/core/addresses';
import { openFileSource } from '../../src/engine/core/byteSource';
import { walkStackX86, type CallStackX86 } from '../../src/engine/cpu/unwindStack';
import type {
  CodeImageX86,
  FpoRowX86,
  FrameRegistersX86,
  UnwindMethodX86,
  UnwindSourceX86,
} from '../../src/engine/cpu/unwindX86';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { tempFolder } from '../fixtures/tempFolder';
import { X86Machine, type X86Registers } from '../fixtures/x86/machine';
import { buildX86Program, imageBase, type X86Program } from '../fixtures/x86/program';
import { TrackedStack, type TrackedFrame } from '../fixtures/x86/trackedStack';

const builds: Readonly<Record<string, readonly string[]>> = {
  'without frame pointers': ['-O2', '-fomit-frame-pointer'],
  'small, without frame pointers': ['-Oz', '-fomit-frame-pointer'],
  'with frame pointers': ['-O2', '-fno-omit-frame-pointer'],
  'not optimized': ['-O0'],
};

void describe('unwinding x86 code by clang at every instruction', () => {
  const methods = new Set<UnwindMethodX86>();
  for (const [name, options] of Object.entries(builds)) {
    void it(name, async (t) => {
      const run = await Run.start(t, buildX86Program(tempFolder(t), options));
      await run.toTheEnd();
      for (const method of run.methods.keys()) methods.add(method);
      const counts = [...run.methods].map(([method, count]) => `${count} ${method}`).join(', ');
      t.diagnostic(`${run.walks} stacks, up to ${run.deepest} calls deep; frames: ${counts}`);
      assert.ok(run.walks > 4000 && run.deepest > 7);
    });
  }
  after(() => assert.deepEqual([...methods].sort(), ['code', 'ebp', 'frame-data', 'trap', 'tss']));
});

class Run {
  walks = 0;
  deepest = 0;
  /** How many frames were found in each way. */
  readonly methods = new Map<UnwindMethodX86, number>();
  readonly #stack = new TrackedStack();
  readonly #symbols: PdbSymbols;
  readonly #image: CodeImageX86;

  static async start(t: TestContext, program: X86Program): Promise<Run> {
    const file = openFileSource(program.pdb);
    t.after(() => file.close());
    const machine = await X86Machine.start(program);
    t.after(() => machine.stop());
    return new Run(program, machine, new Pdb(file));
  }

  private constructor(
    program: X86Program,
    private readonly machine: X86Machine,
    pdb: Pdb,
  ) {
    this.#symbols = new PdbSymbols(pdb);
    this.#image = {
      imageBase: signExtend32(imageBase),
      isCode: (rva) => rva >= program.code.begin && rva < program.code.end,
      frameData: pdb.frameData,
      // As in Windows, where they come from assembly code; no linker of LLVM's writes any.
      fpo: {
        find: (rva) => this.#fpoRow(rva, '_trap_entry', 'trap') ?? this.#fpoRow(rva, '_task_entry', 'tss'),
      },
    };
  }

  async toTheEnd(): Promise<void> {
    const finished = this.#address('_finished');
    let registers = await this.machine.registers();
    while (registers.eip !== finished) {
      const code = this.machine.read(registers.eip, 2);
      const before = registers;
      registers = await this.machine.step();
      this.#stack.stepped(code, before, registers, this.machine.dword(registers.esp));
      if (this.#isJudged(registers.eip)) await this.#judge(registers);
    }
    assert.equal(this.#stack.frames.length, 0);
  }

  async #judge(registers: X86Registers): Promise<void> {
    const stack = await walkStackX86(this.#source(), registersOf(registers));
    const where = (): string => {
      const symbol = this.#symbols.symbolAt(registers.eip - imageBase);
      const found = [
        ...stack.frames.map((f) => `${hex(f.registers.eip)} ${f.method ?? '-'}`),
        stack.end.kind,
      ];
      const wanted = this.#stack.frames.toReversed().map((f) => hex(f.registers.eip));
      return `at ${symbol?.name ?? '?'}+${hex(symbol?.displacement ?? 0)}\n${found.join('\n')}\nnot\n${wanted.join('\n')}`;
    };
    assert.equal(stack.end.kind, 'bottom', where());
    assert.equal(stack.frames.length, this.#stack.frames.length + 1, where());
    this.#compare(stack, this.#stack.frames.toReversed(), where);
    this.walks++;
    this.deepest = Math.max(this.deepest, stack.frames.length);
    for (const { method } of stack.frames) this.methods.set(method!, (this.methods.get(method!) ?? 0) + 1);
  }

  #compare({ frames }: CallStackX86, wanted: readonly TrackedFrame[], where: () => string): void {
    let mayBeUnknown = false;
    for (const [i, { kind, registers }] of wanted.entries()) {
      const { eip, esp, exact, general } = frames[i + 1]!.registers;
      assert.equal(eip, signExtend32(registers.eip), where());
      assert.equal(esp, signExtend32(registers.esp), where());
      assert.equal(exact, kind !== 'call', where());
      // Only a chain of ebp does not say where other registers are saved.
      if (frames[i]!.method === 'ebp') mayBeUnknown = true;
      if (kind === 'trap') mayBeUnknown = false;
      for (const [number, name] of preserved) {
        const value = general[number];
        if (value === undefined) assert.ok(mayBeUnknown, `${name} is not known ${where()}`);
        else assert.equal(value, registers[name], `${name} ${where()}`);
      }
    }
  }

  #source(): UnwindSourceX86 {
    const { machine } = this;
    return {
      memory: {
        readPartial: async (address, length) => machine.read(Number(BigInt.asUintN(32, address)), length),
      },
      imageAt: (address) => {
        const inside = address >= this.#image.imageBase && address < plus(this.#image.imageBase, 0x10000);
        return inside ? this.#image : undefined;
      },
      tasks: {
        gdt: signExtend32(this.#address('_gdt')),
        gdtLimit: 5 * 8 - 1,
        taskRegister: this.#stack.isInTask ? 0x20 : 0x18,
      },
    };
  }

  #isJudged(eip: number): boolean {
    const isBare = eip >= this.#address('_bare_frame') && eip < this.#address('__chkstk');
    return isBare || this.#symbols.symbolAt(eip - imageBase)?.kind === 'procedure';
  }

  #fpoRow(rva: number, name: string, frame: FpoRowX86['frame']): FpoRowX86 | undefined {
    const [begin, end] = [this.#address(name) - imageBase, this.#address(`${name}_end`) - imageBase];
    if (rva < begin || rva >= end) return undefined;
    const nothing = { localBytes: 0, parameterBytes: 0, prologBytes: 0, savedRegisters: 0, usesEbp: true };
    return { begin, codeBytes: end - begin, ...nothing, frame };
  }

  #address(name: string): number {
    const { publics, sections } = this.#symbols.pdb;
    const [found] = publics.find(name);
    return imageBase + sections.rvaOf(found!.section, found!.offset)!;
  }
}

const preserved = [
  [3, 'ebx'],
  [5, 'ebp'],
  [6, 'esi'],
  [7, 'edi'],
] as const;

const registersOf = ({ eip, eax, ecx, edx, ebx, esp, ebp, esi, edi }: X86Registers): FrameRegistersX86 => ({
  eip: signExtend32(eip),
  esp: signExtend32(esp),
  general: [eax, ecx, edx, ebx, esp, ebp, esi, edi],
  exact: true,
  callee: undefined,
});

const hex = (value: number | bigint): string => BigInt.asUintN(32, BigInt(value)).toString(16);
