/**
 * Whether a session has a companion pipe: from its beginning, if its configuration says so, or when its user wants one.
 *
 *   none ──start──▶ a SessionCompanion ──stop──▶ none
 *
 * Invariants: one pipe at a time; a start that fails leaves none; what passes them is recorded in one file, however many there
 * are, one after the other.
 */

import { VmkdError, asVmkdError } from '../engine/core/errors';
import { Mutex } from '../engine/core/mutex';
import type { KdPacket } from '../engine/kd/packet';
import type { ListenSpec } from '../engine/link/spec';
import type { TraceWriter } from '../engine/link/trace';
import type { KernelTarget } from '../engine/target/kernelTarget';
import { companionPlace, SessionCompanion } from './companion';
import { errorText } from './errors';
import type { Session } from './session';

interface PipeOptions {
  /** Of a pipe for which nobody gives one. */
  readonly name: string;
  readonly trace: TraceWriter | undefined;
}

export class CompanionPipe {
  readonly #wanted: ListenSpec | undefined;
  /** One thing at a time. */
  readonly #turn = new Mutex();
  #target: KernelTarget | undefined;
  #now: SessionCompanion | undefined;

  /** @throws link-bad-spec, link-denied, for what the configuration says */
  constructor(
    private readonly session: Session,
    private readonly options: PipeOptions,
  ) {
    const { companion } = session.configuration;
    this.#wanted = companion === undefined ? undefined : companionPlace(companion);
  }

  /** For the kernel's servant. */
  relay(packet: KdPacket): Promise<KdPacket | undefined> | undefined {
    return this.#now?.relay(packet);
  }

  /** Pipes lead to this kernel. */
  follow(target: KernelTarget): void {
    this.#target = target;
    if (this.#wanted === undefined) return;
    this.start().catch((thrown: unknown) => {
      const text = errorText(asVmkdError(thrown));
      this.session.output.line('important', `There is no companion pipe. ${text}`);
    });
  }

  /**
   * @param place What the user wrote: a name, or a link that listens; undefined: as the configuration says, or the machine is
   *   called. @returns How WinDbg attaches.
   * @throws companion-present, target-not-attached, link-bad-spec, link-in-use, link-denied, link-failed
   */
  start(place?: string): Promise<string> {
    return this.#turn.run(async () => {
      if (this.#now !== undefined)
        throw new VmkdError('companion-present', `There is a companion pipe already: ${this.#now.text}`);
      const { session, options } = this;
      if (this.#target === undefined || session.phase === 'ended')
        throw new VmkdError('target-not-attached', 'There is no kernel yet');
      this.#now = await SessionCompanion.open({
        session,
        target: this.#target,
        place: place === undefined ? (this.#wanted ?? companionPlace(options.name)) : companionPlace(place),
        trace: options.trace,
        onGone: () => (this.#now = undefined),
      });
      return this.#now.text;
    });
  }

  /** WinDbg, if it is there, is shown out. @throws companion-none, target-did-not-stop; then the pipe stays */
  stop(): Promise<void> {
    return this.#turn.run(async () => {
      await this.mustBe().stop();
      this.#now = undefined;
    });
  }

  /** @throws companion-none */
  mustBe(): SessionCompanion {
    if (this.#now === undefined) throw new VmkdError('companion-none', 'This session has no companion pipe');
    return this.#now;
  }

  /** As SessionCompanion has it. */
  leave(): Promise<boolean> {
    return this.#turn.run(async () => (await this.#now?.leave()) === true);
  }

  /** As SessionCompanion has it. */
  async outlive(signal: AbortSignal): Promise<void> {
    await this.#now?.outlive(signal);
  }

  async close(): Promise<void> {
    await this.#now?.close();
  }
}
