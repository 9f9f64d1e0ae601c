/** An endpoint whose link can be held: the brake on a kernel that prints faster than the client reads. */

import type { ByteLink, LinkEndpoint, OpenOptions } from '../engine/link/link';

export class HoldableEndpoint implements LinkEndpoint {
  #link: ByteLink | undefined;

  constructor(private readonly inner: LinkEndpoint) {}

  get spec(): string {
    return this.inner.spec;
  }

  async open(options: OpenOptions): Promise<ByteLink> {
    this.#link = await this.inner.open(options);
    return this.#link;
  }

  /** Of the link that was opened last. */
  hold(held: boolean): void {
    this.#link?.hold?.(held);
  }

  async diagnoseSilence(link: ByteLink) {
    return this.inner.diagnoseSilence?.(link);
  }

  dispose(): Promise<void> {
    return this.inner.dispose();
  }
}
