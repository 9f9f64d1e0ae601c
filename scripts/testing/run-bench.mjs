// The child's side of scripts/bench.mjs: imports a bundled bench, measures, and prints the result.
// Arguments: NAME BUNDLE.

import { pathToFileURL } from 'node:url';
import { commandsOf } from '../bootstrap.mjs';
import { figuresComplaint, figuresJson, figuresTable } from './figures.mjs';

const [name, bundle] = process.argv.slice(2);
const { default: bench } = await import(pathToFileURL(bundle).href);
const commands = Object.fromEntries((bench.tools ?? []).map((set) => [set, commandsOf(set)]));
const figures = await bench.figures(commands);
const complaint = figuresComplaint(figures);
if (complaint !== undefined) throw new Error(`The bench ${name} is wrong: ${complaint}.`);
process.stderr.write(`\n${figuresTable(figures)}`);
process.stdout.write(`${figuresJson(name, figures)}\n`);
