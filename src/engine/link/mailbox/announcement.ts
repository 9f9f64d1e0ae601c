/**
 * What the guest module says when it is loaded, by DbgPrint (native/guest/driver.c) and by VMware's guestinfo
 * (native/guest/monitor.c): where its mailbox is. A hint and no more: it is looked at like any other page.
 */

/** The physical address of the mailbox, if this print of the guest announces one. */
export function announcedByPrint(text: string): bigint | undefined {
  const match = /^vmkd: mailbox at ([0-9a-f]{8})`([0-9a-f]{8}), nonce /.exec(text);
  return match ? BigInt(`0x${match[1]!}${match[2]!}`) : undefined;
}

/** The same from the value of `guestinfo.vmkd.mailbox`. */
export function announcedByGuestInfo(value: string): bigint | undefined {
  const match = /^([0-9a-f]{16}) [0-9a-f]{16}$/.exec(value.trim());
  return match ? BigInt(`0x${match[1]!}`) : undefined;
}
