/** How an address is translated, below the grid of a memory view: a line for each entry, and where its byte is. */

import { addressText } from '../memory/units';
import type { ToMemory } from '../webviews/messages';
import { element } from './page';

type Translation = Extract<ToMemory, { kind: 'translation' }>;

/** @param follow Shows physical memory. */
export function showTranslation(
  section: HTMLElement,
  { address, translation }: Translation,
  follow: (physical: string) => void,
): void {
  const { mode, root, entries, physical, pageBytes, why } = translation;
  const text = (reference: string): string => addressText(BigInt(reference));
  const go = (reference: string): HTMLElement =>
    element(
      'button',
      {
        type: 'button',
        class: 'link',
        title: 'Shows it in physical memory',
        onclick: () => follow(reference),
      },
      text(reference),
    );
  section.hidden = false;
  section.replaceChildren(
    element(
      'div',
      { class: 'title' },
      `${text(address)}, ${mode} paging from `,
      go(root),
      element(
        'button',
        {
          type: 'button',
          class: 'close',
          title: 'Close',
          'aria-label': 'Close the page tables',
          onclick: () => (section.hidden = true),
        },
        '×',
      ),
    ),
    element(
      'table',
      {},
      ...entries.map(({ name, address: at, value, flags }) =>
        element(
          'tr',
          {},
          element('th', { scope: 'row' }, name),
          element('td', {}, go(at)),
          element('td', { class: 'value' }, text(value)),
          element('td', { class: 'flags' }, flags.join(', ')),
        ),
      ),
    ),
    physical === undefined
      ? element('div', { class: 'why' }, why ?? '')
      : element('div', {}, 'Physical address ', go(physical), `, in a page of ${sizeText(pageBytes ?? 0)}`),
  );
}

function sizeText(bytes: number): string {
  if (bytes >= 1 << 30) return `${bytes / (1 << 30)} GiB`;
  return bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / 1024} KiB`;
}
