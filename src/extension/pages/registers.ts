/** The page of the registers view: groups that unfold, numbers in a radix of choice, what has changed marked, edited in place. */

import { addressIn, registerText, typedAs, type Radix } from '../registers/registerText';
import type { FromRegisters, RegisterGroup, RegisterLine, ToRegisters } from '../webviews/messages';
import { connect, element } from './page';

type Registers = Extract<ToRegisters, { kind: 'registers' }>;

/** Milliseconds. A step is shorter, and shall not make the view flicker. */
const patience = 300;

const radixes: { readonly [R in Radix]: string } = {
  hex: 'Hexadecimal',
  decimal: 'Decimal',
  signed: 'Signed',
  binary: 'Binary',
};

const host = connect<FromRegisters>(heard);
let radix: Radix = (host.state as { radix?: Radix } | undefined)?.radix ?? 'hex';
let last: Registers | undefined;
/** What is shown of it. */
let shown: Registers | undefined;
let timer: number | undefined;
/** There is nothing newer. */
let why = '';
/** A value is being typed: what else comes of the same stop waits. */
let isEdited = false;

const cpuSelect = element('select', {
  'aria-label': 'Processor',
  onchange: () => host.send({ kind: 'cpu', id: Number(cpuSelect.value) }),
});
const radixSelect = element(
  'select',
  {
    'aria-label': 'Shown as',
    onchange: () => {
      radix = radixSelect.value as Radix;
      host.keep({ radix });
      if (last !== undefined) show(last);
    },
  },
  ...Object.entries(radixes).map(([value, title]) => element('option', { value }, title)),
);
radixSelect.value = radix;
const bar = element('header', { hidden: true }, cpuSelect, radixSelect);
const notice = element('p', { class: 'message', role: 'status' });
const groups = element('main', {});
document.body.append(bar, notice, groups);
host.send({ kind: 'ready' });

function heard(message: ToRegisters): void {
  switch (message.kind) {
    case 'nothing':
      ({ why } = message);
      if (last === undefined || groups.classList.contains('old')) showNothing();
      else timer ??= window.setTimeout(showNothing, patience);
      return;
    case 'failed':
      say(message.message, true);
      return;
    case 'cpus':
      cpuSelect.replaceChildren(
        ...message.cpus.map(({ id, name }) => element('option', { value: String(id) }, name)),
      );
      cpuSelect.value = String(message.cpu);
      bar.hidden = false;
      return;
    case 'registers':
      window.clearTimeout(timer);
      timer = undefined;
      receive(message);
  }
}

function receive(message: Registers): void {
  const isSame =
    last?.session === message.session && last.epoch === message.epoch && last.cpu === message.cpu;
  last = message;
  if (!isEdited || !isSame) show(message);
}

/** What was there is old, and still worth a look while the kernel runs. */
function showNothing(): void {
  timer = undefined;
  say(why);
  groups.classList.add('old');
}

function say(text: string, isError = false): void {
  notice.textContent = text;
  notice.hidden = text === '';
  notice.classList.toggle('error', isError);
}

function show(message: Registers): void {
  const { epoch, cpu, groups: found, changed } = message;
  shown = message;
  say('');
  isEdited = false;
  groups.classList.remove('old');
  Object.assign(groups.dataset, { stop: String(epoch), cpu: String(cpu) });
  const marked = new Set(changed);
  const focused = document.activeElement?.id;
  groups.replaceChildren(...found.map((group) => showGroup(group, marked)));
  if (focused !== undefined && focused !== '') document.getElementById(focused)?.focus();
}

function showGroup({ name, lines }: RegisterGroup, changed: ReadonlySet<string>): HTMLElement {
  const details = element(
    'details',
    lines === undefined ? {} : { open: true },
    element('summary', { id: `group ${name}` }, name),
    element('table', {}, ...showLines({ path: name, depth: 0, changed }, lines ?? [])),
  );
  details.addEventListener('toggle', () => {
    if (details.open !== (lines !== undefined)) host.send({ kind: 'open', path: name, isOpen: details.open });
  });
  return details;
}

/** What lines are in. */
interface Within {
  readonly path: string;
  readonly depth: number;
  readonly changed: ReadonlySet<string>;
}

const showLines = (within: Within, lines: readonly RegisterLine[]): HTMLElement[] =>
  lines.flatMap((line) => {
    const inner = { ...within, path: `${within.path}/${line.name}`, depth: within.depth + 1 };
    return [showLine(within, line), ...showLines(inner, line.parts?.lines ?? [])];
  });

function showLine({ path: within, depth, changed }: Within, line: RegisterLine): HTMLElement {
  const { number, meaning } = registerText(line.value, radix);
  const path = `${within}/${line.name}`;
  const isChanged = changed.has(path);
  const isOpen = line.parts && line.parts.lines !== undefined;
  const unfold = (): void => host.send({ kind: 'open', path, isOpen: isOpen === false });
  const value = element(
    'td',
    {
      id: path,
      class: 'value',
      tabindex: '0',
      title: line.canSet ? `${line.value}\nEnter or a double click changes it` : line.value,
      ...(isOpen !== undefined && { 'aria-expanded': String(isOpen) }),
      ondblclick: () => edit(within, line, value, number),
      onkeydown: (event: KeyboardEvent) => {
        if (event.target !== value) return;
        const { key } = event;
        if (key === 'Enter' || key === 'F2') edit(within, line, value, number);
        else if (key === 'm') openMemory(line);
        else if (key === 'ArrowDown' || key === 'ArrowUp') moveFocus(value, key);
        else if (key === 'ArrowRight' && isOpen === false) unfold();
        else if (key === 'ArrowLeft' && isOpen === true) unfold();
        else return;
        event.preventDefault();
      },
    },
    number,
  );
  const name = element(
    'th',
    { scope: 'row' },
    isOpen === undefined
      ? ''
      : element(
          'button',
          {
            type: 'button',
            class: 'twisty',
            tabindex: '-1',
            'aria-label': `${isOpen ? 'Folds' : 'Unfolds'} ${line.name}`,
            onclick: unfold,
          },
          isOpen ? '▾' : '▸',
        ),
    line.name,
  );
  name.style.setProperty('--depth', String(depth));
  return element(
    'tr',
    { class: isChanged ? 'changed' : '' },
    name,
    value,
    element(
      'td',
      { class: 'meaning', title: meaning },
      isChanged ? element('span', { class: 'hidden' }, 'changed ') : '',
      meaning,
    ),
  );
}

/** At what the register has, whichever processor it is of. */
function openMemory({ name, value }: RegisterLine): void {
  const address = addressIn(value);
  if (address === undefined) say(`${name} is no address.`, true);
  else if (last !== undefined) host.send({ kind: 'memory', session: last.session, address });
}

function moveFocus(from: HTMLElement, key: 'ArrowDown' | 'ArrowUp'): void {
  const all = [...groups.querySelectorAll<HTMLElement>('summary, details[open] .value')];
  all[all.indexOf(from) + (key === 'ArrowDown' ? 1 : -1)]?.focus();
}

function edit(path: string, { name, value, canSet }: RegisterLine, cell: HTMLElement, number: string): void {
  if (last === undefined || !canSet || cell.querySelector('input') !== null) return;
  const { session, epoch } = last;
  const input = element('input', { type: 'text', 'aria-label': `New value of ${name}` });
  input.value = number;
  isEdited = true;
  const end = (): void => {
    isEdited = false;
    cell.replaceChildren(number);
  };
  const leave = (): void => {
    end();
    // It has come meanwhile.
    if (last !== undefined && last !== shown) show(last);
  };
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      input.removeEventListener('blur', leave);
      host.send({ kind: 'set', session, epoch, path, name, value: typedAs(input.value, radix, value) });
      end();
      cell.focus();
    }
    if (event.key !== 'Escape') return;
    input.blur();
    document.getElementById(cell.id)?.focus();
  });
  input.addEventListener('blur', leave);
  cell.replaceChildren(input);
  input.focus();
  input.select();
}
