/**
 * The page of a memory view: a bar with an expression and how bytes are shown, and below it a grid over all of the address space.
 * Only rows that can be seen are there; a scroll moves them and changes their texts.
 *
 * Invariants: what is drawn comes from the store of pages; whatever is missing there is asked for, and drawn when it comes.
 */

import { parseReference, reference, units, type Unit } from '../memory/units';
import type { FromMemory, Space, ToMemory } from '../webviews/messages';
import { MemoryGrid } from './memoryGrid';
import { connect, element } from './page';
import { showTranslation } from './translation';

interface Kept {
  readonly unit: Unit;
  readonly expression: string;
}

/** An expression that is being evaluated. */
interface Journey {
  readonly id: number;
  readonly expression: string;
  /** Nobody has asked for it now: the view follows the expression from stop to stop. */
  readonly isTracking: boolean;
}

interface Place {
  readonly address: bigint;
  readonly expression: string;
}

type State = Extract<ToMemory, { kind: 'state' }>;

const liveMilliseconds = 250;

const host = connect<FromMemory>(heard);
const kept = host.state as Partial<Kept> | undefined;
const grid = new MemoryGrid(host, {
  onCursor: say,
  onFailure: (text) => say(text, true),
  onFollow: (address) => go(reference(address)),
  onBack: goBack,
});
const past: Place[] = [];
let here: Place | undefined;
let journey: Journey = { id: 0, expression: '', isTracking: false };
/** It could not be evaluated, as the kernel ran. */
let missed: Journey | undefined;
let state: State | undefined;
let timer: number | undefined;

const expressionInput = element('input', {
  type: 'text',
  class: 'expression',
  spellcheck: 'false',
  'aria-label': 'Address: any expression',
  placeholder: 'Address: @rsp, nt!PsLoadedModuleList, poi(@rsp+8) …',
  onkeydown: ({ key }: KeyboardEvent) => {
    if (key === 'Enter') go(expressionInput.value);
    if (key === 'Escape') grid.focus();
  },
});
const unitSelect = element(
  'select',
  { class: 'unit', 'aria-label': 'Shown as', onchange: () => setUnit(unitSelect.value as Unit) },
  ...Object.entries(units).map(([value, { title }]) => element('option', { value }, title)),
);
/** Which memory; what a process sees is among them when it was asked for. */
const spaces: Space[] = [{ kind: 'virtual' }, { kind: 'physical' }];
const spaceSelect = element('select', {
  class: 'space',
  'aria-label': 'Which memory',
  onchange: () => setSpace(spaces[Number(spaceSelect.value)]!),
});
const backButton = button('←', 'Back to where this view was before (Alt+Left)', goBack);
const followButton = button('→', 'To where the pointer under the cursor points (Ctrl+Enter)', () =>
  grid.follow(),
);
const breakButton = button('Break…', 'Stops the kernel when the selected bytes change', () =>
  host.send({ kind: 'breakOn', ...grid.selection }),
);
const trackBox = checkbox('Track', 'Evaluates the expression anew at each stop');
const liveBox = checkbox('Live', 'Reads memory again and again while the kernel runs', setLive);
const translation = element('section', { class: 'translation', hidden: true, 'aria-label': 'Page tables' });
const status = element('span', { class: 'status', role: 'status' });

document.body.append(
  element(
    'header',
    { role: 'toolbar', 'aria-label': 'Memory' },
    element('div', {}, backButton, followButton, expressionInput),
    element(
      'div',
      {},
      spaceSelect,
      unitSelect,
      trackBox.label,
      liveBox.label,
      button('Copy', 'Copies the selected bytes: as hexadecimal, or as the text that is shown (Ctrl+C)', () =>
        grid.copy(),
      ),
      button('Save…', 'Saves the selected bytes into a file', () =>
        host.send({ kind: 'save', space: grid.space, ...grid.selection }),
      ),
      breakButton,
      button('Page tables', 'How the address under the cursor is translated', () =>
        host.send({ kind: 'translate', space: grid.space, address: grid.selection.address }),
      ),
    ),
  ),
  grid.element,
  translation,
  element('footer', {}, status),
);
unitSelect.value = kept?.unit ?? 'bytes';
setUnit(unitSelect.value as Unit);
host.send({ kind: 'ready' });

function heard(message: ToMemory): void {
  switch (message.kind) {
    case 'state':
      setState(message);
      return;
    case 'went':
      if (message.id === journey.id) went(message.expression, message.address);
      return;
    case 'lost':
      lost(message.id, message.message);
      return;
    case 'failed':
      say(message.message, true);
      return;
    case 'show':
      addSpace(message.space);
      go(message.expression);
      return;
    case 'translation':
      showTranslation(translation, message, (address) => {
        setSpace({ kind: 'physical' });
        go(address);
      });
      return;
    case 'bytes':
    case 'unread':
    case 'names':
      grid.answered(message);
      return;
    case 'touched':
      grid.touched();
  }
}

function setState(next: State): void {
  const before = state;
  state = next;
  const isOther = before === undefined || next.epoch < before.epoch;
  grid.setState(next, isOther);
  liveBox.box.disabled = !next.canBeLive;
  if (next.phase === 'ended') say('The session has ended.');
  const isNewStop = next.phase === 'stopped' && next.epoch !== before?.epoch;
  if (isNewStop && before !== undefined) {
    // Another kernel has its things elsewhere.
    const mayHaveMoved = trackBox.box.checked || next.epoch === 1;
    if (missed !== undefined) go(missed.expression, missed.isTracking);
    else if (mayHaveMoved && here !== undefined) go(here.expression, true);
  }
  setLive();
}

function setLive(): void {
  const isLive = liveBox.box.checked && state?.phase === 'running' && state.canBeLive;
  window.clearInterval(timer);
  timer = isLive ? window.setInterval(() => grid.lookAgain(), liveMilliseconds) : undefined;
  document.body.classList.toggle('live', isLive);
  document.body.classList.toggle('old', !isLive && state?.phase !== 'stopped');
}

function go(expression: string, isTracking = false): void {
  if (expression.trim() === '') return;
  depart(expression, isTracking);
  host.send({ kind: 'go', id: journey.id, expression });
}

/** Answers to what was asked for before are not wanted any more. */
function depart(expression: string, isTracking: boolean): void {
  missed = undefined;
  journey = { id: journey.id + 1, expression, isTracking };
}

function went(expression: string, address: string): void {
  const found = parseReference(address);
  if (found === undefined) return;
  if (journey.isTracking && here?.address === found) {
    // Somebody may have scrolled, or selected something.
    grid.tellCursor();
    return;
  }
  if (here !== undefined && here.address !== found && !journey.isTracking) past.push(here);
  arrive({ address: found, expression });
}

function lost(id: number, message: string): void {
  if (id !== journey.id) return;
  if (state?.phase !== 'stopped') missed = journey;
  // Who has asked by himself hears why not yet.
  if (state?.phase === 'stopped' || !journey.isTracking) say(message, true);
}

function arrive(place: Place): void {
  here = place;
  backButton.disabled = past.length === 0;
  expressionInput.value = place.expression;
  keep();
  grid.show(place.address);
}

function goBack(): void {
  const place = past.pop();
  if (place === undefined) return;
  depart(place.expression, false);
  // The expression may mean something else by now.
  arrive(place);
  host.send({ kind: 'shows', expression: place.expression });
}

const titleOfSpace = (space: Space): string => {
  switch (space.kind) {
    case 'virtual':
      return 'Virtual';
    case 'physical':
      return 'Physical';
    case 'process':
      return `Virtual, in ${space.name ?? space.eprocess}`;
  }
};

function addSpace(space: Space): void {
  if (space.kind === 'process') spaces.push(space);
  spaceSelect.replaceChildren(
    ...spaces.map((one, index) => element('option', { value: String(index) }, titleOfSpace(one))),
  );
  setSpace(space);
}

function setSpace(space: Space): void {
  spaceSelect.value = String(spaces.findIndex((one) => titleOfSpace(one) === titleOfSpace(space)));
  grid.setSpace(space);
  breakButton.disabled = space.kind === 'physical';
}

function setUnit(unit: Unit): void {
  grid.setUnit(unit);
  document.body.style.setProperty('--cell', `${units[unit].width}ch`);
  document.body.dataset['unit'] = unit;
  keep();
}

function keep(): void {
  host.keep({ unit: unitSelect.value as Unit, expression: expressionInput.value } satisfies Kept);
}

function say(text: string, isError = false): void {
  status.textContent = text;
  status.classList.toggle('error', isError);
}

function button(text: string, title: string, onclick: () => void): HTMLButtonElement {
  return element('button', { type: 'button', title, 'aria-label': title, onclick }, text);
}

function checkbox(
  text: string,
  title: string,
  onchange: () => void = () => undefined,
): { label: HTMLElement; box: HTMLInputElement } {
  const box = element('input', { type: 'checkbox', onchange });
  return { box, label: element('label', { title }, box, text) };
}
