// Makes an import library from a module-definition file: an archive of short import objects, one a name, as the linker
// takes them. Our own, because no tool that comes with clang and lld makes one for x86, where the linker's names carry
// the size of the arguments (_MmMapIoSpace@16) and the kernel's exports do not (MmMapIoSpace).
//
//   archive   "!<arch>\n", then members: a header of 60 characters, the bytes, padded to an even length
//             the first member, "/": how many symbols, where each one's member begins (all big endian), their names
//   member    0000 FFFF version machine timestamp size hint type   then symbol NUL module NUL
//             type: bits 0-1 what is imported (0 code, 1 data), bits 2-4 how its name follows from the symbol
//
// Source: Microsoft's PE and COFF specification, “Import Library Format”.

const machines = { x64: 0x8664, x86: 0x14c };

/** How the exported name follows from the symbol. */
const nameAsIs = 1;
const nameWithoutPrefix = 2;
const nameUndecorated = 3;

/** The names of a module-definition file: `Name[@bytes] [DATA]` a line behind EXPORTS. */
export function readDefinition(text) {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/;.*/, '').trim());
  const library = /^LIBRARY\s+(\S+)$/.exec(lines.find((line) => line.startsWith('LIBRARY')) ?? '')?.[1];
  const start = lines.indexOf('EXPORTS');
  if (library === undefined || start < 0) throw new Error('a .def file has LIBRARY and EXPORTS');
  const names = lines.slice(start + 1).filter((line) => line !== '');
  return {
    library,
    imports: names.map((line) => {
      const match = /^(\w+)(@\d+)?(\s+DATA)?$/.exec(line);
      if (match === null) throw new Error(`not an import: ${line}`);
      return { name: match[1], argumentBytes: match[2] ?? '', isData: match[3] !== undefined };
    }),
  };
}

/** The library's bytes, for machine `x64` or `x86`. */
export function makeImportLibrary({ library, imports }, machine) {
  const members = imports.map((one) => importObject(one, library, machine));
  const symbols = members.flatMap(({ symbol, isData }, index) => [
    { name: `__imp_${symbol}`, index },
    ...(isData ? [] : [{ name: symbol, index }]),
  ]);
  const names = Buffer.from(symbols.map(({ name }) => `${name}\0`).join(''), 'latin1');
  const directory = Buffer.alloc(4 + symbols.length * 4 + names.length);

  const offsets = [];
  let at = 8 + 60 + even(directory.length);
  for (const { bytes } of members) {
    offsets.push(at);
    at += 60 + even(bytes.length);
  }
  directory.writeUInt32BE(symbols.length, 0);
  symbols.forEach(({ index }, i) => directory.writeUInt32BE(offsets[index], 4 + i * 4));
  names.copy(directory, 4 + symbols.length * 4);
  return Buffer.concat([
    Buffer.from('!<arch>\n', 'latin1'),
    archiveMember('/', directory),
    ...members.map(({ bytes }) => archiveMember(`${library}/`, bytes)),
  ]);
}

function importObject({ name, argumentBytes, isData }, library, machine) {
  const symbol = machine === 'x86' ? `_${name}${argumentBytes}` : name;
  const naming = machine === 'x64' ? nameAsIs : argumentBytes === '' ? nameWithoutPrefix : nameUndecorated;
  const texts = Buffer.from(`${symbol}\0${library}\0`, 'latin1');
  const header = Buffer.alloc(20);
  header.writeUInt16LE(0xffff, 2);
  header.writeUInt16LE(machines[machine], 6);
  header.writeUInt32LE(texts.length, 12);
  header.writeUInt16LE((isData ? 1 : 0) | (naming << 2), 18);
  return { symbol, isData, bytes: Buffer.concat([header, texts]) };
}

const even = (length) => length + (length % 2);

function archiveMember(name, bytes) {
  const header = `${name.padEnd(16)}${'0'.padEnd(12)}${''.padEnd(6)}${''.padEnd(6)}${'0'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`;
  const padding = Buffer.alloc(even(bytes.length) - bytes.length, '\n');
  return Buffer.concat([Buffer.from(header, 'latin1'), bytes, padding]);
}
