/**
 * Getting a thread past a breakpoint that it stands on, while all processors run and none may miss it.
 *
 *   the instruction is simple      we carry it out ourselves: the int3 stays, the target does not even notice
 *   a debug register is free       it watches the place in the stead of the int3, while the thread runs one instruction with
 *                                  TF and RF; whoever runs into the guard has hit the breakpoint; it stays on guard until
 *                                  somebody needs the register
 *   none is free                   the int3 is out for one instruction, and the site says that it may be missed
 *
 * The trap that ends such an instruction is owed by the thread, not by the processor: interrupts and other stops may come
 * first, and the thread may go on elsewhere. Until it has come the guard stands.
 */

import type { VirtualAddress } from '../../core/addresses';
import { asVmkdError } from '../../core/errors';
import { longestInstruction, type Disassembler } from '../../cpu/disassembler';
import { emulate, type Emulated } from '../../cpu/emulator';
import type { CodeSite } from '../breakpoints/codeSites';
import type { DebugSlots } from '../breakpoints/debugSlots';
import type { Code } from '../code';
import type { KdMemory } from '../kdMemory';
import type { LiveProcessor } from '../processors';
import type { StopMemory } from '../stopMemory';

const resumeFlag = 0x10000;

const generalNames = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
] as const;

const mostTries = 3;

export interface PassingTarget {
  readonly memory: StopMemory;
  readonly raw: KdMemory;
  readonly slots: DebugSlots;
  readonly code: Code;
}

/** One instruction that a thread was sent to run, and whose trap has not come yet. */
interface OwedTrap {
  readonly at: VirtualAddress;
  /** It traps after each turn of its rep prefix, still there. */
  readonly repeats: boolean;
  /** How often it was let past, and stood there still. */
  tries: number;
  /** The place that is open until then. */
  readonly site: CodeSite | undefined;
}

export class Passing {
  /** By thread. A fault in the instruction may lead to more of them before the first is paid: the last comes first. */
  readonly #owed = new Map<VirtualAddress, OwedTrap[]>();

  constructor(private readonly target: PassingTarget) {}

  /** Threads that owe a trap. */
  get owed(): number {
    return this.#owed.size;
  }

  owes(thread: VirtualAddress): boolean {
    return this.#owed.has(thread);
  }

  /** The place that a thread stands on, and was let past already. */
  placeOf(thread: VirtualAddress, at: VirtualAddress): CodeSite | undefined {
    const last = this.#owed.get(thread)?.at(-1);
    return last?.at === at ? last.site : undefined;
  }

  /** A thread stands on an instruction that it has run a part of. */
  repeats(thread: VirtualAddress, at: VirtualAddress): boolean {
    const last = this.#owed.get(thread)?.at(-1);
    return last?.at === at && last.repeats;
  }

  /** A thread at `at` runs one instruction; its trap is to come. */
  owe(thread: VirtualAddress, at: VirtualAddress, site?: CodeSite, repeats = false): void {
    const traps = this.#owed.get(thread) ?? [];
    const last = traps.at(-1);
    // It never got there: one trap will do for both.
    if (last?.at === at) {
      last.tries++;
      if (site === undefined || last.site === site) return;
      traps.pop();
      this.#close(last);
    }
    if (site !== undefined) site.suspended++;
    traps.push({ at, site, repeats, tries: 1 });
    this.#owed.set(thread, traps);
  }

  /** The trap has come. */
  pay(thread: VirtualAddress): void {
    const traps = this.#owed.get(thread);
    const last = traps?.pop();
    if (traps?.length === 0) this.#owed.delete(thread);
    if (last !== undefined) this.#close(last);
  }

  forget(): void {
    this.#owed.clear();
  }

  #close({ site }: OwedTrap): void {
    if (site !== undefined) site.suspended--;
  }

  /**
   * Prepares the stopped processor for getting past `site`, where it stands.
   * @param mayCarryOut False: the processor shall run it, and trap.
   * @returns `done`: it is behind it; `owed`: its thread must be traced, and owes a trap.
   */
  async pass(
    processor: LiveProcessor,
    thread: VirtualAddress,
    site: CodeSite,
    mayCarryOut = true,
  ): Promise<'done' | 'owed'> {
    const code = await this.target.memory.readPartial(site.address, longestInstruction);
    const disassembler = await this.target.code.disassembler();
    if (mayCarryOut && (await this.#emulate(disassembler, code, processor, site.address))) return 'done';
    const repeats = disassembler.inspect(code, site.address)?.repeats ?? false;
    const { slots } = this.target;
    // A processor that loses RF runs into the guard for ever.
    const last = this.#owed.get(thread)?.at(-1);
    const isStuck = last?.at === site.address && !last.repeats && last.tries > mostTries;
    if (isStuck) slots.release(site);
    const guarded = !isStuck && (slots.executes(site.address) || slots.guard(site));
    site.isUnguarded = !guarded;
    this.owe(thread, site.address, site, repeats);
    await this.resumeOver(processor);
    return 'owed';
  }

  /** Lets the stopped processor past the debug registers that watch the instruction it stands on. */
  async resumeOver(processor: LiveProcessor): Promise<void> {
    const { eflags } = await processor.general();
    if ((eflags & resumeFlag) === 0) await processor.setGeneral({ eflags: eflags | resumeFlag });
  }

  async #emulate(
    disassembler: Disassembler,
    code: Uint8Array,
    processor: LiveProcessor,
    address: VirtualAddress,
  ): Promise<boolean> {
    const { memory, raw, slots } = this.target;
    const instruction = disassembler.simple(code, address);
    if (instruction === undefined) return false;
    const context = await processor.general();
    const before = {
      rip: address,
      eflags: context.eflags,
      general: generalNames.map((name) => context[name]),
    };
    const result = await emulate(before, instruction, disassembler.lengthAt(code), async (at, length) => {
      // What a watchpoint would report has to be done by the processor.
      if (slots.watches(at, length, false)) return undefined;
      const bytes = await memory.readPartial(at, length);
      return bytes.length === length ? bytes : undefined;
    });
    if (result === undefined) return false;
    const { store } = result;
    if (store !== undefined) {
      if (slots.watches(store.address, store.bytes.length, true)) return false;
      if (!(await stored(raw, store))) return false;
      memory.changed(store.address, store.bytes.length);
    }
    const { rip, eflags, general } = result.state;
    const registers = Object.fromEntries(generalNames.map((name, i) => [name, general[i]]));
    await processor.setGeneral({ rip, eflags, ...registers });
    return true;
  }
}

/** False: the page is not there, and the processor has to fault it in. */
async function stored(raw: KdMemory, store: NonNullable<Emulated['store']>): Promise<boolean> {
  try {
    await raw.write(store.address, store.bytes);
    return true;
  } catch (thrown) {
    if (asVmkdError(thrown).code !== 'target-refused') throw thrown;
    return false;
  }
}
