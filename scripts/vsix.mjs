// What is in a .vsix, and whether it is what it should be. A .vsix is a zip file; its directory stands at the end:
//
//   local headers and contents … │ directory: 46 bytes and a name for each file │ 22 bytes: where the directory is
//
// Source of the layout: PKWARE's APPNOTE, as far as @vscode/vsce writes it (no zip64, no comment).

import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { inflateRawSync } from 'node:zlib';

/** KiB of one package, by target. */
export const budgetsKib = { 'linux-x64': 2048, 'win32-x64': 2048, universal: 2048 };

export const nativeFile = (target) => `prebuilds/${target}/vmkd-host.napi.node`;

/** What vsce makes of files by itself, and of their names. */
const byVsce = {
  'CHANGELOG.md': 'changelog.md',
  LICENSE: 'LICENSE.txt',
  'README.md': 'readme.md',
};
const ofVsce = ['[Content_Types].xml', 'extension.vsixmanifest', 'extension/package.json'];

/** @returns Map from name to `{ bytes, read }`, in the order of the directory */
export function readVsix(file) {
  const zip = readFileSync(file);
  const end = zip.length - 22;
  if (end < 0 || zip.readUInt32LE(end) !== 0x06054b50)
    throw new Error(`${file} is no zip file as vsce makes them`);
  const files = new Map();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== 0x02014b50) throw new Error(`${file} has a damaged directory`);
    const [packed, bytes] = [zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 24)];
    const [name, extra, comment] = [28, 30, 32].map((field) => zip.readUInt16LE(at + field));
    const method = zip.readUInt16LE(at + 10);
    const local = zip.readUInt32LE(at + 42);
    const read = () => {
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const content = zip.subarray(start, start + packed);
      return method === 0 ? content : inflateRawSync(content);
    };
    files.set(zip.toString('utf8', at + 46, at + 46 + name), { bytes, read });
    at += 46 + name + extra + comment;
  }
  return files;
}

/** The names that a package must have, and no others. @param items Files and folders of `root` that are packed */
export function expectedNames(root, items) {
  const files = items.flatMap((item) =>
    statSync(path.join(root, item)).isFile()
      ? [item]
      : readdirSync(path.join(root, item), { withFileTypes: true, recursive: true })
          .filter((entry) => entry.isFile())
          .map((entry) =>
            path
              .relative(root, path.join(entry.parentPath ?? entry.path, entry.name))
              .split(path.sep)
              .join('/'),
          ),
  );
  return [...ofVsce, ...files.map((name) => `extension/${byVsce[name] ?? name}`)];
}

/** Links by a path, which lead nowhere where a packed document is read. Images are no links. */
const pathLinks = /(?<!!)\[([^\]]*)\]\((?!https?:|command:|#)[^)\s]+\)/g;

/** A document as it is packed. */
export const packedDocument = (markdown) => markdown.replace(pathLinks, '$1');

/** What would be wrong in any package, whatever was meant to be in it. */
const foreign = [
  [/\.map$/, 'a source map'],
  [/\.ts$|\.test\.|(^|\/)test\//, 'a source or a test'],
  [/(^|\/)node_modules\//, 'a package of npm’s'],
];

const programs = ['dist/adapter.js', 'dist/extension.cjs', 'dist/vmkd.js', 'dist/iced_x86_bg.wasm'];

/**
 * @param names Of what is in it. @param expected By `expectedNames`. @param kib Its size
 * @returns sentences, one for each thing that is wrong
 */
export function packageProblems({ target, names, expected, kib }) {
  const have = new Set(names);
  const natives = names.filter((name) => name.endsWith('.node'));
  const wanted = target === 'universal' ? [] : [`extension/${nativeFile(target)}`];
  return [
    ...expected.filter((name) => !have.has(name)).map((name) => `${name} is missing`),
    ...names.filter((name) => !expected.includes(name)).map((name) => `${name} should not be there`),
    ...programs
      .filter((name) => !have.has(`extension/${name}`))
      .map((name) => `${name} is missing from what runs`),
    ...foreign.flatMap(([pattern, what]) =>
      names.filter((name) => pattern.test(name)).map((name) => `${name} is ${what}`),
    ),
    ...(String(natives) === String(wanted)
      ? []
      : [`its native parts are [${natives}], they should be [${wanted}]`]),
    ...(kib > budgetsKib[target] ? [`it has ${kib} KiB, the budget is ${budgetsKib[target]}`] : []),
  ];
}

/** The same of what stands in some of its files. @param text Of a file, by its name */
export function contentProblems(target, names, text) {
  const platform = /TargetPlatform="([^"]+)"/.exec(text('extension.vsixmanifest'))?.[1] ?? 'universal';
  const manifest = JSON.parse(text('extension/package.json'));
  const images = [...text('extension/readme.md').matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(
    ([, image]) => image,
  );
  return [
    ...(platform === target ? [] : [`it says that it is for ${platform}`]),
    ...['extension/readme.md', 'extension/changelog.md', 'extension/package.json'].flatMap((name) =>
      [...text(name).matchAll(pathLinks)].map(
        ([link]) => `${name} has the link ${link}, which leads nowhere`,
      ),
    ),
    ...ofNpm.filter((key) => key in manifest).map((key) => `its manifest has “${key}”, which is for npm`),
    ...[manifest.main, manifest.icon, ...images]
      .filter((name) => !names.includes(`extension/${name.replace('./', '')}`))
      .map((name) => `${name} is named, and missing`),
  ];
}

/** Fields of package.json that a packed manifest does not have. */
export const ofNpm = ['scripts', 'devDependencies', 'dependencies', 'files', 'bin'];
