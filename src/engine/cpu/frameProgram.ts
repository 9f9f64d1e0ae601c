/**
 * The little programs in which compilers write how to go from an x86 frame to its caller: postfix assignments, e.g.
 *
 *   $T0 .raSearch =   $eip $T0 ^ =   $esp $T0 4 + =   $ebx $T0 4 - ^ =
 *
 *   + - * / %         of unsigned numbers modulo 2^32
 *   value n @         value rounded down to a multiple of n, a power of 2
 *   address ^         the dword there
 *   variable value =  $eip $esp $ebp $ebx $esi $edi $eax $ecx $edx, or the register's CodeView number ($20 is ebx);
 *                     $T0 … of the program's own; $L and $P (where locals and parameters begin)
 *   .cbLocals .cbSavedRegs .cbParams .cbProlog .cbStkMax     of the row that the program stands in
 *   .cbCalleeParams   parameters that the function called last got on the stack
 *   .raSearch .raSearchStart                                 where the return address is found by searching
 *
 * A register that is not assigned is still the caller's. What was read from absent memory, or from a register of which
 * nothing is known, is unknown and makes unknown what is computed from it; only $eip and $esp must be known in the end.
 *
 * Source: debuggers' and Breakpad's use of these programs, and those that clang writes; nobody specified them.
 * Invariants: at most `mostTokens` tokens, each done once; at most one search; nothing is thrown but `unwind-stuck`,
 * `memory-unreadable`, and what the target throws.
 */

import { VmkdError } from '../core/errors';

/** `value-name`, without the dot. */
type Constant = 'cbLocals' | 'cbSavedRegs' | 'cbParams' | 'cbProlog' | 'cbStkMax' | 'cbCalleeParams';

export interface ProgramInput {
  /** Before the program; undefined: not known. */
  register(name: RegisterName): number | undefined;
  readonly constants: Readonly<Record<Constant, number>>;
  /** The dword at an address. Undefined: absent. */
  read(address: number): Promise<number | undefined>;
  /** Where the return address lies on the stack. @throws unwind-stuck */
  search(): Promise<number>;
}

export const registerNames = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip'] as const;
export type RegisterName = (typeof registerNames)[number];

export interface ProgramResult {
  readonly eip: number;
  readonly esp: number;
  /** Those assigned; undefined: with a value that is not known. */
  readonly assigned: ReadonlyMap<RegisterName, number | undefined>;
  /** Whether it asked for a search. */
  readonly searched: boolean;
}

const mostTokens = 512;
const longestProgram = 4096;
const tokens = /\s+|([$.]\w+|\d+|[-+*/%@^=])/gy;
/** CV_REG_EAX … CV_REG_EDI, in the hardware's order; CV_REG_EIP is 33. */
const firstCodeView = 17;

/** Undefined: not known. */
type Value = number | undefined;
type Item = { readonly name: string } | { readonly value: Value };

/** @throws unwind-stuck if it is no program or does not say what eip and esp are; memory-unreadable */
export async function runFrameProgram(program: string, input: ProgramInput): Promise<ProgramResult> {
  const run = new Run(program, input);
  for (const token of tokensOf(program)) await run.step(token);
  return run.result();
}

class Run {
  readonly #stack: Item[] = [];
  readonly #variables = new Map<string, Value>();
  #found: number | undefined;
  #absent: number | undefined;

  constructor(
    private readonly program: string,
    private readonly input: ProgramInput,
  ) {}

  async step(token: string): Promise<void> {
    switch (token) {
      case '=':
        this.#assign();
        break;
      case '^': {
        const address = this.#pop();
        const value = address === undefined ? undefined : await this.input.read(address);
        if (address !== undefined && value === undefined) this.#absent ??= address;
        this.#stack.push({ value });
        break;
      }
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '@': {
        const right = this.#pop();
        const left = this.#pop();
        this.#stack.push({ value: this.#compute(token, left, right) });
        break;
      }
      default:
        if (token.startsWith('$')) this.#stack.push({ name: nameOf(token.slice(1)) });
        else if (token.startsWith('.')) this.#stack.push({ value: await this.#constant(token.slice(1)) });
        else this.#stack.push({ value: Number(token) >>> 0 });
    }
  }

  /** @throws unwind-stuck, memory-unreadable */
  result(): ProgramResult {
    if (this.#stack.length > 0) throw this.#bad('leaves something over');
    const assigned = new Map<RegisterName, Value>();
    for (const name of registerNames)
      if (this.#variables.has(name)) assigned.set(name, this.#variables.get(name));
    return { eip: this.#must('eip'), esp: this.#must('esp'), assigned, searched: this.#found !== undefined };
  }

  #must(name: RegisterName): number {
    if (!this.#variables.has(name)) throw this.#bad(`does not set $${name}`);
    const value = this.#variables.get(name);
    if (value !== undefined) return value;
    if (this.#absent === undefined) throw this.#bad(`needs a register that is not known`);
    throw new VmkdError('memory-unreadable', `No memory at ${this.#absent.toString(16).padStart(8, '0')}`);
  }

  #assign(): void {
    const value = this.#pop();
    const target = this.#stack.pop();
    if (target === undefined || !('name' in target)) throw this.#bad('assigns to no variable');
    this.#variables.set(target.name, value);
  }

  #pop(): Value {
    const item = this.#stack.pop();
    if (item === undefined) throw this.#bad('has an operator without operands');
    if ('value' in item) return item.value;
    if (this.#variables.has(item.name)) return this.#variables.get(item.name);
    const register = registerNames.find((name) => name === item.name);
    if (register === undefined) throw this.#bad(`uses $${item.name} before it sets it`);
    return this.input.register(register);
  }

  #compute(operator: '+' | '-' | '*' | '/' | '%' | '@', left: Value, right: Value): Value {
    if (left === undefined || right === undefined) return undefined;
    switch (operator) {
      case '+':
        return (left + right) >>> 0;
      case '-':
        return (left - right) >>> 0;
      case '*':
        return Math.imul(left, right) >>> 0;
      case '/':
      case '%':
        if (right === 0) throw this.#bad('divides by zero');
        return operator === '/' ? Math.floor(left / right) : left % right;
      case '@':
        if (right === 0 || (right & (right - 1)) !== 0) throw this.#bad(`aligns to ${right}`);
        return (left & -right) >>> 0;
    }
  }

  async #constant(name: string): Promise<number> {
    if (name === 'raSearch' || name === 'raSearchStart') return (this.#found ??= await this.input.search());
    if (!Object.hasOwn(this.input.constants, name)) throw this.#bad(`uses .${name}`);
    return this.input.constants[name as Constant] >>> 0;
  }

  #bad(what: string): VmkdError {
    return badProgram(this.program, what);
  }
}

function* tokensOf(program: string): Generator<string> {
  if (program.length > longestProgram) throw badProgram(program, 'is too long');
  let count = 0;
  let end = 0;
  for (const match of program.matchAll(tokens)) {
    end = match.index + match[0].length;
    if (match[1] === undefined) continue;
    if (++count > mostTokens) throw badProgram(program, 'is too long');
    yield match[1];
  }
  if (end < program.length) throw badProgram(program, `has “${program.slice(end, end + 8)}”`);
}

/** `20` is `ebx`. */
function nameOf(variable: string): string {
  if (!/^\d+$/.test(variable)) return variable;
  const number = Number(variable);
  if (number === 33) return 'eip';
  return registerNames.slice(0, 8)[number - firstCodeView] ?? variable;
}

const badProgram = (program: string, what: string): VmkdError =>
  new VmkdError('unwind-stuck', `The frame program “${program.slice(0, 80)}” ${what}`);
