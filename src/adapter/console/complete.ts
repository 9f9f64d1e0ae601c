/**
 * Completion in the debug console: commands for the first word, then what the command takes; in expressions variables,
 * members, symbols and registers. Nothing is read but what a member needs to be found.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../../engine/core/errors';
import { evaluate } from '../../engine/expr/compile';
import { namedChildren } from '../../engine/expr/children';
import { frameOf, viewOf } from '../evaluation';
import type { Session } from '../session';
import { accessOf } from '../variables/items';
import { registerGroups } from '../variables/registerTable';
import type { Completes } from './command';
import { commandNamed, commands } from './commands';

const mostSymbols = 100;

interface Place {
  readonly line: number;
  /** As the client counts. */
  readonly column: number;
  readonly frameId: number | undefined;
}

/** @returns Sorted as they shall be shown; each replaces the word before the cursor. */
export async function complete(session: Session, text: string, place: Place): Promise<P.CompletionItem[]> {
  const { positions } = session;
  const line = text.split('\n')[positions.lineFromClient(place.line) - 1] ?? '';
  const upTo = line.slice(0, positions.columnFromClient(place.column) - 1);
  const [word = ''] = /[\w@$.~!:*]*$/.exec(upTo) ?? [];
  const found = await candidates(session, upTo, word, place.frameId);
  return found.map((item) => ({
    ...item,
    start: positions.columnToClient(upTo.length - (item.length ?? word.length) + 1),
    length: item.length ?? word.length,
  }));
}

async function candidates(
  session: Session,
  upTo: string,
  word: string,
  frameId: number | undefined,
): Promise<P.CompletionItem[]> {
  const member = /^(.*?)(\.|->)(\w*)$/.exec(upTo);
  const isFirst = upTo.trimStart() === word;
  const command = commandNamed(/^\s*(\S+)\s/.exec(upTo)?.[1] ?? '');
  if (command !== undefined) return ofCommand(session, command.completes, word, upTo, member, frameId);
  const expressions = await inExpression(session, word, upTo, member, frameId);
  return isFirst ? [...matchingCommands(word), ...expressions] : expressions;
}

async function ofCommand(
  session: Session,
  completes: Completes,
  word: string,
  upTo: string,
  member: RegExpExecArray | null,
  frameId: number | undefined,
): Promise<P.CompletionItem[]> {
  switch (completes) {
    case 'command':
      return matchingCommands(word);
    case 'module':
      return matchingModules(session, word, '');
    case 'register':
      return matchingRegisters(word);
    case 'symbol':
      return inExpression(session, word, upTo, member, frameId);
    case 'nothing':
      return [];
  }
}

async function inExpression(
  session: Session,
  word: string,
  upTo: string,
  member: RegExpExecArray | null,
  frameId: number | undefined,
): Promise<P.CompletionItem[]> {
  if (word.startsWith('@')) return matchingRegisters(word);
  if (member !== null && !/^\s*\./.test(upTo)) {
    const members = await matchingMembers(session, member[1]!, member[3]!, frameId);
    if (members.length > 0) return members;
  }
  return [
    ...(await matchingVariables(session, word, frameId)),
    ...matchingModules(session, word, '!'),
    ...matchingSymbols(session, word),
  ];
}

const startsWith = (name: string, word: string): boolean => name.toLowerCase().startsWith(word.toLowerCase());

const matchingCommands = (word: string): P.CompletionItem[] =>
  commands
    .filter(({ name }) => name.startsWith(word))
    .map(({ name, help }) => ({ label: name, detail: help, type: 'keyword' }));

const matchingModules = ({ target }: Session, word: string, behind: string): P.CompletionItem[] =>
  target.symbols.modules
    .filter(({ alias }) => startsWith(alias, word))
    .map(({ alias, module }) => ({ label: alias + behind, detail: module.path, type: 'module' }));

function matchingRegisters(word: string): P.CompletionItem[] {
  const typed = word.replace('@', '');
  return registerGroups
    .flatMap(({ rows }) => rows)
    .filter(({ name }) => startsWith(name, typed))
    .map(({ name }) => ({ label: `@${name}`, type: 'value' }));
}

/** A module's name must be there, or a few letters: all symbols of all modules are no help. */
function matchingSymbols({ target }: Session, word: string): P.CompletionItem[] {
  const bang = word.indexOf('!');
  if (bang < 0 && word.length < 2) return [];
  return target.symbols
    .search(`${word.replace(/[*?]/g, '')}*`, mostSymbols)
    .map(({ module, name, kind }) => ({
      label: `${module.alias}!${name}`,
      type: kind === 'procedure' ? 'function' : 'variable',
    }));
}

async function matchingVariables(
  session: Session,
  word: string,
  frameId: number | undefined,
): Promise<P.CompletionItem[]> {
  if (session.target.state.kind !== 'stopped') return [];
  const context = await session.contexts.ofFrame(await frameOf(session, frameId));
  return context
    .variables()
    .filter(({ local }) => !local.hidden && startsWith(local.name, word))
    .map(({ local }) => ({ label: local.name, type: 'variable' }));
}

async function matchingMembers(
  session: Session,
  object: string,
  typed: string,
  frameId: number | undefined,
): Promise<P.CompletionItem[]> {
  const view = await viewOf(session, frameId);
  const signal = session.ended.signal;
  // The object may stand behind something else: `f(a, b->`; the longest end that can be evaluated is it.
  for (const text of endings(object)) {
    try {
      const item = await evaluate(text, view.context, { signal });
      const members = await namedChildren(accessOf(view, { signal, hex: false }), item);
      return members
        .filter(({ name }) => startsWith(name, typed))
        .map(({ name }) => ({ label: name, type: 'field', length: typed.length }));
    } catch (error) {
      if (!(error instanceof VmkdError)) throw error;
    }
  }
  return [];
}

function* endings(text: string): Generator<string> {
  yield text;
  for (const found of text.matchAll(/[\s(,=+*/&|?:<>[{-]+/g)) yield text.slice(found.index + found[0].length);
}
