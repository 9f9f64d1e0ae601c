/** What is copied of memory: bytes as hexadecimal, whatever they are shown as, or text where text is shown. */

import { pageBytes, type Page } from './pageStore';
import { missing, units, unitText, type Unit } from './units';

/** Bytes. More of them is no text that anybody pastes. */
export const mostCopied = 1 << 20;

/**
 * @param from Of whole units, [from, to). @param pageAt What is known of the page at an address.
 * @returns undefined: nothing is known of some of it
 */
export function copiedText(
  { from, to, unit }: { readonly from: bigint; readonly to: bigint; readonly unit: Unit },
  pageAt: (address: bigint) => Pick<Page, 'view'> | undefined,
): string | undefined {
  const isText = units[unit].beside === 'nothing';
  // Numbers as bytes: who pastes them may not know how wide they were.
  const shown = isText ? unit : 'bytes';
  const parts: string[] = [];
  for (let at = from; at < to; at += BigInt(units[shown].size)) {
    const page = pageAt(at);
    if (page === undefined) return undefined;
    parts.push(page.view ? unitText(page.view, Number(at % BigInt(pageBytes)), shown) : missing(shown));
  }
  return parts.join(isText ? '' : ' ');
}
