/**
 * Something that is done a little later, and once for all that ask for it meanwhile: symbols of many modules come in a row, and
 * each would make views ask for everything again.
 */

export class Soon {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly milliseconds: number,
    private readonly action: () => void,
  ) {}

  ask(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.action();
    }, this.milliseconds);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
