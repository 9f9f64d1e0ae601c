/** A value as text for the clipboard: unfolded, but bounded. */

import { childCounts, indexedChildren, namedChildren } from '../../engine/expr/children';
import type { Item } from '../../engine/expr/compile';
import { summary } from '../../engine/expr/format/summary';
import { accessOf, type ItemView, type Look } from './items';

const deepest = 4;
const mostElements = 256;
const mostLines = 4096;

/** @throws link and target errors, cancelled */
export async function wholeText(view: ItemView, item: Item, look: Look): Promise<string> {
  const access = accessOf(view, look);
  const lines: string[] = [];
  const add = async (one: Item, label: string, depth: number): Promise<void> => {
    const indent = '  '.repeat(depth);
    const { named, indexed } = await childCounts(access, one);
    // What a pointer points at is somewhere else: it is not part of the value.
    const isWhole = one.value.type.kind === 'struct' || one.value.type.kind === 'array';
    if (!isWhole || named + indexed === 0 || depth >= deepest || lines.length >= mostLines) {
      lines.push(`${indent}${label}${await summary(access, one, { hex: look.hex })}`);
      return;
    }
    lines.push(`${indent}${label}{`);
    for (const child of await namedChildren(access, one)) await add(child, `${child.name} = `, depth + 1);
    for (const child of await indexedChildren(access, one, 0, mostElements))
      await add(child, `${child.name} = `, depth + 1);
    if (indexed > mostElements) lines.push(`${indent}  …`);
    lines.push(`${indent}}`);
  };
  await add(item, '', 0);
  return lines.join('\n');
}
