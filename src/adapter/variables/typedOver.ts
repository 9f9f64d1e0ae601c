/**
 * Clients offer what is shown for editing, and what is shown often has more behind the value: a symbol, a number, flags. Who
 * changes the value alone leaves that as it is.
 *
 *   0xfffff80312345678 nt!KeSetEvent    ─▶    0xfffff80312345679 nt!KeSetEvent    means    0xfffff80312345679
 */

/** @param shown Undefined: nobody knows. @returns What is meant. */
export function typedOver(shown: string | undefined, typed: string): string {
  const behind = /^[^\s"']+(\s.*)$/s.exec(shown ?? '')?.[1];
  const isLeft = behind !== undefined && typed.endsWith(behind) && typed.trim() !== behind.trim();
  return isLeft ? typed.slice(0, -behind.length) : typed;
}
