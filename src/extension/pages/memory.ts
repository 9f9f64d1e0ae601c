/**
 * The page of a memory view: a bar with an expression and how bytes are shown, and below it a grid over all of the address space.
 * Only rows that can be seen are there; a scroll moves them and changes their texts.
 *
 * Invariants: what is drawn comes from the store of pages; whatever is missing there is asked for, and drawn when it comes.
 */

import { whyNotLive } from '../memory/abilities';
import { isSameSpace, spaceOfPointers, titleOfSpace, Trail, type Place } from '../memory/places';
import { parseReference, reference, units, type Unit } from '../memory/units';
import type { FromMemory, Space, ToMemory } from '../webviews/messages';
import { MemoryGrid } from './memoryGrid';
import { connect, element } from './page';
import { showTranslation } from './translation';

interface Kept {
  readonly unit: Unit;
}

/** An expression that is being evaluated. */
interface Journey {
  readonly id: number;
  readonly expression: string;
  /** In which memory its address is meant. */
  readonly space: Space;
  /** `follows`: nobody has asked for it now, the view follows the expression from stop to stop. */
  readonly why: 'asked' | 'returns' | 'follows';
}

type State = Extract<ToMemory, { kind: 'state' }>;

const liveMilliseconds = 250;

const host = connect<FromMemory>(heard);
const kept = host.state as Partial<Kept> | undefined;
const grid = new MemoryGrid(host, {
  onCursor: say,
  onFailure: (text) => say(text, true),
  onFollow: (address) => go(reference(address), spaceOfPointers(grid.space)),
  onBack: goBack,
});
const trail = new Trail();
let journey: Journey = { id: 0, expression: '', space: grid.space, why: 'asked' };
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
  onchange: () => chooseSpace(spaces[Number(spaceSelect.value)]!),
});
const backButton = button('←', 'Back to where this view was before (Alt+Left)', goBack);
const followButton = button('→', 'To where the pointer under the cursor points (Ctrl+Enter)', () =>
  grid.follow(),
);
const breakButton = button('Break…', 'Stops the kernel when the selected bytes change', () =>
  host.send({ kind: 'breakOn', ...grid.selection }),
);
const tablesButton = button('Page tables', 'How the address under the cursor is translated', () =>
  host.send({ kind: 'translate', space: grid.space, address: grid.selection.address }),
);
const trackBox = checkbox('Track', 'Evaluates the expression anew at each stop');
const liveTitle = 'Reads memory again and again while the kernel runs';
const liveBox = checkbox('Live', liveTitle, setLive);
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
      tablesButton,
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
      setSpace(message.space);
      go(message.expression);
      return;
    case 'translation':
      showTranslation(translation, message, (address) => go(address, { kind: 'physical' }));
      return;
    case 'bytes':
    case 'unread':
    case 'names':
      grid.answered(message);
      return;
    case 'touched':
      grid.touched();
      return;
    case 'renamed':
      grid.renamed();
      // What could not be evaluated in this kernel may be by now.
      if (state?.phase === 'stopped' && trail.here !== undefined && trail.here.kernel !== state.kernel)
        followOn();
  }
}

function setState(next: State): void {
  const before = state;
  state = next;
  const isOther = next.kernel !== before?.kernel;
  grid.setState(next, isOther);
  if (next.phase === 'ended') say('The session has ended.');
  if (next.phase === 'stopped' && (isOther || next.epoch !== before.epoch)) followOn();
  setLive();
}

/** The kernel stands again: what could not be evaluated is, and what may have moved. */
function followOn(): void {
  const { here } = trail;
  if (missed !== undefined) go(missed.expression, missed.space, missed.why);
  else if (here !== undefined && (trackBox.box.checked || here.kernel !== state?.kernel))
    go(here.expression, here.space, 'follows');
}

function setLive(): void {
  const why = whyNotLive(grid.space, state?.canBeLive === true);
  liveBox.box.disabled = why !== undefined;
  liveBox.label.title = why ?? liveTitle;
  const isLive = why === undefined && liveBox.box.checked && state?.phase === 'running';
  window.clearInterval(timer);
  timer = isLive ? window.setInterval(() => grid.lookAgain(), liveMilliseconds) : undefined;
  document.body.classList.toggle('live', isLive);
  document.body.classList.toggle('old', !isLive && state?.phase !== 'stopped');
}

function go(expression: string, space = grid.space, why: Journey['why'] = 'asked'): void {
  if (expression.trim() === '') return;
  depart(expression, space, why);
  host.send({ kind: 'go', id: journey.id, expression });
}

/** Answers to what was asked for before are not wanted any more. */
function depart(expression: string, space: Space, why: Journey['why']): void {
  missed = undefined;
  journey = { id: journey.id + 1, expression, space, why };
}

function went(expression: string, address: string): void {
  const found = parseReference(address);
  if (found === undefined) return;
  const { here } = trail;
  const { space, why } = journey;
  const place = { space, address: found, expression, kernel: state?.kernel ?? '' };
  if (why === 'asked') trail.visit(place);
  else trail.move(place);
  if (why === 'follows' && here?.address === found) {
    // Somebody may have scrolled, or selected something.
    grid.tellCursor();
    return;
  }
  arrive(place);
}

function lost(id: number, message: string): void {
  if (id !== journey.id) return;
  if (state?.phase !== 'stopped') missed = journey;
  // Who has asked by himself hears why not yet.
  if (state?.phase === 'stopped' || journey.why !== 'follows') say(message, true);
}

function arrive({ space, address, expression }: Place): void {
  if (!isSameSpace(space, grid.space)) setSpace(space);
  expressionInput.value = expression;
  grid.show(address);
  tellPlace();
}

function goBack(): void {
  const place = trail.back();
  if (place === undefined) return;
  depart(place.expression, place.space, 'returns');
  // The expression may mean something else by now; in another kernel, the address does.
  if (place.kernel === state?.kernel) arrive(place);
  else host.send({ kind: 'go', id: journey.id, expression: place.expression });
}

/** The same addresses, in another memory. */
function chooseSpace(space: Space): void {
  journey = { ...journey, space };
  missed &&= journey;
  setSpace(space);
  if (trail.here !== undefined) trail.visit({ ...trail.here, space });
  tellPlace();
}

function tellPlace(): void {
  backButton.disabled = trail.isAtStart;
  if (trail.here === undefined) return;
  const { space, expression } = trail.here;
  host.send({ kind: 'shows', space, expression });
}

function setSpace(space: Space): void {
  if (!spaces.some((one) => isSameSpace(one, space))) spaces.push(space);
  spaceSelect.replaceChildren(
    ...spaces.map((one, index) => element('option', { value: String(index) }, titleOfSpace(one))),
  );
  spaceSelect.value = String(spaces.findIndex((one) => isSameSpace(one, space)));
  grid.setSpace(space);
  breakButton.disabled = tablesButton.disabled = space.kind === 'physical';
  setLive();
}

function setUnit(unit: Unit): void {
  grid.setUnit(unit);
  document.body.style.setProperty('--cell', `${units[unit].width}ch`);
  document.body.dataset['unit'] = unit;
  host.keep({ unit } satisfies Kept);
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
