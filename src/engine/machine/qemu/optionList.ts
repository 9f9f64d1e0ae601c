/**
 * Values of QEMU's options: `kind,key=value,switch,…`, with `,,` for a comma in a value. A first part without `=` is the
 * value of the option's own key; later ones without are switches that are on, or off with a leading `no` (`nowait`).
 * Some options take one JSON object instead.
 *
 * Source of truth: QEMU's docs/system/invocation and util/keyval.c, util/qemu-option.c.
 */

export type OptionList = ReadonlyMap<string, string>;

const mostParts = 256;

/** @param implied The key of a first part that has none. */
export function parseOptionList(text: string, implied: string): OptionList {
  const options = new Map<string, string>();
  if (text.startsWith('{')) return parseJson(text);
  for (const [index, part] of splitParts(text).entries()) {
    const equals = part.indexOf('=');
    if (equals > 0) options.set(part.slice(0, equals), part.slice(equals + 1));
    else if (index === 0) options.set(implied, part);
    else if (part.startsWith('no') && switches.has(part.slice(2))) options.set(part.slice(2), 'off');
    else if (part !== '') options.set(part, 'on');
  }
  return options;
}

export function isOn(options: OptionList, key: string): boolean {
  return /^(?:on|yes|true|y)$/.test(options.get(key) ?? '');
}

/** Those that are written with `no` before them. */
const switches = new Set(['wait', 'server', 'delay', 'telnet']);

function splitParts(text: string): string[] {
  // A doubled comma is one that belongs to the value.
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  return parts.slice(0, mostParts).map((part) => part.replaceAll(',,', ','));
}

function parseJson(text: string): OptionList {
  try {
    const object = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const scalars = Object.entries(object).filter(([, value]) =>
      ['string', 'number', 'boolean'].includes(typeof value),
    );
    return new Map(
      scalars.map(([key, value]) => [key, value === true ? 'on' : value === false ? 'off' : String(value)]),
    );
  } catch {
    return new Map();
  }
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** `512`, `4G`, `1.5g`, `0x1000`: a size in bytes; undefined if it is none. @param unit What a number alone counts. */
export function parseSize(text: string, unit: '' | 'm'): number | undefined {
  const match = /^(0x[0-9a-f]+|\d{1,15}(?:\.\d{1,9})?)([bkmgtp]?)$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', suffix = ''] = match;
  const bytes = Math.floor(Number(digits) * units[suffix === '' ? unit : suffix.toLowerCase()]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
