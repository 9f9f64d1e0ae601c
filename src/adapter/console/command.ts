/**
 * What a command of the debug console is. One table of them (commands.ts) serves running, help and completion. Their names
 * and habits are WinDbg's where it has such a command; numbers are those of expressions: decimal unless they begin with 0x.
 */

import { virtualAddress, type VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { evaluate } from '../../engine/expr/compile';
import { isScalar } from '../../engine/expr/types/type';
import { inText, understood } from '../errors';
import { scalarNumber } from '../evaluation';
import type { Call } from '../protocol';
import type { Session } from '../session';
import type { FrameThing } from '../stopThings';
import type { ItemView, Look } from '../variables/items';
import type { Shown } from '../variables/shown';

/** A command under way. */
export interface Run {
  readonly session: Session;
  readonly call: Call;
  readonly look: Look;
  /** What stands behind the command's name, trimmed. */
  readonly args: string;
  /** The frame that the user has selected. @throws target-running */
  readonly frame: () => Promise<FrameThing>;
  readonly view: () => Promise<ItemView>;
}

/** What completion offers for a command's arguments. */
export type Completes = 'symbol' | 'module' | 'register' | 'command' | 'nothing';

export interface ConsoleCommand {
  readonly name: string;
  /** With the name: `db [ADDRESS] [L COUNT]`. */
  readonly usage: string;
  /** One sentence. */
  readonly help: string;
  readonly completes: Completes;
  /** @returns Text to show, or a value that can be unfolded; nothing if what follows says enough. */
  run(run: Run): Promise<string | Shown | undefined>;
}

/** @throws usage */
export const badUsage = ({ usage }: Pick<ConsoleCommand, 'usage'>): VmkdError =>
  new VmkdError('usage', 'This command is used otherwise', { nextStep: `Write: ${usage}` });

/** The value of an expression of the selected frame. @throws ExpressionError */
export async function numberOf({ view, look }: Run, text: string): Promise<bigint> {
  const { context } = await view();
  return understood(text, async () =>
    scalarNumber(context, await evaluate(text, context, { signal: look.signal })),
  );
}

/**
 * The address that an expression means: that of a symbol with its module (`nt!NtGlobalFlag`), of an array, a structure, a
 * function; else its value. @throws ExpressionError
 */
export async function addressOf(run: Run, text: string): Promise<VirtualAddress> {
  const { context } = await run.view();
  const value = async (expression: string): Promise<VirtualAddress> => {
    const item = await evaluate(expression, context, { signal: run.look.signal });
    const { type, place } = item.value;
    const isWhole = !isScalar(type) || /^\s*\w+![^\s()[\]+*/.-]+\s*$/.test(expression);
    if (isWhole && place.kind === 'memory') return place.address;
    return virtualAddress(await scalarNumber(context, item));
  };
  try {
    return await value(text);
  } catch (error) {
    // `nt!KeBugCheckEx+0x12`: C++ adds nothing to a function, people who read stacks do.
    const [, name, displacement] = /^\s*([\w!$?@]+)\s*([+-].*)$/.exec(text) ?? [];
    if (name === undefined || displacement === undefined) throw inText(error, text);
    return value(`(char *)${name} ${displacement}`).catch(() => {
      throw inText(error, text);
    });
  }
}

/** `ADDRESS`, `ADDRESS L COUNT`, `L COUNT`, or nothing. */
export async function rangeOf(
  run: Run,
  defaults: {
    readonly address: () => Promise<VirtualAddress>;
    readonly count: number;
    readonly most: number;
  },
): Promise<{ address: VirtualAddress; count: number }> {
  const [, addressText = '', countText] = /^(.*?)(?:(?:^|\s+)L\s*([^\s]+))?$/i.exec(run.args) ?? [];
  const address = addressText.trim() === '' ? await defaults.address() : await addressOf(run, addressText);
  const count = countText === undefined ? BigInt(defaults.count) : await numberOf(run, countText);
  if (count < 1n || count > BigInt(defaults.most))
    throw new VmkdError('value-out-of-range', `L${count} is not between 1 and ${defaults.most}`);
  return { address, count: Number(count) };
}
