/**
 * DAP on a stream of bytes. A header of lines, of which one says how long the message is, and the message as JSON:
 *
 *   Content-Length: 119\r\n  …  \r\n\r\n  {"seq":…}
 */

const lineEnd = '\r\n';
const headerEnd = Buffer.from(lineEnd + lineEnd);
const mostHeader = 4096;
/** Of one message. The longest are memory: 1 MiB, in base64. */
const mostBytes = 64 << 20;

export function framed(message: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${text.length}`), headerEnd, text]);
}

export class MessageReader {
  #pieces: Buffer[] = [];
  #size = 0;
  /** Before there are so many bytes, there is nothing to be found. */
  #wanted = headerEnd.length;

  /** @returns The messages that are complete now. @throws if that is not DAP; then nothing behind it is, either */
  push(bytes: Buffer): unknown[] {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    const found: unknown[] = [];
    while (this.#size >= this.#wanted) {
      const text = this.#take();
      if (text === undefined) break;
      found.push(JSON.parse(text));
    }
    return found;
  }

  #take(): string | undefined {
    const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    const end = all.indexOf(headerEnd);
    this.#pieces = [all];
    if (end > mostHeader || (end < 0 && all.length > mostHeader)) throw new Error('A header without an end');
    if (end < 0) {
      this.#wanted = all.length + 1;
      return undefined;
    }
    const from = end + headerEnd.length;
    const to = from + lengthIn(all.toString('latin1', 0, end));
    this.#wanted = to;
    if (all.length < to) return undefined;
    this.#pieces = [all.subarray(to)];
    this.#size = all.length - to;
    this.#wanted = headerEnd.length;
    return all.toString('utf8', from, to);
  }
}

function lengthIn(header: string): number {
  const [, digits] = /^Content-Length: *(\d{1,9})$/im.exec(header.replaceAll('\r', '')) ?? [];
  const length = Number(digits);
  if (digits === undefined || length > mostBytes) throw new Error('A message without a length');
  return length;
}
