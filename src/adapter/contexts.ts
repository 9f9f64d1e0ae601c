/**
 * What expressions are evaluated in: scopes of frames, one for each frame that somebody asks about, as long as the stop
 * lasts; and of where a processor stands, for conditions of breakpoints, which run often and walk no stack.
 */

import { CodeScopes } from '../engine/target/scope/codeScope';
import { FrameScope, type ScopeSource } from '../engine/target/scope/frameScope';
import type { Target, TargetProcessor } from '../engine/target/target';
import type { FrameThing } from './stopThings';

export class Contexts {
  readonly #source: ScopeSource;
  #frames = new WeakMap<FrameThing['frame'], Promise<FrameScope>>();

  constructor({ symbols }: Target) {
    this.#source = { symbols, codeScopes: new CodeScopes(symbols) };
  }

  /** @throws what the target throws */
  ofFrame({ frame, processor, index }: FrameThing): Promise<FrameScope> {
    let scope = this.#frames.get(frame);
    if (scope === undefined) {
      scope = FrameScope.of(this.#source, frame, processor, hasProcessor({ frame, processor, index }));
      this.#frames.set(frame, scope);
      scope.catch(() => this.#frames.delete(frame));
    }
    return scope;
  }

  /** @throws what the target throws */
  ofProcessor(processor: TargetProcessor): Promise<FrameScope> {
    return FrameScope.top(this.#source, processor);
  }

  /** A stop has ended, or a register was set: frames are others now. */
  forget(): void {
    this.#frames = new WeakMap();
  }
}

/**
 * Whether the registers of a frame are those of its processor. Functions that were inlined where the processor stands share
 * them with the procedure around them.
 */
export const hasProcessor = ({ frame, processor, index }: FrameThing): boolean =>
  processor.asleep !== true && index <= frame.inlineDepth;
