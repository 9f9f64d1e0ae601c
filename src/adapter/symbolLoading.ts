/**
 * When symbols are loaded: those of the kernel and of what is on the stacks before the user sees a stop, all others in the
 * background while the kernel stands. From folders and caches only; servers are asked if the configuration allows it.
 *
 * A breakpoint that waits for symbols must not miss its first hit because the user was quick: before the kernel runs, what
 * is under way in the background is finished. The user sees that, and can cut it short.
 *
 * Invariants: showing a value never loads; a kernel that runs is not asked anything, so what is left waits for the next
 * stop.
 */

import { asVmkdError, VmkdError } from '../engine/core/errors';
import type { CallFrame } from '../engine/target/callStack';
import type { Target, TargetProcessor, UserBreakpoint } from '../engine/target/target';
import { loadSymbols } from '../engine/windows/loadSymbols';
import type { ModuleSymbols } from '../engine/windows/moduleSymbols';
import { withoutLinks } from '../protocol/notificationText';
import { guestText } from './output';
import type { Session } from './session';

export class SymbolLoading {
  #background: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  /** The user has cancelled: nothing more loads by itself. */
  #cancelled = false;
  readonly #tried = new WeakSet<ModuleSymbols>();

  constructor(
    private readonly session: Session,
    private readonly target: Target,
  ) {
    target.onState.add(({ kind }) => {
      this.#background?.abort.abort();
      if (kind === 'stopped') this.inBackground();
    });
  }

  /** What a first look needs. @throws cancelled, what the target throws */
  async first(signal: AbortSignal): Promise<void> {
    const { symbols, processors } = this.target;
    const nt = symbols.moduleNamed('nt');
    if (nt !== undefined) await this.#load([nt], false, signal);
    const shown = new Set<ModuleSymbols>();
    for (const processor of processors) {
      for (const { address } of await framesOf(processor)) {
        const module = symbols.moduleAt(address);
        if (module !== undefined) shown.add(module);
      }
    }
    await this.#load([...shown], false, signal);
  }

  /** All that were not tried yet, as long as the kernel stands. */
  inBackground(): void {
    const modules = this.#untried();
    if (
      this.#background !== undefined ||
      this.#cancelled ||
      modules.length === 0 ||
      this.target.state.kind !== 'stopped'
    )
      return;
    const abort = new AbortController();
    const { signal } = abort;
    const online = this.session.configuration.symbols.download;
    const done = this.load(modules, online, AbortSignal.any([signal, this.session.ended.signal]))
      .catch((thrown: unknown) => {
        const { code, message } = asVmkdError(thrown);
        if (code === 'cancelled') this.#cancelled ||= !signal.aborted;
        else if (code !== 'target-running') this.session.output.line('stderr', `Symbols: ${message}`);
      })
      .finally(() => {
        if (this.#background?.abort === abort) this.#background = undefined;
      });
    this.#background = { abort, done };
  }

  /** To be called before the kernel runs: what breakpoints wait for is loaded, unless the user cancels. */
  async beforeRunning(): Promise<void> {
    if (!(this.target.breakpoints?.all ?? []).some(waitsForSymbols)) return;
    for (;;) {
      if (this.#background === undefined) this.inBackground();
      if (this.#background === undefined) return;
      await this.#background.done;
    }
  }

  /** @throws cancelled, what the target throws */
  async load(modules: readonly ModuleSymbols[], online: boolean, signal: AbortSignal): Promise<void> {
    await this.session.progress.run('Loading symbols', { signal }, async (report) => {
      let done = 0;
      report.update(`${modules.length} modules`, 0);
      await this.#load(modules, online, report.signal, (module) => {
        done++;
        report.update(withoutLinks(guestText(module.module.name)), (done * 100) / modules.length);
      });
    });
  }

  #untried(): ModuleSymbols[] {
    return this.target.symbols.modules.filter(
      (module) => module.state.kind === 'unloaded' && !this.#tried.has(module),
    );
  }

  async #load(
    modules: readonly ModuleSymbols[],
    online: boolean,
    signal: AbortSignal,
    onLoaded: (module: ModuleSymbols) => void = () => undefined,
  ): Promise<void> {
    const wanted = modules.filter(({ state }) => state.kind !== 'loaded');
    await loadSymbols(wanted, {
      online,
      signal,
      onLoaded: (module) => {
        this.#tried.add(module);
        onLoaded(module);
        // loadSymbols knows of the signal only while it downloads.
        if (signal.aborted) throw new VmkdError('cancelled', 'Loading symbols was cancelled');
      },
    });
  }
}

/** None of a machine whose stacks are not walked. */
async function framesOf(processor: TargetProcessor): Promise<readonly CallFrame[]> {
  try {
    return (await processor.stack()).frames;
  } catch (error) {
    if (error instanceof VmkdError && error.code === 'target-unsupported') return [];
    throw error;
  }
}

const waitsForSymbols = ({ status, request }: UserBreakpoint): boolean =>
  status.kind === 'pending' && (request.place.kind === 'source' || request.place.kind === 'function');
