/**
 * The registers of a thread, as the adapter tells them to whoever asks for its variables: groups of lines, some of which have
 * parts inside, as flags have bits. What is folded is not read.
 *
 *   General ─ rax, rbx …      Flags ─ eflags ─ cf, pf …      SSE ─ xmm0 ─ float ─ [0] …
 */

import type { KernelSession } from '../session/sessions';
import type { RegisterGroup, RegisterLine } from '../webviews/messages';

interface Variable {
  readonly name: string;
  readonly value: string;
  readonly variablesReference: number;
  readonly presentationHint?: { readonly attributes?: readonly string[]; readonly lazy?: boolean };
}

export interface ReadRegisters {
  readonly groups: readonly RegisterGroup[];
  /** DAP's numbers of what the lines are in, by path: `Flags/eflags`. */
  readonly references: ReadonlyMap<string, number>;
}

/** Of a thread that sleeps: what calls preserve. They are in no group. */
export const preserved = 'Preserved';

/** @param isOpen By path. @throws what the adapter answers; if the thread stands nowhere */
export async function readRegisters(
  session: Pick<KernelSession, 'ask'>,
  threadId: number,
  isOpen: (path: string) => boolean,
): Promise<ReadRegisters> {
  const references = new Map<string, number>();
  const inside = async (variablesReference: number): Promise<readonly Variable[]> =>
    (await session.ask<{ variables: readonly Variable[] }>('variables', { variablesReference })).variables;

  async function linesIn(path: string, reference: number): Promise<RegisterLine[] | undefined> {
    references.set(path, reference);
    if (!isOpen(path)) return undefined;
    return Promise.all((await inside(reference)).map((line) => lineOf(path, line)));
  }

  async function lineOf(within: string, line: Variable): Promise<RegisterLine> {
    const { name, variablesReference, presentationHint } = line;
    const isLazy = presentationHint?.lazy === true;
    // What costs a request each is read when its group is open.
    const [value] = isLazy ? await inside(variablesReference) : [];
    const path = `${within}/${name}`;
    const parts =
      isLazy || variablesReference === 0 ? undefined : { lines: await linesIn(path, variablesReference) };
    return {
      name,
      value: value?.value ?? line.value,
      canSet: presentationHint?.attributes?.includes('readOnly') !== true,
      ...(parts && { parts }),
    };
  }

  const scope = await registersScope(session, threadId);
  const found = await inside(scope);
  const isGrouped = found.every(({ variablesReference }) => variablesReference > 0);
  const groups = isGrouped ? found : [{ name: preserved, variablesReference: scope }];
  return {
    groups: await Promise.all(
      groups.map(async ({ name, variablesReference }) => ({
        name,
        lines: await linesIn(name, variablesReference),
      })),
    ),
    references,
  };
}

/** DAP's number of what has them. */
async function registersScope(session: Pick<KernelSession, 'ask'>, threadId: number): Promise<number> {
  const { stackFrames } = await session.ask<{ stackFrames: readonly { id: number }[] }>('stackTrace', {
    threadId,
    startFrame: 0,
    levels: 1,
  });
  const [frame] = stackFrames;
  if (frame === undefined) throw new Error('The processor stands nowhere');
  const { scopes } = await session.ask<{
    scopes: readonly { presentationHint?: string; variablesReference: number }[];
  }>('scopes', { frameId: frame.id });
  const scope = scopes.find(({ presentationHint }) => presentationHint === 'registers');
  if (scope === undefined) throw new Error('There are no registers');
  return scope.variablesReference;
}
