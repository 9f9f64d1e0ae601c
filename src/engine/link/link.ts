/**
 * A link: the full-duplex stream of bytes between us and a virtual serial port (or, on the companion pipe, a
 * debugger). What the bytes mean is the channel's business (kdcomChannel.ts); how the stream came to be (socket, named
 * pipe, who connected and who listened) is the endpoint's.
 *
 * Invariants of every ByteLink:
 *  - bytes that arrive before `attach` are kept (up to the operating system's buffers) and delivered after it;
 *  - `onClosed` is called exactly once, after the last `onBytes`, whoever closed the link, unless never attached;
 *  - no method throws: a dead link swallows writes, for its owner learns of the death from `onClosed`.
 */

import type { VmkdError } from '../core/errors';

export interface LinkHandlers {
  /** The chunk is only valid during the call: keep a copy, not the view. */
  onBytes(chunk: Uint8Array): void;
  /** `error` is undefined when we closed the link ourselves; otherwise its code begins with `link-`. */
  onClosed(error: VmkdError | undefined): void;
}

export interface ByteLink {
  /** The link as the user wrote it; for messages. */
  readonly name: string;
  /** Bytes written that the operating system has not taken yet. Who retransmits looks here first. */
  readonly queuedBytes: number;
  /** Gives the link its one reader. A second call is a defect. */
  attach(handlers: LinkHandlers): void;
  /** Queues bytes for sending, in order. The array may be reused by the caller as soon as the call returns. */
  write(bytes: Uint8Array): void;
  /** Idempotent; `onClosed(undefined)` follows if it was still open. */
  close(): void;
}

export interface OpenOptions {
  /** Aborts the wait with code `cancelled`. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds to wait for the other end to appear: a pipe that VMware has not created yet (connect), a peer that
   * has not connected yet (listen). 0: one attempt. Infinity: until the signal.
   */
  readonly waitMilliseconds: number;
}

/** A place where links come from, again and again: the guest reboots, its pipe goes and comes. */
export interface LinkEndpoint {
  /** The specification as the user wrote it. */
  readonly spec: string;
  /** Opens the next link. Errors: codes `link-*`, `cancelled`. */
  open(options: OpenOptions): Promise<ByteLink>;
  /** Begins to listen, where this end does that: `open` does it, too, but waits for somebody. Errors: codes `link-*`. */
  listen?(): Promise<void>;
  /**
   * Why an open link stays silent, as far as this end can tell (another client holds the port); undefined if it
   * cannot. Asked only when a connection attempt has failed.
   */
  diagnoseSilence?(link: ByteLink): Promise<VmkdError | undefined>;
  /** Stops listening and removes what this end created (a socket file). Links already open live on. */
  dispose(): Promise<void>;
}
