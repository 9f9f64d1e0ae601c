// The layer rule: which room of src/ may import which. One table, checked by ESLint in every import,
// re-export, dynamic import, import type and require. The table is ARCHITECTURE.md's map; a change here is
// a change of the architecture, not a way round a complaint.
//
// Invariants: a file of src/ belongs to exactly one room; a room may import itself and what its row names,
// nothing else; nothing in src/ but a unit test may reach out of src/.

import path from 'node:path';

const targetKnows = ['core', 'kd', 'link', 'machine', 'memory', 'cpu', 'symbols', 'windows', 'expr'];

/** Engine rooms, and the engine rooms each one knows. */
const engineRooms = {
  core: [],
  kd: ['core'],
  link: ['core', 'kd'],
  machine: ['core'],
  memory: ['core'],
  cpu: ['core', 'memory'],
  symbols: ['core'],
  windows: ['core', 'memory', 'symbols'],
  expr: ['core', 'symbols', 'memory'],
  target: targetKnows,
  dump: ['core', 'memory'],
  companion: ['core', 'kd', 'link'],
};

const wholeEngine = Object.keys(engineRooms).map((room) => `engine/${room}`);

/** Every room of src/ with the rooms it may import. */
export const rooms = {
  ...Object.fromEntries(
    Object.entries(engineRooms).map(([room, known]) => [`engine/${room}`, known.map((k) => `engine/${k}`)]),
  ),
  // What the adapter and its own clients say to each other beyond DAP.
  protocol: [],
  adapter: [...wholeEngine, 'protocol'],
  language: wholeEngine,
  cli: wholeEngine,
  extension: ['engine/core', 'engine/machine', 'protocol'],
};

/** Packages that only some rooms may import. */
const packageRooms = { vscode: ['extension'] };

/**
 * The room of a path relative to the repository, with `/` separators:
 * a key of `rooms`; undefined outside src/; null inside src/ but in no room.
 */
export function roomOf(file) {
  if (!file.startsWith('src/')) return undefined;
  const parts = file.split('/').slice(1);
  const name = parts[0] === 'engine' ? parts.slice(0, 2).join('/') : parts[0];
  const insideRoom = parts.length > (parts[0] === 'engine' ? 2 : 1);
  return insideRoom && Object.hasOwn(rooms, name) ? name : null;
}

/**
 * What is wrong with `file` importing `specifier`, as a sentence, or undefined if nothing is.
 * `file` is relative to the repository, with `/` separators.
 */
export function importComplaint(file, specifier) {
  const from = roomOf(file);
  if (from === undefined) return undefined;
  if (from === null)
    return `${file} stands in no room: move it into one, or give it a row in scripts/layers.mjs.`;

  if (!specifier.startsWith('.') && !specifier.startsWith('/')) {
    const packageName = specifier.split('/')[0];
    const allowed = packageRooms[packageName];
    if (allowed === undefined || allowed.includes(from)) return undefined;
    return `Only ${allowed.map((r) => `src/${r}`).join(', ')} may import '${packageName}', src/${from} may not.`;
  }

  const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
  const to = roomOf(`${resolved}/`.startsWith('src/') ? withLeaf(resolved) : resolved);
  if (to === from) return undefined;
  if (to === undefined) {
    if (/\.test\.ts$/.test(file) && resolved.startsWith('test/')) return undefined;
    return `src/${from} may not import '${specifier}': it lies outside src/.`;
  }
  if (to === null) return `'${specifier}' stands in no room: see scripts/layers.mjs.`;
  if (rooms[from].includes(to)) return undefined;
  const known = rooms[from].length > 0 ? rooms[from].map((r) => `src/${r}`).join(', ') : 'no other room';
  return `src/${from} may not import src/${to}: it knows ${known}.`;
}

/** A directory import (`../core`) means its index file. */
function withLeaf(resolved) {
  return Object.hasOwn(rooms, resolved.slice('src/'.length)) ? `${resolved}/index` : resolved;
}

function rule() {
  return {
    meta: {
      type: 'problem',
      schema: [],
      docs: { description: 'imports follow the layer table of scripts/layers.mjs' },
    },
    create(context) {
      const file = path.relative(context.cwd, context.filename).split(path.sep).join('/');
      const check = (node) => {
        if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
        const message = importComplaint(file, node.value);
        if (message !== undefined) context.report({ node, message });
      };
      return {
        Program(node) {
          if (roomOf(file) === null) context.report({ node, message: importComplaint(file, '') });
        },
        ImportDeclaration: (node) => check(node.source),
        ExportNamedDeclaration: (node) => check(node.source),
        ExportAllDeclaration: (node) => check(node.source),
        ImportExpression: (node) => check(node.source),
        TSImportType: (node) => check(node.source),
        TSExternalModuleReference: (node) => check(node.expression),
        'CallExpression[callee.name="require"]': (node) => check(node.arguments[0]),
      };
    },
  };
}

/** The ESLint plugin: rule `vmkd/layers`. */
export const layersPlugin = { meta: { name: 'vmkd' }, rules: { layers: rule() } };
