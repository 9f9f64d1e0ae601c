/** The page of the registers view: groups that unfold, numbers in a radix of choice, what has changed marked, edited in place. */

import { registerText, RegisterHistory, typedAs, type Radix } from '../registers/registerText';
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
const history = new RegisterHistory();
let radix: Radix = (host.state as { radix?: Radix } | undefined)?.radix ?? 'hex';
let last: Registers | undefined;
let timer: number | undefined;
/** There is nothing newer. */
let why = '';

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
      last = message;
      show(message);
  }
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

function show({ session, epoch, cpu, groups: found }: Registers): void {
  say('');
  groups.classList.remove('old');
  Object.assign(groups.dataset, { stop: String(epoch), cpu: String(cpu) });
  const changed = history.changes(`${session} ${cpu}`, epoch, found);
  const focused = document.activeElement?.id;
  groups.replaceChildren(...found.map((group) => showGroup(group, changed)));
  if (focused !== undefined && focused !== '') document.getElementById(focused)?.focus();
}

function showGroup({ name, lines }: RegisterGroup, changed: ReadonlySet<string>): HTMLElement {
  const details = element(
    'details',
    lines === undefined ? {} : { open: true },
    element('summary', { id: `group ${name}` }, name),
    element('table', {}, ...(lines ?? []).map((line) => showLine(name, line, changed))),
  );
  details.addEventListener('toggle', () => {
    if (details.open !== (lines !== undefined))
      host.send({ kind: 'open', group: name, isOpen: details.open });
  });
  return details;
}

function showLine(group: string, line: RegisterLine, changed: ReadonlySet<string>): HTMLElement {
  const { number, meaning } = registerText(line.value, radix);
  const isChanged = changed.has(`${group}/${line.name}`);
  const value = element(
    'td',
    {
      id: `${group}/${line.name}`,
      class: 'value',
      tabindex: '0',
      title: line.canSet ? `${line.value}\nEnter or a double click changes it` : line.value,
      ondblclick: () => edit(group, line, value, number),
      onkeydown: (event: KeyboardEvent) => {
        if (event.target !== value) return;
        if (event.key === 'Enter' || event.key === 'F2') edit(group, line, value, number);
        else if (event.key === 'm') host.send({ kind: 'memory', expression: `@${line.name}` });
        else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') moveFocus(value, event.key);
        else return;
        event.preventDefault();
      },
    },
    number,
  );
  return element(
    'tr',
    { class: isChanged ? 'changed' : '' },
    element('th', { scope: 'row' }, line.name),
    value,
    element(
      'td',
      { class: 'meaning', title: meaning },
      isChanged ? element('span', { class: 'hidden' }, 'changed ') : '',
      meaning,
    ),
  );
}

function moveFocus(from: HTMLElement, key: 'ArrowDown' | 'ArrowUp'): void {
  const all = [...groups.querySelectorAll<HTMLElement>('summary, details[open] .value')];
  all[all.indexOf(from) + (key === 'ArrowDown' ? 1 : -1)]?.focus();
}

function edit(group: string, line: RegisterLine, cell: HTMLElement, number: string): void {
  if (!line.canSet || cell.querySelector('input') !== null) return;
  const input = element('input', { type: 'text', 'aria-label': `New value of ${line.name}` });
  input.value = number;
  const end = (): void => cell.replaceChildren(number);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      input.removeEventListener('blur', end);
      host.send({ kind: 'set', group, name: line.name, value: typedAs(input.value, radix) });
      end();
      cell.focus();
    }
    if (event.key === 'Escape') cell.focus();
  });
  input.addEventListener('blur', end);
  cell.replaceChildren(input);
  input.focus();
  input.select();
}
