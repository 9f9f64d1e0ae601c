/** `vmkd symbols FILE…`: what PDBs and images know, without a kernel. Each question has a file in symbols/. */

import { VmkdError } from '../engine/core/errors';
import { parseCommandLine, untilInterrupted, type Command } from './command';
import { toJson } from './json';
import {
  parseBase,
  parseCount,
  parseSourceMap,
  symbolFileDetails,
  symbolFileOptions,
  whyExports,
  withSymbolFile,
} from './symbolFiles';
import { describeAddress } from './symbols/addresses';
import { describeFile } from './symbols/info';
import { describeLine, noSuchLine, parseSourceLine, sourceNames } from './symbols/lines';
import { isPattern, noSuchSymbol, searchFile, symbolNames } from './symbols/search';
import { describeType, noSuchType, typeNames } from './symbols/types';
import { SymbolView, type Answer } from './symbolView';
import { printableLine } from './terminal';

interface Question {
  /** Undefined: this file has no answer. */
  readonly ask: (view: SymbolView) => Answer | undefined;
  /** What may have been meant, of a file that has no answer. */
  readonly names: (view: SymbolView) => Iterable<string>;
  /** What to say if no file had one. */
  readonly noAnswer: (names: readonly string[]) => VmkdError;
}

/** Of questions that every file answers, or refuses by itself. */
const always = { names: () => [], noAnswer: () => new VmkdError('internal', 'A file gave no answer') };

const info: Question = { ask: describeFile, ...always };

const addresses = (texts: readonly string[]): Question => ({
  ask(view) {
    const answers = texts.map((text) => describeAddress(view, text));
    return {
      data: { answers: answers.map(({ data }) => data) },
      lines: answers.flatMap(({ lines }) => lines),
    };
  },
  ...always,
});

const search = (text: string): Question => ({
  ask: (view) => searchFile(view, text),
  names: (view) => (isPattern(text) ? [] : symbolNames(view)),
  noAnswer: (names) => noSuchSymbol(text, names),
});

const type = (text: string): Question => ({
  ask: (view) => describeType(view, text),
  names: typeNames,
  noAnswer: (names) => noSuchType(text, names),
});

function lines(text: string): Question {
  const query = parseSourceLine(text);
  return {
    ask: (view) => describeLine(view, query),
    names: sourceNames,
    noAnswer: (names) => noSuchLine(query, names),
  };
}

export const symbols: Command = {
  name: 'symbols',
  usage:
    'symbols FILE… [--search PATTERN | --address PLACE… | --type NAME | --lines FILE:LINE] [--undecorate] [--limit N] [--json] …',
  summary: 'Says what PDBs and images know: symbols, addresses, types, source lines.',
  details: `  FILE                    a PDB, or an image (.exe, .dll, .sys), whose PDB is then looked for. Alone: what it is
  --search PATTERN        symbols by name; * and ? stand for any characters; module!name too
  --address PLACE         symbol, source, inline frames and locals there; an RVA, an address, or a symbol; may be repeated
  --type NAME             its layout; with * or ?: the types that match
  --lines FILE:LINE       where the code of a source line is
  --undecorate            shows C++ names undecorated
  --limit N               at most so many rows (1000)
${symbolFileDetails}
  vmkd symbols driver.sys --search "driver!Io*"
  vmkd symbols driver.pdb --type _DEVICE_EXTENSION
`,
  async run(args, terminal) {
    const { values, positionals: files } = parseCommandLine(args, {
      ...symbolFileOptions,
      search: { type: 'string' },
      address: { type: 'string', multiple: true },
      type: { type: 'string' },
      lines: { type: 'string' },
      undecorate: { type: 'boolean', default: false },
      limit: { type: 'string', default: '1000' },
    });
    if (files.length === 0) throw new VmkdError('usage', 'vmkd symbols wants a file');
    const questions = [
      values.search === undefined ? [] : search(values.search),
      values.address === undefined ? [] : addresses(values.address),
      values.type === undefined ? [] : type(values.type),
      values.lines === undefined ? [] : lines(values.lines),
    ].flat();
    if (questions.length > 1)
      throw new VmkdError('usage', 'Ask one thing at a time: --search, --address, --type or --lines');
    if (values.address !== undefined && files.length > 1)
      throw new VmkdError('usage', 'An address is in one image: --address wants one file');
    const question = questions[0] ?? info;
    const options = {
      base: parseBase(values.base),
      undecorate: values.undecorate,
      sourceMap: parseSourceMap(values['source-map']),
      limit: parseCount(values.limit, 'limit', 10_000_000),
    };
    const answers: object[] = [];
    const names: string[] = [];
    await untilInterrupted(async (signal) => {
      for (const file of files) {
        await withSymbolFile(file, values, terminal, signal, (session) => {
          const view = new SymbolView(session, options);
          const why = question === info ? undefined : whyExports(session);
          if (why !== undefined) terminal.error(`vmkd: ${printableLine(why)}\n`);
          const answer = question.ask(view);
          if (answer === undefined) {
            for (const name of question.names(view)) names.push(name);
            return;
          }
          answers.push(answer.data);
          if (!values.json) terminal.rows(answer.lines);
        });
      }
    });
    if (answers.length === 0) throw question.noAnswer(names);
    if (values.json) terminal.out(toJson({ files: answers }));
  },
};
