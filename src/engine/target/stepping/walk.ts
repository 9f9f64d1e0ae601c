/**
 * The ways out of a piece of code, found without running it: every instruction that can be reached inside it is decoded, and
 * wherever one leads outside is an exit. A few breakpoints there do what single steps would do at a round trip each.
 *
 *   exits      the first instructions outside
 *   returns    it may return, or leave by a jump to another function
 *   calls      calls that it may make, in the order of addresses
 *   unknown    jumps through registers or memory: where they lead shows when they are there
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import type { Code } from '../code';
import type { StepScope } from './stepScope';

export interface WaysOut {
  readonly exits: ReadonlySet<VirtualAddress>;
  readonly returns: boolean;
  readonly calls: readonly CallSite[];
  readonly unknown: ReadonlySet<VirtualAddress>;
}

export interface CallSite {
  readonly address: VirtualAddress;
  /** Undefined: through a register or memory. */
  readonly target: VirtualAddress | undefined;
  /** Where a pointer to the target lies, if that is an address in the instruction. */
  readonly pointer: VirtualAddress | undefined;
}

/** A step over more code than this ends where the walk did. */
const mostInstructions = 4096;

/**
 * @param stopAt Calls that are exits themselves: the walk does not go on behind them. @throws what the target's memory throws
 */
export async function waysOut(
  code: Code,
  start: VirtualAddress,
  scope: StepScope,
  stopAt: (call: CallSite) => boolean,
): Promise<WaysOut> {
  const exits = new Set<VirtualAddress>();
  const unknown = new Set<VirtualAddress>();
  const calls: CallSite[] = [];
  let returns = false;
  const seen = new Set<VirtualAddress>();
  const left = [start];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    if (!scope(at) || seen.size > mostInstructions) {
      exits.add(at);
      continue;
    }
    const info = await code.inspect(at);
    // No code, or none that is there: whoever comes here faults.
    if (info === undefined) continue;
    const next = plus(at, info.length);
    switch (info.flow.kind) {
      case 'next':
      case 'interrupt':
      case 'system-call':
        left.push(next);
        break;
      case 'conditional-branch':
        left.push(next, info.flow.target);
        break;
      case 'branch':
        if (await isOtherFunction(code, at, info.flow.target)) returns = true;
        else left.push(info.flow.target);
        break;
      case 'call':
      case 'indirect-call': {
        const target = info.flow.kind === 'call' ? info.flow.target : undefined;
        const absolute = info.memory?.base === undefined && info.memory?.index === undefined;
        const pointer = target === undefined && absolute ? info.memory?.displacement : undefined;
        const call = { address: at, target, pointer };
        calls.push(call);
        if (at === start || !stopAt(call)) left.push(next);
        break;
      }
      case 'indirect-branch':
        unknown.add(at);
        break;
      case 'return':
        returns = true;
        break;
      case 'exception':
        break;
    }
  }
  calls.sort((a, b) => (a.address < b.address ? -1 : 1));
  return { exits, returns, calls, unknown };
}

/** A jump to the start of another function is a call in tail position: it comes back to our caller. */
async function isOtherFunction(code: Code, from: VirtualAddress, to: VirtualAddress): Promise<boolean> {
  const [here, there] = [await code.functionAt(from), code.symbols.at(to)];
  if (here === undefined || (to >= here.begin && to < here.end)) return false;
  return there?.symbol === undefined || (there.symbol.displacement === 0 && !there.symbol.separated);
}
