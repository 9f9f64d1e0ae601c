/**
 * The source files that loaded symbols name, as a client hears of them. VS Code's view of loaded scripts lives on these events:
 * it asks for the list only of sessions that are older than the view.
 *
 * Invariant: what was told is what a request for the list would have answered, a moment ago.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { Soon } from '../engine/core/soon';
import type { Session } from './session';

/** Milliseconds: symbols of many modules come in a row. */
const settleTime = 200;

export class LoadedSources {
  #told: ReadonlyMap<string, P.Source> = new Map();
  readonly #soon = new Soon(settleTime, () => this.#tell());

  constructor(private readonly session: Session) {
    session.atEnd.push(() => this.#soon.dispose());
  }

  /** Modules or their symbols have changed. */
  changed(): void {
    this.#soon.ask();
  }

  #tell(): void {
    const { events, phase, sources } = this.session;
    if (phase === 'ended') return;
    const before = this.#told;
    const now = sources.all();
    this.#told = now;
    const tell = (reason: P.LoadedSourceEvent['body']['reason'], source: P.Source): void =>
      events.send('loadedSource', { reason, source } satisfies P.LoadedSourceEvent['body']);
    for (const [path, source] of before) if (!now.has(path)) tell('removed', source);
    for (const [path, source] of now) if (!before.has(path)) tell('new', source);
  }
}
