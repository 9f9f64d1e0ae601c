// The child's side of scripts/bench.mjs: imports a bundled bench, measures, and prints the result.
// Arguments: NAME BUNDLE.

import { pathToFileURL } from 'node:url';
import { figuresComplaint, figuresJson, figuresTable } from './figures.mjs';

const [name, bundle] = process.argv.slice(2);
const { default: bench } = await import(pathToFileURL(bundle).href);
const figures = await bench.figures();
const complaint = figuresComplaint(figures);
if (complaint !== undefined) throw new Error(`The bench ${name} is wrong: ${complaint}.`);
process.stderr.write(`\n${figuresTable(figures)}`);
process.stdout.write(`${figuresJson(name, figures)}\n`);
