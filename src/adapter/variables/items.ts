/**
 * Values of the expression engine as lines of a variables view. Nothing inside a value is looked at before somebody
 * unfolds it, except for how much there is.
 */

import type { VirtualAddress } from '../../engine/core/addresses';
import { VmkdError } from '../../engine/core/errors';
import { Access, type AccessOptions } from '../../engine/expr/access';
import { assign } from '../../engine/expr/assign';
import { childCounts, indexedChildren, namedChildren, type ChildCounts } from '../../engine/expr/children';
import type { Item } from '../../engine/expr/compile';
import type { EvaluationContext } from '../../engine/expr/context';
import { summary } from '../../engine/expr/format/summary';
import { isScalar, type Type } from '../../engine/expr/types/type';
import { typeText } from '../../engine/expr/types/typeText';
import { addressOf, unsignedOf } from '../../engine/expr/values/scalar';
import type { Value } from '../../engine/expr/values/value';
import type { SourceLine } from '../../engine/symbols/services/imageSymbols';
import type { KernelSymbols } from '../../engine/windows/kernelSymbols';
import type { Container, DataPlace, Page, Shown } from './shown';

/** In what items are evaluated and shown. */
export interface ItemView {
  readonly context: EvaluationContext;
  readonly symbols: KernelSymbols;
}

export type Look = Pick<Page, 'hex' | 'signal'>;

/** @throws link and target errors, cancelled; what is absent is shown as such */
export async function showItem(view: ItemView, item: Item, look: Look): Promise<Shown> {
  const access = accessOf(view, look);
  const { type, place } = item.value;
  const pointer = type.kind === 'pointer' ? await pointerOf(access, item.value) : undefined;
  const counts = await childCounts(access, item);
  const data = dataPlaceOf(item.value);
  // A function has no bytes of its own to watch or to set, but it is somewhere.
  const code = type.kind === 'function' && place.kind === 'memory' ? place.address : undefined;
  const target = targetOf(view, type, pointer ?? code);
  const memory = pointer ?? code ?? data?.address;
  const isFixed = place.kind === 'bytes' || place.kind === 'unavailable' || !isScalar(type);
  return {
    name: item.name,
    value: await summary(access, item, { hex: look.hex || isRegister(item) }),
    type: typeText(type),
    ...(item.expression === undefined ? {} : { evaluateName: item.expression }),
    ...(memory === undefined ? {} : { memory }),
    ...(data && { place: data }),
    ...(isFixed || view.context.write === undefined ? { readOnly: true } : {}),
    ...(target && { target }),
    ...(counts.named + counts.indexed > 0 ? { inside: inItem(view, item, counts) } : {}),
  };
}

/** Registers are in hexadecimal wherever they are shown. */
const isRegister = ({ expression = '' }: Item): boolean => /^@\w+$/.test(expression);

/** A few items as a container. */
export function itemList(view: ItemView, items: () => Promise<readonly Item[]>): Container {
  return {
    children: async (page) => showAll(view, (await items()).slice(page.start, page.start + page.count), page),
    async set(name, text, page) {
      const item = (await items()).find((candidate) => candidate.name === name);
      return setItem(view, item, name, text, page);
    },
  };
}

/** Writes what `text` says. @returns The item as it is now. */
export async function assignItem(view: ItemView, item: Item, text: string, look: Look): Promise<Shown> {
  await assign(accessOf(view, look, true), item.value, text);
  return showItem(view, item, look);
}

export function accessOf({ context }: ItemView, { signal }: Look, allowWrites = false): Access {
  const options: AccessOptions = { signal, allowWrites };
  return new Access(context, options);
}

/** Where the value itself lies, if it has bytes of its own there. */
export function dataPlaceOf({ type, place, bits }: Value): DataPlace | undefined {
  if (place.kind !== 'memory' || type.size === 0) return undefined;
  // Of a bit field, what can be watched is the whole that it is a part of.
  return { address: place.address, size: bits === undefined ? type.size : Math.max(1, type.size) };
}

function inItem(view: ItemView, item: Item, counts: ChildCounts): Container {
  const children = async ({ filter, start, count, signal, hex }: Page): Promise<Item[]> => {
    const access = accessOf(view, { signal, hex });
    const named = filter === 'indexed' ? [] : await namedChildren(access, item);
    if (filter === 'named') return named.slice(start, start + count);
    const from = filter === 'indexed' ? start : Math.max(0, start - named.length);
    const left = Math.min(count, counts.indexed - from);
    const indexed = left > 0 ? await indexedChildren(access, item, from, left) : [];
    return filter === 'indexed'
      ? indexed
      : [...named.slice(start, start + count), ...indexed].slice(0, count);
  };
  return {
    counts,
    children: async (page) => showAll(view, await children(page), page),
    async set(name, text, page) {
      const index = /^\[(\d+)\]$/.exec(name)?.[1];
      const [child] =
        index === undefined
          ? (await children({ ...page, filter: 'named' })).filter((one) => one.name === name)
          : await children({ ...page, filter: 'indexed', start: Number(index), count: 1 });
      return setItem(view, child, name, text, page);
    },
  };
}

async function setItem(
  view: ItemView,
  item: Item | undefined,
  name: string,
  text: string,
  look: Look,
): Promise<Shown> {
  if (item === undefined) throw new VmkdError('request-stale', `There is no ${name} here`);
  return assignItem(view, item, text, look);
}

/** One after the other: the link answers in turn anyway, and a cancel takes effect between two. */
async function showAll(view: ItemView, items: readonly Item[], look: Look): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const item of items) shown.push(await showItem(view, item, look));
  return shown;
}

/** What a pointer holds; undefined if it cannot be read, or is null. */
async function pointerOf(access: Access, { type, place }: Value): Promise<VirtualAddress | undefined> {
  try {
    const pointer = addressOf(unsignedOf(await access.load(place, type.size), type.size), type.size);
    return pointer === 0n ? undefined : pointer;
  } catch (error) {
    if (
      error instanceof VmkdError &&
      (error.code === 'memory-unreadable' || error.code === 'value-unavailable')
    )
      return undefined;
    throw error;
  }
}

/** Source of the function that a value is, or points at. */
function targetOf({ symbols }: ItemView, type: Type, at: VirtualAddress | undefined): SourceLine | undefined {
  const isCode = type.kind === 'function' || (type.kind === 'pointer' && type.to.kind === 'function');
  return isCode && at !== undefined ? symbols.framesAt(at).at(-1)?.source : undefined;
}
