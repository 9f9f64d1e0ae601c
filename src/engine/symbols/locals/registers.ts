/**
 * Registers by CodeView's numbers: what the CPU calls them, and which part of the full register each is.
 *
 * Source: microsoft-pdb, cvconst.h (CV_HREG_e).
 */

export type SymbolMachine = 'x86' | 'x64' | 'arm64';

export interface CvRegister {
  /** As the disassembler writes it: `ecx`, `xmm6`, `x19`. */
  readonly name: string;
  /** The register that it is a part of, or itself. */
  readonly full: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes from the low end of the full one: 1 in ah. */
  readonly offset: number;
}

/** The frame that x86 code without a frame pointer is given by its FrameData; no register of the CPU. */
export const vframe = 30006;

const part = (name: string, full: string, size: number, offset = 0): CvRegister => ({
  name,
  full,
  size,
  offset,
});
const whole = (name: string, size: number): CvRegister => part(name, name, size);

type Table = Map<number, CvRegister>;

function row(table: Table, first: number, registers: readonly CvRegister[]): void {
  registers.forEach((register, i) => table.set(first + i, register));
}

const legacy = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;

function common(prefix: 'e' | 'r'): Table {
  const table: Table = new Map();
  const full = (name: string): string => prefix + name;
  const lows = ['al', 'cl', 'dl', 'bl'];
  const highs = ['ah', 'ch', 'dh', 'bh'];
  row(
    table,
    1,
    lows.map((name, i) => part(name, full(legacy[i]!), 1)),
  );
  row(
    table,
    5,
    highs.map((name, i) => part(name, full(legacy[i]!), 1, 1)),
  );
  row(
    table,
    9,
    legacy.map((name) => part(name, full(name), 2)),
  );
  row(
    table,
    17,
    legacy.map((name) => part(`e${name}`, full(name), 4)),
  );
  row(
    table,
    25,
    ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].map((name) => whole(name, 2)),
  );
  table.set(33, part('eip', full('ip'), 4));
  table.set(34, whole('eflags', 4));
  row(
    table,
    128,
    Array.from({ length: 8 }, (_, i) => whole(`st${i}`, 10)),
  );
  row(
    table,
    146,
    Array.from({ length: 8 }, (_, i) => whole(`mm${i}`, 8)),
  );
  row(
    table,
    154,
    Array.from({ length: 8 }, (_, i) => whole(`xmm${i}`, 16)),
  );
  table.set(vframe, whole('vframe', prefix === 'r' ? 8 : 4));
  return table;
}

function x64(): Table {
  const table = common('r');
  row(
    table,
    252,
    Array.from({ length: 8 }, (_, i) => whole(`xmm${i + 8}`, 16)),
  );
  row(
    table,
    324,
    ['si', 'di', 'bp', 'sp'].map((name) => part(`${name}l`, `r${name}`, 1)),
  );
  row(
    table,
    328,
    ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp'].map((name) => whole(`r${name}`, 8)),
  );
  const numbered = (suffix: string, size: number): CvRegister[] =>
    Array.from({ length: 8 }, (_, i) => part(`r${i + 8}${suffix}`, `r${i + 8}`, size));
  row(table, 336, numbered('', 8));
  row(table, 344, numbered('b', 1));
  row(table, 352, numbered('w', 2));
  row(table, 360, numbered('d', 4));
  row(
    table,
    368,
    Array.from({ length: 16 }, (_, i) => whole(`ymm${i}`, 32)),
  );
  // Parts of vector registers: single floats, then low and high halves, of xmm0-7 and of xmm8-15.
  for (const [first, lanes, lows, highs] of [
    [0, 162, 194, 202],
    [8, 260, 292, 300],
  ] as const) {
    for (let i = 0; i < 8; i++) {
      const full = `xmm${first + i}`;
      for (let lane = 0; lane < 4; lane++)
        table.set(lanes + i * 4 + lane, part(`${full}_${lane}`, full, 4, lane * 4));
      table.set(lows + i, part(`${full}l`, full, 8));
      table.set(highs + i, part(`${full}h`, full, 8, 8));
    }
  }
  return table;
}

function arm64(): Table {
  const table: Table = new Map();
  const numbered = (prefix: string, count: number, size: number, full: string): CvRegister[] =>
    Array.from({ length: count }, (_, i) => part(`${prefix}${i}`, `${full}${i}`, size));
  row(table, 10, numbered('w', 31, 4, 'x'));
  row(table, 50, numbered('x', 29, 8, 'x'));
  table.set(39, part('w29', 'fp', 4));
  table.set(40, part('w30', 'lr', 4));
  row(
    table,
    79,
    ['fp', 'lr', 'sp', 'xzr'].map((name) => whole(name, 8)),
  );
  table.set(90, whole('nzcv', 4));
  row(table, 100, numbered('s', 32, 4, 'q'));
  row(table, 140, numbered('d', 32, 8, 'q'));
  row(table, 180, numbered('q', 32, 16, 'q'));
  return table;
}

const tables: Readonly<Record<SymbolMachine, Table>> = { x86: common('e'), x64: x64(), arm64: arm64() };

/** Undefined for a number that means nothing on that machine, or nothing that a program keeps a variable in. */
export const cvRegister = (machine: SymbolMachine, id: number): CvRegister | undefined =>
  tables[machine].get(id);

const named = new Map<SymbolMachine, ReadonlyMap<string, CvRegister>>();

/** By the disassembler's name, parts too: `ax`, `r8d`. Undefined if the machine has none such. */
export function registerNamed(machine: SymbolMachine, name: string): CvRegister | undefined {
  let byName = named.get(machine);
  if (byName === undefined) {
    byName = new Map([...tables[machine].values()].map((register) => [register.name, register]));
    named.set(machine, byName);
  }
  return byName.get(name);
}

/** The registers that FRAMEPROC means by its bases. */
export const frameBaseRegisters: Readonly<
  Record<SymbolMachine, { stack: number; frame: number; other: number }>
> = {
  x86: { stack: vframe, frame: 22, other: 20 },
  x64: { stack: 335, frame: 334, other: 341 },
  arm64: { stack: 81, frame: 79, other: 69 },
};
