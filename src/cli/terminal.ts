/**
 * The two streams of a command: results on stdout, what happens meanwhile on stderr. Text from a guest passes `printable`
 * before a person's terminal sees it.
 */
export class Terminal {
  out(text: string): void {
    process.stdout.write(text);
  }

  error(text: string): void {
    process.stderr.write(text);
  }
}

/** Control characters, which could drive the terminal, made visible. */
export const printable = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  text.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
