/**
 * Running, stepping, stopping, going elsewhere. The kernel has one clock: whatever runs, all its processors run, and a stop
 * stops them all.
 */

import { hex } from '../../engine/core/hex';
import { VmkdError } from '../../engine/core/errors';
import type { VirtualAddress } from '../../engine/core/addresses';
import type { StepGranularity, StepKind } from '../../engine/target/target';
import type { Call, Family } from '../protocol';
import { executionOf, resume, step } from '../running';
import type { Session } from '../session';
import { pathOf } from '../sources';

export const execution: Family = {
  capabilities: (parts) => ({
    supportsGotoTargetsRequest: parts.places,
    supportsRestartRequest: parts.execution,
    supportsStepInTargetsRequest: parts.places,
    supportsSteppingGranularity: parts.places,
  }),
  requests: {
    async continue(session, _args, call) {
      call.holdEvents();
      await resume(session, false);
      return { allThreadsContinued: true };
    },

    next: (session, args, call) => stepAs(session, call, 'over', args),

    stepIn: (session, args, call) => stepAs(session, call, 'into', args, args.targetId),

    stepOut: (session, args, call) => stepAs(session, call, 'out', args),

    async pause(session, _args, call) {
      call.holdEvents();
      if (session.target.state.kind === 'stopped') return;
      const { unanswered } = session.prompts;
      if (unanswered !== undefined) throw unanswered;
      await executionOf(session).pause(session.configuration.timeouts.breakIn * 1000, call.signal);
    },

    async restart(session, _args, call) {
      call.holdEvents();
      const { unanswered } = session.prompts;
      if (unanswered !== undefined) throw unanswered;
      await session.turn.run(() => executionOf(session).reboot());
    },

    async stepInTargets(session, { frameId }) {
      session.mustBeStopped();
      const { processor, index } = session.things.frames.get(frameId);
      if (index > 0) return { targets: [] };
      const calls = await executionOf(session).callsAhead(processor.number);
      return {
        targets: calls.map(({ address, name }) => ({
          id: session.things.calls.add({ processor, address }),
          label: name,
        })),
      };
    },

    async gotoTargets(session, { source, line }) {
      session.mustBeStopped();
      const places = await placesToGo(
        session,
        pathOf(session, source),
        session.positions.lineFromClient(line),
      );
      return {
        targets: places.map(({ address, processor, name, line: found }) => ({
          id: session.things.gotoTargets.add({ address, processor }),
          label: name,
          line: session.positions.lineToClient(found),
          instructionPointerReference: hex(address, 16),
        })),
      };
    },

    async goto(session, { threadId, targetId }, call) {
      call.holdEvents();
      session.mustBeStopped();
      const { address, processor: there } = session.things.gotoTargets.get(targetId);
      const processor = session.processor(threadId);
      const { rip } = await processor.general();
      // Any other stack would not fit.
      if (!isSameFunction(session, rip, address))
        throw new VmkdError(
          'value-out-of-range',
          `CPU ${processor.number} does not stand in the function of this line`,
          { nextStep: `Select CPU ${there.number}, which does, or set the register rip.` },
        );
      await session.turn.run(() => executionOf(session).goto(processor.number, address));
    },
  },
};

async function stepAs(
  session: Session,
  call: Call,
  kind: StepKind,
  { threadId, granularity }: { readonly threadId: number; readonly granularity?: StepGranularity },
  targetId?: number,
): Promise<void> {
  call.holdEvents();
  session.mustBeStopped();
  const processor = session.processor(threadId);
  if (processor.asleep === true)
    throw new VmkdError('target-unsupported', 'A thread that no processor runs cannot be stepped', {
      nextStep: 'Step the thread of a CPU, or set a breakpoint where this one goes on.',
    });
  const intoCall = targetId === undefined ? undefined : session.things.calls.get(targetId).address;
  await step(session, {
    kind,
    granularity: granularity ?? 'statement',
    processor: processor.number,
    ...(intoCall === undefined ? {} : { intoCall }),
  });
}

interface PlaceToGo {
  readonly address: VirtualAddress;
  readonly processor: ReturnType<Session['processor']>;
  readonly name: string;
  readonly line: number;
}

/** Code of a line within the functions in which processors stand: elsewhere the stack would not fit. */
async function placesToGo(session: Session, path: string, line: number): Promise<PlaceToGo[]> {
  const { symbols, processors } = session.target;
  const code = symbols
    .findLine({ path, line, sourceMap: session.configuration.sourceMap })
    .flatMap((match) => match.code.filter(({ first }) => first).map((c) => ({ ...c, line: match.line })));
  const found: PlaceToGo[] = [];
  for (const processor of processors) {
    const { rip } = await processor.general();
    for (const { address, line: at } of code) {
      if (!isSameFunction(session, rip, address)) continue;
      if (!found.some((place) => place.address === address))
        found.push({ address, processor, name: symbols.nameOf(address)!, line: at });
    }
  }
  if (found.length > 0 || code.length === 0) return found;
  throw new VmkdError('value-out-of-range', `No CPU stands in the function of line ${line}`, {
    nextStep: 'Go to a line of the function in which the CPU stands, or set the register rip.',
  });
}

/** By symbols: without one nothing is known to be the same. */
function isSameFunction({ target }: Session, one: VirtualAddress, other: VirtualAddress): boolean {
  const [here, there] = [target.symbols.at(one), target.symbols.at(other)];
  if (here?.symbol === undefined || there?.symbol === undefined) return false;
  return here.module === there.module && here.symbol.rva === there.symbol.rva;
}
