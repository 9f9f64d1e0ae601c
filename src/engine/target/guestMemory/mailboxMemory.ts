/** Guest RAM for the mailbox: opened when it is first needed, and anew after the machine was another one. */

import type { PageFrame } from '../../core/addresses';
import type { MailboxRam, MailboxWindow } from '../../link/mailbox/ram';
import type { GuestRam, PhysicalRange } from '../../machine/ram/guestRam';
import type { PhysicalLayout } from '../../machine/ram/layout';
import type { RamLocation } from '../../machine/ram/location';
import { openGuestRam } from '../../machine/ram/openGuestRam';

export class MailboxMemory implements MailboxRam {
  #ram: GuestRam | undefined;

  constructor(private readonly location: Exclude<RamLocation, { readonly kind: 'none' }>) {}

  get layout(): PhysicalLayout {
    return this.location.layout;
  }

  /** @throws as GuestRam; ram-unreadable and others if it cannot be opened */
  read(ranges: readonly PhysicalRange[], into: Uint8Array): void {
    this.#open().read(ranges, into);
  }

  window(pages: readonly PageFrame[]): MailboxWindow {
    return this.#open().window(pages);
  }

  /** The next use opens it again. */
  close(): void {
    this.#ram?.close();
    this.#ram = undefined;
  }

  #open(): GuestRam {
    this.#ram ??= openGuestRam(this.location);
    return this.#ram;
  }
}
