/** Modules as DAP describes them, and what the client hears when one comes, goes, or gets its symbols. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { hex } from '../engine/core/hex';
import { Soon } from '../engine/core/soon';
import type { ModuleChange, Target } from '../engine/target/target';
import { describeSymbolState, type ModuleSymbols } from '../engine/windows/moduleSymbols';
import { LoadedSources } from './loadedSources';
import type { Session } from './session';

/** The base address: the kernel never has two modules at one place. */
export const moduleId = (module: ModuleSymbols): string => hex(module.base, 16);

/** `isKernel`, which is not DAP's: when that one goes, another kernel comes, with everything elsewhere. */
export function describeModule(module: ModuleSymbols): P.Module & { readonly isKernel?: true } {
  const { name, path, base, size } = module.module;
  const { state } = module;
  return {
    id: moduleId(module),
    name,
    path,
    addressRange: `${hex(base, 16)}-${hex(base + BigInt(size), 16)}`,
    symbolStatus: describeSymbolState(state),
    ...(state.kind === 'loaded' ? { symbolFilePath: state.path } : {}),
    ...(module.alias === 'nt' ? { isKernel: true } : {}),
  };
}

/** Milliseconds: symbols of many modules come in a row, and each would make the client ask for everything again. */
const settleTime = 200;

/** From now on the client hears of modules. */
export function followModules(session: Session, target: Target): void {
  const sources = new LoadedSources(session);
  sources.changed();
  const frames = new Soon(settleTime, () => void session.framesChanged());
  session.atEnd.push(() => frames.dispose());
  target.onModules.add((change) => {
    onModule(session, change);
    sources.changed();
    // Frames have other names, sources and variables now.
    if (change.kind === 'symbols') frames.ask();
  });
}

function onModule(session: Session, { kind, module }: ModuleChange): void {
  if (session.phase === 'ended') return;
  const { state } = module;
  if (kind === 'symbols' && (state.kind === 'loading' || state.kind === 'unloaded')) return;
  const reason = { added: 'new', removed: 'removed', symbols: 'changed' } as const;
  session.events.send('module', {
    reason: reason[kind],
    module: describeModule(module),
  } satisfies P.ModuleEvent['body']);
}
