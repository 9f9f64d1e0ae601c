/**
 * Breakpoints as the client keeps them, and as the engine does. A client sends all breakpoints of a source file, all
 * function breakpoints, and so on, each time that one of them changes; those that stayed must not be touched, for they count
 * hits, and removing one stops a running kernel.
 *
 *   client's list of one group ──▶ kept (same place and mode: rule replaced) │ added │ removed ──▶ engine
 *
 * Invariant: what the engine has is what the client sent last, in each group, unless the engine refused it; a refusal is
 * the breakpoint's own and leaves the others alone.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError, VmkdError } from '../engine/core/errors';
import { hex } from '../engine/core/hex';
import type {
  BreakpointPlace,
  BreakpointRequest,
  Breakpoints,
  UserBreakpoint,
} from '../engine/target/target';
import { errorText } from './errors';
import { compileRule, type RuleTexts } from './hitRules';
import { memoryReference } from './memoryReferences';
import type { Session } from './session';

/** One breakpoint as the client asks for it. */
export interface Wanted {
  readonly place: BreakpointPlace;
  readonly mode?: string | undefined;
  readonly rule: RuleTexts;
}

interface Entry {
  readonly key: string;
  readonly breakpoint: UserBreakpoint;
}

/** Software and hardware, as clients offer them to their users. */
export const breakpointModes: P.BreakpointMode[] = [
  {
    mode: 'software',
    label: 'Software',
    description: 'An int3 in the code: any number of them, in memory that can be written.',
    appliesTo: ['source', 'instruction'],
  },
  {
    mode: 'hardware',
    label: 'Hardware',
    description: 'A debug register: four in all, also in code that is paged out or must not change.',
    appliesTo: ['source', 'instruction', 'data'],
  },
];

export class BreakpointBook {
  readonly #groups = new Map<string, Entry[]>();

  constructor(
    private readonly session: Session,
    private readonly engine: Breakpoints,
  ) {
    engine.onChange.add((breakpoint) => {
      if (!this.#has(breakpoint)) return;
      const body: P.BreakpointEvent['body'] = { reason: 'changed', breakpoint: this.describe(breakpoint) };
      session.events.send('breakpoint', body);
    });
  }

  /**
   * Makes `wanted` what the group holds.
   * @param group `source /a/b.c`, `function`, …
   * @returns In the order of `wanted`. Refusals are results, not errors. @throws what the link throws
   */
  async replace(group: string, wanted: readonly (Wanted | VmkdError)[]): Promise<P.Breakpoint[]> {
    const before = this.#groups.get(group) ?? [];
    const now: Entry[] = [];
    const results: (P.Breakpoint | undefined)[] = [];
    this.#groups.set(group, now);
    const added: { readonly key: string; readonly request: BreakpointRequest; readonly at: number }[] = [];
    for (const [at, one] of wanted.entries()) {
      try {
        if (one instanceof VmkdError) throw one;
        const request = this.#requestOf(one);
        const key = keyOf(request);
        const kept = before.findIndex((entry) => entry.key === key);
        if (kept < 0) added.push({ key, request, at });
        else {
          const [entry] = before.splice(kept, 1) as [Entry];
          this.engine.change(entry.breakpoint, request.rule);
          now.push(entry);
          results[at] = this.describe(entry.breakpoint);
        }
      } catch (thrown) {
        results[at] = refused(thrown);
      }
    }
    const { target, prompts } = this.session;
    const blocked = target.state.kind === 'running' ? prompts.unanswered : undefined;
    // First away with the old: the new may need its slots.
    for (const { breakpoint } of before) {
      // It stops nobody any more, even if its int3 stays until the kernel stops next.
      const removal = this.engine.remove(breakpoint).catch(unlessNoStop);
      if (blocked === undefined) await removal;
    }
    for (const { key, request, at } of added) {
      try {
        if (blocked !== undefined) throw blocked;
        const breakpoint = await this.engine.add(request);
        now.push({ key, breakpoint });
        results[at] = this.describe(breakpoint);
      } catch (thrown) {
        results[at] = refused(thrown);
      }
    }
    return results as P.Breakpoint[];
  }

  describe(breakpoint: UserBreakpoint): P.Breakpoint {
    const { id, status, request } = breakpoint;
    const { positions, sources } = this.session;
    if (status.kind !== 'bound') {
      const asked =
        request.place.kind === 'source' ? { line: positions.lineToClient(request.place.line) } : {};
      return { id, verified: false, message: status.message, reason: status.kind, ...asked };
    }
    const [first] = status.locations;
    const { source } = first ?? {};
    return {
      id,
      verified: true,
      message: status.message,
      ...(source && { source: sources.describe(source.path), line: positions.lineToClient(source.line) }),
      ...(first && { instructionReference: memoryReference(first.address) }),
    };
  }

  #requestOf({ place, mode, rule }: Wanted): BreakpointRequest {
    if (mode !== undefined && mode !== 'software' && mode !== 'hardware')
      throw new VmkdError('request-bad', `There is no breakpoint mode “${mode}”`);
    // What the breakpoint is called in messages is known only when it is there.
    const compiled = compileRule(this.session, rule);
    return { place, ...(mode && { mode }), ...(compiled && { rule: compiled }) };
  }

  #has(breakpoint: UserBreakpoint): boolean {
    return [...this.#groups.values()].some((group) => group.some((entry) => entry.breakpoint === breakpoint));
  }
}

function unlessNoStop(thrown: unknown): void {
  if (asVmkdError(thrown).code !== 'target-did-not-stop') throw thrown;
}

function refused(thrown: unknown): P.Breakpoint {
  return { verified: false, message: errorText(asVmkdError(thrown)), reason: 'failed' };
}

function keyOf({ place, mode: wanted }: BreakpointRequest): string {
  const mode = wanted ?? '';
  switch (place.kind) {
    case 'source':
      return `${mode} ${place.path}:${place.line}`;
    case 'function':
      return `${mode} ${place.name}`;
    case 'instruction':
      return `${mode} ${hex(place.address)}`;
    case 'data':
      return `${mode} ${hex(place.address)} ${place.size} ${place.access}`;
  }
}
