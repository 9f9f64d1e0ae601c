/** The page of the doctor: the steps of the way to a kernel, and what to do about the one that fails. */

import type { DoctorStep, FromDoctor, ToDoctor } from '../webviews/messages';
import { connect, element } from './page';

const marks = { pass: '✓', warn: '!', fail: '✗', skip: '–' } as const;
const words = { pass: 'works', warn: 'works, but', fail: 'fails', skip: 'was skipped' } as const;

const host = connect<FromDoctor>(({ subject, note, steps }: ToDoctor) => {
  const again = element('button', { onclick: () => host.send({ kind: 'again' }) }, 'Check again');
  document.body.replaceChildren(
    element('h1', {}, subject),
    ...note.split('\n').map((line) => element('p', { class: 'note' }, line)),
    element('ol', {}, ...steps.map(showStep)),
    ...(steps.some(({ name }) => name !== '') ? [again] : []),
  );
});

function showStep({ name, result, sentence, nextStep }: DoctorStep): HTMLElement {
  const what = name === '' ? [] : [element('span', { class: 'name' }, name)];
  return element(
    'li',
    { class: result },
    element('span', { class: 'mark', title: words[result], 'aria-label': words[result] }, marks[result]),
    ...what,
    element('span', { class: 'sentence' }, sentence),
    ...(nextStep === undefined ? [] : [element('pre', {}, nextStep)]),
  );
}

host.send({ kind: 'ready' });
