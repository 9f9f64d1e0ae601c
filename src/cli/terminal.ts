/**
 * The two streams of a command: results on stdout, what happens meanwhile on stderr. Text from a guest passes `printable`
 * before a person's terminal sees it.
 */
export class Terminal {
  /** Of a command that throws nothing. */
  exitCode: 0 | 1 = 0;

  constructor() {
    // Who pipes us into `head` has seen enough.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }

  out(text: string): void {
    process.stdout.write(text);
  }

  /** Rows of results. A line break in one of them is made visible, so that no name can forge a row. */
  rows(rows: readonly string[]): void {
    this.out(rows.map((row) => `${printableLine(row)}\n`).join(''));
  }

  error(text: string): void {
    process.stderr.write(text);
  }
}

/** What could drive the terminal, turn text round or break lines unseen, made visible. */
export const printable = (text: string): string =>
  text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
  });

/** The same for what is one line. */
export const printableLine = (text: string): string => printable(text).replaceAll('\n', '\\x0a');
