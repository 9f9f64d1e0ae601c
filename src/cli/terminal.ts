/**
 * The two streams of a command: results on stdout, what happens meanwhile on stderr. Text from a guest passes `printable`
 * before a person's terminal sees it.
 */
export class Terminal {
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

  error(text: string): void {
    process.stderr.write(text);
  }
}

/** Control characters, which could drive the terminal, made visible. */
export const printable = (text: string): string =>
  text.replace(
    /(?!\n)\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
