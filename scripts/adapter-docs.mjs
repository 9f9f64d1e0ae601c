// Writes what of the adapter's documents can be derived: docs/dap-coverage.md, which requests and capabilities of the Debug
// Adapter Protocol there are, where they are handled, and which tests drive them over the wire; and in docs/debug-adapter.md
// the tables of launch fields and console commands. `--check` only says whether they are up to date and complete.
//
// What is there comes from the adapter's own tables. A test of test/integration/adapter.*.test.ts says what it drives by a
// comment `// covers: setBreakpoints, supportsLogPoints`; for a request its file must also send it: `client.ask('threads')`,
// `client.threadsRequest(…)`.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, main } from './bootstrap.mjs';
import { importSources } from './import-sources.mjs';
import { root } from './process.mjs';

const coverageFile = 'docs/dap-coverage.md';
const manualFile = 'docs/debug-adapter.md';

/** Requests of the protocol that are not handled, and why. */
const unsupported = {
  terminate: 'The machine is not ours to end; `disconnect` lets the kernel run on.',
  terminateThreads: 'A debugger of the kernel must not end its threads.',
  stepBack: 'KD has no way back.',
  reverseContinue: 'KD has no way back.',
  restartFrame: 'What a kernel function did cannot be undone; `goto` moves the instruction pointer.',
};

const unsupportedCapabilities = {
  supportsSingleThreadExecutionRequests: 'KD lets all processors run, or none.',
  supportsExceptionOptions: 'Filters with conditions say more.',
  supportsTerminateThreadsRequest: 'See `terminateThreads`.',
  supportsStepBack: 'See `stepBack`.',
  supportsRestartFrame: 'See `restartFrame`.',
  supportsTerminateRequest: 'See `terminate`.',
};

/** What the documents must say, by file. `problems`: requests and capabilities that no test drives. */
export async function adapterDocuments() {
  const adapter = await loadAdapter();
  const { text, problems } = coverage(adapter.families);
  return { documents: { [coverageFile]: text, [manualFile]: manual(adapter) }, problems };
}

function coverage(families) {
  const tests = readTests();
  const problems = [];
  const requests = families
    .flatMap(({ name, requests: handled }) =>
      Object.keys(handled).map((request) => ({ request, family: name })),
    )
    .filter(({ request }) => unsupported[request] === undefined)
    .sort((a, b) => (a.request < b.request ? -1 : 1))
    .map(({ request, family }) => {
      const driving = tests.filter(({ covers }) => covers.has(request));
      if (driving.length === 0) problems.push(`No test covers the request “${request}”.`);
      for (const { file, name, sends } of driving)
        if (!sends.has(request)) problems.push(`${file}, “${name}”: nothing there sends “${request}”.`);
      return [`\`${request}\``, `\`${family}\``, describeTests(driving)];
    });
  const capabilities = families
    .flatMap(({ name, capabilities: offered }) =>
      Object.entries(offered?.({ execution: true, breakpoints: true, places: true }) ?? {})
        .filter(([, value]) => value !== false)
        .map(([capability]) => ({ capability, family: name })),
    )
    .sort((a, b) => (a.capability < b.capability ? -1 : 1))
    .map(({ capability, family }) => {
      const covering = tests.filter(({ covers }) => covers.has(capability));
      if (covering.length === 0) problems.push(`No test covers the capability “${capability}”.`);
      return [`\`${capability}\``, `\`${family}\``, describeTests(covering)];
    });
  const known = new Set([...requests, ...capabilities].map(([name]) => name.replaceAll('`', '')));
  for (const { file, name, covers } of tests)
    for (const one of covers)
      if (!known.has(one)) problems.push(`${file}, “${name}”: covers “${one}”, which is not offered.`);
  const text = [
    '# What of the Debug Adapter Protocol is there',
    '',
    'Written by `node scripts/adapter-docs.mjs`; CI fails if it is out of date, or if a line has no test. The tests talk to',
    'the built adapter over its streams, and to a real kernel behind it.',
    '',
    '## Requests',
    '',
    ...table(['request', 'handled in `src/adapter/requests`', 'test'], requests),
    '',
    '## Capabilities',
    '',
    'Offered for a live kernel. A target without execution or breakpoints takes back what needs them.',
    '',
    ...table(['capability', 'offered by', 'test'], capabilities),
    '',
    '## Not supported',
    '',
    ...table(
      ['request or capability', 'why'],
      Object.entries({ ...unsupported, ...unsupportedCapabilities }).map(([name, why]) => [
        `\`${name}\``,
        why,
      ]),
    ),
    '',
  ].join('\n');
  return { text, problems };
}

/** The manual as it is, with its tables made anew. */
function manual({ configurationFields, launchFields, commands }) {
  return [
    ['launch fields', table(['field', 'default', 'what it is'], fieldRows(configurationFields, ''))],
    ['fields of launch', table(['field', 'default', 'what it is'], fieldRows(launchFields, ''))],
    [
      'console commands',
      table(
        ['command', 'does'],
        commands.map(({ usage, help }) => [`\`${usage}\``, help]),
      ),
    ],
  ].reduce(
    (text, [name, rows]) => {
      const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
      const from = text.indexOf(start);
      const to = text.indexOf(end);
      if (from < 0 || to < from) throw new Error(`${manualFile} has no place for the ${name}`);
      return `${text.slice(0, from + start.length)}\n\n${rows.join('\n')}\n\n${text.slice(to)}`;
    },
    readFileSync(path.join(root, manualFile), 'utf8'),
  );
}

/** A group's own fields follow it. */
function fieldRows(fields, prefix) {
  return Object.entries(fields).flatMap(([name, { type, doc, default: fallback }]) => {
    const shown =
      fallback === undefined || type.fields !== undefined ? '' : `\`${JSON.stringify(fallback)}\``;
    const row = [`\`${prefix}${name}\``, shown, doc.replaceAll('|', '\\|')];
    return [row, ...fieldRows(type.fields ?? {}, `${prefix}${name}.`)];
  });
}

const loadAdapter = () =>
  importSources([
    "export { families } from './src/adapter/families';",
    "export { configurationFields, launchFields } from './src/adapter/configuration/configuration';",
    "export { commands } from './src/adapter/console/commands';",
  ]);

/** Every test of the adapter: where it stands, what its file sends, what it says that it covers. */
function readTests() {
  const folder = path.join(root, 'test', 'integration');
  return readdirSync(folder)
    .filter((file) => /^adapter\..*\.test\.ts$/.test(file))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(path.join(folder, file), 'utf8');
      const sends = new Set(
        [...text.matchAll(/\.(?:ask(?:<[^(]*>)?|refusal)\(\s*'([\w/]+)'|\.(\w+)Request\(/g)].map(
          ([, quoted, method]) => quoted ?? method,
        ),
      );
      const [, ...suites] = text.split(/^void describe\(/m);
      const titleOf = (block) => /^\s*(['"`])(.*?)\1,/s.exec(block)?.[2] ?? '?';
      const blocks = suites.flatMap((suite) =>
        suite
          .split(/^ *void it\(/m)
          .slice(1)
          .map((block) => ({ block, name: `${titleOf(suite)} ${titleOf(block)}` })),
      );
      return blocks.map(({ block, name }) => ({
        file,
        name,
        sends,
        covers: new Set(
          [...block.matchAll(/\/\/ covers: (.*)/g)].flatMap(([, list]) =>
            list.split(',').map((one) => one.trim()),
          ),
        ),
      }));
    });
}

function describeTests(tests) {
  const byFile = new Map();
  for (const { file, name } of tests) byFile.set(file, [...(byFile.get(file) ?? []), name]);
  return [...byFile]
    .map(
      ([file, names]) =>
        `\`${file.replace(/^adapter\.|\.test\.ts$/g, '')}\`: ${names.map((n) => n.replaceAll('|', '\\|')).join('; ')}`,
    )
    .join('<br>');
}

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);

if (process.argv[1] === import.meta.filename) {
  await main(async (args) => {
    await bootstrap();
    const { documents, problems } = await adapterDocuments();
    for (const problem of problems) process.stderr.write(`vmkd: ${problem}\n`);
    let failed = problems.length > 0;
    for (const [name, text] of Object.entries(documents)) {
      const file = path.join(root, name);
      if (!args.includes('--check')) writeFileSync(file, text);
      else if (readFileSync(file, 'utf8') !== text) {
        process.stderr.write(`vmkd: ${name} is out of date: run node scripts/adapter-docs.mjs\n`);
        failed = true;
      }
    }
    return failed ? 1 : 0;
  });
}
