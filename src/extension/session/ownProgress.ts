/**
 * Progress of what our views look at: they show by themselves what they wait for, and a notification would come unasked. What
 * the user has ordered is shown as with any other request.
 */

import type { Message } from './sessionState';

/** Requests that only look. */
const looks: ReadonlySet<string> = new Set([
  'disassemble',
  'evaluate',
  'readMemory',
  'scopes',
  'stackTrace',
  'variables',
  'vmkd/processes',
  'vmkd/readMemory',
  'vmkd/threads',
]);

interface ProgressBody {
  readonly progressId: string;
  readonly requestId?: number;
}

export class OwnProgress {
  /** Progress that nobody sees. */
  readonly #hidden = new Set<string>();

  /** @param commandOf Of a request of ours that is under way, by its number. */
  constructor(private readonly commandOf: (request: number) => string | undefined) {}

  /** Whether VS Code shall not hear of it. */
  hides({ type, event, body }: Message): boolean {
    if (type !== 'event' || event?.startsWith('progress') !== true) return false;
    const { progressId, requestId } = body as ProgressBody;
    if (event !== 'progressStart')
      return event === 'progressEnd' ? this.#hidden.delete(progressId) : this.#hidden.has(progressId);
    const command = requestId === undefined ? undefined : this.commandOf(requestId);
    const isHidden = command !== undefined && looks.has(command);
    if (isHidden) this.#hidden.add(progressId);
    return isHidden;
  }
}
